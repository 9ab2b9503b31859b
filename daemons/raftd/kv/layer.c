/* SPDX-License-Identifier: Apache-2.0
 *
 * layer.c - one skip list per table (W. Pugh, 1990), all memory from one arena. */
#include "daemons/raftd/kv/layer.h"

#include <string.h>

#include "daemons/raftd/kv/machine.h"
#include "libjaco/base/random.h"

/* The link out of @pair at @level; NULL is before the first one. */
static struct layer_pair **link_of(struct layer *layer, enum kv_table table,
				   struct layer_pair *pair, size_t level)
{
	if (!pair)
		return &layer->heads[table][level];
	return level == 0 ? &pair->next : &pair->higher[level - 1];
}

/* The last pair before @key on each level. */
static void find_before(struct layer *layer, enum kv_table table, struct kv_bytes key,
			bool is_after, struct layer_pair *out_before[static LAYER_HEIGHT])
{
	struct layer_pair *at = NULL;

	for (size_t level = LAYER_HEIGHT; level-- > 0;) {
		struct layer_pair *next;

		while ((next = *link_of(layer, table, at, level))) {
			int rc = kv_bytes_compare(next->key, key);

			if (rc > 0 || (rc == 0 && !is_after))
				break;
			at = next;
		}
		out_before[level] = at;
	}
}

const struct layer_pair *layer_seek(const struct layer *layer, enum kv_table table,
				    struct kv_bytes key, bool is_after)
{
	struct layer *unchanged = (struct layer *)(uintptr_t)layer;
	struct layer_pair *before[LAYER_HEIGHT];

	find_before(unchanged, table, key, is_after, before);
	return *link_of(unchanged, table, before[0], 0);
}

const struct layer_pair *layer_find(const struct layer *layer, enum kv_table table,
				    struct kv_bytes key)
{
	const struct layer_pair *pair = layer_seek(layer, table, key, false);

	return pair && kv_bytes_compare(pair->key, key) == 0 ? pair : NULL;
}

/* Every level holds a quarter of the one below. */
static size_t throw_height(struct layer *layer)
{
	uint64_t dice = jaco_prng_next(&layer->dice);
	size_t height = 1;

	while (height < LAYER_HEIGHT && (dice & 3) == 0) {
		height++;
		dice >>= 2;
	}
	return height;
}

static struct layer_pair *find_or_add(struct layer *layer, enum kv_table table, struct kv_bytes key)
{
	struct layer_pair *before[LAYER_HEIGHT], *pair;
	size_t height;

	find_before(layer, table, key, false, before);
	pair = *link_of(layer, table, before[0], 0);
	if (pair && kv_bytes_compare(pair->key, key) == 0)
		return pair;
	height = throw_height(layer);
	pair = jaco_arena_alloc(&layer->arena,
				sizeof(*pair) + (height - 1) * sizeof(struct layer_pair *));
	pair->key = (struct kv_bytes){jaco_arena_memdup(&layer->arena, key.data, key.n), key.n};
	for (size_t level = 0; level < height; level++) {
		struct layer_pair **link = link_of(layer, table, before[level], level);

		*link_of(layer, table, pair, level) = *link;
		*link = pair;
	}
	layer->n++;
	return pair;
}

void layer_put(struct layer *layer, enum kv_table table, struct kv_bytes key, struct kv_bytes value)
{
	struct layer_pair *pair = find_or_add(layer, table, key);
	char *room = (char *)(uintptr_t)pair->value.data;

	if (!room || pair->room < value.n) {
		room = jaco_arena_alloc(&layer->arena, value.n);
		pair->room = value.n;
	}
	if (value.n)
		memmove(room, value.data, value.n);
	pair->value = (struct kv_bytes){room, value.n};
	pair->is_removed = false;
}

void layer_remove(struct layer *layer, enum kv_table table, struct kv_bytes key)
{
	find_or_add(layer, table, key)->is_removed = true;
}

void layer_underlay(struct layer *layer, const struct layer *from)
{
	for (enum kv_table table = 0; table < KV_TABLE_END; table++) {
		for (const struct layer_pair *pair = from->heads[table][0]; pair;
		     pair = pair->next) {
			if (layer_find(layer, table, pair->key))
				continue;
			if (pair->is_removed)
				layer_remove(layer, table, pair->key);
			else
				layer_put(layer, table, pair->key, pair->value);
		}
	}
}

size_t layer_bytes(const struct layer *layer)
{
	return layer->arena.used_bytes;
}

void layer_init(struct layer *layer)
{
	*layer = (struct layer){.arena = JACO_ARENA_INIT, .dice = 1};
}

void layer_fini(struct layer *layer)
{
	jaco_arena_fini(&layer->arena);
	layer_init(layer);
}
