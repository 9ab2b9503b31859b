/* SPDX-License-Identifier: Apache-2.0
 *
 * read_rows.c - a mapping by its table of rows, and the fillers that rows name. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/read.h"

static int compare_row(const void *key, const void *row)
{
	return strcmp(key, ((const struct jaco_key_row *)row)->key);
}

static void refuse_unknown(struct jaco_read *read, const struct jaco_yaml_entry *entry,
			   const struct jaco_key_row *rows, const char *what)
{
	const char *names[128];
	size_t n = 0;
	const char *nearest;

	/* A file of nothing else: what is not shown needs no search for what was meant. */
	if (read->findings->n >= JACO_FINDINGS_MAX) {
		jaco_read_error(read, entry->pos, NULL, "unknown key");
		return;
	}
	for (const struct jaco_key_row *row = rows; row->key && n + 1 < JACO_ARRAY_SIZE(names);
	     row++)
		if (row->outcome < JACO_REFUSED)
			names[n++] = row->key;
	names[n] = NULL;
	nearest = jaco_str_nearest(entry->key, names);
	if (nearest)
		jaco_read_error(read, entry->pos,
				jaco_arena_printf(read->arena, "did you mean \"%s\"?", nearest),
				"unknown key \"%.80s\" in %s", entry->key, what);
	else
		jaco_read_error(read, entry->pos, "remove it, or prefix it with x- to keep it",
				"unknown key \"%.80s\" in %s", entry->key, what);
}

static void read_row(struct jaco_read *read, const struct jaco_yaml_entry *entry,
		     const struct jaco_key_row *row, void *base)
{
	switch (row->outcome) {
	case JACO_HONOURED:
		row->fill(read, entry->value, (char *)base + row->offset);
		return;
	case JACO_DIFFERENCE:
		if (!jaco_yaml_is_null(entry->value))
			jaco_read_warn(read, entry->pos, "%s", row->text);
		row->fill(read, entry->value, (char *)base + row->offset);
		return;
	case JACO_IGNORED:
		jaco_read_warn(read, entry->pos, "%s", row->text);
		return;
	case JACO_SILENT:
		return;
	case JACO_REFUSED:
		jaco_read_error(read, entry->pos, row->text, "\"%s\" is not supported", entry->key);
		return;
	case JACO_LEGACY: {
		struct jaco_finding finding = {
			.code = JACO_LEGACY_COMPOSE_FIELD,
			.severity = JACO_SEVERITY_ERROR,
			.pos = entry->pos,
			.path = jaco_read_path(read),
			.message = jaco_arena_printf(read->arena,
						     "\"%s\" is a key of the old compose format",
						     entry->key),
			.remedy = jaco_arena_printf(read->arena, "use \"%s\"", row->text),
			.detail_key = "modern_equivalent",
			.detail_value = row->text,
		};

		jaco_findings_add(read->findings, &finding);
		return;
	}
	}
}

void jaco_read_rows(struct jaco_read *read, const struct jaco_yaml_node *map,
		    const struct jaco_key_row *rows, void *base, const char *what)
{
	size_t n_rows = 0;

	while (rows[n_rows].key)
		n_rows++;
	for (size_t i = 0; i < map->n; i++) {
		const struct jaco_yaml_entry *entry = &map->entries[i];
		const struct jaco_key_row *row =
			bsearch(entry->key, rows, n_rows, sizeof(*rows), compare_row);

		if (!row && jaco_str_starts(entry->key, "x-"))
			continue;
		jaco_read_push(read, entry->key);
		if (row)
			read_row(read, entry, row, base);
		else
			refuse_unknown(read, entry, rows, what);
		jaco_read_pop(read);
	}
}

void jaco_fill_text(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	const char *text = NULL;

	if (jaco_read_text(read, node, &text))
		*(const char **)out = text && *text ? text : NULL;
}

void jaco_fill_bool(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node))
		(void)jaco_read_bool(read, node, out);
}

void jaco_fill_tri(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	bool value;

	if (!jaco_read_is_unset(node) && jaco_read_bool(read, node, &value))
		*(enum jaco_tri *)out = value ? JACO_TRI_TRUE : JACO_TRI_FALSE;
}

void jaco_fill_i64(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_opt_i64 *number = out;

	if (!jaco_read_is_unset(node) &&
	    jaco_read_i64(read, node, INT64_MIN / 2, INT64_MAX / 2, &number->value))
		number->is_set = true;
}

void jaco_fill_size(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_opt_i64 *number = out;

	if (!jaco_read_is_unset(node) && jaco_read_size(read, node, &number->value))
		number->is_set = true;
}

void jaco_fill_duration(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_opt_i64 *number = out;

	if (!jaco_read_is_unset(node) && jaco_read_duration(read, node, &number->value))
		number->is_set = true;
}

void jaco_fill_strings(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	(void)jaco_read_strings(read, node, out);
}

void jaco_fill_set(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (jaco_read_strings(read, node, out))
		jaco_strings_sort(out, true);
}

void jaco_fill_pairs(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	(void)jaco_read_pairs(read, node, out);
}

void jaco_fill_argv(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	(void)jaco_read_argv(read, node, out);
}
