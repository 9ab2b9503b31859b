/* SPDX-License-Identifier: Apache-2.0
 *
 * state.h - the state machine's space in LMDB.
 *
 * One write transaction stays open: the machine writes into it and everything reads from it.  It is
 * committed - flushed - every second or every few thousand entries by the owner, with the applied
 * index inside, so that a restart opens the file and replays only the log behind it.  The log keeps
 * everything after `durable`.
 *
 * When a commit fails (a full disk) the open transaction is gone: the owner replays the log from
 * `durable` into the new one, keeps serving reads and refuses writes until a commit succeeds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/raftd/kv/space.h"
#include "libjaco/base/err.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

struct state {
	struct kv_space space; /* first */
	struct MDB_env *env;
	struct MDB_txn *txn;
	struct MDB_cursor *cursors[KV_TABLE_END];
	unsigned tables[KV_TABLE_END];
};

/* Open or create the database in directory @path. */
int state_open(struct state *state, const char *path, struct jaco_err *err);
void state_close(struct state *state);
#define state_cleanup state_close

/* Make everything written since the last commit durable and go on in a new transaction.
 * Errors: UNAVAILABLE - it failed; what was not committed is gone from the space. */
int state_commit(struct state *state, struct jaco_err *err);

/* Throw away what was not committed. */
int state_abort(struct state *state, struct jaco_err *err);

/* Remove everything (before a snapshot is loaded); takes effect with the next commit. */
int state_clear(struct state *state, struct jaco_err *err);

/* Bytes of the file in use. */
uint64_t state_bytes(const struct state *state);

/* --- reading one committed revision while writes go on --- */

struct state_snapshot {
	struct MDB_txn *txn;
	struct MDB_cursor *cursor;
	const struct state *state;
	enum kv_table table;
};

/* The last committed state. */
int state_snapshot_open(struct state *state, struct state_snapshot *out_snapshot,
			struct jaco_err *err);

/* The next pair in order of table, key.  1, 0 at the end. */
int state_snapshot_next(struct state_snapshot *snapshot, enum kv_table *out_table,
			struct kv_bytes *out_key, struct kv_bytes *out_stored, struct jaco_err *err);
void state_snapshot_close(struct state_snapshot *snapshot);
