/* SPDX-License-Identifier: Apache-2.0
 *
 * store_save.c - the state goes to the disk, the log behind it goes away.
 *
 * Beside the loop and once in a while: the log holds what is newer, so that nobody waits for it. */
#include "daemons/raftd/store_internal.h"

#include <sys/statvfs.h>

#include "libjaco/base/log.h"
#include "libjaco/base/str.h"

#define RETRY_MS    1000
#define TOUCH_SHARE 8 /* of the disk */
#define TOUCH_LEAST (1u << 20)

/* --- one commit --- */

/* Members that lag are spared a snapshot as long as that takes no room from the state: the log
 * keeps no more than what is left beside it. */
static uint64_t keep_bytes(const struct store *store)
{
	struct statvfs vfs;
	uint64_t left;

	if (statvfs(store->dir, &vfs) < 0)
		return STORE_KEEP_BYTES;
	left = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	left -= JACO_MIN(left, store->wal.state_bytes);
	return JACO_MIN(STORE_KEEP_BYTES, left / 2);
}

/* Few entries, and not many bytes when they are large. */
static uint64_t choose_base(const struct store *store)
{
	uint64_t applied = store->machine.applied;
	uint64_t index = wal_compactable(&store->wal, applied, keep_bytes(store));

	return applied > STORE_KEEP_ENTRIES ? JACO_MAX(index, applied - STORE_KEEP_ENTRIES) : index;
}

/* LMDB never writes over a page in use: what a commit touches goes into free pages first and then
 * into room on the disk, which the log leaves it.  On a small disk commits are small. */
void store_saved(struct store *store, uint64_t index)
{
	struct state_room room;
	struct statvfs vfs;
	uint64_t touched;

	store->durable_applied = index;
	store->touch_max = UINT64_MAX;
	if (statvfs(store->dir, &vfs) == 0)
		store->touch_max = JACO_MAX((uint64_t)vfs.f_blocks * vfs.f_frsize / TOUCH_SHARE,
					    (uint64_t)TOUCH_LEAST);
	state_room(&store->state, &room);
	touched = JACO_MIN(room.used_bytes, store->touch_max);
	wal_leave_room(&store->wal, touched - JACO_MIN(touched, room.free_bytes), index);
}

/* Where the log may begin once the state holds what is applied now; part of the same commit. */
static int put_base(struct store *store, struct jaco_err *err)
{
	uint64_t index = choose_base(store);
	struct store_base base = {.index = index,
				  .term = wal_term(&store->wal, index),
				  .raft_id = store->raft_id};

	store->saving_base = index;
	if (index <= store_status(store).base_index)
		return 0;
	if (core_conf_at(store->core, index, &base.conf, err) < 0)
		return -(int)err->code;
	return store_put_base(store, &base, err);
}

/* Drop what the durable state has made superfluous: entries in memory, whole segments on disk. */
static int compact(struct store *store, struct jaco_err *err)
{
	uint64_t index = store->saving_base;

	if (index <= store_status(store).base_index)
		return 0;
	if (core_compact(store->core, index, err) < 0)
		return -(int)err->code;
	return wal_compact(&store->wal, index, err);
}

static int prepare(struct store *store, struct jaco_err *err)
{
	store->save_started = jaco_time_now();
	store->saving = store->machine.applied;
	if (put_base(store, err) < 0 || machine_save(&store->machine, err) < 0)
		return -(int)err->code;
	return 0;
}

/* What state_commit() or state_commit_end() said. */
static int conclude(struct store *store, int rc, struct jaco_err *err)
{
	store->commit_us = (uint64_t)(jaco_time_now().ns - store->save_started.ns) / 1000;
	store->n_commits++;
	if (rc < 0 && err->code == JACO_UNAVAILABLE) {
		if (store->full[0] == '\0')
			JACO_LOG_FAILURE(JACO_LOG_ERR,
					 "the state cannot be saved, writes are refused", err);
		(void)jaco_str_copy(store->full, sizeof(store->full), err->text);
		/* a saved state frees old segments: it has the first claim on the room there is */
		jaco_timer_arm(&store->save, wal_drop_spare(&store->wal) ? 0 : RETRY_MS);
		return 0;
	}
	if (rc < 0)
		return rc;
	store_saved(store, store->saving);
	if (store->full[0] != '\0')
		jaco_log_notice("the state can be saved again, writes are accepted");
	store->full[0] = '\0';
	return compact(store, err);
}

static bool is_needed(const struct store *store)
{
	return store->machine.applied != store->durable_applied || store->full[0] != '\0';
}

int store_save_begin(struct store *store, struct jaco_err *err)
{
	if (state_is_committing(&store->state) || !is_needed(store))
		return 0;
	if (prepare(store, err) < 0)
		return -(int)err->code;
	return state_commit_start(&store->state, err);
}

int store_save(struct store *store, struct jaco_err *err)
{
	int rc = state_commit_end(&store->state, true, err);

	if (rc != 0 && conclude(store, rc, err) < 0)
		return -(int)err->code;
	if (!is_needed(store))
		return 0;
	if (prepare(store, err) < 0)
		return -(int)err->code;
	return conclude(store, state_commit(&store->state, err), err);
}

int store_save_if_due(struct store *store, struct jaco_err *err)
{
	size_t bytes = state_unsaved_bytes(&store->state);
	size_t touched = state_touched_bytes(&store->state);

	jaco_timer_arm_if_idle(&store->save, STORE_COMMIT_MS);
	if ((bytes >= STORE_UNSAVED_MAX || touched >= store->touch_max) && store->full[0] == '\0')
		return store_save(store, err); /* the disk does not keep up: now callers wait */
	if (store->machine.applied - store->durable_applied >= STORE_COMMIT_ENTRIES ||
	    bytes >= STORE_COMMIT_BYTES || touched >= store->touch_max / 2)
		return store->full[0] == '\0' ? store_save_begin(store, err) : 0;
	return 0;
}

void store_save_forget(struct store *store)
{
	struct jaco_err ignored = JACO_ERR_INIT;

	(void)state_commit_end(&store->state, true, &ignored);
	store->saving_base = 0;
}

/* --- on the loop --- */

static void on_timer(struct jaco_timer *timer, void *ctx)
{
	struct store *store = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	(void)timer;
	if (store_save_begin(store, &err) < 0)
		jaco_loop_fail(store->loop, &err);
}

static void on_committed(struct jaco_io *io, unsigned events, void *ctx)
{
	struct store *store = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	int rc = state_commit_end(&store->state, false, &err);

	(void)io;
	(void)events;
	if (rc != 0 && conclude(store, rc, &err) < 0)
		jaco_loop_fail(store->loop, &err);
}

void store_save_init(struct store *store)
{
	jaco_timer_init(store->loop, &store->save, on_timer, store);
}

void store_save_watch(struct store *store)
{
	jaco_io_start(store->loop, &store->saved, store->state.job.fd, JACO_IO_READ, on_committed,
		      store);
}

void store_save_fini(struct store *store)
{
	jaco_timer_fini(&store->save);
	jaco_io_stop(&store->saved);
}
