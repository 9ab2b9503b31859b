/* SPDX-License-Identifier: Apache-2.0
 *
 * The question that goes upstream: its EDNS is ours, and can be left out. */
#include "daemons/dnsd/ask.h"

#include "tests/lib/test.h"
#include "tests/unit/dnsd/dns_text.h"

static uint8_t msg[2048], out[PACKET_MAX];
static struct packet_query query, again;

/* Append an EDNS option of @n_data bytes to the query of @n bytes that ends with its OPT record. */
static size_t add_option(size_t n, size_t opt_at, unsigned code, size_t n_data)
{
	unsigned before = packet_get16(msg + opt_at + PACKET_OPT_BYTES - 2);

	packet_put16(msg + n, code);
	packet_put16(msg + n + 2, (unsigned)n_data);
	memset(msg + n + 4, 'x', n_data);
	packet_put16(msg + opt_at + PACKET_OPT_BYTES - 2, before + 4 + (unsigned)n_data);
	return n + 4 + n_data;
}

JT_CASE(a_plain_question_goes_as_it_is)
{
	size_t n_options, n = dns_query(msg, "Example.com", PACKET_TYPE_AAAA);

	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	JT_EQ(ask_make(out, msg, &query, &n_options), n);
	JT_EQ(n_options, 0);
	JT_EQ(packet_get16(out), 0); /* an id of its own comes later */
	JT_MEM(out + 2, msg + 2, n - 2);
}

JT_CASE(edns_is_ours_and_options_of_one_hop_stay_behind)
{
	size_t opt_at = dns_query(msg, "example.com", PACKET_TYPE_A), n_options;
	size_t n = dns_query_edns(msg, opt_at, 4096, 0, true);

	n = add_option(n, opt_at, 10, 8); /* cookie, RFC 7873 */
	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	JT_FALSE(ask_has_options(msg, &query));
	n = add_option(n, opt_at, 8, 7); /* client subnet, RFC 7871 */
	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	JT_TRUE(ask_has_options(msg, &query));
	n = ask_make(out, msg, &query, &n_options);
	JT_EQ(n_options, 4 + 7);
	JT_EQ(packet_parse(out, n, &again), PACKET_OK);
	JT_TRUE(again.has_edns && again.dnssec_ok);
	JT_EQ(again.udp_bytes, PACKET_UDP_LIMIT);
	JT_EQ(packet_get16(out + again.options_at), 8);
}

JT_CASE(without_edns_it_ends_with_the_question)
{
	size_t n_options, n = dns_query_edns(msg, dns_query(msg, "example.com", PACKET_TYPE_A),
					     1232, 0, false);

	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	n = ask_make(out, msg, &query, &n_options);
	ask_count_opt(out, false);
	JT_EQ(packet_parse(out, query.question_end, &again), PACKET_OK);
	JT_FALSE(again.has_edns);
	ask_count_opt(out, true);
	JT_EQ(packet_parse(out, n, &again), PACKET_OK);
	JT_TRUE(again.has_edns);
}

JT_CASE(the_key_tells_apart_what_is_answered_apart)
{
	uint8_t one[CACHE_KEY_MAX], other[CACHE_KEY_MAX];
	size_t n = dns_query(msg, "Example.com", PACKET_TYPE_A), n_key;

	JT_EQ(packet_parse(msg, n, &query), PACKET_OK);
	n_key = ask_key(one, msg, &query, 0);
	msg[PACKET_HEADER_BYTES + 1] = 'e'; /* case does not */
	JT_EQ(ask_key(other, msg, &query, 0), n_key);
	JT_MEM(one, other, n_key);
	msg[3] |= PACKET_CD;
	JT_EQ(ask_key(other, msg, &query, 0), n_key);
	JT_TRUE(memcmp(one, other, n_key) != 0);
	/* nor are answers of other servers */
	msg[3] &= (uint8_t)~PACKET_CD;
	JT_TRUE(ask_key(other, msg, &query, 1) > n_key);
	JT_MEM(one, other, n_key);
	JT_EQ(ask_key(one, msg, &query, 2), ask_key(other, msg, &query, 1));
	JT_TRUE(memcmp(one, other, ask_key(other, msg, &query, 1)) != 0);
}

JT_MAIN(JT_RUN(a_plain_question_goes_as_it_is),
	JT_RUN(edns_is_ours_and_options_of_one_hop_stay_behind),
	JT_RUN(without_edns_it_ends_with_the_question),
	JT_RUN(the_key_tells_apart_what_is_answered_apart))
