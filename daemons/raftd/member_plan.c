/* SPDX-License-Identifier: Apache-2.0
 *
 * member_plan.c - additions, then promotions, removals, demotions, and the leader's own leave
 * last. */
#include "daemons/raftd/member_plan.h"

size_t member_voters_wanted(size_t n_members)
{
	size_t odd = n_members == 0 ? 1 : n_members - 1 + n_members % 2;

	return odd > 7 ? 7 : odd;
}

/* The first by name that may become a voter, or NULL. */
static const struct member_fact *to_promote(const struct member_fact *facts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (facts[i].is_wanted && facts[i].is_in && !facts[i].is_voter &&
		    facts[i].is_caught_up && facts[i].is_reachable)
			return &facts[i];
	return NULL;
}

/* The last by name, never the leader. */
static const struct member_fact *to_demote(const struct member_fact *facts, size_t n, uint64_t self)
{
	for (size_t i = n; i > 0; i--)
		if (facts[i - 1].is_wanted && facts[i - 1].is_voter && facts[i - 1].raft_id != self)
			return &facts[i - 1];
	return NULL;
}

static const struct member_fact *heir(const struct member_fact *facts, size_t n, uint64_t self)
{
	for (size_t i = 0; i < n; i++)
		if (facts[i].is_wanted && facts[i].is_voter && facts[i].is_reachable &&
		    facts[i].raft_id != self)
			return &facts[i];
	return NULL;
}

/* Others who go first, the leader last. */
static const struct member_fact *to_remove(const struct member_fact *facts, size_t n, uint64_t self)
{
	const struct member_fact *found = NULL;

	for (size_t i = 0; i < n; i++)
		if (!facts[i].is_wanted && facts[i].is_in &&
		    (!found || found->raft_id == self))
			found = &facts[i];
	return found;
}

enum member_step member_plan(const struct member_fact *facts, size_t n, uint64_t self,
			     uint64_t *out_id)
{
	size_t n_wanted = 0, n_voters = 0, target;
	const struct member_fact *promoted = to_promote(facts, n),
				 *gone = to_remove(facts, n, self);
	const struct member_fact *demoted = to_demote(facts, n, self), *next;

	for (size_t i = 0; i < n; i++) {
		n_wanted += facts[i].is_wanted;
		n_voters += facts[i].is_wanted && facts[i].is_voter;
		if (facts[i].is_wanted && !facts[i].is_in) {
			*out_id = facts[i].raft_id;
			return MEMBER_ADD;
		}
	}
	target = member_voters_wanted(n_wanted);
	if (n_voters < target && promoted) {
		*out_id = promoted->raft_id;
		return MEMBER_PROMOTE;
	}
	/* Before a demotion: the one that goes may be dead, and must not be half of a majority. */
	if (gone && gone->raft_id != self && (!gone->is_voter || n_voters > 0)) {
		*out_id = gone->raft_id;
		return MEMBER_REMOVE;
	}
	if (n_voters > target && demoted) {
		*out_id = demoted->raft_id;
		return MEMBER_DEMOTE;
	}
	if (!gone || n_voters == 0)
		return MEMBER_NONE;
	next = heir(facts, n, self);
	*out_id = next ? next->raft_id : 0;
	return next ? MEMBER_HAND_OVER : MEMBER_NONE;
}
