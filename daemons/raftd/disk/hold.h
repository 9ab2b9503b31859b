/* SPDX-License-Identifier: Apache-2.0
 *
 * hold.h - writes of the raft core that wait for room on a full disk.
 *
 * A follower whose disk is full has entries it cannot store.  They stay in memory, in order and
 * unacknowledged, until there is room: the leader's window of what was not acknowledged bounds
 * them, the member goes on hearing its leader, and nothing is sent twice (spec/operations.md,
 * "State integrity"). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemons/raftd/core/core.h"
#include "daemons/raftd/disk/wal.h"

struct held;
TAILQ_HEAD(helds, held);

struct hold {
	struct helds writes; /* oldest first */
};

void hold_init(struct hold *hold);
void hold_clear(struct hold *hold);
bool hold_is_empty(const struct hold *hold);

/* Append the entries of @write to the log and flush, or hold those that do not fit and all that
 * come later.  1 everything up to write->seq is stored; 0 something is held.
 * Errors: INTERNAL - the log has failed. */
int hold_write(struct hold *hold, struct wal *wal, const struct core_write *write,
	       struct jaco_err *err);

/* Store what is held, as far as there is room now.  @out_seq: the last write that is stored as a
 * whole, 0: none.  Errors: INTERNAL - the log has failed. */
int hold_pour(struct hold *hold, struct wal *wal, uint64_t *out_seq, struct jaco_err *err);
