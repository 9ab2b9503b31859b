/* SPDX-License-Identifier: Apache-2.0
 *
 * state.c - LMDB: three databases in one file, one long-lived reading transaction, two layers.
 *
 * A read asks the newest layer first.  LMDB is never written without a flush (MDB_NOSYNC and its
 * kind would leave a damaged file after a power cut); the thread is what takes it off the path.
 *
 * The map is reserved address space, not memory or disk; the file grows as it is used. */
#include "daemons/raftd/disk/state.h"

#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemons/raftd/disk/mapped.h"
#include "daemons/raftd/kv/machine.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/fault.h"

#define PAGE_BYTES 4096u /* LMDB's, of most kernels */
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

/* --- the space --- */

/* The newest layer that knows @key; NULL: LMDB has to be asked. */
static const struct layer_pair *find_layered(const struct state *state, enum kv_table table,
					     struct kv_bytes key)
{
	const struct layer_pair *pair = NULL;

	if (!state->is_loading)
		pair = layer_find(state->fresh, table, key);
	if (!pair && state->going)
		pair = layer_find(state->going, table, key);
	return pair;
}

static int state_get(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		     struct kv_bytes *out_value, struct jaco_err *err)
{
	struct state *state = (struct state *)space;
	const struct layer_pair *pair = find_layered(state, table, key);
	MDB_val k = to_val(key), value;
	int rc;

	if (pair) {
		*out_value = pair->value;
		return !pair->is_removed;
	}
	rc = mdb_get(state->txn, state->tables[table], &k, &value);
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
	int rc;

	if (!state->is_loading) {
		layer_put(state->fresh, table, key, value);
		return 1;
	}
	/* what is loaded comes in order mostly, and fills its pages when LMDB knows */
	rc = mdb_put(state->txn, state->tables[table], &k, &v, MDB_APPEND);
	if (rc == MDB_KEYEXIST)
		rc = mdb_put(state->txn, state->tables[table], &k, &v, 0);
	return rc == 0 ? 1 : fail(err, rc, "writing");
}

static int state_del(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		     struct jaco_err *err)
{
	struct state *state = (struct state *)space;
	struct kv_bytes value;
	int rc = state_get(space, table, key, &value, err);
	MDB_val k = to_val(key);

	if (rc <= 0)
		return rc;
	if (!state->is_loading) {
		layer_remove(state->fresh, table, key);
		return 1;
	}
	rc = mdb_del(state->txn, state->tables[table], &k, NULL);
	return rc == 0 ? 1 : fail(err, rc, "deleting");
}

/* LMDB's next pair.  1, 0 at the end. */
static int seek_file(struct state *state, enum kv_table table, struct kv_bytes key, bool is_after,
		     struct kv_bytes *out_key, struct kv_bytes *out_value, struct jaco_err *err)
{
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

/* @pair comes before the best so far, or is the newer truth about the same key: newer layers are
 * asked later. */
static bool is_better(const struct layer_pair *pair, bool has_best, struct kv_bytes best)
{
	return pair && (!has_best || kv_bytes_compare(pair->key, best) <= 0);
}

static int state_seek(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		      int is_after, struct kv_bytes *out_key, struct kv_bytes *out_value,
		      struct jaco_err *err)
{
	struct state *state = (struct state *)space;
	const struct layer *layers[] = {state->going, state->is_loading ? NULL : state->fresh};

