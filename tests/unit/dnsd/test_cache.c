/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept, how long, and what goes first. */
#include "daemons/dnsd/cache.h"

#include <stdio.h>

#include "tests/lib/test.h"
#include "tests/unit/dnsd/dns_text.h"

static uint8_t msg[512], out[2048];
static size_t msg_n;

static struct jaco_time at(int64_t s)
{
	return (struct jaco_time){.ns = s * JACO_S};
}

/* A reply to example.com A of @rcode with one address (TTL @ttl unless 0) and, unless -1, an
 * SOA. */
static void make_reply(unsigned rcode, uint32_t ttl, int64_t soa_ttl, uint32_t minimum)
{
	size_t n = dns_query(msg, "example.com", PACKET_TYPE_A);
	uint8_t *p;

	msg[2] |= PACKET_QR;
	msg[3] = (uint8_t)rcode;
	if (ttl > 0) {
		p = msg + n;
		memcpy(p, "\300\14\0\1\0\1\0\0\0\0\0\4\300\0\2\1", 16);
		packet_put32(p + 6, ttl);
		msg[7] = 1;
		n += 16;
	}
	if (soa_ttl >= 0) {
		p = msg + n;
		memset(p, 0, 36);
		memcpy(p, "\300\14\0\6\0\1\0\0\0\0\0\30\300\14\300\14", 16);
		packet_put32(p + 6, (uint32_t)soa_ttl);
		packet_put32(p + 32, minimum);
		msg[9] = 1;
		n += 36;
	}
	msg_n = n;
}

static bool put(struct cache *cache, const char *key, int64_t s)
{
	return cache_put(cache, (const uint8_t *)key, strlen(key), msg, msg_n, at(s));
}

static size_t get(struct cache *cache, const char *key, bool want_stale, int64_t s)
{
	return cache_get(cache, (const uint8_t *)key, strlen(key), want_stale, out, sizeof(out),
			 at(s));
}

static uint32_t first_ttl(void)
{
	struct packet_walk walk;
	struct packet_record record = {.ttl = 0};

	packet_walk_begin(&walk, out, msg_n);
	(void)packet_walk_next(&walk, &record); /* a wrong walk shows as a wrong TTL */
	return record.ttl;
}

JT_CASE(an_answer_ages_and_ends_with_its_ttl)
{
	struct cache *cache = cache_new(10000);

	make_reply(0, 300, -1, 0);
	JT_TRUE(put(cache, "k", 100));
	JT_EQ(get(cache, "k", false, 100), msg_n);
	JT_MEM(out, msg, msg_n);
	JT_EQ(get(cache, "k", false, 350), msg_n);
	JT_EQ(first_ttl(), 50);
	JT_EQ(get(cache, "k", false, 400), 0);
	JT_EQ(get(cache, "other", false, 100), 0);
	cache_free(cache);
}

JT_CASE(a_stale_answer_is_there_for_30_seconds_and_then_gone)
{
	struct cache *cache = cache_new(10000);

	make_reply(0, 10, -1, 0);
	JT_TRUE(put(cache, "k", 0));
	JT_EQ(get(cache, "k", false, 15), 0);
	JT_EQ(get(cache, "k", true, 39), msg_n);
	JT_EQ(first_ttl(), 1);
	JT_EQ(get(cache, "k", true, 40), 0);
	JT_EQ(cache_count(cache), 0);
	cache_free(cache);
}

JT_CASE(absence_lives_as_long_as_the_smaller_of_soa_ttl_and_minimum)
{
	struct cache *cache = cache_new(10000);

	make_reply(PACKET_NXDOMAIN, 0, 300, 60);
	JT_TRUE(put(cache, "a", 0));
	JT_EQ(get(cache, "a", false, 59), msg_n);
	JT_EQ(get(cache, "a", false, 60), 0);
	make_reply(PACKET_NOERROR, 0, 20, 60);
	JT_TRUE(put(cache, "b", 0));
	JT_EQ(get(cache, "b", false, 19), msg_n);
	JT_EQ(get(cache, "b", false, 20), 0);
	make_reply(PACKET_NXDOMAIN, 0, 900000, 900000);
	JT_TRUE(put(cache, "c", 0));
	JT_EQ(get(cache, "c", false, CACHE_NEGATIVE_MAX_S), 0);
	make_reply(PACKET_NXDOMAIN, 0, -1, 0);
	JT_FALSE(put(cache, "d", 0));
	cache_free(cache);
}

