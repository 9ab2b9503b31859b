/* SPDX-License-Identifier: Apache-2.0
 *
 * core.c - events go to the part that knows about them; actions are gathered in one place.
 *
 * The order inside core_collect() is what makes one pass enough: votes that became durable may make
 * a leader, a leader may commit, a commit is told to the peers, and only then is it counted what
 * has to be written, applied and answered. */
#include "daemons/raftd/core/internal.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

/* No honest cluster gets there by counting; keeps term + 1 and index + n from wrapping. */
#define TERM_MAX  (UINT64_MAX / 2)
#define INDEX_MAX (UINT64_MAX / 2)

/* ---- gathering ---- */

void core_begin(struct core *core)
{
	if (!core->collected)
		return;
	core->collected = false;
	core->n_out = 0;
	core->n_answers = 0;
	core->chunk_due = false;
	core->chunk.install = false;
	jaco_arena_reset(&core->arena);
}

void core_send(struct core *core, const struct core_message *msg)
{
	core->out = jaco_grow(core->out, &core->cap_out, core->n_out + 1, sizeof(*core->out));
	core->out[core->n_out] = *msg;
	core->out[core->n_out++].from = core->opt.id;
}

void core_send_after(struct core *core, const struct core_message *msg, uint64_t seq)
{
	JACO_ASSERT(!msg->n_entries);
	if (seq <= core->durable_seq)
		core_send(core, msg);
	else if (core->n_held < CORE_HELD_MAX)
		core->held[core->n_held++] = (struct held){.msg = *msg, .after = seq};
}

void core_send_durable(struct core *core, const struct core_message *msg)
{
	core_send_after(core, msg, core->hard_seq);
}

static void release_held(struct core *core)
{
	size_t kept = 0;

	for (size_t i = 0; i < core->n_held; i++) {
		if (core->held[i].after <= core->durable_seq)
			core_send(core, &core->held[i].msg);
		else
			core->held[kept++] = core->held[i];
	}
	core->n_held = kept;
}

void core_set_hard(struct core *core, uint64_t term, uint64_t vote)
{
	if (core->term == term && core->vote == vote)
		return;
	JACO_ASSERT(term >= core->term);
	core->term = term;
	core->vote = vote;
	core->hard_dirty = true;
	core->hard_seq = core_next_seq(core);
}

void core_set_commit(struct core *core, uint64_t index)
{
	if (index <= core->commit)
		return;
	JACO_ASSERT(index <= log_last(&core->log));
	core->commit = index;
}

struct peer *core_find_peer(struct core *core, uint64_t id)
{
	for (size_t i = 0; i < core->n_peers; i++)
		if (core->peers[i].id == id)
			return &core->peers[i];
	return NULL;
}

uint64_t core_quorum(const struct core *core, uint64_t own,
		     uint64_t (*value)(const struct peer *peer))
{
	uint64_t sorted[JACO_NODES_MAX];
	size_t n = 0;

	/* Descending by insertion: a handful of voters. */
	for (size_t i = 0; i <= core->n_peers; i++) {
		bool is_own = i == core->n_peers;
		uint64_t v = is_own ? own : value(&core->peers[i]);
		size_t at = n;

		if (!(is_own ? core->self_votes : core->peers[i].is_voter))
			continue;
		for (; at && sorted[at - 1] < v; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = v;
		n++;
	}
	return n ? sorted[n / 2] : 0;
}

const char *core_message_name(enum core_message_type type)
{
	switch (type) {
	case CORE_PREVOTE_REQ:
		return "prevote_req";
	case CORE_PREVOTE_RESP:
		return "prevote_resp";
	case CORE_VOTE_REQ:
		return "vote_req";
	case CORE_VOTE_RESP:
		return "vote_resp";
	case CORE_APP_REQ:
		return "app_req";
	case CORE_APP_RESP:
		return "app_resp";
	case CORE_SNAP_REQ:
		return "snap_req";
	case CORE_SNAP_RESP:
		return "snap_resp";
	case CORE_TIMEOUT_NOW:
		return "timeout_now";
	}
	return "unknown";
}

/* ---- life ---- */

static int check_options(const struct core_options *opt, struct jaco_err *err)
{
	if (!opt->id || !opt->election || !opt->heartbeat || opt->heartbeat >= opt->election ||
	    opt->linger >= opt->election)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "id, election and heartbeat must be set, heartbeat and linger "
				    "below election");
	if (!opt->max_inflight || !opt->max_inflight_bytes || !opt->max_batch_bytes ||
	    !opt->max_uncommitted_bytes || !opt->max_reads)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "a limit is zero");
	return 0;
}

