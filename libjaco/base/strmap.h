/* SPDX-License-Identifier: Apache-2.0
 *
 * strmap.h - a map from text to a pointer for keys that a stranger chooses.
 *
 * The hash is SipHash-2-4 under a key of its own for each map: who writes the keys cannot make them
 * meet, so n of them cost n look-ups and not their square.  What comes out never depends on it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct jaco_strmap_slot {
	const char *key; /* NULL: free */
	void *value;
	uint64_t hash;
};

/* Open addressing, at most half full; zero-initialized: empty. */
struct jaco_strmap {
	struct jaco_strmap_slot *slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t n;
	uint64_t seed[2];
};

#define JACO_STRMAP_INIT ((struct jaco_strmap){.slots = NULL})

/* NULL when @key is not there. */
void *jaco_strmap_find(const struct jaco_strmap *map, const char *key);

/* Add @key or replace its value.  The key is borrowed while the map lives; @value is not NULL. */
void jaco_strmap_put(struct jaco_strmap *map, const char *key, void *value);

/* Free the table; keys and values are the caller's. */
void jaco_strmap_fini(struct jaco_strmap *map);
#define jaco_strmap_cleanup jaco_strmap_fini

/* SipHash-2-4 of @n bytes under the key @seed (Aumasson and Bernstein, 2012). */
uint64_t jaco_siphash(const uint64_t seed[static 2], const void *data, size_t n);
