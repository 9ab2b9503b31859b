/* SPDX-License-Identifier: Apache-2.0
 *
 * state.h - the state machine's space in LMDB.
 *
 * What was committed last is read from the file.  What the machine wrote since is a layer of memory
 * over it, and a commit turns that layer into one LMDB transaction: in a thread of its own, while
 * the next layer grows, so that no caller waits for it.  The applied index is inside, so that a
 * restart opens the file and replays only the log behind it; the log keeps everything after that.
 *
 * When a commit fails (a full disk) nothing is lost: its layer goes back below the newer one and
 * the owner tries again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/raftd/disk/job.h"
#include "daemons/raftd/kv/layer.h"
#include "daemons/raftd/kv/space.h"
#include "libjaco/base/err.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

struct state {
	struct kv_space space; /* first */
	struct MDB_env *env;
	struct MDB_txn *txn; /* reads what is committed; is_loading: writes it */
	struct MDB_cursor *cursors[KV_TABLE_END]; /* of txn */
	unsigned tables[KV_TABLE_END];
	bool is_loading;     /* between state_clear() and its commit: no layers */
	struct layer layers[2];
	struct layer *fresh; /* written since the last commit began */
	struct layer *going; /* being committed: the job reads it, nobody writes it.  NULL: none */
	struct job job;
	int commit_code; /* of LMDB, set by the job */
	void *map;       /* where LMDB maps the file; NULL: not known */
	size_t map_bytes;
};

/* Open or create the database in directory @path. */
int state_open(struct state *state, const char *path, struct jaco_err *err);
void state_close(struct state *state);
#define state_cleanup state_close

/* Make everything written up to now durable and wait for it; one that is under way ends first.
 * Errors: UNAVAILABLE - it failed; what was not committed is still there and may be tried again. */
int state_commit(struct state *state, struct jaco_err *err);

/* The same beside the loop; what is written from now on belongs to the next commit.  state->job.fd
 * is readable when it is done.  None may be under way. */
int state_commit_start(struct state *state, struct jaco_err *err);

/* 1: the commit that was started is done; 0: it is not, or there is none.  @is_waiting: wait for
 * it.
 * Errors: as state_commit(). */
int state_commit_end(struct state *state, bool is_waiting, struct jaco_err *err);
bool state_is_committing(const struct state *state);

/* Memory that the next commit will give back. */
size_t state_unsaved_bytes(const struct state *state);

/* Throw away what was not committed, waiting for a commit that is under way. */
int state_abort(struct state *state, struct jaco_err *err);

/* Remove everything before a snapshot is loaded; until state_commit() or state_abort() writes go
 * to the file and not to memory, however many they are. */
int state_clear(struct state *state, struct jaco_err *err);

/* Bytes of the file that the next commit may have to write anew: a page for each pair and one more
 * when it is split. */
size_t state_touched_bytes(const struct state *state);

/* Bytes of the file in use. */
uint64_t state_bytes(const struct state *state);

/* What is in the file as it is committed. */
struct state_room {
	uint64_t used_bytes; /* pages that hold something */
	/* pages that the next commit may write; somebody reads the others */
	uint64_t free_bytes;
};

void state_room(const struct state *state, struct state_room *out_room);

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
			struct kv_bytes *out_key, struct kv_bytes *out_stored,
			struct jaco_err *err);
void state_snapshot_close(struct state_snapshot *snapshot);