static int check_start(const struct core_start *start, struct jaco_err *err)
{
	uint64_t term = start->base_term;
	uint64_t last = start->base_index + start->n_entries;
	struct core_conf conf;

	for (size_t i = 0; i < start->n_entries; i++) {
		const struct core_entry *entry = start->entries[i];

		if (entry->index != start->base_index + 1 + i)
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "the log has %llu where %llu belongs",
					    (unsigned long long)entry->index,
					    (unsigned long long)(start->base_index + 1 + i));
		if (entry->term < term || entry->term > start->term)
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "entry %llu has a term that cannot be",
					    (unsigned long long)entry->index);
		if (entry->kind == CORE_ENTRY_CONF &&
		    core_conf_unpack(&conf, entry->data, entry->bytes, err) < 0)
			return jaco_err_wrap(err, "entry %llu", (unsigned long long)entry->index);
		term = entry->term;
	}
	if (term > start->term || start->term > TERM_MAX || start->base_index > INDEX_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the stored term or base cannot be");
	if (start->applied && (start->applied < start->base_index || start->applied > last))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the state is at %llu, the log holds %llu to %llu",
				    (unsigned long long)start->applied,
				    (unsigned long long)start->base_index,
				    (unsigned long long)last);
	return 0;
}

int core_new(struct core **out_core, const struct core_options *options, uint64_t now,
	     const struct core_start *start, struct jaco_err *err)
{
	struct core *core;
	int rc = check_options(options, err);

	if (rc >= 0)
		rc = check_start(start, err);
	if (rc < 0)
		return rc;
	core = jaco_alloc(sizeof(*core));
	core->opt = *options;
	core->now = core->heard = now;
	core->prng = options->seed ^ options->id << 32;
	core->term = start->term;
	core->vote = start->vote;
	log_init(&core->log, start->base_index, start->base_term);
	membership_init(core, &start->conf);
	for (size_t i = 0; i < start->n_entries; i++) {
		log_append(&core->log, core_entry_ref(start->entries[i]), 0);
		if (start->entries[i]->kind == CORE_ENTRY_CONF)
			membership_appended(core, start->entries[i]);
	}
	core->log.durable = log_last(&core->log);
	core->write_next = log_last(&core->log) + 1;
	core->applied = core->handed = JACO_MAX(start->applied, start->base_index);
	core->commit = JACO_MIN(JACO_MAX(start->commit, core->applied), log_last(&core->log));
	core->is_new = true;
	core->sticky_start = options->lease_reads && options->check_quorum && start->term;
	core->changed = true;
	election_reset_timer(core);
	*out_core = core;
	return 0;
}

void core_free(struct core *core)
{
	if (!core)
		return;
	for (size_t i = 0; i < core->n_peers; i++)
		replication_forget(&core->peers[i]);
	log_fini(&core->log);
	jaco_arena_fini(&core->arena);
	jaco_free(core->conf_at);
	jaco_free(core->reads);
	jaco_free(core->out);
	jaco_free(core->answers);
	jaco_free(core);
}

/* ---- events ---- */

static void lead_on(struct core *core)
{
	if (core->now < core->heartbeat_at)
		return;
	if (core->transfer && core->now >= core->transfer_until)
		core->transfer = 0;
	snapshot_tick(core);
	replication_heartbeat(core);
	election_check_quorum(core);
}

void core_tick(struct core *core, uint64_t now)
{
	core_begin(core);
	if (now > core->now)
		core->now = now;
	if (core->role == CORE_LEADER)
		lead_on(core);
	else if (core->now >= core->election_at) {
		election_reset_timer(core);
		election_campaign(core, false);
	}
}

uint64_t core_deadline(const struct core *core)
{
	if (core->role == CORE_LEADER)
		return JACO_MIN(core->heartbeat_at, core->tell_at);
	return election_can_stand(core) ? core->election_at : UINT64_MAX;
}

static void on_leader_message(struct core *core, const struct core_message *msg)
{
	if (core->role == CORE_LEADER)
		return; /* two leaders in one term: not a raft peer */
	election_follow(core, msg->term, msg->from);
	core->heard = core->now;
	core->is_new = false;
	election_reset_timer(core);
	if (msg->type == CORE_APP_REQ)
		append_on_request(core, msg);
	else
		snapshot_on_request(core, msg);
}

