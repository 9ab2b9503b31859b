/* SPDX-License-Identifier: Apache-2.0
 *
 * commit.h - a plan as one transaction that compares every record it was made from, so that two
 * schedulers that overlap during an election cannot both win.
 *
 * Pure. */
#pragma once

#include "daemons/schedd/plan.h"
#include "libjaco/base/arena.h"
#include "libjaco/daemon/view.h"
#include "libjaco/wire/wire.h"

/* Operations per transaction; what is beyond is planned again after the commit.  A replica record
 * is some 400 bytes, so the message stays far below JACO_MESSAGE_MAX. */
#define COMMIT_OPS_MAX 1000

/*
 * Fill @out from the first COMMIT_OPS_MAX operations of @plan.  Besides the records themselves it
 * compares each deployment and each node that a replica was placed on.  The first audit operation
 * rides along; the others are left to the caller, who counts from *@out_n_done.
 *
 * Returns false when there is nothing to write.
 */
bool commit_build(struct wire_txn *out, size_t *out_n_done, const struct plan *plan,
		  const struct world *world, const struct jaco_view *view,
		  struct jaco_arena *arena);

/* What is done after the commit - the other audit events, a rollback - is done with texts that the
 * plan borrows from records, and the commit itself replaces those: they move to @arena. */
void commit_keep(struct plan *plan, struct jaco_arena *arena);

/* One audit operation as the record raftd completes. */
struct wire_audit commit_audit(const struct plan_op *op, struct jaco_arena *arena);
