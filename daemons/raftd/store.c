/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c - collects the core's actions and performs them: write and flush, apply, answer.
 *
 * Under LMDB's "meta" table this file keeps "base": index, term and configuration at the point where
 * the log may begin.  It commits before the segments behind it are removed, so the log always
 * reaches back at least as far. */
#include "daemons/raftd/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemons/raftd/disk/snapfile.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"

#define BASE_HEAD_BYTES 24 /* index, term, raft id of this node */
#define RETRY_COMMIT_MS 1000
#define RETRY_POUR_MS   200
#define RETRY_SNAPSHOT_MS 2000
#define PUMP_ROUNDS     64
#define CHUNK_BYTES     (256 * 1024)

/* Machines that share processors with what they run hiccup; 250 ms of silence is no hiccup, and
 * leaves a failover at some 400 ms. */
#define ELECTION_MS  250
#define HEARTBEAT_MS 50

static void put_le(uint8_t *out, uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *in)
{
	uint64_t value = 0;

	for (size_t i = 0; i < 8; i++)
		value |= (uint64_t)in[i] << (8 * i);
	return value;
}

static int dir_of(char *out, size_t n, const char *dir, const char *name, struct jaco_err *err)
{
	if (!jaco_str_format(out, n, "%s/%s", dir, name))
		return jaco_err_set(err, JACO_INTERNAL, "data directory path is too long");
	return 0;
}

bool store_exists(const char *dir)
{
	char path[512];
	struct jaco_err err;

	return dir_of(path, sizeof(path), dir, "group", &err) == 0 && jaco_fs_exists(path);
}

/* --- base: where the log begins --- */

struct base {
	uint64_t index;
	uint64_t term;
	uint64_t raft_id;
	struct core_conf conf;
};

static int base_put(struct state *state, const struct base *base, struct jaco_err *err)
{
	uint8_t packed[BASE_HEAD_BYTES + CORE_CONF_PACKED_MAX];
	size_t n;

	put_le(packed, base->index);
	put_le(packed + 8, base->term);
	put_le(packed + 16, base->raft_id);
	n = core_conf_pack(&base->conf, packed + BASE_HEAD_BYTES);
	return state->space.ops->put(&state->space, KV_TABLE_META, KV_TEXT("base"),
				     (struct kv_bytes){packed, BASE_HEAD_BYTES + n}, err);
}

static int base_get(struct state *state, struct base *out_base, struct jaco_err *err)
{
	struct kv_bytes packed;
	int rc = state->space.ops->get(&state->space, KV_TABLE_META, KV_TEXT("base"), &packed, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || packed.n < BASE_HEAD_BYTES)
		return jaco_err_set(err, JACO_INTERNAL, "the state has no base record");
	*out_base = (struct base){.index = get_le(packed.data),
				  .term = get_le((const uint8_t *)packed.data + 8),
				  .raft_id = get_le((const uint8_t *)packed.data + 16)};
	return core_conf_unpack(&out_base->conf, (const uint8_t *)packed.data + BASE_HEAD_BYTES,
				packed.n - BASE_HEAD_BYTES, err);
}

/* What a creation left that did not get to its end. */
static int drop_half_made(const char *state_path, struct jaco_err *err)
{
	static const char *const names[] = {"data.mdb", "lock.mdb"};
	char path[512];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++) {
		if (dir_of(path, sizeof(path), state_path, names[i], err) < 0)
			return -(int)err->code;
		if (unlink(path) < 0 && errno != ENOENT)
			return jaco_err_errno(err, "%s", path);
	}
	return 0;
}

int store_create(const char *dir, uint64_t raft_id, bool is_founder, struct jaco_err *err)
{
	static const char *const names[] = {"wal", "state"};
	struct base base = {.raft_id = raft_id};
	struct state state;
	char path[512];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++)
		if (dir_of(path, sizeof(path), dir, names[i], err) < 0 ||
		    jaco_fs_mkdirs(path, 0700, err) < 0)
			return -(int)err->code;
	if (drop_half_made(path, err) < 0 || state_open(&state, path, err) < 0)
		return -(int)err->code;
	if ((is_founder && core_conf_set(&base.conf, raft_id, true, err) < 0) || base_put(&state, &base, err) < 0 ||
	    state_commit(&state, err) < 0) {
		state_close(&state);
		return -(int)err->code;
	}
	state_close(&state);
	/* LMDB flushes its file, not the file's name */
	if (jaco_fs_sync_dir(path, err) < 0 || dir_of(path, sizeof(path), dir, "group", err) < 0)
		return -(int)err->code;
	return jaco_fs_replace(path, "1\n", 2, 0600, err);
}

