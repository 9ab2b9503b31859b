/* SPDX-License-Identifier: Apache-2.0
 *
 * space.h - the ordered byte-string maps that the state machine lives in.
 *
 * An interface, so that the same state machine runs over LMDB in production (disk/state.c) and over
 * plain memory in tests and in the simulator (memspace.c).  Keys order as memcmp does, shorter
 * first.  What get() and seek() return is borrowed until the next put() or del(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"

enum kv_table {
	KV_TABLE_DATA,    /* key -> revision and value */
	KV_TABLE_REQUEST, /* request id -> outcome, and the order they came in */
	KV_TABLE_META,    /* what the machine itself must remember across a restart */
	KV_TABLE_END
};

struct kv_bytes {
	const void *data;
	size_t n;
};

struct kv_space;

/* 1 found or removed, 0 absent, <0 the storage failed (the process starts again and replays the
 * log). */
struct kv_space_ops {
	int (*get)(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		   struct kv_bytes *out_value, struct jaco_err *err);
	int (*put)(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		   struct kv_bytes value, struct jaco_err *err);
	int (*del)(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		   struct jaco_err *err);

	/* The first pair whose key is >= @key, or > @key when @is_after. */
	int (*seek)(struct kv_space *space, enum kv_table table, struct kv_bytes key, int is_after,
		    struct kv_bytes *out_key, struct kv_bytes *out_value, struct jaco_err *err);
};

struct kv_space {
	const struct kv_space_ops *ops;
};
