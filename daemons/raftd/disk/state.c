/* SPDX-License-Identifier: Apache-2.0
 *
 * state.c - LMDB: three databases in one file, one long-lived write transaction.
 *
 * The map is reserved address space, not memory or disk; the file grows as it is used. */
#include "daemons/raftd/disk/state.h"

#include <lmdb.h>
#include <string.h>
#include <unistd.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/fault.h"

#define MAP_BYTES (sizeof(void *) > 4 ? 16ull << 30 : 1ull << 30)

static const char *const table_names[KV_TABLE_END] = {
	[KV_TABLE_DATA] = "data", [KV_TABLE_REQUEST] = "request", [KV_TABLE_META] = "meta"};

static int fail(struct jaco_err *err, int code, const char *what)
{
	return jaco_err_set(err, JACO_INTERNAL, "state: %s: %s", what, mdb_strerror(code));
}

static MDB_val to_val(struct kv_bytes bytes)
{
	return (MDB_val){.mv_size = bytes.n, .mv_data = (void *)(uintptr_t)bytes.data};
}

static struct kv_bytes from_val(MDB_val val)
{
	return (struct kv_bytes){.data = val.mv_data, .n = val.mv_size};
}

static int state_get(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		     struct kv_bytes *out_value, struct jaco_err *err)
{
	struct state *state = (struct state *)space;
	MDB_val k = to_val(key), value;
	int rc = mdb_get(state->txn, state->tables[table], &k, &value);

	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return fail(err, rc, "reading");
	*out_value = from_val(value);
	return 1;
}

static int state_put(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		     struct kv_bytes value, struct jaco_err *err)
{
	struct state *state = (struct state *)space;
	MDB_val k = to_val(key), v = to_val(value);
	int rc = mdb_put(state->txn, state->tables[table], &k, &v, 0);

	return rc == 0 ? 1 : fail(err, rc, "writing");
}

static int state_del(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		     struct jaco_err *err)
{
	struct state *state = (struct state *)space;
	MDB_val k = to_val(key);
	int rc = mdb_del(state->txn, state->tables[table], &k, NULL);

	if (rc == MDB_NOTFOUND)
		return 0;
	return rc == 0 ? 1 : fail(err, rc, "deleting");
}

static int state_seek(struct kv_space *space, enum kv_table table, struct kv_bytes key, int is_after,
		      struct kv_bytes *out_key, struct kv_bytes *out_value, struct jaco_err *err)
{
	struct state *state = (struct state *)space;
	MDB_val wanted = to_val(key), k = wanted, value;
	int rc;

