/* SPDX-License-Identifier: Apache-2.0
 *
 * read.c - reads that must not be stale.
 *
 * ReadIndex (thesis 6.4): remember the commit index, have a majority answer a heartbeat sent after
 * the question, then wait until the state has come that far.  All reads between two collects share
 * one round.  A leader whose term has committed nothing yet waits for its no-op instead of its
 * commit index, which is at or past everything acknowledged before.
 *
 * Lease (thesis 6.4.1): inside the time in which check-quorum keeps every follower loyal, less a
 * quarter of it for clocks that differ, the round is not needed.  A hand-over ends that for the
 * term, because it is an election the lease does not hold back. */
#include "daemons/raftd/core/internal.h"
#include "daemons/raftd/core/rules.h"
#include "libjaco/base/mem.h"

static struct waiting_read *at(const struct core *core, size_t i)
{
	return &core->reads[(core->head_reads + i) % core->cap_reads];
}

static void answer(struct core *core, const struct waiting_read *read, bool ok)
{
	core->answers = jaco_grow(core->answers, &core->cap_answers, core->n_answers + 1,
				  sizeof(*core->answers));
	core->answers[core->n_answers++] =
		(struct core_read_answer){.token = read->token, .index = read->index, .ok = ok};
}

static void drop_first(struct core *core)
{
	core->head_reads = (core->head_reads + 1) % core->cap_reads;
	core->n_reads--;
	if (core->n_confirmed)
		core->n_confirmed--;
}

void read_begin(struct core *core)
{
	core->lease_broken = false;
	core->round_due = false;
}

void read_fail_all(struct core *core)
{
	for (; core->n_reads; drop_first(core))
		answer(core, at(core, 0), false);
}

void read_stamp_round(struct core *core)
{
	core->round++;
	core->rounds_sent_at[core->round % CORE_ROUNDS] = core->now;
}

static uint64_t round_of(const struct peer *peer)
{
	return peer->round;
}

static bool has_lease(const struct core *core)
{
	uint64_t confirmed = core_quorum(core, core->round, round_of);

	if (!core->opt.lease_reads || !core->opt.check_quorum || core->lease_broken ||
	    core->commit < core->term_start)
		return false;
	if (core->self_votes && core_conf_voters(&core->conf) == 1)
		return true;
	return confirmed && core->round - confirmed < CORE_ROUNDS &&
	       core->now - core->rounds_sent_at[confirmed % CORE_ROUNDS] <
		       core->opt.election - core->opt.election / 4;
}

static struct waiting_read *push(struct core *core)
{
	if (core->n_reads == core->cap_reads) {
		size_t cap = core->cap_reads ? core->cap_reads * 2 : 16;
		struct waiting_read *ring = jaco_alloc_n(cap, sizeof(*ring));

		for (size_t i = 0; i < core->n_reads; i++)
			ring[i] = *at(core, i);
		jaco_free(core->reads);
		core->reads = ring;
		core->cap_reads = cap;
		core->head_reads = 0;
	}
	return at(core, core->n_reads++);
}

static void ask_round(struct core *core)
{
	if (core->round_due)
		return;
	read_stamp_round(core);
	core->round_due = true;
}

void read_confirm(struct core *core)
{
	uint64_t confirmed;

	if (core->n_confirmed == core->n_reads)
		return;
	confirmed = core_quorum(core, core->round, round_of);
	while (core->n_confirmed < core->n_reads &&
	       rules_read_confirmed(at(core, core->n_confirmed)->round, confirmed))
		core->n_confirmed++;
}

void read_answer(struct core *core)
{
	while (core->n_confirmed && core->applied >= at(core, 0)->index) {
		answer(core, at(core, 0), true);
		drop_first(core);
	}
}

int core_read(struct core *core, uint64_t token, struct jaco_err *err)
{
	bool leased;
	struct waiting_read *read;

	core_begin(core);
	if (core->role != CORE_LEADER)
		return jaco_err_set(err, JACO_NO_LEADER, "node %llu does not lead",
				    (unsigned long long)core->opt.id);
	if (core->n_reads >= core->opt.max_reads)
		return jaco_err_set(err, JACO_TOO_MANY_REQUESTS, "%zu reads are waiting",
				    core->n_reads);
	leased = has_lease(core);
	if (!leased)
		ask_round(core);
	read = push(core);
	*read = (struct waiting_read){.token = token,
				      .index = JACO_MAX(core->commit, core->term_start),
				      .round = leased ? 0 : core->round};
	return 0;
}
