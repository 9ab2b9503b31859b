/* SPDX-License-Identifier: Apache-2.0
 *
 * contexts.h - clusters this person knows: ~/.config/jaco/contexts.yaml (0600), and the one-line
 * string by which a context travels. */
#pragma once

#include "cli/cli.h"

#define CONTEXTS_MAX         64
#define CONTEXT_SERVERS_MAX  16
#define CONTEXT_NAME_MAX     63
#define CONTEXT_STRING_MAX   8192
#define CONTEXT_LOCAL        "local" /* the control socket; no context may be called so */

/* Everything is borrowed from the command's arena. */
struct context {
	const char *name;
	const char *servers[CONTEXT_SERVERS_MAX]; /* host:port */
	size_t n_servers;
	const char *token; /* secret; NULL: given elsewhere */
	const char *ca;    /* PEM; NULL: given elsewhere */
};

struct contexts {
	const char *path;
	const char *current; /* NULL: none, the control socket */
	struct context items[CONTEXTS_MAX];
	size_t n;
};

/* A missing file is an empty list.  Errors: PERMISSION_DENIED - others may read it;
 * PARSE_FAILED, VALIDATION_FAILED - with file and line. */
int contexts_load(struct cli *cli, struct contexts *out_contexts, struct jaco_err *err);
int contexts_save(struct cli *cli, const struct contexts *contexts, struct jaco_err *err);
struct context *contexts_find(struct contexts *contexts, const char *name);

/* Add or replace.  Errors: LIMIT_EXCEEDED. */
int contexts_put(struct contexts *contexts, const struct context *context, struct jaco_err *err);
void contexts_remove(struct contexts *contexts, const char *name);

/* Name, servers, token and CA are what they should be.  Errors: VALIDATION_FAILED. */
int context_check(const struct context *context, struct jaco_err *err);

/* "jacoctx1.": secret.  Rendered into the command's arena. */
const char *context_render(struct cli *cli, const struct context *context);
int context_parse(struct cli *cli, const char *text, struct context *out_context,
		  struct jaco_err *err);

/* "a:1,b:2" into servers. */
int context_add_servers(struct cli *cli, struct context *context, const char *list,
			struct jaco_err *err);