/* --- pending callers --- */

/* Callers get their answers only when the core may be called again: they may propose at once. */
static void fire(struct store_pendings *list, const struct jaco_err *err)
{
	struct store_pending *pending;

	while ((pending = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, pending, link);
		if (pending->ctx && pending->on_done)
			pending->on_done(pending->ctx, pending->is_decided ? &pending->result : NULL,
					 err);
		else if (pending->ctx)
			pending->on_read(pending->ctx, err);
		jaco_free(pending);
	}
}

static void forget(struct store_pendings *list, void *ctx)
{
	struct store_pending *pending;

	TAILQ_FOREACH (pending, list, link)
		if (pending->ctx == ctx)
			pending->ctx = NULL;
}

void store_forget(struct store *store, void *ctx)
{
	forget(&store->writes, ctx);
	forget(&store->reads, ctx);
	forget(&store->done, ctx);
}

static void settle_write(struct store *store, const struct core_entry *entry,
			 const struct machine_result *result)
{
	struct store_pending *pending;

	while ((pending = TAILQ_FIRST(&store->writes)) && pending->index <= entry->index) {
		pending->is_decided = pending->index == entry->index && pending->term == entry->term;
		pending->result = *result;
		TAILQ_REMOVE(&store->writes, pending, link);
		TAILQ_INSERT_TAIL(&store->done, pending, link);
	}
}

static void settle_reads(struct store *store, const struct core_read_answer *reads, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct store_pending *pending;

		TAILQ_FOREACH (pending, &store->reads, link)
			if (pending->index == reads[i].token)
				break;
		if (!pending)
			continue;
		pending->is_decided = reads[i].ok;
		TAILQ_REMOVE(&store->reads, pending, link);
		TAILQ_INSERT_TAIL(&store->done, pending, link);
	}
}

static void answer(struct store *store)
{
	struct jaco_err lost = JACO_ERR_INIT, fine = JACO_ERR_INIT;
	struct store_pending *pending;

	jaco_err_set(&lost, JACO_NO_LEADER,
		     "leadership was lost before it was confirmed; it may or may not have happened");
	while ((pending = TAILQ_FIRST(&store->done))) {
		TAILQ_REMOVE(&store->done, pending, link);
		if (pending->ctx && pending->on_done)
			pending->on_done(pending->ctx, pending->is_decided ? &pending->result : NULL,
					 pending->is_decided ? &fine : &lost);
		else if (pending->ctx)
			pending->on_read(pending->ctx, pending->is_decided ? &fine : &lost);
		jaco_free(pending);
	}
}

/* --- performing --- */

/* Bytes of a snapshot that is arriving.  Not flushed: what a crash loses is sent again. */
static int keep_chunk(struct store *store, const struct core_chunk *chunk, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = -1;
	char path[600];

	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.in", store->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (chunk->offset == 0 ? O_TRUNC : 0), 0600);
	if (fd < 0)
		return jaco_err_errno(err, "%s", path);
	CHAOS(snapshot_write);
	for (size_t at = 0; at < chunk->n_data;) {
		ssize_t n = pwrite(fd, chunk->data + at, chunk->n_data - at,
				   (off_t)(chunk->offset + at));

		if (n < 0 && errno != EINTR)
			return jaco_err_errno(err, "%s", path);
		at += n > 0 ? (size_t)n : 0;
	}
	CHAOS(snapshot_write);
	return 0;
}

/* No room for a snapshot: it is taken from its beginning when there may be some. */
static void put_off(struct store *store, const struct jaco_err *why)
{
	char path[600];

	JACO_LOG_FAILURE(JACO_LOG_ERR, "a snapshot of the leader's waits for room", why);
	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.in", store->dir);
	(void)unlink(path);
	core_arriving_failed(store->core);
	store->snapshots_from = jaco_time_add_ms(jaco_loop_now(store->loop), RETRY_SNAPSHOT_MS);
}

