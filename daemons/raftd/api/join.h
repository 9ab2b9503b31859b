/* SPDX-License-Identifier: Apache-2.0
 *
 * join.h - becoming a member, and ceasing to be one. */
#pragma once

#include "daemons/raftd/raftd.h"

/* A stranger asks (raft.join). */
void join_on_request(struct raftd *raftd, struct link_call *call, const struct wire_raft_join *msg);

void join_fini(struct raftd *raftd);
