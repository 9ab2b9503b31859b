/* SPDX-License-Identifier: Apache-2.0
 *
 * member.h - the leader keeps raft's membership what /node/ says, by member_plan.h. */
#pragma once

#include "libjaco/io/loop.h"

struct raftd;

#define MEMBER_MS 200

void member_init(struct raftd *raftd);
void member_fini(struct raftd *raftd);

/* Leadership or members changed: look now. */
void member_poke(struct raftd *raftd);