/* The state commits before the log is emptied: start_core() finishes what a crash between the two
 * left. */
static int install(struct store *store, const struct core_chunk *chunk, struct jaco_err *err)
{
	struct base base = {.index = chunk->index, .term = chunk->term, .raft_id = store->raft_id,
			    .conf = chunk->conf};
	char path[600];

	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.in", store->dir);
	if (snapfile_load(path, &store->state, err) < 0 || base_put(&store->state, &base, err) < 0 ||
	    state_commit(&store->state, err) < 0 ||
	    machine_open(&store->machine, &store->state.space, err) < 0)
		return -(int)err->code;
	(void)unlink(path);
	if (store->machine.applied != chunk->index)
		return jaco_err_set(err, JACO_INTERNAL, "the snapshot is at %llu and not at %llu",
				    (unsigned long long)store->machine.applied,
				    (unsigned long long)chunk->index);
	store->durable_applied = store->machine.applied;
	jaco_log_notice("state replaced by the leader's snapshot", KV_INT(index, chunk->index));
	return 0;
}

static int commit_state(struct store *store, struct jaco_err *err);

/* 1 everything up to write->seq is stored, 0 some of it waits for room. */
static int write_out(struct store *store, const struct core_write *write,
		     const struct core_chunk *chunk, struct jaco_err *err)
{
	bool is_first;
	int rc;

	if (write->hard && hard_save(&store->hard, write->term, write->vote, err) < 0)
		return -(int)err->code;
	if (chunk && !chunk->install && keep_chunk(store, chunk, err) < 0)
		put_off(store, err);
	if (chunk && chunk->install &&
	    (keep_chunk(store, chunk, err) < 0 || install(store, chunk, err) < 0))
		return -(int)err->code;
	if (write->reset) {
		hold_clear(&store->hold); /* the snapshot is newer */
		if (wal_reset(&store->wal, chunk->index, chunk->term, err) < 0)
			return -(int)err->code;
	}
	is_first = hold_is_empty(&store->hold);
	rc = hold_write(&store->hold, &store->wal, write, err);
	if (rc == 0 && is_first) {
		jaco_log_err("no room for the log: what the leader sends waits",
			     KV_INT(index, store->wal.last_index));
		jaco_timer_arm(&store->pour, 0);
	}
	return rc;
}

/* There may be room now: the state is saved, which frees old segments, then what waits is stored. */
static void on_pour(struct jaco_timer *timer, void *ctx)
{
	struct store *store = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t seq;

	if (hold_is_empty(&store->hold))
		return;
	if (commit_state(store, &err) < 0 ||
	    hold_pour(&store->hold, &store->wal, &seq, &err) < 0) {
		jaco_loop_fail(store->loop, &err);
		return;
	}
	if (seq != 0)
		core_durable(store->core, seq);
	if (hold_is_empty(&store->hold))
		jaco_log_notice("there is room for the log again");
	else
		jaco_timer_arm(timer, RETRY_POUR_MS);
	jaco_timer_arm_if_idle(&store->pump, 0);
}

static int apply_one(struct store *store, const struct core_entry *entry,
		     struct machine_result *out_result, struct jaco_err *err)
{
	int rc = 0;

	*out_result = (struct machine_result){.revision = entry->index};
	switch (entry->kind) {
	case CORE_ENTRY_DATA:
		rc = machine_apply(&store->machine, entry->index,
				   (struct kv_bytes){entry->data, entry->bytes}, &store->arena,
				   out_result, err);
		jaco_arena_reset(&store->arena);
		break;
	case CORE_ENTRY_NOOP:
	case CORE_ENTRY_CONF:
		machine_skip(&store->machine, entry->index);
		break;
	}
	return rc;
}

