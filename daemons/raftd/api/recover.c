/* SPDX-License-Identifier: Apache-2.0
 *
 * recover.c - jaco cluster recover: asks every member that answers what it holds, says what would
 * be lost and, when told to, lets this node go on alone (takeover.h) in a new epoch.
 *
 * One at a time.  The call waits for the survey, then for the new epoch in this node's own
 * state. */
#include "daemons/raftd/api/recover.h"

#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/takeover.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define SURVEY_MS  3000
#define FINISH_MS  20000
#define LOOK_MS    20
#define LOSSES_MAX 16

enum phase { SURVEYING, TAKING_OVER, FINISHING };

struct recovery {
	struct raftd *raftd;
	struct jaco_call *call; /* NULL: went away; what has begun is finished */
	struct jaco_arena arena;
	uint64_t number;
	enum phase phase;
	bool is_confirmed;
	uint64_t epoch; /* before */
	size_t n_asked;
	struct wire_cluster_recovery found;
	struct jaco_timer timer;
	struct jaco_time give_up;
};

static void recovery_free(struct recovery *recovery)
{
	if (recovery->call)
		jaco_call_on_cancel(recovery->call, NULL, NULL);
	recovery->raftd->recovery = NULL;
	jaco_timer_fini(&recovery->timer);
	jaco_arena_fini(&recovery->arena);
	jaco_free(recovery);
}

static void finish(struct recovery *recovery, const struct jaco_err *err)
{
	struct jaco_call *call = recovery->call;

	if (call)
		jaco_call_on_cancel(call, NULL, NULL);
	if (call && err)
		jaco_call_fail(call, err);
	else if (call)
		jaco_call_reply(call, &recovery->found);
	recovery->call = NULL;
	recovery_free(recovery);
}

/* --- what everybody has --- */

static void fill_self(struct raftd *raftd, struct wire_raft_surveyed *out,
		      char hash[static DIGEST_TEXT_BYTES])
{
	struct core_status status = store_status(&raftd->store);

	digest_text(&raftd->store.machine.digest, hash);
	*out = (struct wire_raft_surveyed){.term = status.term,
					   .last_index = status.last_index,
					   .last_term = status.last_term,
					   .applied = raftd->store.machine.applied,
					   .state_hash = hash};
}

void recover_on_survey(struct raftd *raftd, struct link_call *call)
{
	struct wire_raft_surveyed surveyed;
	char hash[DIGEST_TEXT_BYTES];
	struct jaco_err err = JACO_ERR_INIT;

	if (!raftd->store.is_open) {
		jaco_err_set(&err, JACO_CLUSTER_UNINITIALIZED, "this node has no state");
		link_refuse(call, &err);
		return;
	}
	fill_self(raftd, &surveyed, hash);
	link_answer(call, &wire_raft_surveyed_desc, &surveyed);
}

static void note(struct recovery *recovery, struct wire_recover_member *member,
		 const struct wire_raft_surveyed *surveyed)
{
	member->reachable = true;
	JACO_SET(member, recover_member, term, surveyed->term);
	JACO_SET(member, recover_member, last_index, surveyed->last_index);
	JACO_SET(member, recover_member, last_term, surveyed->last_term);
	JACO_SET(member, recover_member, applied, surveyed->applied);
	member->state_hash = jaco_arena_strdup(&recovery->arena, surveyed->state_hash);
}

/* Outlives the recovery when the answer comes too late. */
struct asked {
	struct raftd *raftd;
	uint64_t number; /* of the recovery */
	size_t member;
};

static void on_surveyed(void *ctx, const void *out, const struct jaco_err *err)
{
	struct asked *asked = ctx;
	struct recovery *recovery = asked->raftd->recovery;

	(void)err; /* shown as not reachable */
	if (recovery && recovery->number == asked->number && recovery->phase == SURVEYING) {
		if (out)
			note(recovery, &recovery->found.members.v[asked->member], out);
		if (--recovery->n_asked == 0)
			jaco_timer_arm(&recovery->timer, 0);
	}
	jaco_free(asked);
}

static int list_members(struct recovery *recovery, struct jaco_err *err)
{
	struct raftd *raftd = recovery->raftd;
	struct core_status status = store_status(&raftd->store);
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_cluster_recovery *found = &recovery->found;
	struct wire_node node;
	int rc = 0;

	found->host = raftd->host;
	found->members.v = jaco_arena_alloc_n(&recovery->arena, JACO_NODES_MAX,
					      sizeof(*found->members.v));
	while (found->members.n < JACO_NODES_MAX &&
	       (rc = api_next(raftd, "/node/", key, &wire_node_desc, &recovery->arena, &node, NULL,
			      err)) > 0) {
		const struct core_member *member = core_conf_find(status.conf, node.raft_id);

		found->members.v[found->members.n++] = (struct wire_recover_member){
			.host = node.host,
			.voter = member && member->is_voter,
			.replicas = api_count_replicas(raftd, &recovery->arena, node.host)};
	}
	return rc;
}

