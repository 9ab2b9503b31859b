/* SPDX-License-Identifier: Apache-2.0
 *
 * store_open.c - begins and ends: a new group, what the disk holds, the core that starts from
 * it. */
#include "daemons/raftd/store_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libjaco/base/le.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"

#define BASE_HEAD_BYTES 24 /* index, term, raft id of this node */

/* Machines that share processors with what they run hiccup; 250 ms of silence is no hiccup, and
 * leaves a failover at some 400 ms. */
#define ELECTION_MS  250
#define HEARTBEAT_MS 50

/* Writers in a row leave less between two writes than this.  It is what a change takes longer to
 * reach the other nodes when it comes alone; a caller there does not wait for it, see
 * store_tell(). */
#define LINGER_MS 2

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

int store_base_put(struct state *state, const struct store_base *base, struct jaco_err *err)
{
	uint8_t packed[BASE_HEAD_BYTES + CORE_CONF_PACKED_MAX];
	size_t n;

	jaco_le_put(packed, base->index, 8);
	jaco_le_put(packed + 8, base->term, 8);
	jaco_le_put(packed + 16, base->raft_id, 8);
	n = core_conf_pack(&base->conf, packed + BASE_HEAD_BYTES);
	return state->space.ops->put(&state->space, KV_TABLE_META, KV_TEXT("base"),
				     (struct kv_bytes){packed, BASE_HEAD_BYTES + n}, err);
}

static int base_get(struct state *state, struct store_base *out_base, struct jaco_err *err)
{
	struct kv_bytes packed;
	int rc = state->space.ops->get(&state->space, KV_TABLE_META, KV_TEXT("base"), &packed, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || packed.n < BASE_HEAD_BYTES)
		return jaco_err_set(err, JACO_INTERNAL, "the state has no base record");
	*out_base = (struct store_base){.index = jaco_le_get(packed.data, 8),
				  .term = jaco_le_get((const uint8_t *)packed.data + 8, 8),
				  .raft_id = jaco_le_get((const uint8_t *)packed.data + 16, 8)};
	return core_conf_unpack(&out_base->conf, (const uint8_t *)packed.data + BASE_HEAD_BYTES,
				packed.n - BASE_HEAD_BYTES, err);
}

int store_put_base(struct store *store, const struct store_base *base, struct jaco_err *err)
{
	return store_base_put(&store->state, base, err);
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
	struct store_base base = {.raft_id = raft_id};
	struct state state;
	char path[512];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++)
		if (dir_of(path, sizeof(path), dir, names[i], err) < 0 ||
		    jaco_fs_mkdirs(path, 0700, err) < 0)
			return -(int)err->code;
	if (drop_half_made(path, err) < 0 || state_open(&state, path, err) < 0)
		return -(int)err->code;
	if ((is_founder && core_conf_set(&base.conf, raft_id, true, err) < 0) ||
	    store_base_put(&state, &base, err) < 0 || state_commit(&state, err) < 0) {
		state_close(&state);
		return -(int)err->code;
	}
	state_close(&state);
	/* LMDB flushes its file, not the file's name */
	if (jaco_fs_sync_dir(path, err) < 0 || dir_of(path, sizeof(path), dir, "group", err) < 0)
		return -(int)err->code;
	return jaco_fs_replace(path, "1\n", 2, 0600, err);
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
	store_saved(store, store->machine.applied);
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
	struct store_base base;
	int rc = base_get(&store->state, &base, err);

	if (rc < 0)
		return rc;
	/* a snapshot was installed and the log not yet emptied */
	if (base.index > store->wal.base_index &&
	    wal_term(&store->wal, base.index) != base.term &&
	    wal_reset(&store->wal, base.index, base.term, err) < 0)
		return -(int)err->code;
	if (store->wal.last_index < store->machine.applied)
		return jaco_err_set(
			err, JACO_INTERNAL,
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
	options.linger = LINGER_MS;
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
	store->state.job.fd = -1;
	store_init_timers(store);
	hold_init(&store->hold);
	store_save_init(store);
	store->is_open = true;
	store_drop_left_overs(store);
	if (open_files(store, dir, err) < 0 || (n_voters = start_core(store, err)) < 0) {
		store_close(store);
		return jaco_err_wrap(err, "store %s", dir);
	}
	store_save_watch(store);
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
	store_fail_pending(store, &err);
	if (store->core && store->machine.space && machine_save(&store->machine, &err) >= 0 &&
	    state_commit(&store->state, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "the log will be replayed", &err);
	jaco_timer_fini(&store->pump);
	jaco_timer_fini(&store->push);
	jaco_timer_fini(&store->tick);
	jaco_timer_fini(&store->pour);
	hold_clear(&store->hold);
	store_save_fini(store);
	store_drop_offer(store);
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

