/* SPDX-License-Identifier: Apache-2.0
 *
 * recover.h - going on after the majority was lost for good. */
#pragma once

#include "daemons/raftd/raftd.h"

/* Another member wants to know what this one holds (raft.survey). */
void recover_on_survey(struct raftd *raftd, struct link_call *call);

void recover_fini(struct raftd *raftd);
