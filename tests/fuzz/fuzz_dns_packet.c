/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever a client or an upstream sends: the first byte chooses whether the rest is a query (UDP
 * or TCP) or a reply to be cached.  Replies of ours must be well-formed and within their bound. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemons/dnsd/answer.h"
#include "daemons/dnsd/ask.h"
#include "daemons/dnsd/cache.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/auto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct zone_replica_spec replicas[] = {
	{.id = "d-web-0", .slot = "0", .host = "n1", .addr = 0x0a000001, .is_eligible = true},
	{.id = "d-web-1", .slot = "1", .host = "n2", .addr = 0x0a000002, .is_eligible = true},
	{.id = "d-web-2", .slot = "2", .host = "n2", .addr = 0x0a000003},
};
static const char *const aliases[] = {"www", "a.b"};
static const struct zone_service_spec services[] = {
	{.name = "web", .aliases = aliases, .n_aliases = 2, .replicas = replicas, .n_replicas = 3},
	{.name = "idle"},
};
static const struct jaco_cidr subnets[] = {{0x0a000000, 24}};
static const struct zone_replica_spec web_beside[] = {
	{.id = "d-web-0", .slot = "0", .host = "n1", .addr = 0x0a000101},
};
static const struct zone_service_spec beside[] = {
	{.name = "db", .replicas = replicas + 1, .n_replicas = 1},
	{.name = "web", .replicas = web_beside, .n_replicas = 1},
};
static const struct zone_spec scopes[] = {
	{.deployment = "d", .network = "n", .services = services, .n_services = 2,
	 .subnets = subnets, .n_subnets = 1, .is_served = true},
	{.deployment = "d", .network = "m", .services = beside, .n_services = 2, .is_served = true},
};

static const struct zone *the_zone(void)
{
	static struct zone_table *table;
	struct zone_table_spec spec = {.scopes = scopes, .n_scopes = 2, .alias_zone = "z"};

	if (!table)
		JACO_ASSERT(zone_table_build(&spec, &table, NULL) == 0);
	return zone_table_find(table, "d", "n");
}

static void check_reply(const uint8_t *msg, size_t n)
{
	struct packet_walk walk;
	struct packet_record record;

	JACO_ASSERT(n >= PACKET_HEADER_BYTES && (msg[2] & PACKET_QR));
	packet_walk_begin(&walk, msg, n);
	while (packet_walk_next(&walk, &record))
		;
	JACO_ASSERT(!walk.bad && walk.at == n);
}

/* What goes upstream for a query is one itself, with EDNS and without, and no longer than it. */
static void try_ask(const uint8_t *msg, const struct packet_query *query)
{
	static uint8_t out[PACKET_MAX + PACKET_SLACK];
	uint8_t key[CACHE_KEY_MAX];
	struct packet_query again;
	size_t n_options, n = ask_make(out, msg, query, &n_options);

	JACO_ASSERT(packet_parse(out, n, &again) == PACKET_OK);
	JACO_ASSERT(again.has_edns == query->has_edns && again.options_n == n_options);
	JACO_ASSERT(n <= query->question_end + PACKET_OPT_BYTES + query->options_n);
	JACO_ASSERT(ask_has_options(msg, query) == (n_options > 0));
	JACO_ASSERT(ask_key(key, msg, query, 0) <= sizeof(key));
	ask_count_opt(out, false);
	JACO_ASSERT(packet_parse(out, query->question_end, &again) == PACKET_OK && !again.has_edns);
}

static void try_query(const uint8_t *data, size_t size, bool is_tcp)
{
	static uint8_t msg[ANSWER_BUFFER_BYTES];
	static uint64_t prng = 1;
	/* Of the replica in both scopes, or of nobody. */
	struct answer_from from = {the_zone(), size % 2 ? 0x0a000001 : 0};
	struct answer answer;
	size_t n = JACO_MIN(size, 4096u);

	memcpy(msg, data, n);
	memset(msg + n, 0xaa, PACKET_SLACK);
	switch (answer_query(&from, is_tcp, &prng, msg, n, sizeof(msg), &answer)) {
	case ANSWER_REPLY:
		break;
	case ANSWER_FORWARD:
		try_ask(msg, &answer.query);
		return;
	case ANSWER_DROP:
		return;
	}
	check_reply(msg, answer.n);
	JACO_ASSERT(is_tcp || answer.n <= PACKET_UDP_LIMIT);
	JACO_ASSERT(is_tcp || answer.query.has_edns || answer.n <= PACKET_UDP_PLAIN);
}

static void try_cache(const uint8_t *data, size_t size)
{
	static uint8_t out[PACKET_MAX];
	static const uint8_t key[] = "key";
	struct cache *cache = cache_new(100000);
	struct jaco_time now = {.ns = 0};

	if (cache_put(cache, key, sizeof(key), data, size, now)) {
		JACO_ASSERT(cache_get(cache, key, sizeof(key), false, out, sizeof(out), now) ==
			    size);
		now.ns += 100000 * JACO_S;
		JACO_ASSERT(cache_get(cache, key, sizeof(key), true, out, sizeof(out), now) == 0);
	}
	cache_free(cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 3 == 2)
		try_cache(data + 1, size - 1);
	else
		try_query(data + 1, size - 1, data[0] % 3 == 1);
	return 0;
}