/* The uncommitted state is lost: build it again from the log, telling nobody twice. */
static int rebuild(struct store *store, struct jaco_err *err)
{
	uint64_t applied = store->machine.applied;
	machine_on_change *on_change = store->machine.on_change;
	struct machine_result result;
	int rc = machine_open(&store->machine, &store->state.space, err);

	store->machine.on_change = NULL;
	while (rc >= 0 && store->machine.applied < applied) {
		struct core_entry *entry = core_entry_at(store->core, store->machine.applied + 1);

		if (!entry)
			rc = jaco_err_set(err, JACO_INTERNAL, "entry %llu is needed and gone",
					  (unsigned long long)store->machine.applied + 1);
		else
			rc = apply_one(store, entry, &result, err);
	}
	store->machine.on_change = on_change;
	return rc;
}

static int apply_batch(struct store *store, struct core_entry *const *entries, size_t n,
		       struct jaco_err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct machine_result result;
		struct core_entry *entry = entries[i];

		if (apply_one(store, entry, &result, err) < 0)
			return -(int)err->code;
		store->n_entries_applied++;
		settle_write(store, entry, &result);
	}
	return 0;
}

/* A chunk is read when it is sent; a peer that is slow costs no memory. */
static void send_chunk(struct store *store, const struct core_message *plan)
{
	uint8_t *data = jaco_arena_alloc(&store->arena, CHUNK_BYTES);
	struct core_message msg = *plan;
	ssize_t n;

	if (store->offer_fd < 0 || plan->index != store->offer_index)
		return;
	n = pread(store->offer_fd, data, CHUNK_BYTES, (off_t)plan->offset);
	if (n < 0)
		return; /* it is asked for again */
	msg.data = data;
	msg.n_data = (size_t)n;
	msg.done = plan->offset + (uint64_t)n >= store->offer_bytes;
	store->events.on_send(store->events.ctx, &msg);
	jaco_arena_reset(&store->arena);
}

static void push(struct store *store)
{
	store->is_push_due = false;
	if (store->events.on_push)
		store->events.on_push(store->events.ctx);
}

/* Before a flush everything leaves: peers write while this node does.  Else it leaves at the end of
 * the pass, so that callers have their answers before peers hear what is committed. */
static void send_messages(struct store *store, const struct core_actions *todo)
{
	for (size_t i = 0; store->events.on_send && i < todo->n_messages; i++) {
		CHAOS(send);
		if (todo->messages[i].type == CORE_SNAP_REQ)
			send_chunk(store, &todo->messages[i]);
		else
			store->events.on_send(store->events.ctx, &todo->messages[i]);
		CHAOS(send);
	}
	store->is_push_due |= todo->n_messages > 0;
	if (store->is_push_due && todo->write.seq != 0)
		push(store);
}

static void drop_offer(struct store *store)
{
	jaco_fd_close(&store->offer_fd);
	store->offer_index = 0;
}

/* A member needs what is no longer in the log. */
static int offer_snapshot(struct store *store, struct jaco_err *err)
{
	char path[600];

	drop_offer(store);
	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.out", store->dir);
	if (commit_state(store, err) < 0 ||
	    snapfile_write(&store->state, path, &store->offer_bytes, err) < 0)
		return -(int)err->code;
	store->offer_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (store->offer_fd < 0)
		return jaco_err_errno(err, "%s", path);
	(void)unlink(path); /* the descriptor keeps it */
	store->offer_index = store->machine.applied;
	jaco_log_info("snapshot offered", KV_INT(index, store->offer_index),
		      KV_INT(bytes, store->offer_bytes));
	return core_offer(store->core, store->offer_index, err);
}

