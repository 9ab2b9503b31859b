/* SPDX-License-Identifier: Apache-2.0
 *
 * replication.c - the leader's side of the log.
 *
 * A peer is probed until it agrees at one place, then fed optimistically within a window of
 * messages and bytes (thesis 10.2.1, 11.3), and goes back to probing when something got lost.
 * The leader sends while its own disk is still writing and counts itself when that is done
 * (thesis 10.2.1). */
#include "daemons/raftd/core/internal.h"
#include "daemons/raftd/core/rules.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

enum { INFLIGHT_FIRST = 16 };

/* ---- window ---- */

static bool window_is_full(const struct core *core, const struct inflight *window)
{
	return window->n >= core->opt.max_inflight || window->bytes >= core->opt.max_inflight_bytes;
}

static void window_add(struct inflight *window, uint64_t last, uint32_t bytes)
{
	if (window->n == window->cap) {
		uint32_t cap = window->cap ? window->cap * 2 : INFLIGHT_FIRST;
		struct flight *ring = jaco_alloc_n(cap, sizeof(*ring));

		for (uint32_t i = 0; i < window->n; i++)
			ring[i] = window->ring[(window->head + i) % window->cap];
		jaco_free(window->ring);
		window->ring = ring;
		window->cap = cap;
		window->head = 0;
	}
	window->ring[(window->head + window->n++) % window->cap] =
		(struct flight){.last = last, .bytes = bytes};
	window->bytes += bytes;
}

static void window_free_to(struct inflight *window, uint64_t match)
{
	while (window->n && window->ring[window->head].last <= match) {
		window->bytes -= window->ring[window->head].bytes;
		window->head = (window->head + 1) % window->cap;
		window->n--;
	}
}

static void window_clear(struct inflight *window)
{
	window->n = window->head = 0;
	window->bytes = 0;
}

/* ---- peers ---- */

void replication_forget(struct peer *peer)
{
	jaco_free(peer->inflight.ring);
	peer->inflight = (struct inflight){.ring = NULL};
}

void replication_probe(struct core *core, struct peer *peer, uint64_t next)
{
	peer->state = CORE_PROBE;
	peer->attempt = ++core->attempts;
	peer->next = next;
	peer->probing = false;
	window_clear(&peer->inflight);
}

static void replicate(struct peer *peer)
{
	peer->state = CORE_REPLICATE;
	peer->next = peer->match + 1;
	window_clear(&peer->inflight);
}

void replication_begin(struct core *core)
{
	for (size_t i = 0; i < core->n_peers; i++) {
		struct peer *peer = &core->peers[i];

		replication_forget(peer);
		peer->match = 0;
		peer->commit_sent = 0;
		peer->heard = core->now;
		peer->round = peer->round_sent = 0;
		peer->heartbeat_due = false;
		replication_probe(core, peer, log_last(&core->log) + 1);
	}
	core->transfer = 0;
	core->uncommitted_bytes = 0;
	for (uint64_t i = core->commit + 1; i <= log_last(&core->log); i++)
		core->uncommitted_bytes += log_at(&core->log, i)->bytes;
	core->heartbeat_at = core->now + core->opt.heartbeat;
	core->tell_at = UINT64_MAX;
}

void replication_append(struct core *core, struct core_entry *take_entry)
{
	core->uncommitted_bytes += take_entry->bytes;
	log_append(&core->log, take_entry, core_next_seq(core));
	if (take_entry->kind == CORE_ENTRY_CONF)
		membership_appended(core, take_entry);
	core->commit_due = true;
}

void replication_heartbeat(struct core *core)
{
	read_stamp_round(core);
	for (size_t i = 0; i < core->n_peers; i++) {
		core->peers[i].heartbeat_due = true;
		core->peers[i].probing = false;
	}
	core->heartbeat_at = core->now + core->opt.heartbeat;
}

/* ---- answers ---- */

static void on_stored(struct core *core, struct peer *peer, uint64_t match, bool current)
{
	if (match > peer->match) {
		peer->match = match;
		core->commit_due = true;
	}
	window_free_to(&peer->inflight, peer->match);
	switch (peer->state) {
	case CORE_PROBE:
		if (current)
			replicate(peer);
		break;
	case CORE_REPLICATE:
		break;
	case CORE_SNAPSHOT:
		/* Whoever it came from, the peer has got past our base. */
		if (peer->match >= core->log.base_index)
			replicate(peer);
		break;
	}
	if (peer->next <= peer->match)
		peer->next = peer->match + 1;
}

static void on_refused(struct core *core, struct peer *peer, const struct core_message *msg)
{
	uint64_t refused = msg->index ? msg->index : peer->next - 1;
	uint64_t hint = msg->hint;

	if (peer->state == CORE_SNAPSHOT || refused <= peer->match)
		return; /* an old answer */
	if (peer->state == CORE_PROBE && refused != peer->next - 1)
		return;
	if (msg->hint_term && hint > core->log.base_index)
		hint = log_at_most(&core->log, hint, msg->hint_term);
	replication_probe(core, peer, JACO_MAX(peer->match + 1, JACO_MIN(hint + 1, refused)));
}

void replication_on_response(struct core *core, const struct core_message *msg)
{
	struct peer *peer = core_find_peer(core, msg->from);
	bool current;

	if (core->role != CORE_LEADER || !peer)
		return;
	if (msg->ok && msg->index > log_last(&core->log))
		return; /* it cannot have what we do not */
	peer->heard = core->now;
	if (msg->round <= core->round && msg->round > peer->round)
		peer->round = msg->round;
	/* Messages of a stream that broke are refused one by one: only the first may start another
	 * attempt, or a window of them would start as many. */
	current = !msg->attempt || msg->attempt == peer->attempt;
	if (msg->ok)
		on_stored(core, peer, msg->index, current);
	else if (current)
		on_refused(core, peer, msg);
}

