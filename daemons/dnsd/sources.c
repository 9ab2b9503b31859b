/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.c - see sources.h.
 *
 * The addresses are sorted so that those of a replica stand together, and in it those of a zone; a
 * replica's addresses share one list of zones. */
#include "daemons/dnsd/sources.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The replica first, then the zone: zones lie in one array, in the order of the description. */
static int compare_replica(const struct source_spec *a, const struct source_spec *b)
{
	int order = strcmp(a->deployment, b->deployment);

	if (order == 0)
		order = strcmp(a->id, b->id);
	return order != 0 ? order : strcmp(a->host, b->host);
}

static int compare_specs(const void *a, const void *b)
{
	const struct source_spec *x = a, *y = b;
	int order = compare_replica(x, y);

	return order != 0 ? order : (x->zone > y->zone) - (x->zone < y->zone);
}

static struct source *find_slot(const struct sources *sources, uint32_t addr)
{
	size_t i = (addr * UINT64_C(0x9e3779b97f4a7c15) >> 32) & sources->mask;

	while (sources->slots[i].addr != 0 && sources->slots[i].addr != addr)
		i = (i + 1) & sources->mask;
	return &sources->slots[i];
}

/* How many of @specs are of the first one's replica. */
static size_t count_replica(const struct source_spec *specs, size_t n)
{
	size_t k = 1;

	while (k < n && compare_replica(&specs[0], &specs[k]) == 0)
		k++;
	return k;
}

static size_t count_zones(const struct source_spec *specs, size_t n)
{
	size_t k = 1;

	for (size_t i = 1; i < n; i++)
		k += specs[i].zone != specs[i - 1].zone;
	return k;
}

static void add_replica(struct sources *out, struct jaco_arena *arena,
			const struct source_spec *specs, size_t n)
{
	size_t n_zones = count_zones(specs, n), k = 0;
	const struct zone **zones = jaco_arena_alloc_n(arena, n_zones, sizeof(*zones));

	for (size_t i = 0; i < n; i++)
		if (i == 0 || specs[i].zone != specs[i - 1].zone)
			zones[k++] = specs[i].zone;
	for (size_t i = 0; i < n; i++) {
		struct source *slot = find_slot(out, specs[i].addr);
		bool is_taken = slot->addr != 0 && slot->zones != zones;

		*slot = (struct source){.addr = specs[i].addr, .zones = is_taken ? NULL : zones,
					.n_zones = is_taken ? 0 : (uint32_t)n_zones};
	}
}

/* A replica in one scope only has no entry, but nobody else has its addresses either. */
static void add_single(struct sources *out, const struct source_spec *specs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct source *slot = find_slot(out, specs[i].addr);

		if (slot->addr != 0)
			*slot = (struct source){.addr = specs[i].addr};
	}
}

void sources_build(struct sources *out, struct jaco_arena *arena, struct source_spec *specs,
		   size_t n)
{
	size_t n_many = 0, cap = 16, k;

	*out = (struct sources){.slots = NULL};
	if (n == 0)
		return;
	qsort(specs, n, sizeof(*specs), compare_specs);
	for (size_t i = 0; i < n; i += k) {
		k = count_replica(specs + i, n - i);
		n_many += count_zones(specs + i, k) > 1 ? k : 0;
	}
	if (n_many == 0)
		return;
	while (cap < 2 * n_many)
		cap *= 2;
	out->slots = jaco_arena_alloc_n(arena, cap, sizeof(*out->slots));
	out->mask = cap - 1;
	for (size_t i = 0; i < n; i += k) {
		k = count_replica(specs + i, n - i);
		if (count_zones(specs + i, k) > 1)
			add_replica(out, arena, specs + i, k);
	}
	for (size_t i = 0; i < n; i += k) {
		k = count_replica(specs + i, n - i);
		if (count_zones(specs + i, k) == 1)
			add_single(out, specs + i, k);
	}
}

size_t sources_find(const struct sources *sources, uint32_t addr,
		    const struct zone *const **out_zones)
{
	const struct source *slot;

	if (!sources->slots || addr == 0)
		return 0;
	slot = find_slot(sources, addr);
	*out_zones = slot->zones;
	return slot->n_zones;
}
