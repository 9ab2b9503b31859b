/* SPDX-License-Identifier: Apache-2.0
 *
 * submit.c - waiting, asking, waiting for the answer to arrive in this node's own state. */
#include "daemons/raftd/submit.h"

#include <string.h>

#include "daemons/raftd/raftd.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"

#define RETRY_MS   50
#define SILENCE_MS 2500 /* beats come every second */
#define WAITING_MAX 4096

enum phase {
	WAITING,  /* for a leader */
	ASKED,    /* the leader, here or elsewhere */
	APPLYING, /* answered; this node's state is not there yet */
};

struct submit {
	TAILQ_ENTRY(submit) next;
	struct raftd *raftd;
	enum phase phase;
	bool is_read;
	bool was_asked;
	bool has_own_id; /* the request id is the caller's, not made here */
	uint64_t since;  /* revision of this node before the first attempt */
	struct jaco_buf packed;
	store_done_fn *on_done;
	store_read_fn *on_read;
	void *ctx; /* NULL: the caller went away */
	struct machine_result result;
	uint64_t index; /* this node has to have applied */
	struct jaco_timer timer;
	struct jaco_time give_up;
};

static void submit_free(struct submit *submit)
{
	TAILQ_REMOVE(&submit->raftd->submits, submit, next);
	submit->raftd->n_submits--;
	jaco_timer_fini(&submit->timer);
	jaco_buf_fini(&submit->packed);
	jaco_free(submit);
}

static void finish(struct submit *submit, const struct jaco_err *err)
{
	store_done_fn *on_done = submit->on_done;
	store_read_fn *on_read = submit->on_read;
	struct machine_result result = submit->result;
	void *ctx = submit->ctx;

	submit_free(submit);
	if (ctx && on_done)
		on_done(ctx, err->code == JACO_OK ? &result : NULL, err);
	else if (ctx && on_read)
		on_read(ctx, err);
}

bool submit_has_quorum(struct raftd *raftd)
{
	struct core_status status = store_status(&raftd->store);
	size_t n_reached = 0, n_voters = 0;

	for (size_t i = 0; i < status.conf->n; i++) {
		const struct core_member *member = &status.conf->members[i];
		struct link_peer *peer = link_find_id(&raftd->link, member->id);

		if (!member->is_voter)
			continue;
		n_voters++;
		/* a start counts as heard: the connections are being made */
		if (member->id == raftd->store.raft_id ||
		    (peer && link_is_heard(peer, SILENCE_MS)))
			n_reached++;
	}
	return n_reached > n_voters / 2;
}

static const char *fate(bool was_asked)
{
	return was_asked ? "; it may or may not have happened" : "";
}

static int no_leader(struct raftd *raftd, bool was_asked, struct jaco_err *err)
{
	if (!submit_has_quorum(raftd))
		return jaco_err_set(err, JACO_QUORUM_LOST,
				    "this node reaches no majority of the voters%s",
				    fate(was_asked));
	return jaco_err_set(err, JACO_NO_LEADER, "no leader is known%s", fate(was_asked));
}

/* --- asking --- */

static void wait_again(struct submit *submit)
{
	submit->phase = WAITING;
	jaco_timer_arm(&submit->timer, RETRY_MS);
}

static bool is_transient(const struct jaco_err *err)
{
	return err->code == JACO_NO_LEADER || err->code == JACO_UNAVAILABLE ||
	       err->code == JACO_QUORUM_LOST;
}

static bool is_over(const struct submit *submit)
{
	return jaco_time_before(submit->give_up, jaco_loop_now(&submit->raftd->daemon->loop));
}

/* The last reason there was to wait.  An earlier attempt may have got through all the same. */
static void give_up(struct submit *submit, const struct jaco_err *why)
{
	struct jaco_err err = JACO_ERR_INIT;

	if (why->code == JACO_UNAVAILABLE)
		jaco_err_set(&err, why->code, "%s%s", why->text, fate(submit->was_asked));
	else
		(void)no_leader(submit->raftd, submit->was_asked, &err);
	finish(submit, &err);
}

static void on_failed(struct submit *submit, const struct jaco_err *err)
{
	if (!is_transient(err))
		finish(submit, err);
	else if (is_over(submit))
		give_up(submit, err);
	else
		wait_again(submit);
}

static void settle(struct submit *submit)
{
	struct jaco_err fine = JACO_ERR_INIT;

	if (submit->raftd->store.machine.applied >= submit->index)
		finish(submit, &fine);
	else
		submit->phase = APPLYING;
}

