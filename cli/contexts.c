/* SPDX-License-Identifier: Apache-2.0
 *
 * contexts.c - reads, checks and writes the file; nothing here connects. */
#include "cli/contexts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/model/manifest/yaml.h"
#include "libjaco/wire/tls.h"

#define PREFIX     "jacoctx1."
#define FILE_MAX   (1024 * 1024)
#define SERVER_MAX 300

static const char *path_of(struct cli *cli, struct jaco_err *err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config && *config)
		return jaco_arena_printf(&cli->arena, "%s/jaco/contexts.yaml", config);
	if (home && *home)
		return jaco_arena_printf(&cli->arena, "%s/.config/jaco/contexts.yaml", home);
	jaco_err_set(err, JACO_VALIDATION_FAILED, "HOME is not set: where are the contexts?");
	return NULL;
}

/* --- checking --- */

static bool is_name(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && n <= CONTEXT_NAME_MAX && name[n] == '\0' && name[0] != '-' &&
	       strcmp(name, CONTEXT_LOCAL) != 0;
}

static bool is_server(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	return colon && colon != text && strlen(text) < SERVER_MAX &&
	       strcspn(text, " \t\n,/@") == strlen(text) &&
	       jaco_str_to_u64(colon + 1, 65535, &port) && port > 0;
}

int context_check(const struct context *context, struct jaco_err *err)
{
	struct ssl_ctx_st *tls;

	if (!is_name(context->name))
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"\"%.64s\" cannot be the name of a context: letters, digits and "
			". _ -, and not " CONTEXT_LOCAL,
			context->name);
	if (context->n_servers == 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "context %s has no server",
				    context->name);
	for (size_t i = 0; i < context->n_servers; i++)
		if (!is_server(context->servers[i]))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "server \"%.100s\" is not HOST:PORT",
					    context->servers[i]);
	if (context->token && strspn(context->token, "0123456789abcdef") != strlen(context->token))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the token of context %s is not what jaco token issue prints",
				    context->name);
	if (context->ca) {
		if (jaco_tls_client_context(context->ca, &tls, err) < 0)
			return jaco_err_wrap(err, "context %s", context->name);
		jaco_tls_context_free(tls);
	}
	return 0;
}

int context_add_servers(struct cli *cli, struct context *context, const char *list,
			struct jaco_err *err)
{
	for (const char *at = list; *at;) {
		size_t n = strcspn(at, ",");

		if (context->n_servers == CONTEXT_SERVERS_MAX)
			return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "more than %d servers",
					    CONTEXT_SERVERS_MAX);
		context->servers[context->n_servers++] = jaco_arena_strndup(&cli->arena, at, n);
		if (!is_server(context->servers[context->n_servers - 1]))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "server \"%.100s\" is not HOST:PORT",
					    context->servers[context->n_servers - 1]);
		at += n + (at[n] == ',');
	}
	return 0;
}

/* --- the list --- */

struct context *contexts_find(struct contexts *contexts, const char *name)
{
	for (size_t i = 0; i < contexts->n; i++)
		if (strcmp(contexts->items[i].name, name) == 0)
			return &contexts->items[i];
	return NULL;
}

int contexts_put(struct contexts *contexts, const struct context *context, struct jaco_err *err)
{
	struct context *at = contexts_find(contexts, context->name);

	if (!at && contexts->n == CONTEXTS_MAX)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "there are %d contexts already",
				    CONTEXTS_MAX);
	if (!at)
		at = &contexts->items[contexts->n++];
	*at = *context;
	return 0;
}

void contexts_remove(struct contexts *contexts, const char *name)
{
	struct context *at = contexts_find(contexts, name);

	if (jaco_str_eq(contexts->current, name))
		contexts->current = NULL;
	if (at)
		*at = contexts->items[--contexts->n];
}

/* --- the file --- */

static const char *text_of(const struct jaco_yaml_node *map, const char *key)
{
	const struct jaco_yaml_node *node = jaco_yaml_get(map, key);

	return node && node->kind == JACO_YAML_SCALAR && !jaco_yaml_is_null(node) ? node->text
										  : NULL;
}

static int read_context(const char *path, const struct jaco_yaml_entry *entry,
			struct context *out, struct jaco_err *err)
{
	const struct jaco_yaml_node *servers = jaco_yaml_get(entry->value, "servers");

	*out = (struct context){.name = entry->key,
				.token = text_of(entry->value, "token"),
				.ca = text_of(entry->value, "ca")};
	for (size_t i = 0; servers && servers->kind == JACO_YAML_SEQ && i < servers->n &&
			   i < CONTEXT_SERVERS_MAX; i++)
		if (servers->entries[i].value->kind == JACO_YAML_SCALAR)
			out->servers[out->n_servers++] = servers->entries[i].value->text;
	if (context_check(out, err) < 0)
		return jaco_err_wrap(err, "%s:%u", path, entry->pos.line);
	return 0;
}

static int read_tree(struct contexts *contexts, const struct jaco_yaml_node *root,
		     struct jaco_err *err)
{
	const struct jaco_yaml_node *map = jaco_yaml_get(root, "contexts");