JT_CASE(failures_cut_and_short_lived_answers_are_not_kept)
{
	struct cache *cache = cache_new(10000);

	make_reply(PACKET_SERVFAIL, 300, -1, 0);
	JT_FALSE(put(cache, "k", 0));
	make_reply(PACKET_NOERROR, 300, -1, 0);
	msg[2] |= PACKET_TC;
	JT_FALSE(put(cache, "k", 0));
	make_reply(PACKET_NOERROR, 0x80000001, -1, 0);
	JT_FALSE(put(cache, "k", 0));
	make_reply(PACKET_NOERROR, 300, -1, 0);
	msg_n--;
	JT_FALSE(put(cache, "k", 0));
	JT_EQ(cache_bytes(cache), 0);
	cache_free(cache);
}

JT_CASE(a_message_with_tsig_is_not_kept)
{
	struct cache *cache = cache_new(10000);

	make_reply(PACKET_NOERROR, 300, -1, 0);
	memcpy(msg + msg_n, "\0\0\372\0\377\0\0\0\0\0\0", 11);
	msg[11] = 1;
	msg_n += 11;
	JT_FALSE(put(cache, "k", 0));
	cache_free(cache);
}

JT_CASE(an_alias_without_the_type_asked_for_is_absence)
{
	struct cache *cache = cache_new(10000);

	make_reply(PACKET_NOERROR, 300, 40, 30);
	packet_put16(msg + 12 + 13 + 4 + 2, PACKET_TYPE_CNAME);
	packet_put16(msg + 12 + 13 + 4 + 10, 4);
	memcpy(msg + 12 + 13 + 4 + 12, "\1a\300\14", 4);
	JT_TRUE(put(cache, "k", 0));
	JT_EQ(get(cache, "k", false, 29), msg_n);
	JT_EQ(get(cache, "k", false, 30), 0);
	cache_free(cache);
}

JT_CASE(bytes_are_bounded_and_the_least_used_goes_first)
{
	struct cache *cache = cache_new(2000);
	char key[16];

	make_reply(0, 300, -1, 0);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		JT_TRUE(put(cache, key, 0));
		JT_TRUE(cache_bytes(cache) <= 2000);
		JT_EQ(get(cache, "key0", false, 1), msg_n);
	}
	JT_EQ(get(cache, "key99", false, 1), msg_n);
	JT_EQ(get(cache, "key50", false, 1), 0);
	JT_TRUE(cache_count(cache) > 5);
	cache_free(cache);
}

JT_CASE(an_empty_cache_keeps_nothing_and_a_short_buffer_gets_nothing)
{
	struct cache *none = cache_new(0), *cache = cache_new(1000);

	make_reply(0, 300, -1, 0);
	JT_FALSE(put(none, "k", 0));
	JT_TRUE(put(cache, "k", 0));
	JT_EQ(cache_get(cache, (const uint8_t *)"k", 1, false, out, msg_n - 1, at(0)), 0);
	cache_free(none);
	cache_free(cache);
	cache_free(NULL);
}

JT_MAIN(JT_RUN(an_answer_ages_and_ends_with_its_ttl),
	JT_RUN(a_stale_answer_is_there_for_30_seconds_and_then_gone),
	JT_RUN(absence_lives_as_long_as_the_smaller_of_soa_ttl_and_minimum),
	JT_RUN(failures_cut_and_short_lived_answers_are_not_kept),
	JT_RUN(a_message_with_tsig_is_not_kept),
	JT_RUN(an_alias_without_the_type_asked_for_is_absence),
	JT_RUN(bytes_are_bounded_and_the_least_used_goes_first),
	JT_RUN(an_empty_cache_keeps_nothing_and_a_short_buffer_gets_nothing))
