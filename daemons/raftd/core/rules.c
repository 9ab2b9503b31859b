/* SPDX-License-Identifier: Apache-2.0
 *
 * rules.c - as the thesis has them. */
#include "daemons/raftd/core/rules.h"

bool rules_may_vote(uint64_t vote, uint64_t candidate)
{
	return vote == 0 || vote == candidate;
}

bool rules_may_commit(uint64_t entry_term, uint64_t term)
{
	return entry_term == term;
}

uint64_t rules_stored(uint64_t last, uint64_t durable)
{
	return last < durable ? last : durable;
}

bool rules_conf_rolls_back(void)
{
	return true;
}

bool rules_read_confirmed(uint64_t round, uint64_t confirmed)
{
	return confirmed >= round;
}