/* One collection; 1 something was done. */
static int perform(struct store *store, struct jaco_err *err)
{
	struct core_actions todo;
	bool is_applied, is_changed, is_wanted, is_replaced;
	uint64_t seq;

	core_collect(store->core, &todo);
	seq = todo.write.seq;
	is_applied = todo.n_apply > 0;
	is_changed = todo.changed;
	is_wanted = todo.snapshot_wanted;
	is_replaced = todo.chunk && todo.chunk->install;
	send_messages(store, &todo);
	if (seq != 0) {
		int rc = write_out(store, &todo.write, todo.chunk, err);

		if (rc < 0)
			return jaco_err_wrap(err, "the log");
		seq = rc > 0 ? seq : 0;
	}
	store->unwritten = 0;
	if (is_applied && apply_batch(store, todo.apply, todo.n_apply, err) < 0)
		return jaco_err_wrap(err, "the state");
	settle_reads(store, todo.reads, todo.n_reads);

	/* from here on what was collected is void */
	if (seq != 0)
		core_durable(store->core, seq);
	if (is_applied) {
		core_applied(store->core, store->machine.applied);
		jaco_timer_arm_if_idle(&store->commit, STORE_COMMIT_MS);
	}
	if (is_replaced && store->events.on_replaced)
		store->events.on_replaced(store->events.ctx);
	if (is_wanted && offer_snapshot(store, err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "no snapshot for a member that lags", err);
		drop_offer(store);
	}
	if (store->offer_fd >= 0 && !core_is_sending(store->core))
		drop_offer(store);
	if (is_changed && !store_is_leader(store))
		TAILQ_CONCAT(&store->done, &store->writes, link);
	answer(store);
	if (is_changed && store->events.on_leadership)
		store->events.on_leadership(store->events.ctx);
	if (is_applied && store->events.on_applied)
		store->events.on_applied(store->events.ctx);
	return seq != 0 || is_applied || (is_wanted && store->offer_fd >= 0);
}

static void arm_tick(struct store *store)
{
	uint64_t now = (uint64_t)(jaco_loop_now(store->loop).ns / JACO_MS);
	uint64_t deadline = core_deadline(store->core);

	if (deadline != UINT64_MAX)
		jaco_timer_arm(&store->tick, deadline > now ? (int64_t)(deadline - now) : 0);
	else
		jaco_timer_disarm(&store->tick);
}

static void pump(struct store *store)
{
	struct jaco_err err = JACO_ERR_INIT;
	int rc = 1;

	if (store->is_pumping)
		return;
	store->is_pumping = true;
	for (int round = 0; rc > 0 && round < PUMP_ROUNDS; round++)
		rc = perform(store, &err);
	store->is_pumping = false;
	if (rc > 0)
		jaco_timer_arm(&store->pump, 0);
	if (rc >= 0 && store->machine.applied - store->durable_applied >= STORE_COMMIT_ENTRIES)
		rc = commit_state(store, &err);
	if (rc < 0) {
		/* after a failed flush nobody knows what is on the disk but the disk: start again */
		jaco_loop_fail(store->loop, &err);
		return;
	}
	if (store->full[0] == '\0')
		wal_prepare(&store->wal);
	arm_tick(store);
	if (store->is_push_due)
		jaco_timer_soon(&store->push);
}

static void on_push(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	push(ctx);
}

static void on_pump(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	pump(ctx);
}

static void on_tick(struct jaco_timer *timer, void *ctx)
{
	struct store *store = ctx;

	(void)timer;
	core_tick(store->core, (uint64_t)(jaco_loop_now(store->loop).ns / JACO_MS));
	pump(store);
}

/* --- LMDB commits and compaction --- */

/* Drop old segments that the durable state has made superfluous. */
static int compact(struct store *store, struct jaco_err *err)
{
	uint64_t index = wal_compactable(&store->wal, store->durable_applied, STORE_KEEP_SEGMENTS);
	struct base base = {.index = index, .term = wal_term(&store->wal, index),
			    .raft_id = store->raft_id};

	if (index <= store->wal.base_index)
		return 0;
	if (core_conf_at(store->core, index, &base.conf, err) < 0 ||
	    base_put(&store->state, &base, err) < 0 || machine_save(&store->machine, err) < 0 ||
	    state_commit(&store->state, err) < 0)
		return -(int)err->code;
	store->durable_applied = store->machine.applied;
	if (core_compact(store->core, index, err) < 0)
		return -(int)err->code;
	return wal_compact(&store->wal, index, err);
}

