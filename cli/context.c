/* SPDX-License-Identifier: Apache-2.0
 *
 * context.c - jaco context ...: which clusters there are and which one is meant. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/contexts.h"
#include "cli/out.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"

static const struct out_column context_columns[] = {
	{"CONTEXT", "name"}, {"IN USE", "in_use"}, {"SERVERS", "servers"}, {"TOKEN", "has_token"},
	{NULL, NULL},
};

static int read_file(struct cli *cli, const char *path, const char **out, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	if (jaco_fs_read(path, 65536, &text, err) < 0)
		return -(int)err->code;
	*out = jaco_arena_strndup(&cli->arena, text.n ? text.data : "", text.n);
	return 0;
}

/* The first one is the one in use. */
static int store(struct cli *cli, struct contexts *contexts, const struct context *context,
		 struct jaco_err *err)
{
	if (contexts_find(contexts, context->name) && !cli_opt(cli, "force"))
		return jaco_err_set(err, JACO_CONFLICT,
				    "there is a context %s: --force replaces it", context->name);
	if (contexts_put(contexts, context, err) < 0)
		return -(int)err->code;
	if (!contexts->current)
		contexts->current = context->name;
	if (contexts_save(cli, contexts, err) < 0)
		return -(int)err->code;
	out_say(cli, "context %s stored in %s%s", context->name, contexts->path,
		jaco_str_eq(contexts->current, context->name) ? ", in use" : "");
	return 0;
}

int context_add(struct cli *cli, struct jaco_err *err)
{
	struct context context = {.name = cli_arg(cli, 0), .token = cli_opt(cli, "token")};
	const char *token_file = cli_opt(cli, "token-file"), *ca = cli_opt(cli, "ca-cert");
	struct contexts contexts;

	for (size_t i = 0; cli_opt_nth(cli, "server", i); i++)
		if (context_add_servers(cli, &context, cli_opt_nth(cli, "server", i), err) < 0)
			return -(int)err->code;
	if (!ca)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "--ca-cert FILE is needed: no server is believed without");
	if (read_file(cli, ca, &context.ca, err) < 0 ||
	    (token_file && read_file(cli, token_file, &context.token, err) < 0))
		return -(int)err->code;
	if (context.token)
		context.token = jaco_arena_strndup(&cli->arena, context.token,
						   strcspn(context.token, " \r\n\t"));
	if (context_check(&context, err) < 0 || contexts_load(cli, &contexts, err) < 0)
		return -(int)err->code;
	return store(cli, &contexts, &context, err);
}

int context_import(struct cli *cli, struct jaco_err *err)
{
	char line[2 * CONTEXT_STRING_MAX];
	const char *text = cli_arg(cli, 0);
	struct contexts contexts;
	struct context context;

	if (!text || strcmp(text, "-") == 0) {
		if (!fgets(line, sizeof(line), stdin))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "nothing on standard input");
		line[strcspn(line, " \r\n")] = '\0';
		text = line;
	}
	if (context_parse(cli, text, &context, err) < 0)
		return -(int)err->code;
	if (cli_opt(cli, "name"))
		context.name = cli_opt(cli, "name");
	if (context_check(&context, err) < 0 || contexts_load(cli, &contexts, err) < 0)
		return -(int)err->code;
	return store(cli, &contexts, &context, err);
}

int context_use(struct cli *cli, struct jaco_err *err)
{
	const char *name = cli_arg(cli, 0);
	struct contexts contexts;

	if (contexts_load(cli, &contexts, err) < 0)
		return -(int)err->code;
	if (strcmp(name, CONTEXT_LOCAL) != 0 && !contexts_find(&contexts, name))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "no context %.64s: see jaco context "
				    "list",
				    name);
	contexts.current = name;
	if (contexts_save(cli, &contexts, err) < 0)
		return -(int)err->code;
	out_say(cli, "context %s is in use", name);
	return 0;
}

int context_remove(struct cli *cli, struct jaco_err *err)
{
	const char *name = cli_arg(cli, 0);
	struct contexts contexts;

	if (contexts_load(cli, &contexts, err) < 0)
		return -(int)err->code;
	if (!contexts_find(&contexts, name))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "no context %.64s: see jaco context "
				    "list",
				    name);
	contexts_remove(&contexts, name);
	if (contexts_save(cli, &contexts, err) < 0)
		return -(int)err->code;
	out_say(cli, "context %s removed; its token still works: jaco token revoke ends it", name);
	return 0;
}

int context_list(struct cli *cli, struct jaco_err *err)
{
	struct contexts contexts;
	struct wire_context_row *rows;

	if (contexts_load(cli, &contexts, err) < 0)
		return -(int)err->code;
	rows = jaco_arena_alloc_n(&cli->arena, contexts.n + 1, sizeof(*rows));
	for (size_t i = 0; i < contexts.n; i++) {
		struct context *context = &contexts.items[i];

		rows[i] = (struct wire_context_row){
			.name = context->name,
			.in_use = jaco_str_eq(contexts.current, context->name),
			.servers = {context->servers, context->n_servers},
			.has_token = context->token != NULL};
	}
	out_rows(cli, &wire_context_row_desc, rows, contexts.n, context_columns);
	return 0;
}