	for (;;) {
		struct kv_bytes best = {.n = 0}, value = {.n = 0};
		int rc = seek_file(state, table, key, is_after, &best, &value, err);
		bool is_removed = false;

		for (size_t i = 0; rc >= 0 && i < JACO_ARRAY_SIZE(layers); i++) {
			const struct layer_pair *pair =
				layers[i] ? layer_seek(layers[i], table, key, is_after) : NULL;

			if (!is_better(pair, rc > 0, best))
				continue;
			best = pair->key;
			value = pair->value;
			is_removed = pair->is_removed;
			rc = 1;
		}
		if (rc <= 0)
			return rc;
		if (!is_removed) {
			*out_key = best;
			*out_value = value;
			return 1;
		}
		key = best;
		is_after = true;
	}
}

static const struct kv_space_ops state_ops = {
	.get = state_get, .put = state_put, .del = state_del, .seek = state_seek};

/* --- transactions --- */

static void close_cursors(struct state *state)
{
	for (size_t t = 0; t < KV_TABLE_END; t++) {
		if (state->cursors[t])
			mdb_cursor_close(state->cursors[t]);
		state->cursors[t] = NULL;
	}
}

static void end_txn(struct state *state)
{
	close_cursors(state);
	if (state->txn)
		mdb_txn_abort(state->txn);
	state->txn = NULL;
	state->is_loading = false;
}

static int begin(struct state *state, unsigned flags, struct jaco_err *err)
{
	int rc;

	end_txn(state);
	rc = mdb_txn_begin(state->env, NULL, flags, &state->txn);
	if (rc != 0)
		state->txn = NULL;
	return rc == 0 ? 0 : fail(err, rc, "beginning a transaction");
}

static int open_tables(struct state *state, const char *path, struct jaco_err *err)
{
	int rc = begin(state, 0, err);

	if (rc < 0)
		return rc;
	for (size_t t = 0; rc == 0 && t < KV_TABLE_END; t++)
		rc = mdb_dbi_open(state->txn, table_names[t], MDB_CREATE, &state->tables[t]);
	if (rc == 0) {
		rc = mdb_txn_commit(state->txn);
		state->txn = NULL;
	}
	return rc == 0 ? begin(state, MDB_RDONLY, err) : fail(err, rc, path);
}

/* LMDB does not say where its map is; the kernel does (proc(5), /proc/pid/maps). */
static void find_map(struct state *state)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[1024];
	struct stat st;
	int fd = -1;

	if (mdb_env_get_fd(state->env, &fd) != 0 || fstat(fd, &st) < 0)
		fd = -1;
	while (fd >= 0 && file && !state->map && fgets(line, sizeof(line), file)) {
		unsigned long begin, end, inode;
		unsigned major, minor;

		if (sscanf(line, "%lx-%lx %*s %*s %x:%x %lu", &begin, &end, &major, &minor,
			   &inode) != 5 ||
		    inode != st.st_ino || makedev(major, minor) != st.st_dev)
			continue;
		state->map = (void *)(uintptr_t)begin;
		state->map_bytes = end - begin;
	}
	if (file)
		(void)fclose(file);
}

