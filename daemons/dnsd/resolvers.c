/* SPDX-License-Identifier: Apache-2.0
 *
 * resolvers.c - see resolvers.h. */
#include "daemons/dnsd/resolvers.h"

#include <stdbool.h>
#include <string.h>

static bool is_same(const struct resolver_list *a, const struct resolver_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->servers[i], b->servers[i]) != 0)
			return false;
	return true;
}

static struct resolver_list copy_list(struct jaco_arena *arena, const struct resolver_list *list)
{
	const char **servers = jaco_arena_alloc_n(arena, list->n, sizeof(*servers));

	for (size_t i = 0; i < list->n; i++)
		servers[i] = jaco_arena_strdup(arena, list->servers[i]);
	return (struct resolver_list){servers, list->n};
}

/* The resolver of @list, noted when it is new; 0 for an empty one. */
static unsigned number_of(struct resolvers *out, struct jaco_arena *arena,
			  const struct resolver_list *list, size_t *cap)
{
	if (list->n == 0)
		return 0;
	for (size_t i = 0; i < out->n_lists; i++)
		if (is_same(&out->lists[i], list))
			return (unsigned)i + 1;
	out->lists = jaco_arena_grow(arena, out->lists, cap, out->n_lists + 1, sizeof(*out->lists));
	out->lists[out->n_lists++] = copy_list(arena, list);
	return (unsigned)out->n_lists;
}

static struct resolver_slot *find_slot(const struct resolvers *resolvers, uint32_t addr)
{
	size_t i = (addr * UINT64_C(0x9e3779b97f4a7c15) >> 32) & resolvers->mask;

	while (resolvers->slots[i].addr != 0 && resolvers->slots[i].addr != addr)
		i = (i + 1) & resolvers->mask;
	return &resolvers->slots[i];
}

void resolvers_build(struct resolvers *out, struct jaco_arena *arena,
		     const struct resolver_spec *specs, size_t n)
{
	size_t n_own = 0, cap = 16, lists_cap = 0;

	*out = (struct resolvers){.slots = NULL};
	for (size_t i = 0; i < n; i++)
		n_own += specs[i].list.n > 0;
	if (n_own == 0)
		return;
	while (cap < 2 * n_own)
		cap *= 2;
	out->slots = jaco_arena_alloc_n(arena, cap, sizeof(*out->slots));
	out->mask = cap - 1;
	for (size_t i = 0; i < n; i++) {
		unsigned resolver = number_of(out, arena, &specs[i].list, &lists_cap);
		struct resolver_slot *slot = find_slot(out, specs[i].addr);

		if (resolver == 0)
			continue;
		*slot = (struct resolver_slot){
			specs[i].addr,
			slot->addr == 0 || slot->resolver == resolver ? resolver : RESOLVERS_NONE};
	}
	/* who has none has no entry, but nobody else has its addresses either */
	for (size_t i = 0; i < n; i++)
		if (specs[i].list.n == 0 && find_slot(out, specs[i].addr)->addr != 0)
			find_slot(out, specs[i].addr)->resolver = RESOLVERS_NONE;
}

unsigned resolvers_find(const struct resolvers *resolvers, uint32_t addr)
{
	return !resolvers->slots || addr == 0 ? 0 : find_slot(resolvers, addr)->resolver;
}