static void on_term_message(struct core *core, const struct core_message *msg)
{
	bool from_leader = msg->type == CORE_APP_REQ || msg->type == CORE_SNAP_REQ;

	if (msg->term < core->term) {
		if (from_leader)
			append_reject(core, msg);
		return;
	}
	if (msg->term > core->term && !(msg->type == CORE_PREVOTE_RESP && msg->ok))
		election_follow(core, msg->term, from_leader ? msg->from : 0);
	switch (msg->type) {
	case CORE_APP_REQ:
	case CORE_SNAP_REQ:
		on_leader_message(core, msg);
		break;
	case CORE_APP_RESP:
		replication_on_response(core, msg);
		break;
	case CORE_SNAP_RESP:
		snapshot_on_response(core, msg);
		break;
	case CORE_VOTE_RESP:
	case CORE_PREVOTE_RESP:
		election_on_response(core, msg);
		break;
	case CORE_TIMEOUT_NOW:
		election_on_timeout_now(core, msg);
		break;
	case CORE_VOTE_REQ:
	case CORE_PREVOTE_REQ:
		break; /* have their own rule for terms */
	}
}

void core_receive(struct core *core, const struct core_message *msg)
{
	core_begin(core);
	if (!msg->from || msg->from == core->opt.id || msg->to != core->opt.id ||
	    msg->term > TERM_MAX || msg->index > INDEX_MAX)
		return;
	if (msg->type == CORE_VOTE_REQ || msg->type == CORE_PREVOTE_REQ)
		election_on_request(core, msg);
	else
		on_term_message(core, msg);
}

int core_propose(struct core *core, struct core_entry *take_entry, uint64_t *out_index,
		 struct jaco_err *err)
{
	int rc = 0;

	core_begin(core);
	if (core->role != CORE_LEADER)
		rc = jaco_err_set(err, JACO_NO_LEADER, "node %llu does not lead",
				  (unsigned long long)core->opt.id);
	else if (core->transfer)
		rc = jaco_err_set(err, JACO_UNAVAILABLE, "leadership is being handed over");
	else if (core->uncommitted_bytes + take_entry->bytes > core->opt.max_uncommitted_bytes &&
		 core->uncommitted_bytes)
		rc = jaco_err_set(err, JACO_TOO_MANY_REQUESTS,
				  "%llu bytes wait for their commit",
				  (unsigned long long)core->uncommitted_bytes);
	if (rc < 0) {
		core_entry_unref(take_entry);
		return rc;
	}
	take_entry->index = log_last(&core->log) + 1;
	take_entry->term = core->term;
	*out_index = take_entry->index;
	replication_append(core, take_entry);
	return 0;
}

int core_transfer(struct core *core, uint64_t to, struct jaco_err *err)
{
	const struct peer *peer = core_find_peer(core, to);

	core_begin(core);
	if (core->role != CORE_LEADER)
		return jaco_err_set(err, JACO_NO_LEADER, "node %llu does not lead",
				    (unsigned long long)core->opt.id);
	if (!peer || !peer->is_voter)
		return jaco_err_set(err, JACO_NODE_NOT_FOUND, "%llu is not another voter",
				    (unsigned long long)to);
	if (core->transfer == to)
		return 0;
	core->transfer = to;
	core->transfer_sent = false;
	core->transfer_until = core->now + core->opt.election;
	return 0;
}

void core_campaign(struct core *core)
{
	core_begin(core);
	election_campaign(core, false);
}

void core_durable(struct core *core, uint64_t seq)
{
	core_begin(core);
	JACO_ASSERT(seq <= core->write_seq);
	if (seq <= core->durable_seq)
		return;
	core->durable_seq = seq;
	log_flushed(&core->log, seq);
	core->commit_due |= core->role == CORE_LEADER;
}

void core_applied(struct core *core, uint64_t index)
{
	core_begin(core);
	JACO_ASSERT(index <= core->handed);
	if (index > core->applied)
		core->applied = index;
}

void core_tell(struct core *core, uint64_t id)
{
	struct peer *peer = core_find_peer(core, id);

	core_begin(core);
	if (core->role == CORE_LEADER && peer && replication_is_behind(core, peer))
		peer->heartbeat_due = true;
}