static bool ask(struct recovery *recovery, struct link_peer *peer, size_t member)
{
	struct asked *asked = jaco_alloc(sizeof(*asked));
	struct wire_nothing nothing = {.has = 0};
	struct jaco_err err = JACO_ERR_INIT;

	*asked = (struct asked){.raftd = recovery->raftd, .number = recovery->number,
				.member = member};
	if (link_ask(peer, "raft.survey", &wire_nothing_desc, &nothing, &wire_raft_surveyed_desc,
		     on_surveyed, asked, &err) >= 0)
		return true;
	jaco_free(asked);
	return false;
}

/* Ask whoever is connected; the survey's end is a timer's, also when nobody is. */
static void survey(struct recovery *recovery)
{
	struct raftd *raftd = recovery->raftd;
	struct wire_raft_surveyed own;
	char hash[DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < recovery->found.members.n; i++) {
		struct link_peer *peer = link_find(&raftd->link, recovery->found.members.v[i].host);

		if (peer && link_is_heard(peer, SURVEY_MS)) {
			recovery->n_asked += ask(recovery, peer, i);
		} else if (!peer) { /* this node is nobody's peer */
			fill_self(raftd, &own, hash);
			note(recovery, &recovery->found.members.v[i], &own);
		}
	}
	jaco_timer_arm(&recovery->timer, recovery->n_asked > 0 ? SURVEY_MS : 0);
}

/* --- what is lost --- */

static void lose(struct recovery *recovery, const char *sentence)
{
	struct wire_cluster_recovery *found = &recovery->found;

	if (!found->losses.v)
		found->losses.v = jaco_arena_alloc_n(&recovery->arena, LOSSES_MAX + JACO_NODES_MAX,
						     sizeof(*found->losses.v));
	if (found->losses.n < LOSSES_MAX + JACO_NODES_MAX)
		found->losses.v[found->losses.n++] = sentence;
}

static bool is_ahead(const struct wire_recover_member *a, const struct wire_recover_member *b)
{
	return a->reachable && (a->last_term > b->last_term ||
				(a->last_term == b->last_term && a->last_index > b->last_index));
}

static const struct wire_recover_member *self_of(const struct recovery *recovery)
{
	for (size_t i = 0; i < recovery->found.members.n; i++)
		if (strcmp(recovery->found.members.v[i].host, recovery->found.host) == 0)
			return &recovery->found.members.v[i];
	return NULL;
}

/* A member that answers and holds more: recovering here would throw that away. */
static const struct wire_recover_member *better(const struct recovery *recovery)
{
	const struct wire_recover_member *best = self_of(recovery), *self = best;

	for (size_t i = 0; self && i < recovery->found.members.n; i++)
		if (is_ahead(&recovery->found.members.v[i], best))
			best = &recovery->found.members.v[i];
	return best == self ? NULL : best;
}

static void say_losses(struct recovery *recovery)
{
	const struct wire_recover_member *self = self_of(recovery), *ahead = better(recovery);
	struct jaco_arena *arena = &recovery->arena;

	for (size_t i = 0; i < recovery->found.members.n; i++) {
		const struct wire_recover_member *member = &recovery->found.members.v[i];

		if (member == self)
			continue;
		if (!member->reachable && member->voter)
			lose(recovery,
			     jaco_arena_printf(
				     arena,
				     "%s does not answer: a write that it and others "
				     "acknowledged after entry %llu, and that never came here, "
				     "is lost",
				     member->host,
				     (unsigned long long)(self ? self->last_index : 0)));
		lose(recovery,
		     jaco_arena_printf(arena,
				       "%s is a member no more: its %u replicas are placed anew, "
				       "and jaco node join takes it in again",
				       member->host, member->replicas));
	}
	if (ahead)
		lose(recovery,
		     jaco_arena_printf(arena,
				       "%s holds entries up to %llu of term %llu, this node up to "
				       "%llu of term %llu: recover there instead",
				       ahead->host, (unsigned long long)ahead->last_index,
				       (unsigned long long)ahead->last_term,
				       (unsigned long long)(self ? self->last_index : 0),
				       (unsigned long long)(self ? self->last_term : 0)));
}

/* --- doing it --- */

