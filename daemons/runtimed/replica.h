/* SPDX-License-Identifier: Apache-2.0
 *
 * replica.h - the state machine of one replica generation on this node (spec/scheduling.md
 * section 5), and why it is where it is.
 *
 *   pending    waits for something outside; nothing runs
 *   pulling    its image is on the way
 *   starting   created or running, not yet healthy
 *   running    healthy: may get traffic
 *   degraded   unhealthy or exited; will be restarted
 *   draining   gets nothing new, finishes what it has
 *   stopped    drained and stopped, on request
 *   completed  one-shot, exit 0
 *   failed     given up until the next apply or restart
 *
 *   pending -> pulling -> starting -> running <-> degraded
 *   any of them -> draining -> stopped;   -> completed (one-shot, exit 0);   -> failed
 *
 * Pure.  `since` is wall time because people read it; it moves only when the state does. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/runtimed/backoff.h"
#include "daemons/runtimed/health.h"
#include "libjaco/base/auto.h"
#include "libjaco/model/enums.h"

/* The transition table: every move plan.c may ask for. */
bool replica_may_enter(enum jaco_replica_state from, enum jaco_replica_state to);

#define REPLICA_MESSAGE_BYTES 512
#define REPLICA_WAITS_BYTES   256

struct replica_reason {
	const char *code; /* static: wire string of a jaco_code, or "isolation_pending"; "" none */
	char message[REPLICA_MESSAGE_BYTES];
	char waits_for[REPLICA_WAITS_BYTES];
	int64_t retry_ms; /* monotonic; 0: an event is awaited */
};

struct replica {
	enum jaco_replica_state state;
	struct replica_reason reason;
	int64_t since_wall_ms;
	bool is_exhausted; /* the restart budget is used up: sticky for this generation */
	uint32_t restarts; /* since placed */
	struct backoff restart;
	struct backoff pull;
	struct backoff engine; /* create, network and lease failures */
	struct health health;
};

/* Move to @state for @reason.  True when anything that is published changed.  An illegal move is a
 * bug and stops the process. */
bool replica_enter(struct replica *r, enum jaco_replica_state state,
		   const struct replica_reason *reason, int64_t now_wall_ms);

void replica_reason_set(struct replica_reason *reason, const char *code, const char *fmt, ...)
	JACO_PRINTF(3, 4);
