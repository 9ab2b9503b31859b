/* SPDX-License-Identifier: Apache-2.0
 *
 * redact.c - walks the documents by key, wherever the key stands: a key that moves in a later
 * compose schema is still found. */
#include "daemons/raftd/api/redact.h"

#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/yaml.h"

static bool is_secretive(const char *key)
{
	static const char *const keys[] = {"environment", "args", "content", "labels", "command",
					   "entrypoint",  "test", "driver_opts"};

	for (size_t i = 0; key && i < JACO_ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* "NAME=value" keeps its name. */
static const char *hide(struct jaco_arena *arena, const char *text)
{
	const char *equals = strchr(text, '=');

	return equals ? jaco_arena_printf(arena, "%.*s=%s", (int)(equals - text), text, REDACTED)
		      : REDACTED;
}

/* Depth is bounded by the parser (JACO_YAML_DEPTH_MAX). */
static void walk(struct jaco_arena *arena, struct jaco_yaml_node *node, bool is_hidden)
{
	if (node->kind == JACO_YAML_SCALAR && is_hidden && !jaco_yaml_is_null(node)) {
		node->text = hide(arena, node->text);
		node->is_plain = false;
	}
	for (size_t i = 0; i < node->n; i++)
		walk(arena, node->entries[i].value, is_hidden || is_secretive(node->entries[i].key));
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
	walk(arena, root, false);
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