static int plan(struct recovery *recovery, struct jaco_err *err)
{
	struct raftd *raftd = recovery->raftd;
	struct api_txn txn = {.raftd = raftd, .arena = &recovery->arena};
	const char *key = jaco_arena_printf(&recovery->arena, "/node/%s", raftd->host);
	struct wire_cluster_meta meta;
	struct wire_node self;
	uint64_t revision;

	if (api_get(raftd, "/cluster/meta", &wire_cluster_meta_desc, &recovery->arena, &meta,
		    &revision, err) <= 0 ||
	    api_get(raftd, key, &wire_node_desc, &recovery->arena, &self, NULL, err) <= 0)
		return err->code ? -(int)err->code
				 : jaco_err_set(err, JACO_NODE_NOT_FOUND,
						"%s is no member in its own state", raftd->host);
	recovery->epoch = meta.cluster_epoch++;
	api_compare(&txn, "/cluster/meta", revision);
	api_put(&txn, "/cluster/meta", &wire_cluster_meta_desc, &meta);
	api_delete_prefix(&txn, "/node/");
	api_put(&txn, key, &wire_node_desc, &self);
	api_audit(&txn, JACO_AUDIT_CLUSTER_RECOVERED, recovery->call->identity,
		  (const char *const[]){"host", raftd->host, "cluster_epoch",
					jaco_arena_printf(&recovery->arena, "%llu",
							  (unsigned long long)meta.cluster_epoch),
					NULL});
	if (txn.err.code != JACO_OK) {
		*err = txn.err;
		return -(int)err->code;
	}
	return takeover_plan(raftd->dir, raftd->store.raft_id, &txn.txn, err);
}

/* From the loop: the store is under nobody's feet. */
static void take_over(struct recovery *recovery)
{
	struct raftd *raftd = recovery->raftd;
	struct jaco_err err = JACO_ERR_INIT;

	jaco_log_notice("the cluster goes on with this node alone");
	integrity_end(raftd);
	store_close(&raftd->store);
	if (raftd_open_store(raftd, &err) < 0) {
		jaco_loop_fail(&raftd->daemon->loop, &err); /* the next start finishes it */
		return;
	}
	recovery->phase = FINISHING;
	jaco_timer_arm(&recovery->timer, LOOK_MS);
}

static void after_survey(struct recovery *recovery)
{
	const struct wire_recover_member *ahead = better(recovery);
	struct jaco_err err = JACO_ERR_INIT;

	say_losses(recovery);
	if (!recovery->is_confirmed || !recovery->call) {
		finish(recovery, NULL);
		return;
	}
	if (ahead)
		jaco_err_set(&err, JACO_CONFLICT,
			     "%s holds more than this node: run jaco cluster recover there",
			     ahead->host);
	else if (submit_has_quorum(recovery->raftd))
		jaco_err_set(&err, JACO_CONFLICT, "a majority of the voters is back");
	if (err.code != JACO_OK || plan(recovery, &err) < 0) {
		finish(recovery, &err);
		return;
	}
	recovery->phase = TAKING_OVER;
	jaco_timer_arm(&recovery->timer, 0);
}

static void on_timer(struct jaco_timer *timer, void *ctx)
{
	struct recovery *recovery = ctx;
	struct raftd *raftd = recovery->raftd;
	struct jaco_err err = JACO_ERR_INIT;

	switch (recovery->phase) {
	case SURVEYING:
		after_survey(recovery); /* whoever did not answer is as good as lost */
		return;
	case TAKING_OVER:
		take_over(recovery);
		return;
	case FINISHING:
		break;
	}
	if (raftd->epoch > recovery->epoch) {
		recovery->found.done = true;
		JACO_SET(&recovery->found, cluster_recovery, cluster_epoch, raftd->epoch);
		finish(recovery, NULL);
	} else if (jaco_time_before(recovery->give_up, jaco_loop_now(timer->loop))) {
		jaco_err_set(&err, JACO_TIMEOUT,
			     "this node does not lead yet: jaco cluster status");
		finish(recovery, &err);
	} else {
		jaco_timer_arm(timer, LOOK_MS);
	}
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	struct recovery *recovery = ctx;

	(void)call;
	recovery->call = NULL;
}

int raftd_on_cluster_recover(struct raftd *raftd, struct jaco_call *call,
			     const struct wire_cluster_recover *req, struct jaco_err *err)
{
	struct recovery *recovery;

	if (raftd->recovery)
		return jaco_err_set(err, JACO_CONFLICT, "a recovery is under way");
	if (submit_has_quorum(raftd))
		return jaco_err_set(
			err, JACO_CONFLICT,
			"this node reaches a majority of the voters: nothing is lost, and "
			"jaco node remove --force puts out who does not answer");
	recovery = jaco_alloc(sizeof(*recovery));
	*recovery = (struct recovery){.raftd = raftd, .call = call, .arena = JACO_ARENA_INIT,
				      .number = ++raftd->n_recoveries,
				      .is_confirmed = req->confirm};
	recovery->give_up = jaco_time_add_ms(jaco_loop_now(&raftd->daemon->loop), FINISH_MS);
	jaco_timer_init(&raftd->daemon->loop, &recovery->timer, on_timer, recovery);
	raftd->recovery = recovery;
	jaco_call_on_cancel(call, on_cancel, recovery);
	if (list_members(recovery, err) < 0) {
		recovery->call = NULL;
		jaco_call_on_cancel(call, NULL, NULL);
		recovery_free(recovery);
		return -(int)err->code;
	}
	survey(recovery);
	return 0;
}

void recover_fini(struct raftd *raftd)
{
	if (raftd->recovery)
		recovery_free(raftd->recovery);
}
