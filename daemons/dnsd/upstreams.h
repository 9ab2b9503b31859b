/* SPDX-License-Identifier: Apache-2.0
 *
 * upstreams.h - lists of servers that are asked for names of the outside, in their order.
 *
 * A list is immutable and counted: questions under way outlive a change of configuration.  Its id
 * stands in the cache's keys, so answers of one list are never another's; ids are not used again
 * while the process runs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/io/sock.h"
#include "libjaco/model/cidr.h"

#define UPSTREAMS_MAX 16

struct upstreams {
	unsigned refs;
	uint64_t id; /* 0: the node's own */
	size_t n;
	struct jaco_addr addrs[UPSTREAMS_MAX];
};

/* With one reference. */
struct upstreams *upstreams_new(uint64_t id, const struct jaco_addr *addrs, size_t n);
struct upstreams *upstreams_ref(struct upstreams *upstreams);
void upstreams_unref(struct upstreams *upstreams); /* NULL is none */

/* The same servers in the same order? */
bool upstreams_equal(const struct upstreams *upstreams, const struct jaco_addr *addrs, size_t n);

/* Would asking @addr come back to us?  Docker's embedded resolver, a gateway inside the pool, or
 * one of our own listeners. */
bool upstreams_is_loop(const struct jaco_addr *addr, const struct jaco_cidr *pool, size_t n_pool,
		       const struct jaco_addr *own, size_t n_own);

/* This machine's own inside: a container has no business there, so its service must not have it
 * asked either. */
bool upstreams_is_loopback(const struct jaco_addr *addr);

/* The upstreams of a resolv.conf(5) text, at most @cap; returns their number. */
size_t upstreams_parse_resolv(const char *text, struct jaco_addr *out, size_t cap);