static void on_outcome(void *ctx, const void *out, const struct jaco_err *err)
{
	const struct wire_raft_outcome *outcome = out;
	struct submit *submit = ctx;

	if (!outcome) {
		on_failed(submit, err);
		return;
	}
	submit->result = (struct machine_result){.is_committed = outcome->committed,
						 .revision = outcome->revision,
						 .failed_compare = outcome->failed_compare,
						 .actual = outcome->actual,
						 .is_repeat = outcome->repeat &&
							      submit->has_own_id};
	submit->index = outcome->revision;
	settle(submit);
}

/* This node became the leader meanwhile. */
static void on_own_done(void *ctx, const struct machine_result *result, const struct jaco_err *err)
{
	struct submit *submit = ctx;

	if (!result) {
		on_failed(submit, err);
		return;
	}
	submit->result = *result;
	finish(submit, err);
}

static void on_own_read(void *ctx, const struct jaco_err *err)
{
	if (err->code != JACO_OK)
		on_failed(ctx, err);
	else
		finish(ctx, err);
}

/* A retry whose first attempt may have been applied and forgotten would be applied again. */
static int check_memory(const struct store *store, uint64_t since, struct jaco_err *err)
{
	if (machine_remembers(since, store_status(store).last_index + 1))
		return 0;
	return jaco_err_set(err, JACO_UNAVAILABLE,
			    "so much was written since that nobody knows whether it was applied");
}

static int ask_self(struct submit *submit, struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct store *store = &submit->raftd->store;
	struct txn txn;

	if (submit->is_read)
		return store_read(store, on_own_read, submit, err);
	if (submit->was_asked && check_memory(store, submit->since, err) < 0)
		return -(int)err->code;
	if (txn_unpack((struct kv_bytes){submit->packed.data, submit->packed.n}, &arena, &txn,
		       err) < 0)
		return -(int)err->code;
	return store_propose(store, &txn, on_own_done, submit, err);
}

static int ask_leader(struct submit *submit, uint64_t leader, struct jaco_err *err)
{
	struct link_peer *peer = link_find_id(&submit->raftd->link, leader);
	struct wire_raft_submit msg = {.txn = {submit->packed.data, submit->packed.n}};
	struct wire_nothing nothing = {.has = 0};

	if (!peer)
		return jaco_err_set(err, JACO_NO_LEADER, "the leader is not known here");
	if (submit->was_asked)
		JACO_SET(&msg, raft_submit, since, submit->since);
	if (submit->is_read)
		return link_ask(peer, "raft.read", &wire_nothing_desc, &nothing,
				&wire_raft_outcome_desc, on_outcome, submit, err);
	return link_ask(peer, "raft.submit", &wire_raft_submit_desc, &msg, &wire_raft_outcome_desc,
			on_outcome, submit, err);
}

static void try(struct submit *submit)
{
	struct raftd *raftd = submit->raftd;
	struct core_status status = store_status(&raftd->store);
	struct jaco_err err = JACO_ERR_INIT;
	int rc = -JACO_NO_LEADER;

	if (status.leader != 0) {
		submit->phase = ASKED;
		rc = status.role == CORE_LEADER ? ask_self(submit, &err)
						: ask_leader(submit, status.leader, &err);
	}
	if (rc >= 0) {
		submit->was_asked = true;
		return;
	}
	if (status.leader != 0 && !is_transient(&err)) {
		finish(submit, &err);
		return;
	}
	if (is_over(submit))
		give_up(submit, &err);
	else
		wait_again(submit);
}

static void on_timer(struct jaco_timer *timer, void *ctx)
{
	struct submit *submit = ctx;

	(void)timer;
	if (submit->phase == WAITING)
		try(submit);
}

/* --- from callers --- */

static bool is_alone(struct raftd *raftd)
{
	return TAILQ_EMPTY(&raftd->link.peers);
}

static struct submit *begin(struct raftd *raftd, void *ctx, struct jaco_err *err)
{
	struct submit *submit;

	if (store_status(&raftd->store).leader == 0 && !submit_has_quorum(raftd)) {
		(void)no_leader(raftd, false, err);
		return NULL;
	}
	if (raftd->n_submits >= WAITING_MAX) {
		jaco_err_set(err, JACO_TOO_MANY_REQUESTS, "%d requests wait for the leader",
			     WAITING_MAX);
		return NULL;
	}
	submit = jaco_alloc(sizeof(*submit));
	*submit = (struct submit){.raftd = raftd, .ctx = ctx};
	submit->give_up = jaco_time_add_ms(jaco_loop_now(&raftd->daemon->loop), SUBMIT_MS);
	jaco_timer_init(&raftd->daemon->loop, &submit->timer, on_timer, submit);
	TAILQ_INSERT_TAIL(&raftd->submits, submit, next);
	raftd->n_submits++;
	jaco_timer_soon(&submit->timer); /* from the loop: callers are never answered from inside */
	return submit;
}

