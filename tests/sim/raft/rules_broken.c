/* SPDX-License-Identifier: Apache-2.0
 *
 * rules_broken.c - the rules of raft with at most one of them broken, to be linked instead of
 * daemons/raftd/core/rules.c: the simulator has to notice every one. */
#include "daemons/raftd/core/rules.h"
#include "tests/sim/raft/rules_broken.h"

enum core_bug core_bug = CORE_BUG_NONE;

bool rules_may_vote(uint64_t vote, uint64_t candidate)
{
	return core_bug == CORE_BUG_VOTE_TWICE || vote == 0 || vote == candidate;
}

bool rules_may_commit(uint64_t entry_term, uint64_t term)
{
	return core_bug == CORE_BUG_COMMIT_OLD_TERM || entry_term == term;
}

uint64_t rules_stored(uint64_t last, uint64_t durable)
{
	return core_bug == CORE_BUG_ACK_BEFORE_FLUSH || last < durable ? last : durable;
}

bool rules_conf_rolls_back(void)
{
	return core_bug != CORE_BUG_FORGET_ROLLBACK;
}

bool rules_read_confirmed(uint64_t round, uint64_t confirmed)
{
	return core_bug == CORE_BUG_READ_UNCONFIRMED || confirmed >= round;
}
