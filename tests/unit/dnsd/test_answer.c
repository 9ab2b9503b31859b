/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies as bytes where the text of the golden suite cannot show it: sizes, rotation, bounds. */
#include "daemons/dnsd/answer.h"

#include <stdio.h>

#include "libjaco/base/random.h"
#include "tests/lib/test.h"
#include "tests/unit/dnsd/dns_text.h"

#define MANY  200
#define ASKER 0x0a010001 /* of a replica in both networks, not eligible yet */

static struct zone_table *table;
static const struct zone *zone;
static uint8_t msg[ANSWER_BUFFER_BYTES];
static struct answer answer;
static uint64_t prng = 1;

static int build(void **state)
{
	static struct zone_replica_spec many[MANY];
	static char slots[MANY][8];
	static const struct zone_replica_spec front = {
		.id = "shop-app-0", .slot = "0", .host = "n1", .addr = 0x0a020001};
	static struct zone_service_spec services[] = {
		{.name = "many", .replicas = many, .n_replicas = MANY},
		{.name = "three", .replicas = many, .n_replicas = 3},
		{.name = "idle"},
		{.name = "app", .replicas = &front, .n_replicas = 1},
	};
	static const struct zone_replica_spec beside = {
		.id = "shop-app-0", .slot = "0", .host = "n1", .addr = ASKER};
	static const struct zone_service_spec app = {.name = "app", .replicas = &beside,
						     .n_replicas = 1};
	struct zone_spec scopes[] = {
		{.deployment = "shop", .network = "default", .services = services, .n_services = 4,
		 .is_served = true},
		{.deployment = "shop", .network = "back", .services = &app, .n_services = 1,
		 .is_served = true},
	};
	struct zone_table_spec spec = {.scopes = scopes, .n_scopes = 2};
	struct jaco_err err = JACO_ERR_INIT;

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(slots[i], sizeof(slots[i]), "%u", i);
		many[i] = (struct zone_replica_spec){.id = "x", .slot = slots[i], .host = "n1",
						     .addr = 0x0a000000 + i + 1,
						     .is_eligible = true};
	}
	if (zone_table_build(&spec, &table, &err) < 0)
		return -1;
	zone = zone_table_find(table, "shop", "default");
	return 0;
}

static int drop(void **state)
{
	zone_table_free(table);
	return 0;
}

static enum answer_verdict ask(size_t n, bool is_tcp)
{
	struct answer_from from = {.zone = zone};

	return answer_query(&from, is_tcp, &prng, msg, n, sizeof(msg), &answer);
}

static unsigned n_answers(void)
{
	return packet_get16(msg + 6);
}

JT_CASE(every_rotation_comes_and_each_holds_all)
{
	unsigned first[3] = {0};

	for (int i = 0; i < 3000; i++) {
		size_t n = dns_query(msg, "three", PACKET_TYPE_A);
		unsigned sum = 0;

		JT_EQ(ask(n, false), ANSWER_REPLY);
		JT_EQ(n_answers(), 3);
		for (unsigned j = 0; j < 3; j++)
			sum += msg[n + 16 * j + 15];
		JT_EQ(sum, 1 + 2 + 3);
		first[msg[n + 15] - 1]++;
	}
	for (int i = 0; i < 3; i++)
		JT_TRUE(first[i] > 850 && first[i] < 1150);
}

JT_CASE(over_tcp_64_of_many_are_sent)
{
	size_t n = dns_query(msg, "many", PACKET_TYPE_A);

	JT_EQ(ask(n, true), ANSWER_REPLY);
	JT_EQ(n_answers(), 64);
	JT_EQ(answer.n, n + 64 * 16);
	JT_FALSE(msg[2] & PACKET_TC);
}

JT_CASE(plain_udp_is_cut_at_512_with_whole_records)
{
	size_t n = dns_query(msg, "many", PACKET_TYPE_A);

	JT_EQ(ask(n, false), ANSWER_REPLY);
	JT_TRUE(msg[2] & PACKET_TC);
	JT_TRUE(answer.n <= 512);
	JT_EQ(answer.n, n + 16 * n_answers());
	JT_EQ(n_answers(), (512 - n) / 16);
}

