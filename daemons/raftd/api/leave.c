/* SPDX-License-Identifier: Apache-2.0
 *
 * leave.c - removing a member, handing leadership over: commands that end when raft has
 * followed. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/leave.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define WAIT_MS     20000
#define TRANSFER_MS 5000

/* A command that waits for raft. */
struct leave_wait {
	TAILQ_ENTRY(leave_wait) next;
	struct raftd *raftd;
	struct jaco_call *call;
	uint64_t raft_id;  /* that has to be gone; 0: leadership */
	uint64_t leader;   /* that has to be another */
	uint64_t revision;
	struct jaco_timer deadline;
};

static void wait_free(struct leave_wait *wait)
{
	TAILQ_REMOVE(&wait->raftd->waits, wait, next);
	jaco_timer_fini(&wait->deadline);
	jaco_free(wait);
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	wait_free(ctx);
}

static void on_deadline(struct jaco_timer *timer, void *ctx)
{
	struct leave_wait *wait = ctx;
	struct jaco_call *call = wait->call;
	struct jaco_err err = JACO_ERR_INIT;

	(void)timer;
	if (wait->raft_id)
		jaco_err_set(&err, JACO_TIMEOUT,
			     "the member is removed, but raft has not let it go yet");
	else
		jaco_err_set(&err, JACO_TIMEOUT, "nobody took over; the leader is as before");
	wait_free(wait);
	jaco_call_on_cancel(call, NULL, NULL);
	jaco_call_fail(call, &err);
}

static void wait_for(struct raftd *raftd, struct jaco_call *call, uint64_t raft_id, uint64_t leader,
		     uint64_t revision, int64_t ms)
{
	struct leave_wait *wait = jaco_alloc(sizeof(*wait));

	*wait = (struct leave_wait){.raftd = raftd, .call = call, .raft_id = raft_id,
				    .leader = leader, .revision = revision};
	TAILQ_INSERT_TAIL(&raftd->waits, wait, next);
	jaco_timer_init(&raftd->daemon->loop, &wait->deadline, on_deadline, wait);
	jaco_timer_arm(&wait->deadline, ms);
	jaco_call_on_cancel(call, on_cancel, wait);
	leave_pump(raftd);
}

static bool is_over(const struct leave_wait *wait)
{
	struct core_status status = store_status(&wait->raftd->store);

	if (wait->raft_id)
		return !core_conf_find(status.conf, wait->raft_id) ||
		       (wait->raft_id == wait->raftd->store.raft_id && status.leader == 0);
	return status.leader != 0 && status.leader != wait->leader;
}

static void reply_leadership(struct raftd *raftd, struct jaco_call *call)
{
	struct core_status status = store_status(&raftd->store);
	struct link_peer *leader = link_find_id(&raftd->link, status.leader);
	struct wire_leadership leadership = {.is_leader = status.role == CORE_LEADER,
					     .term = status.term,
					     .leader = leader ? leader->host : raftd->host};

	jaco_call_reply(call, &leadership);
}

static void reply(struct leave_wait *wait)
{
	struct raftd *raftd = wait->raftd;
	struct jaco_call *call = wait->call;
	struct wire_changed changed = {.revision = wait->revision};
	bool is_removal = wait->raft_id != 0;

	wait_free(wait);
	jaco_call_on_cancel(call, NULL, NULL);
	if (is_removal)
		jaco_call_reply(call, &changed);
	else
		reply_leadership(raftd, call);
}

void leave_pump(struct raftd *raftd)
{
	struct leave_wait *wait;

	do {
		TAILQ_FOREACH (wait, &raftd->waits, next)
			if (is_over(wait))
				break;
		if (wait)
			reply(wait);
	} while (wait);
}

/* --- removing --- */

static int check_removal(struct raftd *raftd, struct jaco_call *call,
			 const struct wire_node_ref *req, struct jaco_err *err)
{
	struct link_peer *peer = link_find(&raftd->link, req->host);
	uint32_t n_replicas = api_count_replicas(raftd, call->arena, req->host);

	if (TAILQ_EMPTY(&raftd->link.peers))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s is the only member",
				    req->host);
	if (req->force)
		return 0;
	if (peer && peer->liveness == JACO_LIVENESS_UNREACHABLE)
		return jaco_err_set(err, JACO_UNAVAILABLE,
				    "%s does not answer and hosts %u replicas: --force removes it "
				    "nevertheless", req->host, n_replicas);
	if (n_replicas > 0)
		return jaco_err_set(err, JACO_CONFLICT,
				    "%s hosts %u replicas: jaco node drain %s first, or --force",
				    req->host, n_replicas, req->host);
	return 0;
}

