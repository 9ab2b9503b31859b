/* SPDX-License-Identifier: Apache-2.0
 *
 * names.h - a hash table of DNS names, of which a zone's snapshot is made.
 *
 * Pure.  Open addressing, at most half full; a slot of nothing is an entry without name. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/zone.h"
#include "libjaco/base/arena.h"

struct names {
	struct zone_entry *slots;
	size_t mask;
	size_t n;
};

void names_init(struct names *names, struct jaco_arena *arena, size_t n_expected);

/* The entry of a lower-case name, made when absent.  The name is copied. */
struct zone_entry *names_put(struct names *names, struct jaco_arena *arena, const uint8_t *name,
			     size_t name_n);

/* The entry of a name (any case, PACKET_SLACK readable behind it), or NULL. */
const struct zone_entry *names_find(const struct names *names, const uint8_t *name, size_t name_n);
