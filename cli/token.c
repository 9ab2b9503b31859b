/* SPDX-License-Identifier: Apache-2.0
 *
 * token.c - jaco token ..., jaco registry ...: credentials.  Secrets never come from the command
 * line: a file or standard input gives them. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/contexts.h"
#include "cli/out.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

static const struct out_column token_columns[] = {
	{"IDENTITY", "identity"},
	{"AGE", "created"},
	{"BY", "created_by"},
	{"PRIVILEGED", "allow_privileged"},
	{"READ-ONLY", "read_only"},
	{"DEPLOYMENTS", "deployments"},
	{"EXPIRES", "expires"},
	{"REVOKED", "revoked"},
	{NULL, NULL},
};
static const struct out_column registry_columns[] = {
	{"REGISTRY", "registry"}, {"USER", "user"}, {"AGE", "updated"}, {NULL, NULL},
};

/* The line by which the owner of the token gets a context. */
static int add_context(struct cli *cli, struct wire_token_issued *issued, struct jaco_err *err)
{
	struct wire_get get = {.key = "/cluster/meta"};
	struct wire_nothing nothing = {.has = 0};
	struct context context = {.token = issued->token};
	struct wire_cluster_info info;
	struct wire_cluster_meta meta;
	struct wire_got got;

	if (cli_call(cli, &wire_raftd_kv_get, &get, &got, err) < 0 ||
	    cli_call(cli, &wire_raftd_cluster_status, &nothing, &info, err) < 0)
		return -(int)err->code;
	if (!got.entry || jaco_unpack(&wire_cluster_meta_desc, got.entry->value.data,
				      got.entry->value.n, &cli->arena, &meta, err) < 0)
		return jaco_err_set(err, JACO_INTERNAL, "the cluster has no CA");
	context.name = meta.name;
	context.ca = meta.ca_cert;
	for (size_t i = 0; i < info.members.n && context.n_servers < CONTEXT_SERVERS_MAX; i++)
		if (info.members.v[i].api_addr)
			context.servers[context.n_servers++] = info.members.v[i].api_addr;
	if (context_check(&context, err) < 0)
		return jaco_err_wrap(err, "the token was issued, but not its context");
	issued->context = context_render(cli, &context);
	return 0;
}

int token_issue(struct cli *cli, struct jaco_err *err)
{
	struct wire_token_issue req = {
		.identity = cli_opt(cli, "name"),
		.allow_privileged = cli_opt(cli, "allow-privileged") != NULL,
		.read_only = cli_opt(cli, "read-only") != NULL,
	};
	const char *ttl = cli_opt(cli, "ttl");
	struct wire_token_issued got;
	int64_t ms = 0;

	if (!req.identity)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "--name is needed: who is the token for?");
	if (ttl && !jaco_duration_parse(ttl, &ms))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--ttl %s is not a duration", ttl);
	req.ttl_ms = (uint64_t)ms;
	req.deployments.v =
		jaco_arena_alloc_n(&cli->arena, CLI_OPTIONS_MAX, sizeof(*req.deployments.v));
	while (cli_opt_nth(cli, "deployment", req.deployments.n)) {
		req.deployments.v[req.deployments.n] =
			cli_opt_nth(cli, "deployment", req.deployments.n);
		req.deployments.n++;
	}
	if (cli_call(cli, &wire_raftd_token_issue, &req, &got, err) < 0)
		return -(int)err->code;
	if (cli_opt_of(cli, "context", true) && add_context(cli, &got, err) < 0)
		return -(int)err->code;
	if (!out_msg(cli, &wire_token_issued_desc, &got))
		printf("%s%s\n",
		       got.context && cli->format == CLI_TABLE ? "jaco context import " : "",
		       got.context ? got.context : got.token);
	return 0;
}

int token_revoke(struct cli *cli, struct jaco_err *err)
{
	struct wire_token_ref req = {.identity = cli_arg(cli, 0)};
	struct wire_changed got;

	if (cli_call_print(cli, &wire_raftd_token_revoke, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "token of %s revoked", req.identity);
	return 0;
}

int token_list(struct cli *cli, struct jaco_err *err)
{
	struct wire_nothing req = {0};
	struct wire_token_list got;

	if (cli_call(cli, &wire_raftd_token_list, &req, &got, err) < 0)
		return -(int)err->code;
	out_rows(cli, &wire_token_desc, got.tokens.v, got.tokens.n, token_columns);
	return 0;
}

/* One line from standard input, without echo on a terminal. */
static int read_secret(char *out, size_t n, struct jaco_err *err)
{
	bool is_tty = isatty(STDIN_FILENO);
	struct termios saved;
	struct termios quiet;
	char *line;

	if (is_tty && tcgetattr(STDIN_FILENO, &saved) == 0) {
		quiet = saved;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
		fputs("password: ", stderr);
	}
	line = fgets(out, (int)n, stdin);
	if (is_tty) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
		fputs("\n", stderr);
	}
	if (!line)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "no password on standard input");
	out[strcspn(out, "\r\n")] = '\0';
	return *out ? 0 : jaco_err_set(err, JACO_VALIDATION_FAILED, "the password is empty");
}

int registry_login(struct cli *cli, struct jaco_err *err)
{
	char password[8192];
	struct wire_registry_login req = {.registry = cli_arg(cli, 0),
					  .user = cli_opt(cli, "username"),
					  .password = password};
	struct wire_changed got;
	int rc;

	if (!req.user)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--username is needed");
	if (!cli_opt(cli, "password-stdin") && !isatty(STDIN_FILENO))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "no terminal to ask on; pass --password-stdin");
	if (read_secret(password, sizeof(password), err) < 0)
		return -(int)err->code;
	rc = cli_call_print(cli, &wire_raftd_registry_login, &req, &got, err);
	jaco_wipe(password, sizeof(password));
	if (rc < 0)
		return rc;
	out_say(cli, "credential for %s stored", req.registry);
	return 0;
}

int registry_logout(struct cli *cli, struct jaco_err *err)
{
	struct wire_registry_ref req = {.registry = cli_arg(cli, 0)};
	struct wire_changed got;

	if (cli_call_print(cli, &wire_raftd_registry_logout, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "no credential for %s any more", req.registry);
	return 0;
}

int registry_list(struct cli *cli, struct jaco_err *err)
{
	struct wire_nothing req = {0};
	struct wire_registry_list got;

	if (cli_call(cli, &wire_raftd_registry_list, &req, &got, err) < 0)
		return -(int)err->code;
	out_rows(cli, &wire_registry_item_desc, got.items.v, got.items.n, registry_columns);
	return 0;
}
