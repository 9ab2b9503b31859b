/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.h - which scopes a client is in, by the address it asks from: an immutable table.
 *
 * Pure.  Docker's resolver asks the gateways of a container's networks in order and takes the first
 * NXDOMAIN as final, so each gateway must know the names of the container's other networks, too.
 * Only replicas in more than one served scope are in the table: all others are nobody here. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"

struct zone;

/* One address of a replica: borrowed during sources_build() only, save @zone. */
struct source_spec {
	const char *deployment; /* these three together are the replica */
	const char *id;
	const char *host;
	const struct zone *zone;
	uint32_t addr; /* host byte order, not 0 */
};

struct source {
	uint32_t addr; /* 0: free slot */
	uint32_t n_zones;
	const struct zone *const *zones; /* in the order of the description, each once */
};

/* Open addressing, at most half full; zero-initialized: nobody. */
struct sources {
	struct source *slots;
	size_t mask;
};

/* Build from @specs (reordered), in @arena.  Generations of a replica count as one.  An address of
 * two replicas at once (a record is late) is nobody's: better a name too few than one of others. */
void sources_build(struct sources *out, struct jaco_arena *arena, struct source_spec *specs,
		   size_t n);

/* The scopes of the replica at @addr, its own included; 0: of no replica in more than one. */
size_t sources_find(const struct sources *sources, uint32_t addr,
		    const struct zone *const **out_zones);
