/* SPDX-License-Identifier: Apache-2.0
 *
 * merge.h - one compose document over another: several -f files, extends, include.
 *
 * Pure; works on trees, before typing.  The rules are compose's (compose-spec, 13-merge): mappings
 * merge, lists append, single values replace; command, entrypoint and healthcheck.test replace;
 * lists that are keyed in truth (environment, labels, volumes by target, ...) merge by key.
 * !reset removes what the base said, !override replaces it whole. */
#pragma once

#include "libjaco/model/manifest/yaml.h"

/* @base becomes base with @over on top.  Either may be changed; both live in @arena. */
struct jaco_yaml_node *jaco_merge_documents(struct jaco_arena *arena, struct jaco_yaml_node *base,
					    struct jaco_yaml_node *over);
struct jaco_yaml_node *jaco_merge_services(struct jaco_arena *arena, struct jaco_yaml_node *base,
					   struct jaco_yaml_node *over);

/* A list of "K=V" as a mapping (a bare K is null); mappings and malformed lists pass. */
struct jaco_yaml_node *jaco_merge_pairs_map(struct jaco_arena *arena, struct jaco_yaml_node *node);

/* Apply the tags of a document that has nothing below it: !reset values vanish. */
void jaco_merge_clean_tags(struct jaco_yaml_node *node);

/* Same structure and scalars (positions aside). */
bool jaco_merge_is_same(const struct jaco_yaml_node *a, const struct jaco_yaml_node *b);
