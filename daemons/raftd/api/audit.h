/* SPDX-License-Identifier: Apache-2.0
 *
 * audit.h - followers of the audit log and its retention. */
#pragma once

#include "daemons/raftd/raftd.h"

void audit_init(struct raftd *raftd);
void audit_fini(struct raftd *raftd);

/* Tell followers what was applied. */
void audit_pump(struct raftd *raftd);