static void on_removed(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx)
{
	uint64_t *raft_id = ctx;

	wait_for(raftd, call, *raft_id, 0, revision, WAIT_MS);
}

static int remove_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_node_remove(self, call, req, err);
}

int raftd_on_node_remove(struct raftd *raftd, struct jaco_call *call,
			 const struct wire_node_ref *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	const char *key = jaco_arena_printf(call->arena, "/node/%s", req->host);
	uint64_t *raft_id = jaco_arena_alloc(call->arena, sizeof(*raft_id));
	struct wire_node node;
	uint64_t revision;
	int rc = api_get(raftd, key, &wire_node_desc, call->arena, &node, &revision, err);

	if (rc == 0)
		return jaco_err_set(err, JACO_NODE_NOT_FOUND, "no member is called %s", req->host);
	if (rc < 0 || check_removal(raftd, call, req, err) < 0)
		return -(int)err->code;
	*raft_id = node.raft_id;
	api_compare(&txn, key, revision);
	api_delete(&txn, key);
	api_audit(&txn, JACO_AUDIT_NODE_REMOVE, call->identity,
		  (const char *const[]){"host", req->host, "force", req->force ? "true" : "false",
					NULL});
	return api_commit(&txn, call, remove_again, req, on_removed, raft_id, err);
}

/* --- handing over --- */

/* The voter that has most of the log. */
static uint64_t furthest(struct raftd *raftd)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct core_peer_status best = {.id = 0}, at;
	struct link_peer *peer;

	TAILQ_FOREACH (peer, &raftd->link.peers, next)
		if (core_peer(raftd->store.core, peer->raft_id, &at) && at.is_voter &&
		    (best.id == 0 || at.match > best.match) &&
		    !integrity_doubt(raftd, &arena, peer->host))
			best = at;
	return best.id;
}

int leave_hand_over(struct raftd *raftd, const char *to, struct jaco_err *err)
{
	struct link_peer *peer = to ? link_find(&raftd->link, to) : NULL;
	uint64_t id = peer ? peer->raft_id : to ? 0 : furthest(raftd);

	if (to && !peer)
		return jaco_err_set(err, JACO_NODE_NOT_FOUND, "%s is no other member", to);
	if (id == 0)
		return jaco_err_set(err, JACO_NODE_NOT_FOUND, "there is no other voter");
	return store_transfer(&raftd->store, id, err);
}

void leave_on_transfer(struct raftd *raftd, struct link_call *call,
		       const struct wire_leader_transfer *msg)
{
	struct wire_nothing nothing = {.has = 0};
	struct jaco_err err = JACO_ERR_INIT;

	if (!raftd->store.is_open)
		jaco_err_set(&err, JACO_NO_LEADER, "this node has no state");
	else if (strcmp(msg->to ? msg->to : "", raftd->host) != 0)
		(void)leave_hand_over(raftd, msg->to, &err);
	if (err.code != JACO_OK)
		link_refuse(call, &err);
	else
		link_answer(call, &wire_nothing_desc, &nothing);
}

/* The waiting command sees the new leader by itself; only a refusal has to be told. */
static void on_asked(void *ctx, const void *out, const struct jaco_err *err)
{
	struct raftd *raftd = ctx;
	struct leave_wait *wait;

	if (out)
		return;
	TAILQ_FOREACH (wait, &raftd->waits, next)
		if (wait->raft_id == 0)
			break;
	if (wait) {
		struct jaco_call *call = wait->call;

		wait_free(wait);
		jaco_call_on_cancel(call, NULL, NULL);
		jaco_call_fail(call, err);
	}
}

int raftd_on_cluster_leader_transfer(struct raftd *raftd, struct jaco_call *call,
				     const struct wire_leader_transfer *req, struct jaco_err *err)
{
	struct core_status status = store_status(&raftd->store);
	struct link_peer *leader = link_find_id(&raftd->link, status.leader);

	if (status.leader == 0)
		return jaco_err_set(err, JACO_NO_LEADER, "no leader is known");
	if (req->to && strcmp(req->to, status.role == CORE_LEADER ? raftd->host
							  : leader	  ? leader->host
									  : "") == 0) {
		reply_leadership(raftd, call);
		return 0;
	}
	if (status.role == CORE_LEADER) {
		if (leave_hand_over(raftd, req->to, err) < 0)
			return -(int)err->code;
	} else if (!leader) {
		return jaco_err_set(err, JACO_NO_LEADER, "the leader is not known here");
	} else if (link_ask(leader, "raft.transfer", &wire_leader_transfer_desc, req,
			    &wire_nothing_desc, on_asked, raftd, err) < 0) {
		return -(int)err->code;
	}
	wait_for(raftd, call, 0, status.leader, 0, TRANSFER_MS);
	return 0;
}
