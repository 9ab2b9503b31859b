/* SPDX-License-Identifier: Apache-2.0
 *
 * store_snapshot.c - everything at once: offered to a member that lags, taken from the leader. */
#include "daemons/raftd/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemons/raftd/disk/snapfile.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define CHUNK_BYTES (256 * 1024)
#define RETRY_MS    2000

int store_keep_chunk(struct store *store, const struct core_chunk *chunk, struct jaco_err *err)
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

void store_put_off(struct store *store, const struct jaco_err *why)
{
	char path[600];

	JACO_LOG_FAILURE(JACO_LOG_ERR, "a snapshot of the leader's waits for room", why);
	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.in", store->dir);
	(void)unlink(path);
	core_arriving_failed(store->core);
	store->snapshots_from = jaco_time_add_ms(jaco_loop_now(store->loop), RETRY_MS);
}

/* The state commits before the log is emptied: the next start finishes what a crash between the two
 * left. */
int store_install(struct store *store, const struct core_chunk *chunk, struct jaco_err *err)
{
	struct store_base base = {.index = chunk->index,
				  .term = chunk->term,
				  .raft_id = store->raft_id,
				  .conf = chunk->conf};
	char path[600];

	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.in", store->dir);
	store_save_forget(store);
	if (snapfile_load(path, &store->state, err) < 0 || store_put_base(store, &base, err) < 0 ||
	    state_commit(&store->state, err) < 0 ||
	    machine_open(&store->machine, &store->state.space, err) < 0)
		return -(int)err->code;
	(void)unlink(path);
	if (store->machine.applied != chunk->index)
		return jaco_err_set(err, JACO_INTERNAL, "the snapshot is at %llu and not at %llu",
				    (unsigned long long)store->machine.applied,
				    (unsigned long long)chunk->index);
	store_saved(store, store->machine.applied);
	jaco_log_notice("state replaced by the leader's snapshot", KV_INT(index, chunk->index));
	return 0;
}

/* The file is here but for this chunk.  The log begins anew, and its file cannot be one of the
 * pages that the state's has to spare: it is made now, while nothing is replaced yet.  What is in
 * the snapshot takes as much and the pages' own in the state's file, whose pages in use are free
 * only afterwards. */
static bool has_room(struct store *store, uint64_t bytes, struct jaco_err *err)
{
	struct state_room room;
	struct statvfs vfs;

	if (wal_prepare_reset(&store->wal, err) < 0)
		return false;
	state_room(&store->state, &room);
	if (statvfs(store->dir, &vfs) < 0 ||
	    (uint64_t)vfs.f_bavail * vfs.f_frsize + room.free_bytes >= bytes + bytes / 4)
		return true;
	(void)wal_drop_spare(&store->wal);
	jaco_err_set(err, JACO_UNAVAILABLE, "no room for a snapshot of %llu bytes",
		     (unsigned long long)bytes);
	return false;
}

bool store_is_whole(struct store *store, const struct core_message *msg)
{
	struct jaco_err err = JACO_ERR_INIT;
	char path[600];

	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.in", store->dir);
	if (msg->offset == 0)
		(void)unlink(path); /* what an earlier one left */
	if (!has_room(store, msg->offset + msg->n_data, &err)) {
		store_put_off(store, &err);
		return false;
	}
	if (snapfile_verify(path, msg->data, msg->n_data, &err) == 0)
		return true;
	JACO_LOG_FAILURE(JACO_LOG_WARNING, "a snapshot is asked for again", &err);
	core_arriving_failed(store->core);
	return false;
}

/* A chunk is read when it is sent; a peer that is slow costs no memory. */
void store_send_chunk(struct store *store, const struct core_message *plan)
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

void store_drop_left_overs(struct store *store)
{
	static const char *const names[] = {"snapshot.in", "snapshot.out"};
	char path[600];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++) {
		(void)jaco_str_format(path, sizeof(path), "%s/%s", store->dir, names[i]);
		(void)unlink(path); /* mostly there is none */
	}
}

void store_drop_offer(struct store *store)
{
	jaco_fd_close(&store->offer_fd);
	store->offer_index = 0;
}

static int check_doubt(const struct store *store, struct jaco_err *err)
{
	return store->doubt[0] ? jaco_err_set(err, JACO_UNAVAILABLE, "%s", store->doubt) : 0;
}

static int offer(struct store *store, struct jaco_err *err)
{
	char path[600];

	store_drop_offer(store);
	(void)jaco_str_format(path, sizeof(path), "%s/snapshot.out", store->dir);
	if (check_doubt(store, err) < 0 || store_save(store, err) < 0)
		return -(int)err->code;
	if (store->full[0] != '\0')
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s", store->full);
	if (snapfile_write(&store->state, path, &store->offer_bytes, err) < 0) {
		(void)unlink(path); /* a part of it would only take the room */
		return -(int)err->code;
	}
	store->offer_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (store->offer_fd < 0)
		jaco_err_errno(err, "%s", path);
	(void)unlink(path); /* the descriptor keeps it */
	if (store->offer_fd < 0)
		return -(int)err->code;
	store->offer_index = store->machine.applied;
	jaco_log_info("snapshot offered", KV_INT(index, store->offer_index),
		      KV_INT(bytes, store->offer_bytes));
	return core_offer(store->core, store->offer_index, err);
}

void store_try_offer(struct store *store)
{
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_time_before(jaco_loop_now(store->loop), store->offers_from) ||
	    offer(store, &err) >= 0)
		return;
	JACO_LOG_FAILURE(JACO_LOG_WARNING, "no snapshot for a member that lags", &err);
	store_drop_offer(store);
	store->offers_from = jaco_time_add_ms(jaco_loop_now(store->loop), RETRY_MS);
}

int store_snapshot(struct store *store, struct snapfile_source *out_source, struct jaco_err *err)
{
	if (check_doubt(store, err) < 0 || store_save(store, err) < 0)
		return -(int)err->code;
	if (store->full[0] != '\0' || store->durable_applied != store->machine.applied)
		return jaco_err_set(err, JACO_UNAVAILABLE, "the state cannot be saved: %s",
				    store->full);
	return snapfile_source_open(out_source, &store->state, err);
}
