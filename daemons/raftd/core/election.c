/* SPDX-License-Identifier: Apache-2.0
 *
 * election.c - who leads.
 *
 * Thesis 3.4 (votes), 3.6.1 (only an up-to-date log), 4.2.3 and 6.2 (a working leader is left
 * alone, one without a majority gives up), 9.6 (asking before disturbing), 3.10 (hand-over). */
#include "daemons/raftd/core/internal.h"
#include "daemons/raftd/core/rules.h"
#include "libjaco/base/random.h"

/* Thesis 4.2.2: also a server outside its newest configuration stands while that may still be
 * undone: its log may be the one that the rest needs to get on. */
bool election_can_stand(const struct core *core)
{
	return core->role != CORE_LEADER && (core->self_votes || membership_may_vote(core));
}

void election_reset_timer(struct core *core)
{
	core->election_at = core->now + core->opt.election +
			    jaco_prng_next(&core->prng) % core->opt.election;
}

/* A broken connection is a hint and no proof: the others are asked first (thesis 9.6), and they
 * agree only when they have not heard the leader either.  A lease must not be cut short (thesis
 * 6.4.1). */
void election_suspect(struct core *core)
{
	uint64_t soon = core->now + jaco_prng_next(&core->prng) % core->opt.heartbeat;

	if (!core->opt.prevote || core->opt.lease_reads)
		return;
	core->heard = core->now - JACO_MIN(core->now, (uint64_t)core->opt.election);
	core->election_at = JACO_MIN(core->election_at, soon);
}

/* Nobody is disturbed: a leader that works is heard within one heartbeat, and those who hear it
 * refuse (thesis 9.6).  A lease of before our start is waited out (thesis 6.4.1). */
void election_look_around(struct core *core)
{
	uint64_t soon = core->now + core->opt.heartbeat +
			jaco_prng_next(&core->prng) % core->opt.heartbeat;

	if (core->is_new && core->opt.prevote && !core->opt.lease_reads)
		core->election_at = JACO_MIN(core->election_at, soon);
}

static void leave_leadership(struct core *core)
{
	core->transfer = 0;
	core->commit_due = false;
	read_fail_all(core);
	for (size_t i = 0; i < core->n_peers; i++)
		replication_forget(&core->peers[i]);
}

static void enter(struct core *core, enum core_role role, uint64_t leader)
{
	if (core->role == CORE_LEADER && role != CORE_LEADER)
		leave_leadership(core);
	core->role = role;
	core->leader = leader;
	core->votes_due = false;
	core->ack.to = 0;
	core->changed = true;
}

void election_follow(struct core *core, uint64_t term, uint64_t leader)
{
	bool was_follower = core->role == CORE_FOLLOWER;

	if (term == core->term && was_follower && leader == core->leader)
		return;
	if (term > core->term)
		core_set_hard(core, term, 0);
	enter(core, CORE_FOLLOWER, leader);
	if (leader)
		core->sticky_start = false;
	/* A silent candidate must not be able to put off our own election (thesis 3.4): the timer
	 * of a follower goes on until a leader is heard or a vote is given. */
	if (!was_follower)
		election_reset_timer(core);
}

static size_t count_votes(const struct core *core, enum peer_vote vote)
{
	size_t n = vote == PEER_GRANTED && core->self_votes;

	for (size_t i = 0; i < core->n_peers; i++)
		n += core->peers[i].is_voter && core->peers[i].vote == vote;
	return n;
}

static bool is_elected(const struct core *core)
{
	return count_votes(core, PEER_GRANTED) > core_conf_voters(&core->conf) / 2;
}

static void lead(struct core *core)
{
	struct core_entry *noop =
		core_entry_load(CORE_ENTRY_NOOP, log_last(&core->log) + 1, core->term, NULL, 0);

	enter(core, CORE_LEADER, core->opt.id);
	replication_begin(core);
	read_begin(core);
	core->term_start = noop->index;
	replication_append(core, noop);
}

static void ask_voters(struct core *core, enum core_message_type type, uint64_t term)
{
	struct core_message msg = {.type = type, .term = term,
				   .index = log_last(&core->log),
				   .log_term = log_last_term(&core->log),
				   .transfer = type == CORE_VOTE_REQ && core->vote_transfer};

	for (size_t i = 0; i < core->n_peers; i++) {
		if (!core->peers[i].is_voter)
			continue;
		msg.to = core->peers[i].id;
		core_send(core, &msg);
	}
}

