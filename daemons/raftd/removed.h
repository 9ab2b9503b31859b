/* SPDX-License-Identifier: Apache-2.0
 *
 * removed.h - this node was put out of the cluster: learning it, keeping it, telling its daemons
 * (spec/cluster.md section 2, "Leaving" and "Losing quorum").
 *
 * Learned in one of two ways: from the state it applied itself, or from a member - whose
 * certificate is pinned - that refuses it and is not behind.  What is learned survives a restart,
 * is shown by cluster.status, and stands as /obs/node/<self>/membership for the daemons of this
 * node: runtimed stops its containers when that record is there. */
#pragma once

#include "libjaco/base/err.h"
#include "libjaco/wire/wire.h"

struct raftd;

/* What an earlier run learned. */
void removed_open(struct raftd *raftd);
void removed_fini(struct raftd *raftd);

/* Does the state of this node have the record that makes it a member, and since which revision?  1,
 * 0:
 * there is none.  One of a former life, which a node that joined again reads as history, has
 * another number in raft.  Errors: of reading it, as of one that a newer version wrote; that is no
 * removal. */
int removed_membership(struct raftd *raftd, uint64_t *out_revision, struct jaco_err *err);

/* The state of this node has no record of it any more. */
void removed_by_state(struct raftd *raftd);

/* A member answered with hello->refused.  Believed when it is of this cluster and knows more than
 * this node: a later epoch, or a revision after the one that made this node a member.  That one is
 * in the answer to its join until the state has it. */
void removed_hear(struct raftd *raftd, const struct wire_raft_hello *hello);

/* Before this node joins anew: put the raft group it had into former/, where the last one stays,
 * and forget that it was put out.  Errors: INTERNAL. */
int removed_set_aside(struct raftd *raftd, struct jaco_err *err);
