/* SPDX-License-Identifier: Apache-2.0
 *
 * names.c - see names.h. */
#include "daemons/dnsd/names.h"

#include <string.h>

#include "daemons/dnsd/packet.h"

void names_init(struct names *names, struct jaco_arena *arena, size_t n_expected)
{
	size_t cap = 16;

	while (cap < 2 * n_expected)
		cap *= 2;
	names->slots = jaco_arena_alloc_n(arena, cap, sizeof(*names->slots));
	names->mask = cap - 1;
	names->n = 0;
}

static struct zone_entry *names_slot(const struct names *names, uint64_t hash, const uint8_t *name,
				     size_t name_n)
{
	size_t i = hash & names->mask;

	for (;; i = (i + 1) & names->mask) {
		struct zone_entry *e = &names->slots[i];

		if (!e->name || (e->hash == hash && e->name_n == name_n &&
				 packet_name_equals(e->name, name, name_n)))
			return e;
	}
}

struct zone_entry *names_put(struct names *names, struct jaco_arena *arena, const uint8_t *name,
			     size_t name_n)
{
	uint64_t hash = packet_name_hash(name, name_n);
	struct zone_entry *e = names_slot(names, hash, name, name_n);
	uint8_t *copy;

	if (e->name)
		return e;
	if (2 * (names->n + 1) > names->mask + 1) {
		struct names bigger;

		names_init(&bigger, arena, names->n * 2 + 2);
		for (size_t i = 0; i <= names->mask; i++) {
			struct zone_entry *old = &names->slots[i];

			if (old->name)
				*names_slot(&bigger, old->hash, old->name, old->name_n) = *old;
		}
		bigger.n = names->n;
		*names = bigger;
		e = names_slot(names, hash, name, name_n);
	}
	copy = jaco_arena_alloc(arena, name_n + PACKET_SLACK);
	memcpy(copy, name, name_n);
	*e = (struct zone_entry){.hash = hash, .name = copy, .name_n = (uint16_t)name_n};
	names->n++;
	return e;
}

const struct zone_entry *names_find(const struct names *names, const uint8_t *name, size_t name_n)
{
	const struct zone_entry *e =
		names_slot(names, packet_name_hash(name, name_n), name, name_n);

	return e->name ? e : NULL;
}