static void forget_votes(struct core *core)
{
	for (size_t i = 0; i < core->n_peers; i++)
		core->peers[i].vote = PEER_SILENT;
}

static void stand(struct core *core, bool transfer)
{
	core_set_hard(core, core->term + 1, core->opt.id);
	enter(core, CORE_CANDIDATE, 0);
	forget_votes(core);
	core->votes_due = true; /* our own vote counts when it is on disk, and is asked with then */
	core->vote_transfer = transfer;
	election_reset_timer(core);
}

void election_campaign(struct core *core, bool transfer)
{
	if (!election_can_stand(core))
		return;
	core->is_new = false;
	if (!core->opt.prevote || transfer) {
		stand(core, transfer);
		return;
	}
	enter(core, CORE_PRECANDIDATE, 0);
	forget_votes(core);
	election_reset_timer(core);
	if (is_elected(core))
		stand(core, false);
	else
		ask_voters(core, CORE_PREVOTE_REQ, core->term + 1);
}

void election_request_votes(struct core *core)
{
	if (!core->votes_due || !core_hard_is_durable(core))
		return;
	core->votes_due = false;
	if (is_elected(core))
		lead(core);
	else
		ask_voters(core, CORE_VOTE_REQ, core->term);
}

static uint64_t heard_at(const struct peer *peer)
{
	return peer->heard;
}

void election_check_quorum(struct core *core)
{
	if (core->opt.check_quorum &&
	    core->now - core_quorum(core, core->now, heard_at) >= core->opt.election)
		election_follow(core, core->term, 0);
}

bool election_is_settled(const struct core *core)
{
	if (core->role == CORE_LEADER)
		return true;
	return (core->leader || core->sticky_start) &&
	       core->now - core->heard < core->opt.election;
}

static bool is_up_to_date(const struct core *core, const struct core_message *msg)
{
	uint64_t last_term = log_last_term(&core->log);

	return msg->log_term > last_term ||
	       (msg->log_term == last_term && msg->index >= log_last(&core->log));
}

static void on_prevote(struct core *core, const struct core_message *msg)
{
	bool ok = msg->term > core->term && !election_is_settled(core) && is_up_to_date(core, msg);
	struct core_message answer = {.type = CORE_PREVOTE_RESP, .to = msg->from, .ok = ok,
				      .term = ok ? msg->term : core->term};

	/* A grant promises nothing and rests on no write; a refusal tells our term, which must be
	 * one we cannot fall behind. */
	if (ok)
		core_send(core, &answer);
	else
		core_send_durable(core, &answer);
}

static void on_vote(struct core *core, const struct core_message *msg)
{
	bool ok = msg->term == core->term && rules_may_vote(core->vote, msg->from) &&
		  is_up_to_date(core, msg);
	struct core_message answer = {.type = CORE_VOTE_RESP, .to = msg->from, .ok = ok,
				      .term = core->term};

	if (ok) {
		core_set_hard(core, core->term, msg->from);
		election_reset_timer(core);
	}
	core_send_durable(core, &answer);
}

void election_on_request(struct core *core, const struct core_message *msg)
{
	if (msg->type == CORE_PREVOTE_REQ) {
		on_prevote(core, msg);
		return;
	}
	if (msg->term > core->term) {
		if (core->opt.check_quorum && !msg->transfer && election_is_settled(core))
			return;
		election_follow(core, msg->term, 0);
	}
	on_vote(core, msg);
}

void election_on_response(struct core *core, const struct core_message *msg)
{
	bool pre = msg->type == CORE_PREVOTE_RESP;
	struct peer *peer = core_find_peer(core, msg->from);

	if (!peer || core->role != (pre ? CORE_PRECANDIDATE : CORE_CANDIDATE) || core->votes_due)
		return;
	if (msg->term != core->term && !(pre && msg->ok && msg->term == core->term + 1))
		return;
	peer->vote = msg->ok ? PEER_GRANTED : PEER_REFUSED;
	if (!is_elected(core))
		return;
	if (pre)
		stand(core, false);
	else
		lead(core);
}

void election_on_timeout_now(struct core *core, const struct core_message *msg)
{
	if (msg->term == core->term)
		election_campaign(core, true);
}
