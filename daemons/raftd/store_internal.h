/* SPDX-License-Identifier: Apache-2.0
 *
 * store_internal.h - between the files of the store: what is on the disk beside the log, and when.
 *
 * store.c takes what the core wants done; store_open.c begins and ends, store_save.c commits the
 * state and shortens the log, store_snapshot.c sends and receives everything at once. */
#pragma once

#include "daemons/raftd/store.h"

/* --- store.c --- */

void store_init_timers(struct store *store);

/* Answer everybody who waits with @err. */
void store_fail_pending(struct store *store, const struct jaco_err *err);

/* --- store_open.c --- */

/* Where the log may begin, kept as "base" in LMDB's "meta" table.  It commits before the segments
 * behind it are removed, so the log always reaches back at least as far. */
struct store_base {
	uint64_t index;
	uint64_t term;
	uint64_t raft_id; /* of this node */
	struct core_conf conf; /* in force at index */
};

int store_base_put(struct state *state, const struct store_base *base, struct jaco_err *err);
int store_put_base(struct store *store, const struct store_base *base, struct jaco_err *err);

/* --- store_save.c --- */

/* Commit the state beside the loop, if there is anything to commit and none is under way. */
int store_save_begin(struct store *store, struct jaco_err *err);

/* Commit it now and wait. */
int store_save(struct store *store, struct jaco_err *err);

/* A transaction was applied: save before memory and replay grow too long. */
int store_save_if_due(struct store *store, struct jaco_err *err);

/* The state on the disk is another one now: the log leaves it the room it needs. */
void store_saved(struct store *store, uint64_t index);

/* Everything that is not committed was replaced: what was begun is of no interest. */
void store_save_forget(struct store *store);

void store_save_init(struct store *store);
void store_save_watch(struct store *store); /* once the state is open */
void store_save_fini(struct store *store);

/* --- store_snapshot.c --- */

/* Bytes of a snapshot that is arriving.  Not flushed: what a crash loses is sent again. */
int store_keep_chunk(struct store *store, const struct core_chunk *chunk, struct jaco_err *err);

/* No room for it: it is taken from its beginning when there may be some. */
void store_put_off(struct store *store, const struct jaco_err *why);

/* It is complete: take it for the state. */
int store_install(struct store *store, const struct core_chunk *chunk, struct jaco_err *err);

/* The last chunk makes the core replace everything: it has to be right before the core sees it. */
bool store_is_whole(struct store *store, const struct core_message *msg);

/* A member needs what is no longer in the log.  What fails is tried again some time later. */
void store_try_offer(struct store *store);

/* Files of a transfer that a crash ended: their room is needed. */
void store_drop_left_overs(struct store *store);
void store_drop_offer(struct store *store);

/* Fill in the data of a CORE_SNAP_REQ and send it. */
void store_send_chunk(struct store *store, const struct core_message *plan);