	contexts->current = text_of(root, "current");
	for (size_t i = 0; map && map->kind == JACO_YAML_MAP && i < map->n; i++) {
		struct context context;

		if (read_context(contexts->path, &map->entries[i], &context, err) < 0 ||
		    contexts_put(contexts, &context, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

int contexts_load(struct cli *cli, struct contexts *out_contexts, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_SECRET(0);
	struct jaco_findings findings = JACO_FINDINGS_INIT(&cli->arena);
	struct jaco_yaml_node *root;
	struct stat st;

	*out_contexts = (struct contexts){.path = path_of(cli, err)};
	if (!out_contexts->path)
		return -(int)err->code;
	if (stat(out_contexts->path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : jaco_err_errno(err, "%s", out_contexts->path);
	if (st.st_mode & 077)
		return jaco_err_set(err, JACO_PERMISSION_DENIED,
				    "%s holds tokens and others may read it: chmod 600 it",
				    out_contexts->path);
	if (jaco_fs_read(out_contexts->path, FILE_MAX, &text, err) < 0)
		return -(int)err->code;
	root = jaco_yaml_parse(out_contexts->path, jaco_buf_str(&text), text.n, &cli->arena,
			       &findings);
	if (!root)
		return jaco_findings_to_err(&findings, err);
	return read_tree(out_contexts, root, err);
}

static struct jaco_yaml_node *scalar(struct cli *cli, const char *text)
{
	return jaco_yaml_new_text(&cli->arena, text, (struct jaco_pos){.line = 0});
}

static void set(struct cli *cli, struct jaco_yaml_node *map, const char *key,
		struct jaco_yaml_node *value)
{
	jaco_yaml_set(&cli->arena, map, key, (struct jaco_pos){.line = 0}, value);
}

static struct jaco_yaml_node *tree_of(struct cli *cli, const struct context *context)
{
	struct jaco_pos nowhere = {.line = 0};
	struct jaco_yaml_node *map = jaco_yaml_new(&cli->arena, JACO_YAML_MAP, nowhere);
	struct jaco_yaml_node *servers = jaco_yaml_new(&cli->arena, JACO_YAML_SEQ, nowhere);

	for (size_t i = 0; i < context->n_servers; i++)
		jaco_yaml_append(&cli->arena, servers, NULL, nowhere,
				 scalar(cli, context->servers[i]));
	set(cli, map, "servers", servers);
	if (context->token)
		set(cli, map, "token", scalar(cli, context->token));
	if (context->ca)
		set(cli, map, "ca", scalar(cli, context->ca));
	return map;
}

int contexts_save(struct cli *cli, const struct contexts *contexts, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_SECRET(0);
	struct jaco_pos nowhere = {.line = 0};
	struct jaco_yaml_node *root = jaco_yaml_new(&cli->arena, JACO_YAML_MAP, nowhere);
	struct jaco_yaml_node *map = jaco_yaml_new(&cli->arena, JACO_YAML_MAP, nowhere);
	const char *slash = strrchr(contexts->path, '/');
	int rc;

	for (size_t i = 0; i < contexts->n; i++)
		set(cli, map, contexts->items[i].name, tree_of(cli, &contexts->items[i]));
	if (contexts->current)
		set(cli, root, "current", scalar(cli, contexts->current));
	set(cli, root, "contexts", map);
	jaco_yaml_render(&text, root);
	if (jaco_fs_mkdirs(jaco_arena_strndup(&cli->arena, contexts->path,
					      (size_t)(slash - contexts->path)), 0700, err) < 0)
		return -(int)err->code;
	rc = jaco_fs_replace(contexts->path, text.data, text.n, 0600, err);
	return rc;
}

/* --- the line --- */

const char *context_render(struct cli *cli, const struct context *context)
{
	jaco_auto(jaco_buf) struct jaco_buf plain = JACO_BUF_SECRET(0);
	char *out;

	jaco_buf_printf(&plain, "%s\n%s\n", context->name, context->token);
	for (size_t i = 0; i < context->n_servers; i++)
		jaco_buf_printf(&plain, "%s%s", i ? "," : "", context->servers[i]);
	jaco_buf_printf(&plain, "\n%s", context->ca);
	out = jaco_arena_alloc(&cli->arena, sizeof(PREFIX) + plain.n * 4 / 3 + 8);
	memcpy(out, PREFIX, sizeof(PREFIX));
	jaco_base64url_encode(out + sizeof(PREFIX) - 1, (const uint8_t *)plain.data, plain.n);
	return out;
}

/* The line at @at, which moves past it; NULL at the end. */
static char *next_line(char **at)
{
	char *line = *at;
	char *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

int context_parse(struct cli *cli, const char *text, struct context *out_context,
		  struct jaco_err *err)
{
	uint8_t *plain = jaco_arena_alloc(&cli->arena, CONTEXT_STRING_MAX + 1);
	char *at = (char *)plain, *servers;
	long n = -1;

	*out_context = (struct context){.name = NULL};
	if (jaco_str_starts(text, PREFIX))
		n = jaco_base64url_decode(text + sizeof(PREFIX) - 1, plain, CONTEXT_STRING_MAX);
	if (n > 0 && !memchr(plain, 0, (size_t)n)) {
		plain[n] = '\0';
		out_context->name = next_line(&at);
		out_context->token = next_line(&at);
		servers = next_line(&at);
		if (servers && strstr(at, "-----END CERTIFICATE-----")) {
			out_context->ca = at;
			return context_add_servers(cli, out_context, servers, err) < 0
				       ? -(int)err->code
				       : context_check(out_context, err);
		}
	}
	return jaco_err_set(err, JACO_VALIDATION_FAILED,
			    "this is not a whole context: copy the line that jaco token issue "
			    "--context printed");
}