static int commit_state(struct store *store, struct jaco_err *err)
{
	struct jaco_time started = jaco_time_now();
	int rc;

	if (store->machine.applied == store->durable_applied && store->full[0] == '\0')
		return 0;
	rc = machine_save(&store->machine, err);
	if (rc >= 0)
		rc = state_commit(&store->state, err);
	store->commit_us = (uint64_t)(jaco_time_now().ns - started.ns) / 1000;
	store->n_commits++;
	if (rc >= 0) {
		store->durable_applied = store->machine.applied;
		if (store->full[0] != '\0')
			jaco_log_notice("the state can be saved again, writes are accepted");
		store->full[0] = '\0';
		rc = compact(store, err);
	}
	if (rc < 0 && err->code == JACO_UNAVAILABLE) {
		if (store->full[0] == '\0')
			JACO_LOG_FAILURE(JACO_LOG_ERR, "the state cannot be saved, writes are refused",
					 err);
		(void)jaco_str_copy(store->full, sizeof(store->full), err->text);
		rc = rebuild(store, err);
		/* a saved state frees old segments: it has the first claim on the room there is */
		jaco_timer_arm(&store->commit, wal_drop_spare(&store->wal) ? 0 : RETRY_COMMIT_MS);
	}
	return rc;
}

static void on_commit(struct jaco_timer *timer, void *ctx)
{
	struct store *store = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	(void)timer;
	if (commit_state(store, &err) < 0)
		jaco_loop_fail(store->loop, &err);
}

/* --- opening --- */

static int open_files(struct store *store, const char *dir, struct jaco_err *err)
{
	char path[512];

	if (dir_of(path, sizeof(path), dir, "state", err) < 0 ||
	    state_open(&store->state, path, err) < 0 ||
	    machine_open(&store->machine, &store->state.space, err) < 0 ||
	    dir_of(path, sizeof(path), dir, "wal", err) < 0 ||
	    wal_open(&store->wal, path, err) < 0 ||
	    dir_of(path, sizeof(path), dir, "hard", err) < 0 ||
	    hard_open(&store->hard, path, err) < 0)
		return -(int)err->code;
	store->durable_applied = store->machine.applied;
	if (store->wal.n_torn_bytes_cut > 0)
		jaco_log_notice("an unfinished write at the end of the log was cut");
	return 0;
}

static int load_entries(struct store *store, uint64_t from, struct core_entry ***out_entries,
			size_t *out_n, struct jaco_err *err)
{
	size_t n = (size_t)(store->wal.last_index - from), i = 0;
	struct core_entry **entries = jaco_alloc_n(n + 1, sizeof(struct core_entry *));
	jaco_auto(jaco_buf) struct jaco_buf data = JACO_BUF_INIT;
	int rc = 0;

	for (; i < n; i++) {
		struct wal_entry entry;

		data.n = 0;
		rc = wal_read(&store->wal, from + 1 + i, &entry, &data, err);
		if (rc >= 0 && entry.type > CORE_ENTRY_CONF)
			rc = jaco_err_set(err, JACO_INTERNAL, "entry %llu has an unknown kind",
					  (unsigned long long)entry.index);
		if (rc < 0)
			break;
		entries[i] = core_entry_load((enum core_entry_kind)entry.type, entry.index,
					     entry.term, entry.data, (uint32_t)entry.n);
	}
	*out_entries = entries;
	*out_n = i;
	return rc;
}

static int start_core(struct store *store, struct jaco_err *err)
{
	struct core_options options = CORE_OPTIONS_DEFAULT;
	uint64_t now = (uint64_t)(jaco_loop_now(store->loop).ns / JACO_MS);
	struct core_entry **entries = NULL;
	struct core_start start = {.term = store->hard.term,
				   .vote = store->hard.vote,
				   .applied = store->machine.applied,
				   .commit = store->machine.applied};
	struct base base;
	int rc = base_get(&store->state, &base, err);

	if (rc < 0)
		return rc;
	/* a snapshot was installed and the log not yet emptied */
	if (base.index > store->wal.base_index &&
	    wal_term(&store->wal, base.index) != base.term &&
	    wal_reset(&store->wal, base.index, base.term, err) < 0)
		return -(int)err->code;
	if (store->wal.last_index < store->machine.applied)
		return jaco_err_set(err, JACO_INTERNAL,
				    "the log ends at entry %llu but the state holds entry %llu: log "
				    "files are missing or damaged",
				    (unsigned long long)store->wal.last_index,
				    (unsigned long long)store->machine.applied);
	if (base.index < store->wal.base_index)
		return jaco_err_set(err, JACO_INTERNAL,
				    "the log begins after entry %llu but must reach back to %llu",
				    (unsigned long long)store->wal.base_index,
				    (unsigned long long)base.index);
	store->raft_id = options.id = base.raft_id;
	options.election = ELECTION_MS;
	options.heartbeat = HEARTBEAT_MS;
	jaco_random_bytes(&options.seed, sizeof(options.seed));
	start.base_index = base.index;
	start.base_term = base.term;
	start.conf = base.conf;
	rc = load_entries(store, base.index, &entries, &start.n_entries, err);
	start.entries = entries;
	if (rc >= 0)
		rc = core_new(&store->core, &options, now, &start, err);
	for (size_t i = 0; i < start.n_entries; i++)
		core_entry_unref(entries[i]);
	jaco_free(entries);
	return rc < 0 ? rc : (int)core_conf_voters(store_status(store).conf);
}

