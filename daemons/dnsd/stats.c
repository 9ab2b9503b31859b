/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.c - see stats.h. */
#include "daemons/dnsd/stats.h"

#include <inttypes.h>

#include "libjaco/base/auto.h"

static const struct {
	int64_t ns;
	const char *text;
} bounds[STATS_BUCKETS - 1] = {
	{10000, "0.00001"},    {50000, "0.00005"},   {100000, "0.0001"},    {500000, "0.0005"},
	{1000000, "0.001"},    {5000000, "0.005"},   {10000000, "0.01"},    {50000000, "0.05"},
	{100000000, "0.1"},    {500000000, "0.5"},   {1000000000, "1"},     {2000000000, "2"},
	{5000000000, "5"},
};

static const char *const rcode_names[STATS_RCODES] = {
	[0] = "NOERROR", [1] = "FORMERR", [2] = "SERVFAIL", [3] = "NXDOMAIN",
	[4] = "NOTIMP",  [5] = "REFUSED", [16] = "BADVERS",
};

void stats_latency(struct stats *stats, int64_t ns, uint64_t n)
{
	unsigned i = 0;

	while (i < STATS_BUCKETS - 1 && ns > bounds[i].ns)
		i++;
	stats->latency[i] += n;
	stats->latency_ns += (uint64_t)ns * n;
}

static void put_counter(struct jaco_buf *out, const char *name, const char *help, uint64_t value)
{
	jaco_buf_printf(out,
			"# HELP jaco_dnsd_%s %s\n# TYPE jaco_dnsd_%s counter\njaco_dnsd_%s %" PRIu64
			"\n",
			name, help, name, name, value);
}

static void put_histogram(const struct stats *stats, struct jaco_buf *out)
{
	uint64_t sum = 0;

	jaco_buf_add_str(out, "# HELP jaco_dnsd_query_duration_seconds from arrival to reply\n"
			      "# TYPE jaco_dnsd_query_duration_seconds histogram\n");
	for (unsigned i = 0; i < STATS_BUCKETS; i++) {
		sum += stats->latency[i];
		jaco_buf_printf(out,
				"jaco_dnsd_query_duration_seconds_bucket{le=\"%s\"} %" PRIu64 "\n",
				i < STATS_BUCKETS - 1 ? bounds[i].text : "+Inf", sum);
	}
	jaco_buf_printf(out, "jaco_dnsd_query_duration_seconds_sum %.9f\n",
			(double)stats->latency_ns / 1e9);
	jaco_buf_printf(out, "jaco_dnsd_query_duration_seconds_count %" PRIu64 "\n", sum);
}

void stats_render(const struct stats *stats, struct jaco_buf *out)
{
	jaco_buf_add_str(out, "# HELP jaco_dnsd_replies_total replies by response code\n"
			      "# TYPE jaco_dnsd_replies_total counter\n");
	for (unsigned i = 0; i < STATS_RCODES; i++)
		if (rcode_names[i])
			jaco_buf_printf(out, "jaco_dnsd_replies_total{rcode=\"%s\"} %" PRIu64 "\n",
					rcode_names[i], stats->rcodes[i]);
	jaco_buf_printf(out,
			"# HELP jaco_dnsd_queries_total queries by transport\n"
			"# TYPE jaco_dnsd_queries_total counter\n"
			"jaco_dnsd_queries_total{transport=\"udp\"} %" PRIu64 "\n"
			"jaco_dnsd_queries_total{transport=\"tcp\"} %" PRIu64 "\n",
			stats->udp, stats->tcp);
	put_counter(out, "local_total", "answered from zones", stats->local);
	put_counter(out, "forwarded_total", "asked of upstreams", stats->forwarded);
	put_counter(out, "cache_hits_total", "answered from the cache", stats->cache_hits);
	put_counter(out, "stale_total", "answered stale because no upstream did",
		    stats->stale_hits);
	put_counter(out, "coalesced_total", "joined a query under way", stats->coalesced);
	put_counter(out, "dropped_total", "met with silence", stats->dropped);
	put_counter(out, "upstream_timeouts_total", "upstreams that did not answer in time",
		    stats->upstream_timeouts);
	put_counter(out, "upstream_failures_total", "upstreams that failed or refused",
		    stats->upstream_failures);
	put_counter(out, "tcp_connections_total", "accepted", stats->tcp_connections);
	put_counter(out, "tcp_idle_closed_total", "closed for being idle or for room",
		    stats->tcp_closed_idle);
	put_counter(out, "send_failures_total", "replies the kernel did not take",
		    stats->send_failures);
	put_histogram(stats, out);
}
