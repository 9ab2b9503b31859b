/* SPDX-License-Identifier: Apache-2.0
 *
 * dnsd.h - what both ways of running share: the table in force, its listeners and the forwarder. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/forward.h"
#include "daemons/dnsd/listen.h"
#include "daemons/dnsd/stats.h"
#include "daemons/dnsd/zone.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"

#define DNSD_RETRY_MS 500  /* listeners whose address is taken */
#define DNSD_DRAIN_MS 3000

struct dnsd {
	struct jaco_loop *loop;
	struct stats stats;
	struct zone_table *table;
	struct forward *forward;
	struct listen_set *listen;
	struct jaco_timer retry;
	struct jaco_cidr pool; /* of dnsd_set_upstreams(), when n_pool is 1 */
	size_t n_pool;
	bool is_alone; /* a file by hand may name servers on this machine's loopback */
	size_t n_closed; /* wanted listeners that are not open */
};

void dnsd_open(struct dnsd *dnsd, struct jaco_loop *loop);
void dnsd_close(struct dnsd *dnsd); /* also zeroed */

/* Before the end: take no more queries and answer those that are at the upstreams, for at most
 * DNSD_DRAIN_MS. */
void dnsd_drain(struct dnsd *dnsd);

/* Put @take_table, its listeners and the servers that services have of their own in force; the old
 * table is freed.  Listeners that cannot be opened are logged once and tried again.  Servers that
 * would come back to us, or are inside the pool or this machine, are left out with a warning: a
 * service must not have us ask where its containers may not.  When none is left, its names of the
 * outside fail. */
void dnsd_apply(struct dnsd *dnsd, struct zone_table *take_table, const struct listen_want *wants,
		size_t n);

/* Upstreams from texts ("10.0.0.1", "10.0.0.1:5300", "[::1]"), loops and nonsense left out with a
 * warning; none left is warned of too: external names will fail. */
void dnsd_set_upstreams(struct dnsd *dnsd, const char *const *texts, size_t n_texts,
			const struct jaco_cidr *pool, size_t n_pool, const struct listen_want *own,
			size_t n_own, int64_t timeout_ms, size_t cache_bytes); /* n_pool: 0, 1 */
