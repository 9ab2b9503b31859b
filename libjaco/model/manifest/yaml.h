/* SPDX-License-Identifier: Apache-2.0
 *
 * yaml.h - a YAML document as a bounded tree that remembers where everything stood.
 *
 * Pure.  libyaml gives the events; anchors, aliases and merge keys are resolved here by copying, so
 * the tree is a tree (never a graph) and its size is bounded whatever the text says.  Scalars keep
 * their source text: `yes`, `1.10` and `0644` reach the field's own reader unchanged.
 * Bounds: JACO_YAML_BYTES_MAX, _DEPTH_MAX, _NODES_MAX (spec/manifests.md section 2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/model/manifest/finding.h"

enum jaco_yaml_kind { JACO_YAML_SCALAR, JACO_YAML_SEQ, JACO_YAML_MAP };
enum jaco_yaml_tag { JACO_YAML_TAG_NONE, JACO_YAML_TAG_RESET, JACO_YAML_TAG_OVERRIDE };

struct jaco_yaml_node;

/* One element: of a mapping (key set) or of a sequence (key NULL). */
struct jaco_yaml_entry {
	const char *key;
	struct jaco_pos pos; /* of the key */
	struct jaco_yaml_node *value;
};

struct jaco_yaml_node {
	enum jaco_yaml_kind kind;
	enum jaco_yaml_tag tag;
	bool is_plain;        /* unquoted scalar: may mean null, true, a number */
	bool is_interpolated; /* a variable was replaced in it */
	struct jaco_pos pos;
	const char *text; /* scalar, NUL-terminated; never NULL for a scalar */
	struct jaco_yaml_entry *entries;
	size_t n;
	size_t cap;
};

/* Parse one document.  An empty document is a null scalar.  Findings (PARSE_FAILED, LIMIT_EXCEEDED
 * as PARSE_FAILED) go to @findings; NULL when there was one.  The tree lives in @arena, @name is
 * kept by reference. */
struct jaco_yaml_node *jaco_yaml_parse(const char *name, const char *data, size_t n,
				       struct jaco_arena *arena, struct jaco_findings *findings);

/* Plain and empty, ~, null, Null or NULL. */
bool jaco_yaml_is_null(const struct jaco_yaml_node *node);

/* The value of @key in a mapping; NULL when absent or @map is none. */
struct jaco_yaml_node *jaco_yaml_get(const struct jaco_yaml_node *map, const char *key);
struct jaco_yaml_entry *jaco_yaml_entry(const struct jaco_yaml_node *map, const char *key);

struct jaco_yaml_node *jaco_yaml_new(struct jaco_arena *arena, enum jaco_yaml_kind kind,
				     struct jaco_pos pos);
struct jaco_yaml_node *jaco_yaml_new_text(struct jaco_arena *arena, const char *text,
					  struct jaco_pos pos);

/* Append; @key NULL for a sequence.  The caller keeps keys unique. */
void jaco_yaml_append(struct jaco_arena *arena, struct jaco_yaml_node *parent, const char *key,
		      struct jaco_pos key_pos, struct jaco_yaml_node *value);

/* Replace the value of @key or append it. */
void jaco_yaml_set(struct jaco_arena *arena, struct jaco_yaml_node *map, const char *key,
		   struct jaco_pos key_pos, struct jaco_yaml_node *value);

/* Remove @key; false when it was not there. */
bool jaco_yaml_remove(struct jaco_yaml_node *map, const char *key);

/* Deep copy, positions included. */
struct jaco_yaml_node *jaco_yaml_copy(struct jaco_arena *arena, const struct jaco_yaml_node *node);

/* Nodes in the tree, @node included. */
size_t jaco_yaml_count(const struct jaco_yaml_node *node);

/* What stands on each line of a rendered document; entries are borrowed from the tree. */
struct jaco_yaml_lines {
	struct jaco_arena *arena;
	const struct jaco_yaml_entry **items;
	size_t n;
	size_t cap;
};

/* Block-style YAML that parses back to the same tree (positions aside): plain scalars that are safe
 * stay plain, everything else is double-quoted, each scalar on one line. */
void jaco_yaml_render(struct jaco_buf *out, const struct jaco_yaml_node *node);

/* The same, with what stands where. */
void jaco_yaml_render_lines(struct jaco_buf *out, const struct jaco_yaml_node *node,
			    struct jaco_yaml_lines *lines);
