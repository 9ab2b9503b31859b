/* SPDX-License-Identifier: Apache-2.0
 *
 * target.c - options, environment and contexts file, in this order. */
#include "cli/target.h"

#include <stdlib.h>
#include <string.h>

#include "cli/contexts.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/wire/tls.h"

#define TOKEN_FILE_MAX 512
#define CA_FILE_MAX    65536

static const char *read_text(struct cli *cli, const char *path, size_t max, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_SECRET(0);
	const char *copy;

	if (jaco_fs_read(path, max, &text, err) < 0) {
		err->code = JACO_VALIDATION_FAILED;
		return NULL;
	}
	copy = jaco_arena_strndup(&cli->arena, text.n ? text.data : "", text.n);
	return copy;
}

/* --token, --token-file, JACO_TOKEN; else what the context has. */
static int choose_token(struct cli *cli, struct context *context, struct jaco_err *err)
{
	const char *given = cli_opt(cli, "token"), *file = cli_opt(cli, "token-file");

	if (!given && file && !(given = read_text(cli, file, TOKEN_FILE_MAX, err)))
		return -(int)err->code;
	if (!given)
		given = getenv("JACO_TOKEN");
	if (given)
		context->token = jaco_arena_strndup(&cli->arena, given, strcspn(given, " \r\n\t"));
	if (context->token && *context->token)
		return 0;
	jaco_err_set(err, JACO_VALIDATION_FAILED, "no token for %s", context->servers[0]);
	jaco_err_detail(err, "hint",
			"--token-file FILE, JACO_TOKEN, or a context (jaco context import)");
	return -JACO_VALIDATION_FAILED;
}

static int choose_ca(struct cli *cli, struct context *context, struct jaco_err *err)
{
	const char *file = cli_opt(cli, "ca-cert");

	if (!file)
		file = getenv("JACO_CA_CERT");
	if (file && !(context->ca = read_text(cli, file, CA_FILE_MAX, err)))
		return -(int)err->code;
	if (context->ca)
		return 0;
	jaco_err_set(
		err, JACO_VALIDATION_FAILED,
		"no CA certificate for %s: nothing is sent to a server that cannot be verified",
		context->servers[0]);
	jaco_err_detail(
		err, "hint",
		"on a node: jaco token issue --name ID --context; here: jaco context import; or "
		"--ca-cert FILE with the node's ca.crt");
	return -JACO_VALIDATION_FAILED;
}

/* A context of that name into @out. */
static int take_context(struct cli *cli, const char *name, struct context *out,
			struct jaco_err *err)
{
	struct contexts contexts;
	struct context *found;

	if (contexts_load(cli, &contexts, err) < 0)
		return -(int)err->code;
	found = contexts_find(&contexts, name);
	if (!found)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "no context %.64s in %s: see jaco "
				    "context list", name, contexts.path);
	*out = *found;
	return 0;
}

/* The context in use, or NULL; a file that cannot be read is an error only for who wants it. */
static const char *in_use(struct cli *cli, struct jaco_err *err)
{
	struct contexts contexts;

	if (contexts_load(cli, &contexts, err) < 0)
		return NULL;
	return contexts.current && strcmp(contexts.current, CONTEXT_LOCAL) != 0 ? contexts.current
										: NULL;
}

/* `token issue --context` is another one. */
static const char *context_option(const struct cli *cli)
{
	const char *value = cli_opt_of(cli, "context", false);

	return value ? value : getenv("JACO_CONTEXT");
}

static int fill_remote(struct cli *cli, const struct context *context, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_SECRET(0);
	struct wire_auth auth = {.token = context->token};
	const char **servers =
		jaco_arena_alloc_n(&cli->arena, context->n_servers, sizeof(*servers));

	if (jaco_tls_client_context(context->ca, &cli->remote.context, err) < 0 ||
	    jaco_pack(&packed, &wire_auth_desc, &auth, err) < 0)
		return -(int)err->code;
	memcpy(servers, context->servers, context->n_servers * sizeof(*servers));
	cli->remote.servers = servers;
	cli->remote.n_servers = context->n_servers;
	cli->remote.method = wire_raftd_auth.name;
	cli->remote.params = jaco_arena_memdup(&cli->arena, packed.data, packed.n);
	cli->remote.params_bytes = packed.n;
	cli->is_remote = true;
	return 0;
}

static int choose_remote(struct cli *cli, const char *name, struct jaco_err *err)
{
	struct context context = {.name = "server"};

	if (name && take_context(cli, name, &context, err) < 0)
		return -(int)err->code;
	if (cli_opt(cli, "server"))
		context.n_servers = 0;
	for (size_t i = 0; cli_opt_nth(cli, "server", i); i++)
		if (context_add_servers(cli, &context, cli_opt_nth(cli, "server", i), err) < 0)
			return -(int)err->code;
	if (choose_ca(cli, &context, err) < 0 || choose_token(cli, &context, err) < 0 ||
	    context_check(&context, err) < 0)
		return -(int)err->code;
	return fill_remote(cli, &context, err);
}

static int choose(struct cli *cli, struct jaco_err *err)
{
	bool is_socket = cli_opt(cli, "socket") || cli_opt(cli, "root");
	const char *name = context_option(cli);
	bool is_server = cli_opt(cli, "server") != NULL;

	if (name && strcmp(name, CONTEXT_LOCAL) == 0)
		name = NULL;
	if (cli->command && cli->command->is_local) {
		if (is_server || (name && !getenv("JACO_CONTEXT")))
			return jaco_err_set(
				err, JACO_VALIDATION_FAILED,
				"jaco %s is about this machine: no --server, no --context",
				cli->command->words);
		return 0;
	}
	if (is_socket)
		return is_server ? jaco_err_set(err, JACO_VALIDATION_FAILED,
						"--server and a local socket exclude each other")
				 : 0;
	if (!is_server && !context_option(cli) && !getenv("JACO_SOCKET") && !getenv("JACO_ROOT")) {
		name = in_use(cli, err);
		if (err->code != JACO_OK)
			return -(int)err->code;
	}
	return is_server || name ? choose_remote(cli, name, err) : 0;
}

int target_choose(struct cli *cli, struct jaco_err *err)
{
	if (cli->is_chosen)
		return 0;
	cli->is_chosen = true;
	return choose(cli, err);
}

void target_fini(struct cli *cli)
{
	jaco_tls_context_free(cli->remote.context);
	if (cli->remote.params)
		jaco_wipe((void *)(uintptr_t)cli->remote.params, cli->remote.params_bytes);
}
