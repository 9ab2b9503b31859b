/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.c - see cache.h.
 *
 * ldns judges a message once, when it is put: is it well-formed in every record, how long may it
 * live.  Serving needs only the places of the TTLs, found again by the walker of packet.c. */
#include "daemons/dnsd/cache.h"

#include <ldns/ldns.h>
#include <string.h>
#include <sys/queue.h>

#include "daemons/dnsd/packet.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/auto.h"
#include "libjaco/base/mem.h"

#define BUCKETS 4096

struct item {
	TAILQ_ENTRY(item) by_use;
	LIST_ENTRY(item) in_bucket;
	uint64_t hash;
	struct jaco_time put;
	uint32_t ttl_s;
	uint16_t key_n;
	uint16_t n;
	uint8_t bytes[]; /* key, then message */
};

struct cache {
	size_t bytes_max, bytes, count;
	TAILQ_HEAD(item_by_use, item) by_use; /* most recent first */
	LIST_HEAD(, item) buckets[BUCKETS];
};

static size_t item_bytes(const struct item *item)
{
	return sizeof(*item) + item->key_n + item->n;
}

struct cache *cache_new(size_t bytes_max)
{
	struct cache *cache = jaco_alloc(sizeof(*cache));

	cache->bytes_max = bytes_max;
	TAILQ_INIT(&cache->by_use);
	return cache;
}

static void item_drop(struct cache *cache, struct item *item)
{
	TAILQ_REMOVE(&cache->by_use, item, by_use);
	LIST_REMOVE(item, in_bucket);
	cache->bytes -= item_bytes(item);
	cache->count--;
	jaco_free(item);
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	while (!TAILQ_EMPTY(&cache->by_use))
		item_drop(cache, TAILQ_FIRST(&cache->by_use));
	jaco_free(cache);
}

static uint64_t key_hash(const uint8_t *key, size_t key_n)
{
	uint8_t padded[CACHE_KEY_MAX + PACKET_SLACK] = {0};

	JACO_ASSERT(key_n <= CACHE_KEY_MAX);
	memcpy(padded, key, key_n);
	return packet_name_hash(padded, key_n);
}

static struct item *item_find(struct cache *cache, uint64_t hash, const uint8_t *key, size_t key_n)
{
	struct item *item;

	LIST_FOREACH(item, &cache->buckets[hash % BUCKETS], in_bucket)
		if (item->hash == hash && item->key_n == key_n && !memcmp(item->bytes, key, key_n))
			return item;
	return NULL;
}

static uint32_t record_ttl(const ldns_rr *rr)
{
	uint32_t ttl = ldns_rr_ttl(rr);

	return ttl > INT32_MAX ? 0 : ttl; /* RFC 2181 section 8 */
}

static uint32_t least_ttl(const ldns_rr_list *list, uint32_t least)
{
	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++)
		least = JACO_MIN(least, record_ttl(ldns_rr_list_rr(list, i)));
	return least;
}

/* SOA TTL or its MINIMUM, the smaller (RFC 2308 section 5); 0 without SOA. */
static uint32_t negative_ttl(const ldns_pkt *pkt)
{
	const ldns_rr_list *list = ldns_pkt_authority(pkt);

	for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);
		const ldns_rdf *minimum = ldns_rr_rdf(rr, 6);

		if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA && minimum &&
		    ldns_rdf_size(minimum) == 4)
			return JACO_MIN(JACO_MIN(record_ttl(rr), ldns_rdf2native_int32(minimum)),
					CACHE_NEGATIVE_MAX_S);
	}
	return 0;
}

/* Does an answer record have the type asked for?  A chain of aliases that ends in nothing is a
 * negative answer (RFC 2308 section 2.2). */
static bool has_asked_type(const ldns_pkt *pkt)
{
	const ldns_rr_list *questions = ldns_pkt_question(pkt);
	const ldns_rr_list *answers = ldns_pkt_answer(pkt);
	ldns_rr_type type;

	if (ldns_rr_list_rr_count(questions) != 1)
		return false;
	type = ldns_rr_get_type(ldns_rr_list_rr(questions, 0));
	for (size_t i = 0; i < ldns_rr_list_rr_count(answers); i++)
		if (type == LDNS_RR_TYPE_ANY ||
		    ldns_rr_get_type(ldns_rr_list_rr(answers, i)) == type)
			return true;
	return false;
}

