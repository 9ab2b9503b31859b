/* SPDX-License-Identifier: Apache-2.0
 *
 * redact.c - walks the documents by key, wherever the key stands: a key that moves in a later
 * compose schema is still found. */
#include "daemons/raftd/api/redact.h"

#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/model/manifest/yaml.h"

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/"

enum below {
	SHOWN,
	HIDDEN, /* the whole text */
	NAMED,  /* a map's values, and what follows NAME= in a list */
};

/* x-anything is where people keep the anchors that environments are made of. */
static enum below look_below(const char *key, enum below above)
{
	static const char *const named[] = {"environment", "args", "labels", "annotations", "set"};
	static const char *const hidden[] = {"content", "command", "entrypoint", "test",
					     "driver_opts", "options", "cmd", "password_hash"};

	if (above == HIDDEN || !key)
		return above;
	if (jaco_str_starts(key, "x-"))
		return HIDDEN;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(hidden); i++)
		if (strcmp(key, hidden[i]) == 0)
			return HIDDEN;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(named) && above == SHOWN; i++)
		if (strcmp(key, named[i]) == 0)
			return NAMED;
	return above;
}

/* An item NAME=value keeps its name; what stands before a = is one only if it looks like one. */
static const char *hide(struct jaco_arena *arena, const char *text, bool is_item)
{
	size_t n = strspn(text, NAME_LETTERS);

	return is_item && n > 0 && text[n] == '='
		       ? jaco_arena_printf(arena, "%.*s=%s", (int)n, text, REDACTED)
		       : REDACTED;
}

/* Depth is bounded by the parser (JACO_YAML_DEPTH_MAX). */
static void walk(struct jaco_arena *arena, struct jaco_yaml_node *node, enum below below,
		 bool is_item)
{
	if (node->kind == JACO_YAML_SCALAR && below != SHOWN && !jaco_yaml_is_null(node)) {
		node->text = hide(arena, node->text, is_item && below == NAMED);
		node->is_plain = false;
	}
	for (size_t i = 0; i < node->n; i++)
		walk(arena, node->entries[i].value, look_below(node->entries[i].key, below),
		     !node->entries[i].key);
}

static struct wire_bin redact(const struct wire_bin *document, const char *name,
			      struct jaco_arena *arena)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_findings findings = {.arena = arena};
	struct jaco_yaml_node *root =
		jaco_yaml_parse(name, document->data, document->n, arena, &findings);

	if (!root)
		return (struct wire_bin){.data = "", .n = 0};
	walk(arena, root, SHOWN, false);
	jaco_yaml_render(&text, root);
	return (struct wire_bin){jaco_arena_memdup(arena, text.data, text.n), text.n};
}

int redact_revision(const void *packed, size_t n, struct jaco_arena *arena, struct jaco_buf *out,
		    struct jaco_err *err)
{
	struct wire_revision revision;

	if (jaco_unpack(&wire_revision_desc, packed, n, arena, &revision, err) < 0)
		return -(int)err->code;
	revision.jaco = redact(&revision.jaco, "jaco.yaml", arena);
	revision.compose = redact(&revision.compose, "compose.yaml", arena);
	return jaco_pack(out, &wire_revision_desc, &revision, err);
}

static void hide_values(struct wire_dict *dict, struct jaco_arena *arena)
{
	struct wire_pair *pairs = jaco_arena_alloc_n(arena, dict->n + 1, sizeof(*pairs));

	for (size_t i = 0; i < dict->n; i++)
		pairs[i] = (struct wire_pair){dict->v[i].key, REDACTED};
	dict->v = pairs;
}

int redact_route(const void *packed, size_t n, struct jaco_arena *arena, struct jaco_buf *out,
		 struct jaco_err *err)
{
	struct wire_route route;
	struct wire_basic_user *users;

	if (jaco_unpack(&wire_route_desc, packed, n, arena, &route, err) < 0)
		return -(int)err->code;
	hide_values(&route.request_set, arena);
	hide_values(&route.response_set, arena);
	users = jaco_arena_alloc_n(arena, route.basic_auth.n + 1, sizeof(*users));
	for (size_t i = 0; i < route.basic_auth.n; i++)
		users[i] = (struct wire_basic_user){.user = route.basic_auth.v[i].user,
						    .password_hash = REDACTED};
	route.basic_auth.v = users;
	return jaco_pack(out, &wire_route_desc, &route, err);
}
