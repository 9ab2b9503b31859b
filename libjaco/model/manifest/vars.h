/* SPDX-License-Identifier: Apache-2.0
 *
 * vars.h - variables for interpolation: names to values, with an outer set behind an inner one.
 *
 * Pure.  Everything lives in the arena given to jaco_vars_init(); jaco_vars_fini() releases only
 * the hash table. */
#pragma once

#include <stdbool.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/strmap.h"
#include "libjaco/model/manifest/service.h"

struct jaco_vars {
	struct jaco_arena *arena;
	struct jaco_strmap entries; /* name -> value */
	const struct jaco_vars *outer; /* asked first: what the caller set wins over a file */
};

#define JACO_VARS_INIT(arena_) ((struct jaco_vars){.arena = (arena_)})

/* Later wins.  Texts are copied. */
void jaco_vars_set(struct jaco_vars *vars, const char *name, const char *value);

/* "K=V"; a text without "=" is ignored and answers false. */
bool jaco_vars_set_pair(struct jaco_vars *vars, const char *pair);

/* NULL when unset; "" when set and empty. */
const char *jaco_vars_get(const struct jaco_vars *vars, const char *name);

/* Own entries only, sorted. */
struct jaco_pairs jaco_vars_list(const struct jaco_vars *vars, struct jaco_arena *arena);

void jaco_vars_fini(struct jaco_vars *vars);
#define jaco_vars_cleanup jaco_vars_fini