int store_open(struct store *store, struct jaco_loop *loop, const char *dir,
	       const struct store_events *events, struct jaco_err *err)
{
	int n_voters;

	*store = (struct store){.loop = loop, .events = *events};
	store->wal.spare_fd = store->wal.dir_fd = store->hard.fd = store->offer_fd = -1;
	(void)jaco_str_copy(store->dir, sizeof(store->dir), dir);
	TAILQ_INIT(&store->writes);
	TAILQ_INIT(&store->reads);
	TAILQ_INIT(&store->done);
	jaco_timer_init(loop, &store->pump, on_pump, store);
	jaco_timer_init(loop, &store->push, on_push, store);
	jaco_timer_init(loop, &store->tick, on_tick, store);
	jaco_timer_init(loop, &store->commit, on_commit, store);
	jaco_timer_init(loop, &store->pour, on_pour, store);
	hold_init(&store->hold);
	store->is_open = true;
	if (open_files(store, dir, err) < 0 || (n_voters = start_core(store, err)) < 0) {
		store_close(store);
		return jaco_err_wrap(err, "store %s", dir);
	}
	store->machine.on_change = events->on_change;
	store->machine.on_change_ctx = events->ctx;
	/* alone there is nobody to wait for */
	if (n_voters == 1)
		core_campaign(store->core);
	jaco_timer_arm(&store->pump, 0);
	return 0;
}

void store_close(struct store *store)
{
	struct jaco_err err = JACO_ERR_INIT;

	if (!store->is_open)
		return;
	jaco_err_set(&err, JACO_UNAVAILABLE, "raftd is stopping; it may or may not have happened");
	fire(&store->writes, &err);
	fire(&store->reads, &err);
	if (store->core && store->machine.space && machine_save(&store->machine, &err) >= 0 &&
	    state_commit(&store->state, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "the log will be replayed", &err);
	jaco_timer_fini(&store->pump);
	jaco_timer_fini(&store->push);
	jaco_timer_fini(&store->tick);
	jaco_timer_fini(&store->commit);
	jaco_timer_fini(&store->pour);
	hold_clear(&store->hold);
	drop_offer(store);
	core_free(store->core);
	machine_fini(&store->machine);
	state_close(&store->state);
	wal_close(&store->wal);
	hard_close(&store->hard);
	jaco_arena_fini(&store->arena);
	jaco_buf_fini(&store->packed);
	store->core = NULL;
	store->is_open = false;
}

/* --- asking --- */

/* Before the log takes more of the disk the state is saved, which frees old segments: otherwise the
 * log could take the last room there is and the state would never be saved again. */
static int make_room(struct store *store, size_t bytes, struct jaco_err *err)
{
	if (!hold_is_empty(&store->hold))
		return jaco_err_set(err, JACO_UNAVAILABLE, "no room to write: the log waits for it");
	if (wal_is_short(&store->wal, bytes) && commit_state(store, err) < 0)
		jaco_loop_fail(store->loop, err);
	else if (store->full[0] != '\0')
		jaco_err_set(err, JACO_UNAVAILABLE, "%s", store->full);
	else
		return wal_has_room(&store->wal, bytes, err);
	return -(int)err->code;
}

int store_propose(struct store *store, const struct txn *txn, store_done_fn *on_done, void *ctx,
		  struct jaco_err *err)
{
	struct store_pending *pending;
	struct core_entry *entry;
	uint64_t index;

	if (txn_check(txn, err) < 0)
		return -(int)err->code;
	if (store->full[0] != '\0')
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s", store->full);
	store->packed.n = 0;
	txn_pack(txn, &store->packed);
	if (store->packed.n > SEGMENT_DATA_MAX)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "the transaction is over %u bytes",
				    SEGMENT_DATA_MAX);
	if (make_room(store, store->unwritten + store->packed.n, err) < 0)
		return -(int)err->code;
	entry = core_entry_new((uint32_t)store->packed.n);
	memcpy(entry->data, store->packed.data, store->packed.n);
	if (core_propose(store->core, entry, &index, err) < 0)
		return -(int)err->code;
	pending = jaco_alloc(sizeof(*pending));
	*pending = (struct store_pending){
		.index = index, .term = store_status(store).term, .on_done = on_done, .ctx = ctx};
	TAILQ_INSERT_TAIL(&store->writes, pending, link);
	store->unwritten += segment_record_size(store->packed.n);
	store->n_proposals++;
	jaco_timer_soon(&store->pump);
	return 0;
}

