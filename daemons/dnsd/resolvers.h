/* SPDX-License-Identifier: Apache-2.0
 *
 * resolvers.h - which clients have servers of their own (dns: of compose) for names of the outside,
 * by the address they ask from: an immutable table.
 *
 * Pure.  Lists that are equal are one.  Where no service has any, a look-up is one comparison. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"

struct resolver_list {
	const char *const *servers; /* as written: "10.0.0.1", "2001:db8::1" */
	size_t n;
};

/* One address of a replica, host byte order, not 0; an empty list: the node's upstreams. */
struct resolver_spec {
	struct resolver_list list;
	uint32_t addr;
};

struct resolver_slot {
	uint32_t addr; /* 0: free slot */
	unsigned resolver;
};

/* Open addressing, at most half full; zero-initialized: nobody. */
struct resolvers {
	struct resolver_slot *slots;
	size_t mask;
	struct resolver_list *lists; /* number k is resolver k + 1 */
	size_t n_lists;
};

/* Build in @arena; the texts are copied.  An address of two replicas at once (a record is late)
 * whose lists differ has none: no answer is better than one from another's servers. */
#define RESOLVERS_NONE UINT32_MAX
void resolvers_build(struct resolvers *out, struct jaco_arena *arena,
		     const struct resolver_spec *specs, size_t n);

/* 0: the node's upstreams; RESOLVERS_NONE: nobody's; else 1 for the first list. */
unsigned resolvers_find(const struct resolvers *resolvers, uint32_t addr);
