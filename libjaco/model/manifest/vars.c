/* SPDX-License-Identifier: Apache-2.0
 *
 * vars.c - variables for interpolation. */
#include "libjaco/model/manifest/vars.h"

#include <string.h>

#include "libjaco/model/manifest/read.h"

void jaco_vars_set(struct jaco_vars *vars, const char *name, const char *value)
{
	bool is_new = !jaco_strmap_find(&vars->entries, name);

	jaco_strmap_put(&vars->entries, is_new ? jaco_arena_strdup(vars->arena, name) : name,
			jaco_arena_strdup(vars->arena, value));
}

bool jaco_vars_set_pair(struct jaco_vars *vars, const char *pair)
{
	const char *equals = strchr(pair, '=');

	if (!equals || equals == pair)
		return false;
	jaco_vars_set(vars, jaco_arena_strndup(vars->arena, pair, (size_t)(equals - pair)),
		      equals + 1);
	return true;
}

const char *jaco_vars_get(const struct jaco_vars *vars, const char *name)
{
	const char *value = vars->outer ? jaco_vars_get(vars->outer, name) : NULL;

	return value ? value : jaco_strmap_find(&vars->entries, name);
}

struct jaco_pairs jaco_vars_list(const struct jaco_vars *vars, struct jaco_arena *arena)
{
	struct jaco_pairs pairs = {0};

	pairs.items = jaco_arena_alloc_n(arena, vars->entries.n + 1, sizeof(*pairs.items));
	for (size_t i = 0; i < vars->entries.n_slots; i++)
		if (vars->entries.slots[i].key)
			pairs.items[pairs.n++] = (struct jaco_pair){vars->entries.slots[i].key,
								    vars->entries.slots[i].value};
	jaco_pairs_sort(&pairs);
	return pairs;
}

void jaco_vars_fini(struct jaco_vars *vars)
{
	jaco_strmap_fini(&vars->entries);
}
