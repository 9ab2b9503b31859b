/* SPDX-License-Identifier: Apache-2.0
 *
 * takeover.h - a raft group goes on with this node as its only voter (spec/cluster.md section 2,
 * "Losing quorum").
 *
 * The one thing raft cannot agree on.  Everything in this node's log stays: what it holds may have
 * been acknowledged by a leader that is lost.  Behind it go, in one flush and in a term of their
 * own, a configuration with this node alone and the transaction that raises the epoch.
 *
 * What shall be done is on disk before it begins, so a crash at any point is finished by the next
 * start. */
#pragma once

#include "daemons/raftd/kv/txn.h"

/* Durably note that the group in @dir, this node being @raft_id, shall go on so, with @txn. */
int takeover_plan(const char *dir, uint64_t raft_id, const struct txn *txn, struct jaco_err *err);

/* Carry out what is planned for @dir; 1, 0 nothing is.  The store there must be closed.
 * Errors: INTERNAL - the plan or the disk is damaged. */
int takeover_perform(const char *dir, struct jaco_err *err);

/* Give a plan up that could not be carried out. */
void takeover_forget(const char *dir);
