/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.h - what dnsd counts: queries by outcome and how long they took. */
#pragma once

#include <stdint.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/time.h"

#define STATS_RCODES  24
#define STATS_BUCKETS 14

struct stats {
	uint64_t udp, tcp;                 /* queries by transport */
	uint64_t rcodes[STATS_RCODES];     /* replies */
	uint64_t dropped;                  /* met with silence */
	uint64_t local, forwarded;         /* answered from zones; handed to an upstream */
	uint64_t cache_hits, stale_hits, coalesced;
	uint64_t upstream_timeouts, upstream_failures;
	uint64_t tcp_connections, tcp_closed_idle, tcp_refused;
	uint64_t send_failures;
	uint64_t latency[STATS_BUCKETS];   /* counts by bucket, the last is beyond all bounds */
	uint64_t latency_ns;
};

/* @n queries took @ns each. */
void stats_latency(struct stats *stats, int64_t ns, uint64_t n);

/* Prometheus text exposition. */
void stats_render(const struct stats *stats, struct jaco_buf *out);