int store_read(struct store *store, store_read_fn *on_read, void *ctx, struct jaco_err *err)
{
	struct store_pending *pending;
	uint64_t token = ++store->next_token;

	if (core_read(store->core, token, err) < 0)
		return -(int)err->code;
	pending = jaco_alloc(sizeof(*pending));
	*pending = (struct store_pending){.index = token, .on_read = on_read, .ctx = ctx};
	TAILQ_INSERT_TAIL(&store->reads, pending, link);
	jaco_timer_soon(&store->pump);
	return 0;
}

/* --- peers --- */

/* Replacing the state takes its room twice, and a new file of the log. */
static bool has_snapshot_room(struct store *store, uint64_t bytes, struct jaco_err *err)
{
	struct statvfs vfs;

	if (statvfs(store->dir, &vfs) < 0 ||
	    (uint64_t)vfs.f_bavail * vfs.f_frsize >= 2 * bytes + SEGMENT_BYTES)
		return true;
	jaco_err_set(err, JACO_UNAVAILABLE, "no room for a snapshot of %llu bytes",
		     (unsigned long long)bytes);
	return false;
}

/* The last chunk makes the core replace everything: it has to be right before the core sees it. */
static bool is_whole(struct store *store, const struct core_message *msg)
{
	struct jaco_err err = JACO_ERR_INIT;
	char path[600];

	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.in", store->dir);
	if (msg->offset == 0)
		(void)unlink(path); /* what an earlier one left */
	if (!has_snapshot_room(store, msg->offset + msg->n_data, &err)) {
		put_off(store, &err);
		return false;
	}
	if (snapfile_verify(path, msg->data, msg->n_data, &err) == 0)
		return true;
	JACO_LOG_FAILURE(JACO_LOG_WARNING, "a snapshot is asked for again", &err);
	core_arriving_failed(store->core);
	return false;
}

void store_receive(struct store *store, const struct core_message *msg)
{
	if (msg->type == CORE_SNAP_REQ &&
	    (jaco_time_before(jaco_loop_now(store->loop), store->snapshots_from) ||
	     (msg->done && !is_whole(store, msg))))
		return;
	core_tick(store->core, (uint64_t)(jaco_loop_now(store->loop).ns / JACO_MS));
	core_receive(store->core, msg);
	jaco_timer_soon(&store->pump);
}

void store_peer_lost(struct store *store, uint64_t raft_id)
{
	core_peer_lost(store->core, raft_id);
	jaco_timer_soon(&store->pump);
}

int store_change(struct store *store, enum core_change change, uint64_t raft_id,
		 struct jaco_err *err)
{
	uint64_t index;
	int rc = core_change(store->core, change, raft_id, &index, err);

	jaco_timer_soon(&store->pump);
	return rc;
}

int store_transfer(struct store *store, uint64_t raft_id, struct jaco_err *err)
{
	int rc = core_transfer(store->core, raft_id, err);

	jaco_timer_soon(&store->pump);
	return rc;
}

struct core_status store_status(const struct store *store)
{
	struct core_status status;

	core_status(store->core, &status);
	return status;
}

bool store_is_leader(const struct store *store)
{
	return store->is_open && store_status(store).role == CORE_LEADER;
}