JT_CASE(edns_lifts_the_limit_to_1232_and_never_beyond)
{
	size_t q = dns_query(msg, "many", PACKET_TYPE_A);
	size_t n = dns_query_edns(msg, q, 65535, 0, false);

	JT_EQ(ask(n, false), ANSWER_REPLY);
	JT_EQ(n_answers(), 64);
	JT_EQ(answer.n, q + 64 * 16 + PACKET_OPT_BYTES);
	q = dns_query(msg, "_80._tcp.many", PACKET_TYPE_SRV);
	n = dns_query_edns(msg, q, 65535, 0, false);
	JT_EQ(ask(n, false), ANSWER_REPLY);
	JT_TRUE(msg[2] & PACKET_TC);
	JT_TRUE(answer.n <= PACKET_UDP_LIMIT);
	JT_TRUE(n_answers() > 10);
}

JT_CASE(srv_over_tcp_has_all_targets_with_addresses)
{
	size_t n = dns_query(msg, "_8080._tcp.three.shop", PACKET_TYPE_SRV);
	struct packet_walk walk;
	struct packet_record record;
	unsigned n_srv = 0, n_a = 0;

	JT_EQ(ask(n, true), ANSWER_REPLY);
	packet_walk_begin(&walk, msg, answer.n);
	while (packet_walk_next(&walk, &record)) {
		if (record.type == PACKET_TYPE_SRV) {
			n_srv++;
			JT_EQ(packet_get16(msg + record.data_at + 4), 8080);
		}
		n_a += record.type == PACKET_TYPE_A && record.section == 2;
	}
	JT_FALSE(walk.bad);
	JT_EQ(walk.at, answer.n);
	JT_EQ(n_srv, 3);
	JT_EQ(n_a, 3);
}

JT_CASE(the_largest_srv_answer_fits_the_buffer)
{
	size_t n = dns_query(msg, "_65535._tcp.many.shop.jaco.internal", PACKET_TYPE_SRV);

	JT_EQ(ask(n, true), ANSWER_REPLY);
	JT_FALSE(msg[2] & PACKET_TC);
	JT_EQ(n_answers(), 64);
	JT_TRUE(answer.n <= sizeof(msg));
}

JT_CASE(case_and_id_come_back_as_sent)
{
	size_t n = dns_query(msg, "ThReE.sHoP", PACKET_TYPE_A);
	uint8_t sent[64];

	memcpy(sent, msg, n);
	JT_EQ(ask(n, false), ANSWER_REPLY);
	JT_MEM(msg, sent, 2);
	JT_MEM(msg + PACKET_HEADER_BYTES, sent + PACKET_HEADER_BYTES, n - PACKET_HEADER_BYTES);
}

JT_CASE(malformed_input_is_never_answered_with_more_than_it_sent)
{
	uint64_t seed = 42;

	for (int i = 0; i < 20000; i++) {
		size_t n =
			dns_query_edns(msg, dns_query(msg, "three", PACKET_TYPE_A), 4096, 0, true);
		size_t cut = jaco_prng_next(&seed) % (n + 1);

		for (int k = 0; k < 3; k++)
			msg[jaco_prng_next(&seed) % n] = (uint8_t)jaco_prng_next(&seed);
		if (ask(cut, false) == ANSWER_REPLY && answer.rcode != PACKET_NOERROR &&
		    answer.rcode != PACKET_NXDOMAIN)
			JT_TRUE(answer.n <= JACO_MAX(cut, PACKET_HEADER_BYTES));
	}
}

JT_CASE(a_name_of_the_other_network_is_answered_as_if_it_was_ours)
{
	struct answer_from from = {.zone = zone_table_find(table, "shop", "back"), .source = ASKER};
	size_t n = dns_query(msg, "many", PACKET_TYPE_A);
	uint8_t sent[64];

	memcpy(sent, msg, n);
	JT_EQ(answer_query(&from, false, &prng, msg, n, sizeof(msg), &answer), ANSWER_REPLY);
	JT_EQ(answer.rcode, PACKET_NOERROR);
	JT_EQ(n_answers(), (512 - n) / 16);
	JT_TRUE(msg[2] & PACKET_TC);
	memcpy(msg, sent, n);
	from.source = ASKER + 1;
	JT_EQ(answer_query(&from, false, &prng, msg, n, sizeof(msg), &answer), ANSWER_REPLY);
	JT_EQ(answer.rcode, PACKET_NXDOMAIN);
	/* What the asked network has is its own: the replica has no eligible one there. */
	n = dns_query(msg, "app", PACKET_TYPE_A);
	from.source = ASKER;
	JT_EQ(answer_query(&from, false, &prng, msg, n, sizeof(msg), &answer), ANSWER_REPLY);
	JT_EQ(answer.rcode, PACKET_NOERROR);
	JT_EQ(n_answers(), 0);
}

