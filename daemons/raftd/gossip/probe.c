/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.c - questions passed on at most once: the one asked about is the last to be asked. */
#include "daemons/raftd/gossip/probe.h"

#include <string.h>

#include "daemons/raftd/raftd.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"

#define HELPERS 3

/* A question under way; outlives the peer. */
struct probe {
	struct raftd *raftd;
	struct link_call *call; /* to be answered; NULL: asked for ourselves */
	char host[JACO_HOST_MAX + 1];
	uint64_t doubted;
};

static void on_alive(void *ctx, const void *out, const struct jaco_err *err)
{
	const struct wire_raft_alive *alive = out;
	struct probe *probe = ctx;
	struct link_peer *peer = link_find(&probe->raftd->link, probe->host);

	if (probe->call && alive) {
		link_answer(probe->call, &wire_raft_alive_desc, alive);
	} else if (probe->call) {
		link_refuse(probe->call, err);
	} else if (alive && peer && alive->alive > probe->doubted) {
		peer->alive = JACO_MAX(peer->alive, alive->alive);
		peer->vouched = jaco_loop_now(&probe->raftd->daemon->loop);
	}
	jaco_free(probe);
}

static int ask(struct raftd *raftd, struct link_peer *whom, struct link_call *call,
	       const char *host, uint64_t doubted, struct jaco_err *err)
{
	struct probe *probe = jaco_alloc(sizeof(*probe));
	struct wire_raft_probe msg = {.host = host, .alive = doubted};

	*probe = (struct probe){.raftd = raftd, .call = call, .doubted = doubted};
	(void)jaco_str_copy(probe->host, sizeof(probe->host), host);
	if (link_ask(whom, "raft.probe", &wire_raft_probe_desc, &msg, &wire_raft_alive_desc,
		     on_alive, probe, err) >= 0)
		return 0;
	jaco_free(probe);
	return -(int)err->code;
}

void probe_others(struct raftd *raftd, struct link_peer *peer)
{
	struct link_peer *other;
	struct jaco_err err = JACO_ERR_INIT;
	uint32_t n = 0, skip;
	size_t asked = 0;

	TAILQ_FOREACH (other, &raftd->link.peers, next)
		n += other != peer && link_is_up(other);
	if (n == 0)
		return;
	/* others each time */
	skip = n > HELPERS ? jaco_random_below(n - HELPERS + 1) : 0;
	TAILQ_FOREACH (other, &raftd->link.peers, next) {
		if (other == peer || !link_is_up(other) || (skip > 0 && skip-- > 0))
			continue;
		if (asked++ == HELPERS)
			break;
		(void)ask(raftd, other, NULL, peer->host, peer->alive, &err);
	}
}

void probe_on_ask(struct raftd *raftd, struct link_call *call, const struct wire_raft_probe *msg)
{
	struct wire_raft_alive alive;
	struct jaco_err err = JACO_ERR_INIT;
	struct link_peer *peer = link_find(&raftd->link, msg->host);

	if (msg->alive >= RECORDS_NUMBER_MAX) {
		jaco_err_set(&err, JACO_VALIDATION_FAILED, "no number that could be raised");
		link_refuse(call, &err);
		return;
	}
	if (strcmp(msg->host, raftd->host) == 0) {
		raftd->alive = JACO_MAX(raftd->alive, msg->alive) + 1;
		alive = (struct wire_raft_alive){.alive = raftd->alive};
		link_answer(call, &wire_raft_alive_desc, &alive);
		return;
	}
	if (!peer)
		jaco_err_set(&err, JACO_NODE_NOT_FOUND, "%s is no member", msg->host);
	if (!peer || ask(raftd, peer, call, msg->host, msg->alive, &err) < 0)
		link_refuse(call, &err);
}