void core_peer_found(struct core *core, uint64_t id)
{
	const struct peer *peer = core_find_peer(core, id);

	core_begin(core);
	if (core->role == CORE_FOLLOWER && peer && peer->is_voter)
		election_look_around(core);
}

void core_peer_lost(struct core *core, uint64_t id)
{
	struct peer *peer = core_find_peer(core, id);

	core_begin(core);
	if (core->role == CORE_FOLLOWER && core->leader == id)
		election_suspect(core);
	if (core->role != CORE_LEADER || !peer)
		return;
	peer->snap_waiting = false;
	if (peer->state == CORE_REPLICATE)
		replication_probe(core, peer, peer->match + 1);
}

/* ---- actions ---- */

static struct core_entry *const *gather(struct core *core, uint64_t first, size_t n)
{
	struct core_entry **entries;

	if (!n)
		return NULL;
	entries = jaco_arena_alloc(&core->arena, n * sizeof(struct core_entry *));
	for (size_t i = 0; i < n; i++)
		entries[i] = log_at(&core->log, first + i);
	return entries;
}

static void collect_write(struct core *core, struct core_write *out)
{
	size_t n = (size_t)(log_last(&core->log) + 1 - core->write_next);

	*out = (struct core_write){.term = core->term, .vote = core->vote,
				   .commit = JACO_MIN(core->commit, core->log.durable)};
	if (!n && !core->hard_dirty && !core->write_truncate && !core->write_reset &&
	    !core->chunk_due)
		return;
	out->seq = ++core->write_seq;
	out->hard = core->hard_dirty;
	out->reset = core->write_reset;
	out->truncate_from = core->write_truncate;
	out->entries = gather(core, core->write_next, n);
	out->n_entries = n;
	core->write_next += n;
	core->hard_dirty = core->write_reset = false;
	core->write_truncate = 0;
}

static void collect_apply(struct core *core, struct core_actions *out)
{
	uint64_t last = core->commit;

	if (!core->opt.apply_early)
		last = JACO_MIN(last, core->log.durable);
	if (last <= core->handed)
		return;
	out->n_apply = (size_t)(last - core->handed);
	out->apply = gather(core, core->handed + 1, out->n_apply);
	core->handed = last;
}

static void collect_leader(struct core *core)
{
	replication_commit(core);
	replication_send(core);
	membership_committed(core);
}

void core_collect(struct core *core, struct core_actions *out_actions)
{
	core_begin(core);
	core->snapshot_wanted = false;
	election_request_votes(core);
	release_held(core);
	append_acknowledge(core);
	if (core->role == CORE_LEADER) {
		read_confirm(core);
		collect_leader(core);
		read_answer(core);
	}
	*out_actions = (struct core_actions){.snapshot_wanted = core->snapshot_wanted,
					     .changed = core->changed};
	collect_write(core, &out_actions->write);
	collect_apply(core, out_actions);
	out_actions->chunk = core->chunk_due ? &core->chunk : NULL;
	out_actions->messages = core->out;
	out_actions->n_messages = core->n_out;
	out_actions->reads = core->answers;
	out_actions->n_reads = core->n_answers;
	core->changed = false;
	core->collected = true;
}

/* ---- looking in ---- */

void core_status(const struct core *core, struct core_status *out_status)
{
	*out_status = (struct core_status){
		.role = core->role, .term = core->term, .vote = core->vote,
		.leader = core->leader, .commit = core->commit, .applied = core->applied,
		.base_index = core->log.base_index, .base_term = core->log.base_term,
		.last_index = log_last(&core->log), .last_term = log_last_term(&core->log),
		.durable_index = core->log.durable, .log_bytes = core->log.bytes,
		.transfer = core->transfer, .conf = &core->conf,
		.conf_committed = membership_is_committed(core)};
}

bool core_peer(const struct core *core, uint64_t id, struct core_peer_status *out_peer)
{
	if (core->role != CORE_LEADER)
		return false;
	for (size_t i = 0; i < core->n_peers; i++) {
		const struct peer *peer = &core->peers[i];

		if (peer->id != id)
			continue;
		*out_peer = (struct core_peer_status){
			.id = id, .state = peer->state, .match = peer->match,
			.heard_ago = core->now - peer->heard, .is_voter = peer->is_voter};
		return true;
	}
	return false;
}

struct core_entry *core_entry_at(const struct core *core, uint64_t index)
{
	return log_at(&core->log, index);
}
