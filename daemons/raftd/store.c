/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c - collects the core's actions and performs them: write and flush, apply, answer. */
#include "daemons/raftd/store_internal.h"

#include <string.h>

#include "libjaco/base/fault.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"

#define PUMP_ROUNDS   64
#define RETRY_POUR_MS 200

/* --- pending callers --- */

/* Callers get their answers only when the core may be called again: they may propose at once. */
static void fire(struct store_pendings *list, const struct jaco_err *err)
{
	struct store_pending *pending;

	while ((pending = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, pending, link);
		if (pending->ctx && pending->on_done)
			pending->on_done(pending->ctx,
					 pending->is_decided ? &pending->result : NULL, err);
		else if (pending->ctx)
			pending->on_read(pending->ctx, err);
		jaco_free(pending);
	}
}

void store_fail_pending(struct store *store, const struct jaco_err *err)
{
	fire(&store->writes, err);
	fire(&store->reads, err);
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
		pending->is_decided =
			pending->index == entry->index && pending->term == entry->term;
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

	jaco_err_set(
		&lost, JACO_NO_LEADER,
		"leadership was lost before it was confirmed; it may or may not have happened");
	while ((pending = TAILQ_FIRST(&store->done))) {
		TAILQ_REMOVE(&store->done, pending, link);
		if (pending->ctx && pending->on_done)
			pending->on_done(pending->ctx,
					 pending->is_decided ? &pending->result : NULL,
					 pending->is_decided ? &fine : &lost);
		else if (pending->ctx)
			pending->on_read(pending->ctx, pending->is_decided ? &fine : &lost);
		jaco_free(pending);
	}
}

/* --- performing --- */

/* 1 everything up to write->seq is stored, 0 some of it waits for room. */
static int write_out(struct store *store, const struct core_write *write,
		     const struct core_chunk *chunk, struct jaco_err *err)
{
	bool is_first;
	int rc;

	if (write->hard && hard_save(&store->hard, write->term, write->vote, err) < 0)
		return -(int)err->code;
	if (chunk && !chunk->install && store_keep_chunk(store, chunk, err) < 0)
		store_put_off(store, err);
	if (chunk && chunk->install &&
	    (store_keep_chunk(store, chunk, err) < 0 || store_install(store, chunk, err) < 0))
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

/* There may be room now: the state is saved, which frees old segments, then what waits is
 * stored. */
static void on_pour(struct jaco_timer *timer, void *ctx)
{
	struct store *store = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t seq;

	if (hold_is_empty(&store->hold))
		return;
	if (store_save(store, &err) < 0 ||
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
	jaco_timer_soon(&store->pump);
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
			store_send_chunk(store, &todo->messages[i]);
		else
			store->events.on_send(store->events.ctx, &todo->messages[i]);
		CHAOS(send);
	}
	store->is_push_due |= todo->n_messages > 0;
	if (store->is_push_due && todo->write.seq != 0)
		push(store);
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
	if (is_applied)
		core_applied(store->core, store->machine.applied);
	if (is_replaced && store->events.on_replaced)
		store->events.on_replaced(store->events.ctx);
	if (is_wanted)
		store_try_offer(store);
	if (store->offer_fd >= 0 && !core_is_sending(store->core))
		store_drop_offer(store);
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
	if (rc >= 0 && store->machine.applied != store->durable_applied)
		rc = store_save_if_due(store, &err);
	if (rc < 0) {
		/* after a failed flush nobody knows what is on the disk but the disk: start
		 * again */
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

void store_init_timers(struct store *store)
{
	jaco_timer_init(store->loop, &store->pump, on_pump, store);
	jaco_timer_init(store->loop, &store->push, on_push, store);
	jaco_timer_init(store->loop, &store->tick, on_tick, store);
	jaco_timer_init(store->loop, &store->pour, on_pour, store);
}

/* --- asking --- */

/* A saved state frees old segments. */
static int make_room(struct store *store, size_t bytes, struct jaco_err *err)
{
	struct jaco_err before = JACO_ERR_INIT;

	if (!hold_is_empty(&store->hold))
		return jaco_err_set(err, JACO_UNAVAILABLE,
				    "no room to write: the log waits for it");
	if (wal_has_room(&store->wal, bytes, &before) >= 0)
		return 0;
	if (store_save(store, err) < 0)
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

void store_receive(struct store *store, const struct core_message *msg)
{
	if (msg->type == CORE_SNAP_REQ &&
	    jaco_time_before(jaco_loop_now(store->loop), store->snapshots_from))
		return;
	/* a last chunk that makes no whole is answered with the wish for the first one, or the
	 * leader would send it for ever; one that is the first as well comes again by itself */
	if (msg->type == CORE_SNAP_REQ && msg->done && !store_is_whole(store, msg) &&
	    (msg->offset == 0 ||
	     jaco_time_before(jaco_loop_now(store->loop), store->snapshots_from)))
		return;
	core_tick(store->core, (uint64_t)(jaco_loop_now(store->loop).ns / JACO_MS));
	core_receive(store->core, msg);
	jaco_timer_soon(&store->pump);
}

void store_peer_found(struct store *store, uint64_t raft_id)
{
	core_tick(store->core, (uint64_t)(jaco_loop_now(store->loop).ns / JACO_MS));
	core_peer_found(store->core, raft_id);
	jaco_timer_soon(&store->pump);
}

void store_peer_lost(struct store *store, uint64_t raft_id)
{
	core_tick(store->core, (uint64_t)(jaco_loop_now(store->loop).ns / JACO_MS));
	core_peer_lost(store->core, raft_id);
	jaco_timer_soon(&store->pump);
}

void store_tell(struct store *store, uint64_t raft_id)
{
	core_tell(store->core, raft_id);
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
