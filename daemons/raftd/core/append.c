/* SPDX-License-Identifier: Apache-2.0
 *
 * append.c - the follower's side of the log: agree with the leader, store, acknowledge.
 *
 * Thesis 3.5.  What is committed here is never looked at again: the leader has it too, so an
 * overlap below the commit index agrees without a comparison, even behind the base. */
#include "daemons/raftd/core/internal.h"
#include "daemons/raftd/core/rules.h"
#include "libjaco/base/assert.h"

/* Gapless, of rising terms up to the message's, configurations readable: what a leader sends. */
static bool is_plausible(const struct core_message *msg)
{
	uint64_t term = msg->log_term;
	struct core_conf conf;

	if (msg->log_term > msg->term)
		return false;
	for (size_t i = 0; i < msg->n_entries; i++) {
		const struct core_entry *entry = msg->entries[i];

		if (entry->index != msg->index + 1 + i || entry->term < term ||
		    entry->term > msg->term)
			return false;
		if (entry->kind == CORE_ENTRY_CONF &&
		    core_conf_unpack(&conf, entry->data, entry->bytes, NULL) < 0)
			return false;
		term = entry->term;
	}
	return true;
}

/* Where the leader may look next: below the refused entry, skipping every entry of ours from a
 * term newer than the one the leader has there (thesis 3.5, end). */
void append_reject(struct core *core, const struct core_message *msg)
{
	struct core_message answer = {.type = CORE_APP_RESP, .to = msg->from, .term = core->term,
				      .index = msg->index, .round = msg->round,
				      .attempt = msg->attempt};
	uint64_t last = log_last(&core->log);

	answer.hint = last;
	if (msg->type == CORE_APP_REQ && msg->term == core->term) {
		uint64_t below = msg->index ? JACO_MIN(msg->index - 1, last) : 0;

		answer.hint = log_at_most(&core->log, below, msg->log_term);
		answer.hint = JACO_MAX(answer.hint, core->commit);
		(void)log_term(&core->log, answer.hint, &answer.hint_term);
	}
	core_send_durable(core, &answer);
}

static bool agrees(const struct core *core, const struct core_message *msg)
{
	uint64_t term;

	if (msg->index <= core->commit)
		return true;
	return log_term(&core->log, msg->index, &term) && term == msg->log_term;
}

static void truncate(struct core *core, uint64_t from)
{
	JACO_ASSERT(from > core->commit);
	log_truncate(&core->log, from);
	membership_truncated(core, from);
	if (from < core->write_next) {
		core->write_next = from;
		if (!core->write_truncate || from < core->write_truncate)
			core->write_truncate = from;
	}
	core->ack.verified = JACO_MIN(core->ack.verified, from - 1);
}

/* False when an entry would make the terms of the log fall: no leader sends that. */
static bool store(struct core *core, const struct core_message *msg)
{
	for (size_t i = 0; i < msg->n_entries; i++) {
		struct core_entry *entry = msg->entries[i];
		uint64_t term;

		if (entry->index <= core->commit)
			continue;
		if (!log_term(&core->log, entry->index - 1, &term) || term > entry->term)
			return false;
		if (log_term(&core->log, entry->index, &term)) {
			if (term == entry->term)
				continue;
			truncate(core, entry->index);
		}
		log_append(&core->log, core_entry_ref(entry), core_next_seq(core));
		if (entry->kind == CORE_ENTRY_CONF)
			membership_appended(core, entry);
	}
	return true;
}

void append_owe(struct core *core, const struct core_message *msg, uint64_t verified, bool due)
{
	if (core->ack.to != msg->from) {
		core->ack.to = msg->from;
		core->ack.verified = core->ack.sent = 0;
		core->ack.round = core->ack.attempt = 0;
		core->ack.due = false;
	}
	core->ack.verified = JACO_MAX(core->ack.verified, verified);
	core->ack.round = JACO_MAX(core->ack.round, msg->round);
	core->ack.attempt = JACO_MAX(core->ack.attempt, msg->attempt);
	core->ack.due |= due;
	/* What waits for the disk must not leave with what was stored before. */
	if (!due)
		core->ack.sent = JACO_MAX(core->ack.sent,
					  rules_stored(core->ack.verified, core->log.durable));
}

void append_on_request(struct core *core, const struct core_message *msg)
{
	uint64_t covered = msg->index + msg->n_entries;
	uint64_t stored;

	if (!is_plausible(msg))
		return;
	if (!agrees(core, msg)) {
		append_reject(core, msg);
		return;
	}
	if (!store(core, msg))
		return;
	covered = JACO_MAX(covered, core->commit);
	core_set_commit(core, JACO_MIN(msg->commit, covered));
	stored = rules_stored(covered, core->log.durable);
	/* A heartbeat is answered with what is stored by now, entries when they are stored. */
	append_owe(core, msg, covered, !msg->n_entries || stored >= covered);
}

void append_acknowledge(struct core *core)
{
	uint64_t match = rules_stored(core->ack.verified, core->log.durable);
	struct core_message answer = {.type = CORE_APP_RESP, .to = core->ack.to, .ok = true,
				      .term = core->term, .index = match,
				      .round = core->ack.round,
				      .attempt = core->ack.attempt};

	if (!core->ack.to || !core_hard_is_durable(core) ||
	    !(core->ack.due || match > core->ack.sent))
		return;
	core->ack.due = false;
	core->ack.sent = match;
	core_send(core, &answer);
}