/* ---- sending ---- */

/* One append message to @peer; @n entries from peer->next, 0 for a heartbeat. */
static void send_append(struct core *core, struct peer *peer, size_t n)
{
	struct core_message msg = {.type = CORE_APP_REQ, .to = peer->id, .term = core->term,
				   .commit = core->commit, .round = core->round,
				   .index = peer->next - 1, .n_entries = n,
				   .attempt = peer->attempt};
	uint64_t known;

	/* A heartbeat to a peer that waits for a snapshot has no entry to agree on. */
	if (!log_term(&core->log, msg.index, &msg.log_term))
		msg.index = msg.log_term = 0;
	if (n) {
		struct core_entry **entries =
			jaco_arena_alloc(&core->arena, n * sizeof(struct core_entry *));

		for (size_t i = 0; i < n; i++)
			entries[i] = log_at(&core->log, peer->next + i);
		msg.entries = entries;
	}
	core_send(core, &msg);
	known = JACO_MIN(core->commit, msg.index + n);
	peer->commit_sent = JACO_MAX(peer->commit_sent, known);
	peer->round_sent = core->round;
	peer->heartbeat_due = false;
}

/* As many entries from peer->next as one message may hold, and their bytes. */
static size_t batch(const struct core *core, const struct peer *peer, uint32_t *out_bytes)
{
	uint64_t last = log_last(&core->log);
	uint64_t bytes = 0;
	size_t n = 0;

	for (uint64_t i = peer->next; i <= last; i++, n++) {
		uint32_t more = log_at(&core->log, i)->bytes;

		if (n && bytes + more > core->opt.max_batch_bytes)
			break;
		bytes += more;
	}
	*out_bytes = (uint32_t)bytes;
	return n;
}

static void feed(struct core *core, struct peer *peer)
{
	while (peer->next <= log_last(&core->log)) {
		uint32_t bytes;
		size_t n;

		if (peer->state == CORE_PROBE ? peer->probing
					      : window_is_full(core, &peer->inflight))
			return;
		n = batch(core, peer, &bytes);
		send_append(core, peer, n);
		if (peer->state == CORE_PROBE) {
			peer->probing = true;
			return;
		}
		window_add(&peer->inflight, peer->next + n - 1, bytes);
		peer->next += n;
	}
}

static void hand_over(struct core *core, struct peer *peer)
{
	struct core_message msg = {.type = CORE_TIMEOUT_NOW, .to = peer->id, .term = core->term};

	if (core->transfer != peer->id || core->transfer_sent ||
	    peer->match != log_last(&core->log))
		return;
	core->transfer_sent = true;
	/* However late it arrives, it starts an election that no lease holds back. */
	core->lease_broken = true;
	core_send(core, &msg);
}

bool replication_is_behind(const struct core *core, const struct peer *peer)
{
	return peer->state != CORE_SNAPSHOT &&
	       peer->commit_sent < JACO_MIN(core->commit, peer->match);
}

static void send_to(struct core *core, struct peer *peer)
{
	bool round_waits = core->round_due && peer->round_sent < core->round;

	if (peer->state != CORE_SNAPSHOT && peer->next <= core->log.base_index) {
		peer->state = CORE_SNAPSHOT;
		peer->snap_index = 0;
		window_clear(&peer->inflight);
	}
	if (peer->state == CORE_SNAPSHOT)
		snapshot_send(core, peer);
	/* A read round goes in a message of its own: entries are answered after a disk write. */
	if (round_waits)
		send_append(core, peer, 0);
	if (peer->state != CORE_SNAPSHOT)
		feed(core, peer);
	if (peer->heartbeat_due ||
	    (core->now >= core->tell_at && replication_is_behind(core, peer)))
		send_append(core, peer, 0);
	hand_over(core, peer);
}

static bool is_any_behind(const struct core *core)
{
	for (size_t i = 0; i < core->n_peers; i++)
		if (replication_is_behind(core, &core->peers[i]))
			return true;
	return false;
}

/* A commit that is told in a message of its own wakes every follower once more and is answered by
 * each: with writes coming in a row that is half of all messages, and the next entries tell it. */
static void begin_linger(struct core *core)
{
	if (core->tell_at == UINT64_MAX && is_any_behind(core))
		core->tell_at = core->now + core->opt.linger;
}

void replication_send(struct core *core)
{
	begin_linger(core);
	for (size_t i = 0; i < core->n_peers; i++)
		send_to(core, &core->peers[i]);
	core->round_due = false;
	if (!is_any_behind(core))
		core->tell_at = UINT64_MAX;
}

/* ---- commit ---- */

static uint64_t match_of(const struct peer *peer)
{
	return peer->match;
}

void replication_commit(struct core *core)
{
	uint64_t own = rules_stored(log_last(&core->log), core->log.durable);
	uint64_t index, term;
	bool is_settled;

	if (!core->commit_due)
		return;
	core->commit_due = false;
	index = core_quorum(core, own, match_of);
	if (index <= core->commit || !log_term(&core->log, index, &term) ||
	    !rules_may_commit(term, core->term))
		return;
	for (uint64_t i = core->commit + 1; i <= index; i++)
		core->uncommitted_bytes -= log_at(&core->log, i)->bytes;
	is_settled = membership_is_committed(core);
	core_set_commit(core, index);
	/* a leader may be about to leave, and what others may do hangs on who is a member */
	if (!is_settled && membership_is_committed(core))
		core->tell_at = core->now;
}
