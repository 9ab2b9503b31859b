/* SPDX-License-Identifier: Apache-2.0
 *
 * leave.h - removing members and handing leadership over. */
#pragma once

#include "daemons/raftd/raftd.h"

/* Leader, configuration or state changed: commands that wait may be done. */
void leave_pump(struct raftd *raftd);

/* This node leads: let @to (NULL: the voter that is furthest) lead.
 * Errors: NODE_NOT_FOUND, NO_LEADER. */
int leave_hand_over(struct raftd *raftd, const char *to, struct jaco_err *err);

/* Another member asks this. */
void leave_on_transfer(struct raftd *raftd, struct link_call *call,
		       const struct wire_leader_transfer *msg);