static uint32_t message_ttl(const ldns_pkt *pkt)
{
	bool is_negative = ldns_pkt_get_rcode(pkt) == LDNS_RCODE_NXDOMAIN || !has_asked_type(pkt);
	uint32_t ttl = CACHE_TTL_MAX_S;

	if (ldns_pkt_tc(pkt) || (ldns_pkt_get_rcode(pkt) != LDNS_RCODE_NOERROR &&
				 ldns_pkt_get_rcode(pkt) != LDNS_RCODE_NXDOMAIN))
		return 0;
	if (is_negative)
		ttl = negative_ttl(pkt);
	ttl = least_ttl(ldns_pkt_answer(pkt), ttl);
	ttl = least_ttl(ldns_pkt_authority(pkt), ttl);
	return least_ttl(ldns_pkt_additional(pkt), ttl); /* ldns keeps OPT apart */
}

/* Well-formed, and signed for no other hop (RFC 8945).  ldns 1.8.3 loses the first of two TSIG
 * records, so that a hostile upstream could make us grow. */
static bool is_plain(const uint8_t *msg, size_t n)
{
	struct packet_walk walk;
	struct packet_record record;

	packet_walk_begin(&walk, msg, n);
	while (packet_walk_next(&walk, &record))
		if (record.type == PACKET_TYPE_TSIG)
			return false;
	return !walk.bad;
}

bool cache_put(struct cache *cache, const uint8_t *key, size_t key_n, const uint8_t *msg, size_t n,
	       struct jaco_time now)
{
	uint64_t hash = key_hash(key, key_n);
	struct item *item = item_find(cache, hash, key, key_n);
	ldns_pkt *pkt = NULL;
	uint32_t ttl;

	if (n > PACKET_MAX || !is_plain(msg, n) || ldns_wire2pkt(&pkt, msg, n) != LDNS_STATUS_OK)
		return false;
	ttl = message_ttl(pkt);
	ldns_pkt_free(pkt);
	if (ttl == 0 || sizeof(*item) + key_n + n > cache->bytes_max)
		return false;
	if (item)
		item_drop(cache, item);
	item = jaco_alloc(sizeof(*item) + key_n + n);
	item->hash = hash;
	item->put = now;
	item->ttl_s = ttl;
	item->key_n = (uint16_t)key_n;
	item->n = (uint16_t)n;
	memcpy(item->bytes, key, key_n);
	memcpy(item->bytes + key_n, msg, n);
	TAILQ_INSERT_HEAD(&cache->by_use, item, by_use);
	LIST_INSERT_HEAD(&cache->buckets[hash % BUCKETS], item, in_bucket);
	cache->bytes += item_bytes(item);
	cache->count++;
	while (cache->bytes > cache->bytes_max)
		item_drop(cache, TAILQ_LAST(&cache->by_use, item_by_use));
	return true;
}

/* Lower every TTL; OPT keeps flags in that place (RFC 6891 section 6.1.3). */
static void age_message(uint8_t *msg, size_t n, uint32_t age_s, bool is_stale)
{
	struct packet_walk walk;
	struct packet_record record;

	packet_walk_begin(&walk, msg, n);
	while (packet_walk_next(&walk, &record)) {
		uint32_t left = record.ttl > age_s ? record.ttl - age_s : 0;

		if (record.type != PACKET_TYPE_OPT)
			packet_put32(msg + record.ttl_at,
				     is_stale ? 1 : JACO_MIN(left, CACHE_TTL_MAX_S));
	}
}

size_t cache_get(struct cache *cache, const uint8_t *key, size_t key_n, bool want_stale,
		 uint8_t *out, size_t cap, struct jaco_time now)
{
	struct item *item = item_find(cache, key_hash(key, key_n), key, key_n);
	int64_t age_s;
	bool is_stale;

	if (!item)
		return 0;
	age_s = (now.ns - item->put.ns) / JACO_S;
	is_stale = age_s >= item->ttl_s;
	if (age_s >= (int64_t)item->ttl_s + CACHE_STALE_S) {
		item_drop(cache, item);
		return 0;
	}
	if ((is_stale && !want_stale) || item->n > cap)
		return 0;
	TAILQ_REMOVE(&cache->by_use, item, by_use);
	TAILQ_INSERT_HEAD(&cache->by_use, item, by_use);
	memcpy(out, item->bytes + item->key_n, item->n);
	out[2] &= (uint8_t)~PACKET_AA; /* a memory is no authority, RFC 1034 section 4.3.1 */
	age_message(out, item->n, (uint32_t)age_s, is_stale);
	return item->n;
}

size_t cache_bytes(const struct cache *cache)
{
	return cache->bytes;
}

size_t cache_count(const struct cache *cache)
{
	return cache->count;
}
