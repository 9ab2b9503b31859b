/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.c - see stats.h. */
#include "daemons/proxyd/stats.h"

#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

const uint64_t stats_bounds_us[STATS_BUCKETS - 1] = {
	250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 5000000,
};

struct route_stats {
	struct route_stats *next;
	char *domain, *path;
	uint64_t generation;
	struct stats_lane lanes[];
};

struct stats {
	unsigned n_workers;
	size_t n_routes, n_slots;
	struct route_stats **slots;
};

struct stats *stats_new(unsigned n_workers)
{
	struct stats *stats = jaco_alloc(sizeof(*stats));

	stats->n_workers = n_workers;
	stats->n_slots = 1024;
	stats->slots = jaco_alloc_n(stats->n_slots, sizeof(struct route_stats *));
	return stats;
}

static void free_route(struct route_stats *route)
{
	jaco_free(route->domain);
	jaco_free(route->path);
	jaco_free(route);
}

static void prune_chain(struct stats *stats, struct route_stats **at, uint64_t generation)
{
	while (*at) {
		struct route_stats *route = *at;

		if (route->generation >= generation) {
			at = &route->next;
			continue;
		}
		*at = route->next;
		stats->n_routes--;
		free_route(route);
	}
}

void stats_prune(struct stats *stats, uint64_t generation)
{
	for (size_t i = 0; i < stats->n_slots; i++)
		prune_chain(stats, &stats->slots[i], generation);
}

void stats_free(struct stats *take_stats)
{
	if (!take_stats)
		return;
	stats_prune(take_stats, UINT64_MAX);
	jaco_free(take_stats->slots);
	jaco_free(take_stats);
}

static size_t slot_of(const struct stats *stats, const char *domain, const char *path)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *domain; domain++)
		hash = (hash ^ (uint8_t)*domain) * 0x100000001b3ULL;
	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3ULL;
	return hash & (stats->n_slots - 1);
}

struct route_stats *stats_route(struct stats *stats, const char *domain, const char *path,
				uint64_t generation)
{
	size_t at = slot_of(stats, domain, path);
	struct route_stats *route;
	size_t bytes = sizeof(*route) + stats->n_workers * sizeof(struct stats_lane);

	for (route = stats->slots[at]; route; route = route->next)
		if (strcmp(route->domain, domain) == 0 && strcmp(route->path, path) == 0) {
			route->generation = generation;
			return route;
		}
	route = jaco_alloc(bytes);
	route->domain = jaco_strdup(domain);
	route->path = jaco_strdup(path);
	route->generation = generation;
	route->next = stats->slots[at];
	stats->slots[at] = route;
	stats->n_routes++;
	return route;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer per lane: no locked instruction needed. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

void stats_request(struct route_stats *route, unsigned worker, unsigned status, uint64_t ns,
		   uint64_t bytes_in, uint64_t bytes_out)
{
	struct stats_lane *lane = &route->lanes[worker];
	uint64_t us = ns / 1000;
	unsigned bucket = 0;

	while (bucket < STATS_BUCKETS - 1 && us > stats_bounds_us[bucket])
		bucket++;
	add(&lane->status[status / 100 < 6 ? status / 100 : 0], 1);
	add(&lane->latency[bucket], 1);
	add(&lane->latency_us_sum, us);
	add(&lane->bytes_in, bytes_in);
	add(&lane->bytes_out, bytes_out);
}

void stats_retry(struct route_stats *route, unsigned worker)
{
	add(&route->lanes[worker].retries, 1);
}

void stats_ejection(struct route_stats *route, unsigned worker)
{
	add(&route->lanes[worker].ejections, 1);
}

/* --- text --- */

struct sum {
	uint64_t status[6], latency[STATS_BUCKETS], latency_us, bytes_in, bytes_out, retries,
		ejections;
};

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct sum sum_lanes(const struct stats *stats, const struct route_stats *route)
{
	struct sum sum = {0};

	for (unsigned w = 0; w < stats->n_workers; w++) {
		const struct stats_lane *lane = &route->lanes[w];

		for (int i = 0; i < 6; i++)
			sum.status[i] += load(&lane->status[i]);
		for (int i = 0; i < STATS_BUCKETS; i++)
			sum.latency[i] += load(&lane->latency[i]);
		sum.latency_us += load(&lane->latency_us_sum);
		sum.bytes_in += load(&lane->bytes_in);
		sum.bytes_out += load(&lane->bytes_out);
		sum.retries += load(&lane->retries);
		sum.ejections += load(&lane->ejections);
	}
	return sum;
}

static void line(struct jaco_buf *out, const struct route_stats *route, const char *name,
		 uint64_t value)
{
	jaco_buf_printf(out, "jaco_proxyd_%s{domain=\"%s\",path=\"%s/\"} %llu\n", name,
			route->domain, route->path, (unsigned long long)value);
}

static void render_route(const struct stats *stats, const struct route_stats *route,
			 struct jaco_buf *out)
{
	struct sum sum = sum_lanes(stats, route);
	uint64_t total = 0;

	for (int i = 0; i < 6; i++)
		if (sum.status[i])
			jaco_buf_printf(out,
					"jaco_proxyd_requests_total{domain=\"%s\",path=\"%s/\","
					"class=\"%dxx\"} %llu\n",
					route->domain, route->path, i,
					(unsigned long long)sum.status[i]);
	for (int i = 0; i < STATS_BUCKETS; i++) {
		char bound[32] = "+Inf";

		total += sum.latency[i];
		if (i < STATS_BUCKETS - 1)
			(void)jaco_str_format(bound, sizeof(bound), "%g",
					      (double)stats_bounds_us[i] / 1e6);
		jaco_buf_printf(out, "jaco_proxyd_request_duration_seconds_bucket{domain=\"%s\","
				"path=\"%s/\",le=\"%s\"} %llu\n", route->domain, route->path, bound,
				(unsigned long long)total);
	}
	jaco_buf_printf(out,
			"jaco_proxyd_request_duration_seconds_sum{domain=\"%s\",path=\"%s/\"} %g\n",
			route->domain, route->path, (double)sum.latency_us / 1e6);
	line(out, route, "request_duration_seconds_count", total);
	line(out, route, "request_bytes_total", sum.bytes_in);
	line(out, route, "response_bytes_total", sum.bytes_out);
	line(out, route, "retries_total", sum.retries);
	line(out, route, "ejections_total", sum.ejections);
}

void stats_render(const struct stats *stats, struct jaco_buf *out)
{
	for (size_t i = 0; i < stats->n_slots; i++)
		for (const struct route_stats *r = stats->slots[i]; r; r = r->next)
			render_route(stats, r, out);
}
