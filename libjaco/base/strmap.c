/* SPDX-License-Identifier: Apache-2.0
 *
 * strmap.c - see strmap.h. */
#include "libjaco/base/strmap.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"

#define SLOTS_MIN 16

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static uint64_t load(const uint8_t *bytes, size_t n)
{
	uint64_t word = 0;

	for (size_t i = 0; i < n; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

static void sip_word(uint64_t v[static 4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t jaco_siphash(const uint64_t seed[static 2], const void *data, size_t n)
{
	const uint8_t *bytes = data;
	uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
			 seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
	size_t at = 0;

	for (; n - at >= 8; at += 8)
		sip_word(v, load(bytes + at, 8));
	sip_word(v, load(bytes + at, n - at) | (uint64_t)n << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct jaco_strmap_slot *slot_of(const struct jaco_strmap *map, uint64_t hash,
					const char *key)
{
	size_t i = hash & (map->n_slots - 1);

	while (map->slots[i].key &&
	       (map->slots[i].hash != hash || strcmp(map->slots[i].key, key) != 0))
		i = (i + 1) & (map->n_slots - 1);
	return &map->slots[i];
}

static uint64_t hash_of(const struct jaco_strmap *map, const char *key)
{
	return jaco_siphash(map->seed, key, strlen(key));
}

void *jaco_strmap_find(const struct jaco_strmap *map, const char *key)
{
	return map->n == 0 ? NULL : slot_of(map, hash_of(map, key), key)->value;
}

static void grow(struct jaco_strmap *map)
{
	struct jaco_strmap bigger = *map;

	if (map->n_slots == 0)
		jaco_random_bytes(bigger.seed, sizeof(bigger.seed));
	bigger.n_slots = map->n_slots ? 2 * map->n_slots : SLOTS_MIN;
	bigger.slots = jaco_alloc_n(bigger.n_slots, sizeof(*bigger.slots));
	for (size_t i = 0; i < map->n_slots; i++)
		if (map->slots[i].key)
			*slot_of(&bigger, map->slots[i].hash, map->slots[i].key) = map->slots[i];
	jaco_free(map->slots);
	*map = bigger;
}

void jaco_strmap_put(struct jaco_strmap *map, const char *key, void *value)
{
	struct jaco_strmap_slot *slot;
	uint64_t hash;

	JACO_ASSERT(value);
	if (2 * (map->n + 1) > map->n_slots)
		grow(map);
	hash = hash_of(map, key);
	slot = slot_of(map, hash, key);
	map->n += slot->key == NULL;
	*slot = (struct jaco_strmap_slot){slot->key ? slot->key : key, value, hash};
}

void jaco_strmap_fini(struct jaco_strmap *map)
{
	jaco_free(map->slots);
	*map = JACO_STRMAP_INIT;
}
