/* SPDX-License-Identifier: Apache-2.0
 *
 * vars.c - variables for interpolation. */
#include "libjaco/model/manifest/vars.h"

#include <string.h>

#include <uthash.h>

#include "libjaco/model/manifest/read.h"

struct jaco_vars_entry {
	const char *name;
	const char *value;
	UT_hash_handle hh;
};

static struct jaco_vars_entry *find(const struct jaco_vars *vars, const char *name)
{
	struct jaco_vars_entry *entry;

	HASH_FIND_STR(vars->entries, name, entry);
	return entry;
}

void jaco_vars_set(struct jaco_vars *vars, const char *name, const char *value)
{
	struct jaco_vars_entry *entry = find(vars, name);

	if (!entry) {
		entry = jaco_arena_alloc(vars->arena, sizeof(*entry));
		entry->name = jaco_arena_strdup(vars->arena, name);
		HASH_ADD_KEYPTR(hh, vars->entries, entry->name, strlen(entry->name), entry);
	}
	entry->value = jaco_arena_strdup(vars->arena, value);
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
	const struct jaco_vars_entry *entry;

	if (value)
		return value;
	entry = find(vars, name);
	return entry ? entry->value : NULL;
}

struct jaco_pairs jaco_vars_list(const struct jaco_vars *vars, struct jaco_arena *arena)
{
	struct jaco_pairs pairs = {0};

	pairs.items =
		jaco_arena_alloc_n(arena, HASH_COUNT(vars->entries) + 1, sizeof(*pairs.items));
	for (const struct jaco_vars_entry *entry = vars->entries; entry; entry = entry->hh.next)
		pairs.items[pairs.n++] = (struct jaco_pair){entry->name, entry->value};
	jaco_pairs_sort(&pairs);
	return pairs;
}

void jaco_vars_fini(struct jaco_vars *vars)
{
	HASH_CLEAR(hh, vars->entries);
}
