/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.c - moving a state that is no longer in the log (thesis 5.1, 5.2).
 *
 * The core knows which snapshot and which offset; the bytes are the owner's on both sides.  One
 * chunk is under way per peer; the receiver's answer says where the next one has to start, so a
 * broken transfer goes on where it stopped. */
#include "daemons/raftd/core/internal.h"
#include "daemons/raftd/core/rules.h"

void snapshot_send(struct core *core, struct peer *peer)
{
	struct core_message msg = {.type = CORE_SNAP_REQ, .to = peer->id, .term = core->term,
				   .index = core->offer.index, .log_term = core->offer.term,
				   .conf = &core->offer.conf};

	if (!core->offer.index || core->offer.index < core->log.base_index) {
		core->snapshot_wanted = true;
		return;
	}
	if (peer->snap_index != core->offer.index) {
		peer->snap_index = core->offer.index;
		peer->snap_offset = 0;
		peer->snap_waiting = false;
	}
	if (peer->snap_waiting)
		return;
	msg.offset = peer->snap_offset;
	core_send(core, &msg);
	peer->snap_waiting = true;
	peer->snap_sent = core->now;
}

void snapshot_tick(struct core *core)
{
	for (size_t i = 0; i < core->n_peers; i++) {
		struct peer *peer = &core->peers[i];

		if (core->now - peer->snap_sent >= core->opt.election)
			peer->snap_waiting = false;
	}
}

void snapshot_on_response(struct core *core, const struct core_message *msg)
{
	struct peer *peer = core_find_peer(core, msg->from);

	if (core->role != CORE_LEADER || !peer)
		return;
	peer->heard = core->now;
	/* Only the answer to the chunk under way moves on: a doubled one would double every chunk
	 * from here to the end. */
	if (peer->state != CORE_SNAPSHOT || peer->snap_index != msg->index ||
	    !peer->snap_waiting || msg->hint != peer->snap_offset)
		return;
	peer->snap_offset = msg->offset;
	peer->snap_waiting = false;
}

/* The log keeps what follows the snapshot when it holds the snapshot's last entry (thesis 5.1) and
 * the disk will have no gap. */
static bool keeps_suffix(const struct core *core, const struct core_message *msg)
{
	uint64_t term;

	return log_term(&core->log, msg->index, &term) && term == msg->log_term &&
	       core->write_next > msg->index;
}

static void install(struct core *core, const struct core_message *msg)
{
	if (keeps_suffix(core, msg)) {
		membership_compacted(core, msg->index);
		log_compact(&core->log, msg->index);
		core->log.base_seq = core_next_seq(core);
	} else {
		log_reset(&core->log, msg->index, msg->log_term, core_next_seq(core));
		membership_reset(core, msg->conf);
		core->write_reset = true;
		core->write_truncate = 0;
		core->write_next = msg->index + 1;
	}
	core->commit = core->applied = core->handed = msg->index;
	core->offer.index = 0;
	core->arriving.index = 0;
	core->chunk.install = true;
	append_owe(core, msg, msg->index, false);
}

static void ask_for(struct core *core, const struct core_message *msg, uint64_t offset,
		    uint64_t after)
{
	struct core_message answer = {.type = CORE_SNAP_RESP, .to = msg->from, .term = core->term,
				      .index = msg->index, .offset = offset,
				      .hint = msg->offset};

	core_send_after(core, &answer, after);
}

/* The place of @msg in the stream; false when another chunk has to come first. */
static bool is_next_chunk(struct core *core, const struct core_message *msg)
{
	if (core->arriving.index != msg->index || core->arriving.from != msg->from ||
	    core->arriving.leader_term != msg->term || msg->offset == 0) {
		core->arriving.from = msg->from;
		core->arriving.index = msg->index;
		core->arriving.leader_term = msg->term;
		core->arriving.offset = 0;
	}
	return core->arriving.offset == msg->offset;
}

void snapshot_on_request(struct core *core, const struct core_message *msg)
{
	if (!msg->index || !msg->conf || !core_conf_voters(msg->conf) || msg->log_term > msg->term)
		return;
	if (msg->index <= core->commit) {
		append_owe(core, msg, core->commit, true);
		return;
	}
	if (core->chunk_due)
		return; /* one for each collect; it will come again */
	if (!is_next_chunk(core, msg)) {
		ask_for(core, msg, core->arriving.offset, core->hard_seq);
		return;
	}
	core->chunk = (struct core_chunk){
		.from = msg->from, .index = msg->index, .term = msg->log_term, .conf = *msg->conf,
		.offset = msg->offset, .n_data = msg->n_data,
		.data = jaco_arena_memdup(&core->arena, msg->data, msg->n_data)};
	core->chunk_due = true;
	core->arriving.offset += msg->n_data;
	if (msg->done)
		install(core, msg);
	else
		ask_for(core, msg, core->arriving.offset, core_next_seq(core));
}

int core_offer(struct core *core, uint64_t index, struct jaco_err *err)
{
	if (!index || index < core->log.base_index || index > core->applied)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "a snapshot at %llu cannot be sent: the log starts after %llu "
				    "and %llu is applied", (unsigned long long)index,
				    (unsigned long long)core->log.base_index,
				    (unsigned long long)core->applied);
	core_begin(core);
	core->offer.index = index;
	(void)log_term(&core->log, index, &core->offer.term); /* inside: checked above */
	membership_at(core, index, &core->offer.conf);
	for (size_t i = 0; i < core->n_peers; i++)
		core->peers[i].snap_index = 0; /* its bytes may be others */
	return 0;
}

bool core_is_sending(const struct core *core)
{
	for (size_t i = 0; core->role == CORE_LEADER && i < core->n_peers; i++)
		if (core->peers[i].state == CORE_SNAPSHOT)
			return true;
	return false;
}

void core_arriving_failed(struct core *core)
{
	core->arriving.index = 0;
}

int core_compact(struct core *core, uint64_t index, struct jaco_err *err)
{
	if (index <= core->log.base_index || index > core->applied || index > core->log.durable)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "cannot cut the log at %llu: it starts after %llu, %llu is "
				    "applied and %llu is on disk", (unsigned long long)index,
				    (unsigned long long)core->log.base_index,
				    (unsigned long long)core->applied,
				    (unsigned long long)core->log.durable);
	core_begin(core);
	membership_compacted(core, index);
	log_compact(&core->log, index);
	return 0;
}
