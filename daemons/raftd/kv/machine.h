/* SPDX-License-Identifier: Apache-2.0
 *
 * machine.h - the replicated state machine: transactions in, one revision each.
 *
 * Pure over a space: no clock, no randomness, no configuration, so that equal logs give equal
 * states on every node and version.  The revision of a change is the index of its log entry.
 *
 * When a call fails (<0) the storage under it failed half-way: the process starts again from the
 * last durable index and replays the log. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/raftd/kv/digest.h"
#include "daemons/raftd/kv/space.h"
#include "daemons/raftd/kv/trail.h"
#include "daemons/raftd/kv/txn.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

/* Outcomes of identified requests are remembered over this many revisions: at 10,000 writes a
 * second still far longer than the 10 s a client retries.  Faster writers than that are why a retry
 * says since when it may have been applied (machine_remembers). */
#define MACHINE_REQUEST_MEMORY 200000

/* Is a request that was first made after revision @since, if it was applied, still remembered when
 * an entry at @index is applied? */
static inline bool machine_remembers(uint64_t since, uint64_t index)
{
	return index <= since || index - since <= MACHINE_REQUEST_MEMORY;
}

struct machine_change {
	struct kv_bytes key;
	struct kv_bytes value; /* without the revision; .data NULL when deleted */
	uint64_t revision;
};

/* Called for each change in order; what it is given is borrowed for the call. */
typedef void machine_on_change(void *ctx, const struct machine_change *change);

struct machine_result {
	bool is_committed;     /* all compares held */
	uint64_t revision;     /* where it was applied or refused */
	size_t failed_compare; /* when refused: index into the request's compares */
	uint64_t actual;       /* when refused: the key's revision then, 0 = absent */
	bool is_repeat;        /* a remembered outcome; nothing was applied now */
};

struct machine {
	struct kv_space *space;
	uint64_t applied; /* index of the last entry that took effect */
	uint64_t n_keys;
	uint64_t oldest_request; /* no request from before that revision is remembered */
	struct digest digest;
	struct trail *trail; /* the owner's, told of every entry; may be NULL */
	struct jaco_buf scratch;
	machine_on_change *on_change; /* may be NULL */
	void *on_change_ctx;
};

/* Continue from what the space holds (an empty space: applied 0). */
int machine_open(struct machine *machine, struct kv_space *space, struct jaco_err *err);
void machine_fini(struct machine *machine);

/* The record in KV_TABLE_META that machine_save() writes: is @key its name; what @stored says, into
 * applied, n_keys and digest.  Errors: INTERNAL - damaged. */
bool machine_is_header(struct kv_bytes key);
int machine_load(struct machine *machine, struct kv_bytes stored, struct jaco_err *err);
#define machine_cleanup machine_fini

/* Apply the entry at @index, which must be applied + 1.  A damaged entry is an error. */
int machine_apply(struct machine *machine, uint64_t index, struct kv_bytes entry,
		  struct jaco_arena *arena, struct machine_result *out_result,
		  struct jaco_err *err);

/* The entry at @index is not a transaction (a leader's first entry, a membership change). */
void machine_skip(struct machine *machine, uint64_t index);

/* Put applied index, digest and counts into the space, so that they commit with the data. */
int machine_save(struct machine *machine, struct jaco_err *err);

/* 1 and the value, or 0.  Borrowed until the next apply. */
int machine_get(struct machine *machine, struct kv_bytes key, struct kv_bytes *out_value,
		uint64_t *out_revision, struct jaco_err *err);

/* The first key that begins with @prefix and is > @after (all of it when @after.n is 0).
 * 1 found, 0 none. */
int machine_next(struct machine *machine, struct kv_bytes prefix, struct kv_bytes after,
		 struct machine_change *out_pair, struct jaco_err *err);

/* A stored pair as snapshots carry it, table included. */
int machine_load_pair(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		      struct kv_bytes stored, struct jaco_err *err);

/* Recompute digest and count from the data and compare.  Errors: INTERNAL - they differ. */
int machine_verify(struct machine *machine, struct jaco_err *err);

#define KV_TEXT(text) ((struct kv_bytes){.data = (text), .n = strlen(text)})
bool kv_bytes_start(struct kv_bytes bytes, struct kv_bytes prefix);
int kv_bytes_compare(struct kv_bytes a, struct kv_bytes b);
