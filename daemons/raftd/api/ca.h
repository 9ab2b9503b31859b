/* SPDX-License-Identifier: Apache-2.0
 *
 * ca.h - the cluster's CA with its key, which every member can open. */
#pragma once

#include "daemons/raftd/link/identity.h"
#include "daemons/raftd/raftd.h"

/* @out_meta is decoded into @arena.  The caller wipes @out_ca.
 * Errors: CLUSTER_UNINITIALIZED; INTERNAL - the key cannot be opened. */
int ca_open(struct raftd *raftd, struct jaco_arena *arena, struct identity *out_ca,
	    struct wire_cluster_meta *out_meta, struct jaco_err *err);
