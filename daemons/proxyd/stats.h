/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.h - counters per route, one lane per worker so that counting shares no cache line.
 *
 * The control thread owns the registry: a route keeps its numbers over table changes, and they go
 * when no table names it any more. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/buf.h"

/* Upper bounds of the latency histogram, microseconds; the last bucket has none. */
#define STATS_BUCKETS 14
extern const uint64_t stats_bounds_us[STATS_BUCKETS - 1];

struct stats_lane {
	_Atomic uint64_t status[6]; /* 1xx..5xx, and 0 for cancelled */
	_Atomic uint64_t latency[STATS_BUCKETS];
	_Atomic uint64_t latency_us_sum;
	_Atomic uint64_t bytes_in, bytes_out;
	_Atomic uint64_t retries, ejections;
	char apart[64]; /* the next lane begins on another cache line */
};

struct route_stats;
struct stats;

struct stats *stats_new(unsigned n_workers);
void stats_free(struct stats *take_stats);

/* The counters of that route, new ones at zero.  Marks it as used in @generation. */
struct route_stats *stats_route(struct stats *stats, const char *domain, const char *path,
				uint64_t generation);

/* Forget routes last used before @generation: no table older than it exists any more. */
void stats_prune(struct stats *stats, uint64_t generation);

/* Prometheus text (exposition format 0.0.4). */
void stats_render(const struct stats *stats, struct jaco_buf *out);

/* On a worker's thread. */
void stats_request(struct route_stats *route, unsigned worker, unsigned status, uint64_t ns,
		   uint64_t bytes_in, uint64_t bytes_out);
void stats_retry(struct route_stats *route, unsigned worker);
void stats_ejection(struct route_stats *route, unsigned worker);
