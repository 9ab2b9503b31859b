/* SPDX-License-Identifier: Apache-2.0
 *
 * member.c - gathers the facts for member_plan() and does what it says; also keeps this node's own
 * address and version in /node/ true. */
#include "daemons/raftd/member.h"

#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/member_plan.h"
#include "daemons/raftd/raftd.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define CLOSE_ENTRIES 64   /* a lag that is no lag */
#define CLOSE_MS      3000 /* for so long */
#define SILENCE_MS    2500 /* beats come every second */

static void note_lag(struct raftd *raftd, struct link_peer *peer, struct member_fact *fact)
{
	struct core_status status = store_status(&raftd->store);
	struct jaco_time now = jaco_loop_now(&raftd->daemon->loop);
	struct core_peer_status progress;

	if (!core_peer(raftd->store.core, peer->raft_id, &progress) ||
	    progress.match + CLOSE_ENTRIES < status.last_index) {
		peer->close_since.ns = 0;
		return;
	}
	if (peer->close_since.ns == 0)
		peer->close_since = now;
	fact->is_caught_up = jaco_time_diff_ms(now, peer->close_since) >= CLOSE_MS;
	fact->is_reachable = link_is_up(peer) && link_is_heard(peer, SILENCE_MS);
}

static size_t gather(struct raftd *raftd, struct jaco_arena *arena, struct member_fact *facts)
{
	struct core_status status = store_status(&raftd->store);
	char key[JACO_KEY_MAX + 1] = "";
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_node node;
	size_t n = 0, n_wanted;

	while (n < JACO_NODES_MAX && api_next(raftd, "/node/", key, &wire_node_desc, arena, &node,
					      NULL, &err) > 0) {
		const struct core_member *member = core_conf_find(status.conf, node.raft_id);
		struct link_peer *peer = link_find(&raftd->link, node.host);

		facts[n] = (struct member_fact){.host = node.host, .raft_id = node.raft_id,
						.is_wanted = true, .is_in = member != NULL,
						.is_voter = member && member->is_voter};
		if (peer)
			note_lag(raftd, peer, &facts[n]);
		n++;
	}
	n_wanted = err.code == JACO_OK ? n : 0;
	for (size_t i = 0; n_wanted > 0 && i < status.conf->n; i++) {
		const struct core_member *member = &status.conf->members[i];
		bool is_known = false;

		for (size_t k = 0; k < n_wanted; k++)
			is_known |= facts[k].raft_id == member->id;
		if (!is_known)
			facts[n++] = (struct member_fact){.host = "", .raft_id = member->id,
							  .is_in = true,
							  .is_voter = member->is_voter};
	}
	return n_wanted > 0 ? n : 0;
}

static void act(struct raftd *raftd, enum member_step step, uint64_t id)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct link_peer *peer = link_find_id(&raftd->link, id);
	const char *what = "";
	int rc = 0;

	switch (step) {
	case MEMBER_NONE:
		return;
	case MEMBER_ADD:
		what = "a member joins as a learner";
		rc = store_change(&raftd->store, CORE_SET_LEARNER, id, &err);
		break;
	case MEMBER_PROMOTE:
		what = "a member becomes a voter";
		rc = store_change(&raftd->store, CORE_SET_VOTER, id, &err);
		break;
	case MEMBER_DEMOTE:
		what = "a voter becomes a learner";
		rc = store_change(&raftd->store, CORE_SET_LEARNER, id, &err);
		break;
	case MEMBER_REMOVE:
		what = "a member is removed";
		rc = store_change(&raftd->store, CORE_REMOVE, id, &err);
		break;
	case MEMBER_HAND_OVER:
		what = "leadership is handed over";
		rc = store_transfer(&raftd->store, id, &err);
		break;
	}
	if (rc >= 0)
		jaco_log_notice(what, KV_STR(peer, peer ? peer->host : "-"));
	else if (err.code != JACO_CONFLICT && err.code != JACO_UNAVAILABLE)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "membership cannot change", &err);
}

/* --- this node's own record --- */

static void on_published(void *ctx, const struct machine_result *result, const struct jaco_err *err)
{
	struct raftd *raftd = ctx;

	(void)result;
	(void)err; /* the next look finds what is still wrong */
	raftd->is_publishing = false;
}

static bool is_true(struct raftd *raftd, const struct wire_node *node)
{
	return jaco_str_eq(node->version, JACO_VERSION) &&
	       (!raftd->peer_addr[0] || jaco_str_eq(node->peer_addr, raftd->peer_addr)) &&
	       (!raftd->cert_not_after || node->cert_not_after == raftd->cert_not_after);
}

static void publish_self(struct raftd *raftd)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct api_txn txn = {.raftd = raftd, .arena = &arena};
	char key[JACO_KEY_MAX];
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_node node;
	char when[JACO_RFC3339_BYTES];
	uint64_t revision;

	(void)jaco_str_format(key, sizeof(key), "/node/%s", raftd->host);
	if (raftd->is_publishing ||
	    api_get(raftd, key, &wire_node_desc, &arena, &node, &revision, &err) <= 0 ||
	    is_true(raftd, &node))
		return;
	node.version = JACO_VERSION;
	if (raftd->peer_addr[0])
		node.peer_addr = raftd->peer_addr;
	if (raftd->cert_not_after && node.cert_not_after != raftd->cert_not_after) {
		JACO_SET(&node, node, cert_not_after, raftd->cert_not_after);
		jaco_rfc3339_render(when, (int64_t)raftd->cert_not_after);
		api_audit(&txn, JACO_AUDIT_CERTIFICATE_RENEWED,
			  jaco_arena_printf(&arena, "system:raftd@%s", raftd->host),
			  (const char *const[]){"host", raftd->host, "not_after", when, NULL});
	}
	api_compare(&txn, key, revision);
	api_put(&txn, key, &wire_node_desc, &node);
	raftd->is_publishing = true;
	if (txn.err.code != JACO_OK ||
	    submit_txn(raftd, &txn.txn, on_published, raftd, &err) < 0)
		raftd->is_publishing = false;
}

static void on_look(struct jaco_timer *timer, void *ctx)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct raftd *raftd = ctx;
	struct member_fact facts[2 * JACO_NODES_MAX];
	enum member_step step;
	uint64_t id = 0;
	size_t n;

	jaco_timer_arm(timer, MEMBER_MS);
	if (!raftd->is_initialised)
		return;
	if (store_status(&raftd->store).leader != 0)
		publish_self(raftd);
	if (!store_is_leader(&raftd->store) || !store_status(&raftd->store).conf_committed)
		return;
	n = gather(raftd, &arena, facts);
	step = member_plan(facts, n, raftd->store.raft_id, &id);
	act(raftd, step, id);
}

void member_poke(struct raftd *raftd)
{
	jaco_timer_arm(&raftd->member, 0);
}

void member_init(struct raftd *raftd)
{
	jaco_timer_init(&raftd->daemon->loop, &raftd->member, on_look, raftd);
	jaco_timer_arm(&raftd->member, MEMBER_MS);
}

void member_fini(struct raftd *raftd)
{
	jaco_timer_fini(&raftd->member);
}