	if (!state->cursors[table]) {
		rc = mdb_cursor_open(state->txn, state->tables[table], &state->cursors[table]);
		if (rc != 0)
			return fail(err, rc, "opening a cursor");
	}
	rc = mdb_cursor_get(state->cursors[table], &k, &value,
			    key.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
	if (rc == 0 && is_after && k.mv_size == wanted.mv_size &&
	    memcmp(k.mv_data, wanted.mv_data, k.mv_size) == 0)
		rc = mdb_cursor_get(state->cursors[table], &k, &value, MDB_NEXT);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return fail(err, rc, "searching");
	*out_key = from_val(k);
	*out_value = from_val(value);
	return 1;
}

static const struct kv_space_ops state_ops = {
	.get = state_get, .put = state_put, .del = state_del, .seek = state_seek};

/* Cursors of a write transaction end with it. */
static void close_cursors(struct state *state)
{
	for (size_t t = 0; t < KV_TABLE_END; t++) {
		if (state->cursors[t])
			mdb_cursor_close(state->cursors[t]);
		state->cursors[t] = NULL;
	}
}

static int begin(struct state *state, struct jaco_err *err)
{
	int rc = mdb_txn_begin(state->env, NULL, 0, &state->txn);

	if (rc != 0)
		state->txn = NULL;
	return rc == 0 ? 0 : fail(err, rc, "beginning a transaction");
}

int state_open(struct state *state, const char *path, struct jaco_err *err)
{
	int rc;

	*state = (struct state){.space = {.ops = &state_ops}};
	rc = mdb_env_create(&state->env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(state->env, MAP_BYTES);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(state->env, KV_TABLE_END);
	/* read-ahead would only load pages that a random read does not want */
	if (rc == 0)
		rc = mdb_env_open(state->env, path, MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (rc != 0) {
		fail(err, rc, path);
		state_close(state);
		return -(int)err->code;
	}
	if (begin(state, err) < 0) {
		state_close(state);
		return -(int)err->code;
	}
	for (size_t t = 0; rc == 0 && t < KV_TABLE_END; t++)
		rc = mdb_dbi_open(state->txn, table_names[t], MDB_CREATE, &state->tables[t]);
	if (rc == 0) {
		rc = mdb_txn_commit(state->txn);
		state->txn = NULL;
	}
	if (rc != 0)
		fail(err, rc, path);
	if (rc != 0 || begin(state, err) < 0) {
		state_close(state);
		return -(int)err->code;
	}
	return 0;
}

void state_close(struct state *state)
{
	close_cursors(state);
	if (state->txn)
		mdb_txn_abort(state->txn);
	if (state->env)
		mdb_env_close(state->env);
	state->txn = NULL;
	state->env = NULL;
}

int state_commit(struct state *state, struct jaco_err *err)
{
	struct jaco_err again = JACO_ERR_INIT;
	int rc;

	JACO_ASSERT(state->txn);
	close_cursors(state);
	CHAOS(commit);
	if (CHAOS_FAIL(state_full)) {
		mdb_txn_abort(state->txn);
		rc = MDB_MAP_FULL;
	} else {
		rc = mdb_txn_commit(state->txn);
	}
	state->txn = NULL;
	CHAOS(commit);
	if (begin(state, &again) < 0) {
		*err = again;
		return -(int)err->code;
	}
	if (rc != 0)
		return jaco_err_set(err, JACO_UNAVAILABLE, "state: committing: %s",
				    mdb_strerror(rc));
	return 0;
}

int state_abort(struct state *state, struct jaco_err *err)
{
	close_cursors(state);
	if (state->txn)
		mdb_txn_abort(state->txn);
	return begin(state, err);
}

int state_clear(struct state *state, struct jaco_err *err)
{
	close_cursors(state);
	for (size_t t = 0; t < KV_TABLE_END; t++) {
		int rc = mdb_drop(state->txn, state->tables[t], 0);

		if (rc != 0)
			return fail(err, rc, "clearing");
	}
	return 0;
}

uint64_t state_bytes(const struct state *state)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(state->env, &info) != 0 || mdb_env_stat(state->env, &stat) != 0)
		return 0;
	return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

int state_snapshot_open(struct state *state, struct state_snapshot *out_snapshot,
			struct jaco_err *err)
{
	int rc;

	*out_snapshot = (struct state_snapshot){.state = state};
	rc = mdb_txn_begin(state->env, NULL, MDB_RDONLY, &out_snapshot->txn);
	return rc == 0 ? 0 : fail(err, rc, "opening a snapshot");
}

int state_snapshot_next(struct state_snapshot *snapshot, enum kv_table *out_table,
			struct kv_bytes *out_key, struct kv_bytes *out_stored, struct jaco_err *err)
{
	MDB_val key, value;
	int rc;

	for (; snapshot->table < KV_TABLE_END; snapshot->table++) {
		if (!snapshot->cursor) {
			rc = mdb_cursor_open(snapshot->txn, snapshot->state->tables[snapshot->table],
					     &snapshot->cursor);
			if (rc != 0)
				return fail(err, rc, "reading a snapshot");
		}
		rc = mdb_cursor_get(snapshot->cursor, &key, &value, MDB_NEXT);
		if (rc == 0) {
			*out_table = snapshot->table;
			*out_key = from_val(key);
			*out_stored = from_val(value);
			return 1;
		}
		mdb_cursor_close(snapshot->cursor);
		snapshot->cursor = NULL;
		if (rc != MDB_NOTFOUND)
			return fail(err, rc, "reading a snapshot");
	}
	return 0;
}

void state_snapshot_close(struct state_snapshot *snapshot)
{
	if (snapshot->cursor)
		mdb_cursor_close(snapshot->cursor);
	if (snapshot->txn)
		mdb_txn_abort(snapshot->txn);
	snapshot->cursor = NULL;
	snapshot->txn = NULL;
}