int submit_txn(struct raftd *raftd, const struct txn *txn, store_done_fn *on_done, void *ctx,
	       struct jaco_err *err)
{
	struct txn identified = *txn;
	struct submit *submit;

	if (store_is_leader(&raftd->store) || is_alone(raftd))
		return store_propose(&raftd->store, txn, on_done, ctx, err);
	if (txn_check(txn, err) < 0)
		return -(int)err->code;
	submit = begin(raftd, ctx, err);
	if (!submit)
		return -(int)err->code;
	if (!txn->has_request) {
		identified.has_request = true;
		jaco_random_bytes(identified.request, sizeof(identified.request));
	}
	txn_pack(&identified, &submit->packed);
	submit->since = raftd->store.machine.applied;
	submit->has_own_id = txn->has_request;
	submit->on_done = on_done;
	return 0;
}

int submit_read(struct raftd *raftd, store_read_fn *on_read, void *ctx, struct jaco_err *err)
{
	struct submit *submit;

	if (store_is_leader(&raftd->store) || is_alone(raftd))
		return store_read(&raftd->store, on_read, ctx, err);
	submit = begin(raftd, ctx, err);
	if (!submit)
		return -(int)err->code;
	submit->is_read = true;
	submit->on_read = on_read;
	return 0;
}

void submit_forget(struct raftd *raftd, void *ctx)
{
	struct submit *submit;

	TAILQ_FOREACH (submit, &raftd->submits, next)
		if (submit->ctx == ctx)
			submit->ctx = NULL;
	store_forget(&raftd->store, ctx);
}

void submit_pump(struct raftd *raftd)
{
	struct submit *submit;

	TAILQ_FOREACH (submit, &raftd->submits, next)
		if (submit->phase == WAITING)
			jaco_timer_arm(&submit->timer, 0);
	/* answering may submit again: from the start each time */
	do {
		TAILQ_FOREACH (submit, &raftd->submits, next)
			if (submit->phase == APPLYING &&
			    raftd->store.machine.applied >= submit->index)
				break;
		if (submit)
			settle(submit);
	} while (submit);
}

void submit_init(struct raftd *raftd)
{
	TAILQ_INIT(&raftd->submits);
}

void submit_fini(struct raftd *raftd)
{
	struct submit *submit;

	while ((submit = TAILQ_FIRST(&raftd->submits)))
		submit_free(submit);
}

/* --- the leader's side --- */

struct served {
	struct raftd *raftd;
	struct link_call *call;
};

static void answer(struct served *served, const struct machine_result *result)
{
	struct wire_raft_outcome outcome = {.committed = result->is_committed,
					    .revision = result->revision,
					    .failed_compare = result->failed_compare,
					    .actual = result->actual,
					    .repeat = result->is_repeat};

	/* its caller waits until its own state holds it */
	store_tell(&served->raftd->store, link_call_from(served->call));
	link_answer(served->call, &wire_raft_outcome_desc, &outcome);
	jaco_free(served);
}

static void refuse(struct served *served, const struct jaco_err *err)
{
	link_refuse(served->call, err);
	jaco_free(served);
}

static void on_served(void *ctx, const struct machine_result *result, const struct jaco_err *err)
{
	if (result)
		answer(ctx, result);
	else
		refuse(ctx, err);
}

static void on_confirmed(void *ctx, const struct jaco_err *err)
{
	struct served *served = ctx;
	struct machine_result result = {.revision = served->raftd->store.machine.applied};

	if (err->code == JACO_OK)
		answer(served, &result);
	else
		refuse(served, err);
}

static struct served *serve(struct raftd *raftd, struct link_call *call)
{
	struct served *served = jaco_alloc(sizeof(*served));

	*served = (struct served){.raftd = raftd, .call = call};
	return served;
}

void submit_on_txn(struct raftd *raftd, struct link_call *call, const struct wire_raft_submit *msg)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct served *served = serve(raftd, call);
	struct txn txn;

	if (!raftd->store.is_open)
		jaco_err_set(&err, JACO_NO_LEADER, "this node has no state");
	else if ((!JACO_HAS(msg, raft_submit, since) ||
		  check_memory(&raftd->store, msg->since, &err) >= 0) &&
		 txn_unpack((struct kv_bytes){msg->txn.data, msg->txn.n}, &arena, &txn, &err) >= 0)
		(void)store_propose(&raftd->store, &txn, on_served, served, &err);
	if (err.code != JACO_OK)
		refuse(served, &err);
}

void submit_on_read(struct raftd *raftd, struct link_call *call)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct served *served = serve(raftd, call);

	if (!raftd->store.is_open)
		jaco_err_set(&err, JACO_NO_LEADER, "this node has no state");
	else
		(void)store_read(&raftd->store, on_confirmed, served, &err);
	if (err.code != JACO_OK)
		refuse(served, &err);
}
