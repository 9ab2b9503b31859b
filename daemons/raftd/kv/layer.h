/* SPDX-License-Identifier: Apache-2.0
 *
 * layer.h - what changed in the maps of a space since some point: an ordered overlay, in memory.
 *
 * Pure.  A removed key is kept as such, so that it hides the same key of what lies below.  Reading
 * changes nothing: a layer that is not written may be read by two threads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemons/raftd/kv/space.h"
#include "libjaco/base/arena.h"

#define LAYER_HEIGHT 12

struct layer_pair {
	struct kv_bytes key;
	struct kv_bytes value;
	bool is_removed;
	size_t room;             /* for the value */
	struct layer_pair *next; /* in order of keys */
	struct layer_pair *higher[];
};

struct layer {
	struct jaco_arena arena; /* of all pairs; given back by layer_fini() only */
	struct layer_pair *heads[KV_TABLE_END][LAYER_HEIGHT];
	uint64_t dice;
	size_t n; /* pairs, removed ones too */
};

void layer_init(struct layer *layer);
void layer_fini(struct layer *layer);

/* Copies key and value. */
void layer_put(struct layer *layer, enum kv_table table, struct kv_bytes key,
	       struct kv_bytes value);
void layer_remove(struct layer *layer, enum kv_table table, struct kv_bytes key);

/* NULL: nothing is known here.  Borrowed until the layer is written. */
const struct layer_pair *layer_find(const struct layer *layer, enum kv_table table,
				    struct kv_bytes key);

/* The first pair, removed ones too, whose key is >= @key, or > @key when @is_after. */
const struct layer_pair *layer_seek(const struct layer *layer, enum kv_table table,
				    struct kv_bytes key, bool is_after);

/* Everything of @from that @layer does not know. */
void layer_underlay(struct layer *layer, const struct layer *from);

/* Memory held. */
size_t layer_bytes(const struct layer *layer);