JT_CASE(names_of_the_outside_go_to_the_servers_of_who_asks)
{
	static const char *const servers[] = {"9.9.9.9"};
	static const struct zone_replica_spec own = {
		.id = "shop-own-0", .slot = "0", .host = "n1", .addr = 0x0a020001};
	static const struct zone_replica_spec both[] = {
		{.id = "shop-web-0", .slot = "0", .host = "n1", .addr = 0x0a020002},
		{.id = "shop-own-1", .slot = "1", .host = "n1", .addr = 0x0a020002}};
	const struct zone_service_spec services[] = {
		{.name = "own", .replicas = &own, .n_replicas = 1, .resolvers = servers,
		 .n_resolvers = 1},
		{.name = "web", .replicas = &both[0], .n_replicas = 1},
		{.name = "late", .replicas = &both[1], .n_replicas = 1, .resolvers = servers,
		 .n_resolvers = 1}};
	const struct zone_spec scope = {.deployment = "shop", .network = "default",
					.services = services, .n_services = 3, .is_served = true};
	static const struct {
		uint32_t source;
		enum answer_verdict verdict;
		unsigned resolver;
	} rows[] = {{0x0a020001, ANSWER_FORWARD, 1},
		      {0x0a020003, ANSWER_FORWARD, 0},
		      {0, ANSWER_FORWARD, 0},
		      {0x0a020002, ANSWER_REPLY, RESOLVERS_NONE}};
	struct zone_table *own_table;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(zone_table_build(&(struct zone_table_spec){.scopes = &scope, .n_scopes = 1},
			       &own_table, &err),
	      &err);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(rows); i++) {
		struct answer_from from = {.zone = zone_table_find(own_table, "shop", "default"),
					   .source = rows[i].source};
		size_t n = dns_query(msg, "example.com", PACKET_TYPE_A);

		JT_EQ(answer_query(&from, false, &prng, msg, n, sizeof(msg), &answer),
		      rows[i].verdict);
		JT_EQ(answer.resolver, rows[i].resolver);
		if (rows[i].verdict == ANSWER_REPLY)
			JT_EQ(answer.rcode, PACKET_SERVFAIL);
	}
	zone_table_free(own_table);
}

JT_CASE(without_a_zone_everything_is_forwarded_untouched)
{
	size_t n = dns_query(msg, "three", PACKET_TYPE_A);
	struct answer_from from = {.zone = NULL, .source = 0x0a000001};
	uint8_t sent[64];

	memcpy(sent, msg, n);
	JT_EQ(answer_query(&from, false, &prng, msg, n, sizeof(msg), &answer), ANSWER_FORWARD);
	JT_MEM(msg, sent, n);
	JT_EQ(answer.query.type, PACKET_TYPE_A);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		JT_RUN(every_rotation_comes_and_each_holds_all),
		JT_RUN(over_tcp_64_of_many_are_sent),
		JT_RUN(plain_udp_is_cut_at_512_with_whole_records),
		JT_RUN(edns_lifts_the_limit_to_1232_and_never_beyond),
		JT_RUN(srv_over_tcp_has_all_targets_with_addresses),
		JT_RUN(the_largest_srv_answer_fits_the_buffer),
		JT_RUN(case_and_id_come_back_as_sent),
		JT_RUN(malformed_input_is_never_answered_with_more_than_it_sent),
		JT_RUN(a_name_of_the_other_network_is_answered_as_if_it_was_ours),
		JT_RUN(names_of_the_outside_go_to_the_servers_of_who_asks),
		JT_RUN(without_a_zone_everything_is_forwarded_untouched),
	};

	return cmocka_run_group_tests(cases, build, drop);
}
