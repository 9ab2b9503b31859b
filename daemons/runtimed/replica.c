/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/replica.h"

#include <stdarg.h>
#include <stdio.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

#define BIT(state) (1u << JACO_REPLICA_##state)
/* What any live state may turn into: asked to stop, or the engine went away. */
#define ALWAYS (BIT(DRAINING) | BIT(STOPPED) | BIT(PENDING) | BIT(FAILED))

static const unsigned moves[JACO_REPLICA_END] = {
	[JACO_REPLICA_PENDING] = ALWAYS | BIT(PULLING) | BIT(STARTING) | BIT(RUNNING) |
				 BIT(DEGRADED) | BIT(COMPLETED),
	[JACO_REPLICA_PULLING] =
		ALWAYS | BIT(STARTING) | BIT(RUNNING) | BIT(DEGRADED) | BIT(COMPLETED),
	[JACO_REPLICA_STARTING] =
		ALWAYS | BIT(PULLING) | BIT(RUNNING) | BIT(DEGRADED) | BIT(COMPLETED),
	[JACO_REPLICA_RUNNING] =
		ALWAYS | BIT(PULLING) | BIT(STARTING) | BIT(DEGRADED) | BIT(COMPLETED),
	[JACO_REPLICA_DEGRADED] =
		ALWAYS | BIT(PULLING) | BIT(STARTING) | BIT(RUNNING) | BIT(COMPLETED),
	/* Taken back before it was stopped (an apply superseded the drain). */
	[JACO_REPLICA_DRAINING] =
		ALWAYS | BIT(STARTING) | BIT(RUNNING) | BIT(DEGRADED) | BIT(COMPLETED),
	[JACO_REPLICA_STOPPED] = ALWAYS | BIT(PULLING) | BIT(STARTING) | BIT(RUNNING) |
				 BIT(DEGRADED) | BIT(COMPLETED),
	/* Only a person who starts the container by hand, or its removal, leads on from here. */
	[JACO_REPLICA_COMPLETED] =
		ALWAYS | BIT(STARTING) | BIT(RUNNING) | BIT(PULLING) | BIT(DEGRADED),
	[JACO_REPLICA_FAILED] =
		ALWAYS | BIT(STARTING) | BIT(RUNNING) | BIT(COMPLETED) | BIT(DEGRADED),
};

bool replica_may_enter(enum jaco_replica_state from, enum jaco_replica_state to)
{
	return from == to || (moves[from] & (1u << to));
}

static bool reason_eq(const struct replica_reason *a, const struct replica_reason *b)
{
	return jaco_str_eq(a->code, b->code) && jaco_str_eq(a->message, b->message) &&
	       jaco_str_eq(a->waits_for, b->waits_for) && a->retry_ms == b->retry_ms;
}

bool replica_enter(struct replica *r, enum jaco_replica_state state,
		   const struct replica_reason *reason, int64_t now_wall_ms)
{
	bool moved = r->state != state || r->since_wall_ms == 0;
	bool changed = moved || !reason_eq(&r->reason, reason);

	JACO_ASSERT(replica_may_enter(r->state, state));
	if (moved)
		r->since_wall_ms = now_wall_ms;
	r->state = state;
	r->reason = *reason;
	return changed;
}

void replica_reason_set(struct replica_reason *reason, const char *code, const char *fmt, ...)
{
	va_list ap;

	reason->code = code;
	va_start(ap, fmt);
	vsnprintf(reason->message, sizeof(reason->message), fmt, ap);
	va_end(ap);
}
