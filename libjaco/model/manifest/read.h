/* SPDX-License-Identifier: Apache-2.0
 *
 * read.h - reading typed values out of a YAML tree, with the key path at hand.
 *
 * Internal to the manifest readers.  A reader returns false after it has reported why; *out is then
 * untouched.  The path is a stack, turned into text only when something is reported. */
#pragma once

#include "libjaco/base/limits.h"
#include "libjaco/model/manifest/finding.h"
#include "libjaco/model/manifest/service.h"
#include "libjaco/model/manifest/yaml.h"

struct jaco_read {
	struct jaco_arena *arena;
	struct jaco_findings *findings;
	const char *deployment; /* for names made from it; "" while unknown */
	size_t depth;
	struct {
		const char *key; /* NULL: index */
		size_t index;
	} path[JACO_YAML_DEPTH_MAX + 8];
};

void jaco_read_push(struct jaco_read *read, const char *key);
void jaco_read_push_index(struct jaco_read *read, size_t index);
void jaco_read_pop(struct jaco_read *read);
const char *jaco_read_path(struct jaco_read *read); /* "services.web.ports[0]" */

/* Report at a place under the current path.  The error forms return false. */
bool jaco_read_error(struct jaco_read *read, struct jaco_pos pos, const char *remedy,
		     const char *fmt, ...) JACO_PRINTF(4, 5);
bool jaco_read_error_code(struct jaco_read *read, enum jaco_code code, struct jaco_pos pos,
			  const char *remedy, const char *fmt, ...) JACO_PRINTF(5, 6);
void jaco_read_warn(struct jaco_read *read, struct jaco_pos pos, const char *fmt, ...)
	JACO_PRINTF(3, 4);

/* Null, or a variable that became empty: "not written" for everything but texts. */
bool jaco_read_is_unset(const struct jaco_yaml_node *node);

bool jaco_read_is_scalar(struct jaco_read *read, const struct jaco_yaml_node *node);
bool jaco_read_is_map(struct jaco_read *read, const struct jaco_yaml_node *node);
bool jaco_read_is_seq(struct jaco_read *read, const struct jaco_yaml_node *node);

bool jaco_read_text(struct jaco_read *read, const struct jaco_yaml_node *node, const char **out);
bool jaco_read_bool(struct jaco_read *read, const struct jaco_yaml_node *node, bool *out);
bool jaco_read_i64(struct jaco_read *read, const struct jaco_yaml_node *node, int64_t min,
		   int64_t max, int64_t *out);
bool jaco_read_port(struct jaco_read *read, const struct jaco_yaml_node *node, uint16_t *out);
bool jaco_read_size(struct jaco_read *read, const struct jaco_yaml_node *node, int64_t *out);
bool jaco_read_duration(struct jaco_read *read, const struct jaco_yaml_node *node, int64_t *out_ms);
bool jaco_read_decimal(struct jaco_read *read, const struct jaco_yaml_node *node, double *out);

/* A list of scalars, or one scalar. */
bool jaco_read_strings(struct jaco_read *read, const struct jaco_yaml_node *node,
		       struct jaco_strings *out);

/* A map, or a list of "K=V" (and "K": value "").  Later repetitions win; sorted. */
bool jaco_read_pairs(struct jaco_read *read, const struct jaco_yaml_node *node,
		     struct jaco_pairs *out);

/* A list as it stands, or one string split like a shell without expansion. */
bool jaco_read_argv(struct jaco_read *read, const struct jaco_yaml_node *node,
		    struct jaco_argv *out);

/* POSIX shell words of @text: blanks split, quotes and backslashes protect, # begins no comment.
 * Returns false at an unfinished quote. */
bool jaco_read_split_words(struct jaco_arena *arena, const char *text, struct jaco_strings *out);

/* "[+-]90s", "1m30s", "1.5h", "100ms", "20us"; a bare number counts seconds when @bare_seconds.  As
 * Go's time.ParseDuration plus d. */
bool jaco_read_parse_duration(const char *text, bool bare_seconds, int64_t *out_ms);

/* "1.5g", "64MiB", "512 kb", "100" as docker's units.RAMInBytes: powers of 1024. */
bool jaco_read_parse_size(const char *text, int64_t *out_bytes);

void jaco_strings_add(struct jaco_arena *arena, struct jaco_strings *list, const char *text);
void jaco_strings_sort(struct jaco_strings *list, bool is_unique);
bool jaco_strings_has(const struct jaco_strings *list, const char *text);
void jaco_pairs_sort(struct jaco_pairs *pairs); /* by key; of equal keys the last stays */
const char *jaco_pairs_get(const struct jaco_pairs *pairs, const char *key);

/* One row per key of a mapping: the table is the documentation of what happens to it. */
enum jaco_outcome {
	JACO_HONOURED,
	JACO_DIFFERENCE, /* read, and the sentence is a warning */
	JACO_IGNORED,    /* not read, and the sentence is a warning */
	JACO_SILENT,     /* not read, nothing to say (x-*, version) */
	JACO_REFUSED,    /* the sentence is the remedy */
	JACO_LEGACY, /* refused as legacy_compose_field; the sentence is the modern equivalent */
};
struct jaco_key_row {
	const char *key;
	enum jaco_outcome outcome;
	/* gets base + offset */
	void (*fill)(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
	size_t offset;
	const char *text;
};

/* Walk @map by @rows (sorted by key, ended by a NULL key).  Unknown keys are refused with the
 * nearest known one; keys beginning with "x-" pass.  @what: "a service". */
void jaco_read_rows(struct jaco_read *read, const struct jaco_yaml_node *map,
		    const struct jaco_key_row *rows, void *base, const char *what);

/* Fillers for rows. */
void jaco_fill_text(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_bool(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_tri(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_i64(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_size(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_duration(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_strings(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_set(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_pairs(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
void jaco_fill_argv(struct jaco_read *read, const struct jaco_yaml_node *node, void *out);