int state_open(struct state *state, const char *path, struct jaco_err *err)
{
	int rc;

	*state = (struct state){.space = {.ops = &state_ops}, .job = {.fd = -1}};
	for (size_t i = 0; i < JACO_ARRAY_SIZE(state->layers); i++)
		layer_init(&state->layers[i]);
	state->fresh = &state->layers[0];
	rc = mdb_env_create(&state->env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(state->env, MAP_BYTES);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(state->env, KV_TABLE_END);
	/* read-ahead would only load pages that a random read does not want */
	if (rc == 0)
		rc = mdb_env_open(state->env, path, MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (rc == 0) {
		find_map(state);
		if (state->map)
			mapped_guard(state->map, state->map_bytes, path);
	}
	if (rc != 0)
		fail(err, rc, path);
	if (rc != 0 || job_open(&state->job, err) < 0 || open_tables(state, path, err) < 0) {
		state_close(state);
		return -(int)err->code;
	}
	return 0;
}

void state_close(struct state *state)
{
	job_close(&state->job);
	end_txn(state);
	if (state->map)
		mapped_release(state->map);
	if (state->env)
		mdb_env_close(state->env);
	state->env = NULL;
	state->going = NULL;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(state->layers); i++)
		layer_fini(&state->layers[i]);
}

/* --- committing --- */

static int put_layer(const struct state *state, MDB_txn *txn)
{
	int rc = 0;

	for (enum kv_table table = 0; table < KV_TABLE_END; table++) {
		const struct layer_pair *pair = state->going->heads[table][0];

		for (; rc == 0 && pair; pair = pair->next) {
			MDB_val key = to_val(pair->key), value = to_val(pair->value);

			if (!pair->is_removed)
				rc = mdb_put(txn, state->tables[table], &key, &value, 0);
			else
				rc = mdb_del(txn, state->tables[table], &key, NULL);
			if (pair->is_removed && rc == MDB_NOTFOUND)
				rc = 0; /* it came and went between two commits */
		}
	}
	return rc;
}

static int commit_txn(MDB_txn *txn)
{
	int rc;

	CHAOS(commit);
	if (CHAOS_FAIL(state_full)) {
		mdb_txn_abort(txn);
		return MDB_MAP_FULL;
	}
	rc = mdb_txn_commit(txn);
	CHAOS(commit);
	return rc;
}

/* Pages of the file that a commit has touched would stay in this process until the machine is short
 * of memory: given back, the few that are read again come from the page cache. */
static void trim(struct state *state)
{
	if (state->map)
		(void)madvise(state->map, state->map_bytes, MADV_DONTNEED);
}

/* In the job's thread. */
static void commit_layer(void *ctx)
{
	struct state *state = ctx;
	MDB_txn *txn;
	int rc = mdb_txn_begin(state->env, NULL, 0, &txn);

	if (rc == 0) {
		rc = put_layer(state, txn);
		if (rc == 0)
			rc = commit_txn(txn);
		else
			mdb_txn_abort(txn);
	}
	state->commit_code = rc;
	trim(state);
}

static int committed(int code, struct jaco_err *err)
{
	return code == 0 ? 1 : jaco_err_set(err, JACO_UNAVAILABLE, "state: committing: %s",
					    mdb_strerror(code));
}

static void freeze(struct state *state)
{
	JACO_ASSERT(!state->going && !state->is_loading);
	state->going = state->fresh;
	state->fresh = state->going == &state->layers[0] ? &state->layers[1] : &state->layers[0];
}

/* The job is done with state->going. */
static int thaw(struct state *state, struct jaco_err *err)
{
	if (state->commit_code != 0)
		layer_underlay(state->fresh, state->going);
	layer_fini(state->going);
	state->going = NULL;
	if (begin(state, MDB_RDONLY, err) < 0)
		return -(int)err->code;
	return committed(state->commit_code, err);
}

int state_commit_start(struct state *state, struct jaco_err *err)
{
	freeze(state);
	if (job_start(&state->job, commit_layer, state, err) >= 0)
		return 0;
	layer_underlay(state->fresh, state->going);
	layer_fini(state->going);
	state->going = NULL;
	return -(int)err->code;
}

int state_commit_end(struct state *state, bool is_waiting, struct jaco_err *err)
{
	return job_take(&state->job, is_waiting) ? thaw(state, err) : 0;
}

bool state_is_committing(const struct state *state)
{
	return state->going != NULL;
}

int state_commit(struct state *state, struct jaco_err *err)
{
	struct jaco_err before = JACO_ERR_INIT; /* what failed before is tried again now */

	if (state->is_loading) {
		MDB_txn *txn = state->txn;
		int code;

		close_cursors(state);
		state->txn = NULL;
		code = commit_txn(txn);
		if (begin(state, MDB_RDONLY, err) < 0)
			return -(int)err->code;
		return committed(code, err) < 0 ? -(int)err->code : 0;
	}
	(void)state_commit_end(state, true, &before);
	freeze(state);
	commit_layer(state);
	return thaw(state, err) < 0 ? -(int)err->code : 0;
}

size_t state_unsaved_bytes(const struct state *state)
{
	return layer_bytes(state->fresh);
}

size_t state_touched_bytes(const struct state *state)
{
	return state->fresh->n * 2 * PAGE_BYTES;
}

int state_abort(struct state *state, struct jaco_err *err)
{
	struct jaco_err ignored = JACO_ERR_INIT; /* it is thrown away as well */

	(void)state_commit_end(state, true, &ignored);
	layer_fini(state->fresh);
	return begin(state, MDB_RDONLY, err);
}

int state_clear(struct state *state, struct jaco_err *err)
{
	if (state_abort(state, err) < 0 || begin(state, 0, err) < 0)
		return -(int)err->code;
	state->is_loading = true;
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

/* LMDB keeps free pages in a table of its own, the first: the transaction that freed them, and how
 * many they are before their numbers. */
void state_room(const struct state *state, struct state_room *out_room)
{
	struct state_room room = {.used_bytes = state_bytes(state)};
	MDB_cursor *cursor;
	MDB_val key, pages;
	MDB_envinfo info;
	MDB_stat stat;

	*out_room = room;
	if (mdb_env_info(state->env, &info) != 0 || mdb_env_stat(state->env, &stat) != 0 ||
	    !state->txn || mdb_cursor_open(state->txn, 0, &cursor) != 0)
		return;
	while (mdb_cursor_get(cursor, &key, &pages, MDB_NEXT) == 0) {
		size_t freed_by, n;

		if (key.mv_size < sizeof(freed_by) || pages.mv_size < sizeof(n))
			break;
		memcpy(&freed_by, key.mv_data, sizeof(freed_by));
		memcpy(&n, pages.mv_data, sizeof(n));
		room.used_bytes -= JACO_MIN((uint64_t)n * stat.ms_psize, room.used_bytes);
		if (freed_by < info.me_last_txnid)
			room.free_bytes += (uint64_t)n * stat.ms_psize;
	}
	mdb_cursor_close(cursor);
	*out_room = room;
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
			rc = mdb_cursor_open(snapshot->txn,
					     snapshot->state->tables[snapshot->table],
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
