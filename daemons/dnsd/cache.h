/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.h - answers of upstreams, kept as long as they say (RFC 2181 section 8, RFC 2308).
 *
 * Pure: time is an argument.  Whole messages are kept and come back with every TTL lowered by the
 * age.
 * Bounded in bytes; the least recently used go first.  An answer whose time is over stays
 * CACHE_STALE_S longer for the case that no upstream answers (RFC 8767). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/time.h"

#define CACHE_STALE_S        30
#define CACHE_TTL_MAX_S      86400 /* a day; RFC 8767 section 4 asks for a cap */
#define CACHE_NEGATIVE_MAX_S 10800 /* three hours, RFC 2308 section 5 */
#define CACHE_KEY_MAX        272   /* name, type, class, what changes the answer, who was asked */

struct cache;

/* @bytes_max 0: keeps nothing. */
struct cache *cache_new(size_t bytes_max);
void cache_free(struct cache *cache);

/* Keep the reply @msg under @key if it may be kept: NOERROR or NXDOMAIN, not truncated,
 * well-formed, with a TTL above 0, negative ones with their SOA.  True when it is kept now. */
bool cache_put(struct cache *cache, const uint8_t *key, size_t key_n, const uint8_t *msg, size_t n,
	       struct jaco_time now);

/* Copy the answer into @out, age it and take its AA bit away; 0 when there is none (or it is longer
 * than @cap).
 * @want_stale  also one whose time is over by at most CACHE_STALE_S; its TTLs are then 1 */
size_t cache_get(struct cache *cache, const uint8_t *key, size_t key_n, bool want_stale,
		 uint8_t *out, size_t cap, struct jaco_time now);

size_t cache_bytes(const struct cache *cache);
size_t cache_count(const struct cache *cache);
