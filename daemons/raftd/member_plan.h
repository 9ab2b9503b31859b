/* SPDX-License-Identifier: Apache-2.0
 *
 * member_plan.h - which change of membership comes next (spec/cluster.md section 2, "Voters").
 *
 * Pure.  One step at a time, each a majority of the step before: members 1,2,3,4,5,6,7,8+ have
 * voters 1,1,3,3,5,5,7,7. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/limits.h"

struct member_fact {
	const char *host;    /* "" for one that is no member any more */
	uint64_t raft_id;
	bool is_wanted;      /* /node/ has it */
	bool is_in;          /* raft has it */
	bool is_voter;
	bool is_caught_up;
	bool is_reachable;
};

enum member_step {
	MEMBER_NONE,
	MEMBER_ADD,      /* as a learner */
	MEMBER_PROMOTE,
	MEMBER_DEMOTE,
	MEMBER_REMOVE,
	MEMBER_HAND_OVER, /* leadership, to @out_id: the leader itself has to go */
};

size_t member_voters_wanted(size_t n_members);

/* @facts sorted by host; @self leads. */
enum member_step member_plan(const struct member_fact *facts, size_t n, uint64_t self,
			     uint64_t *out_id);
