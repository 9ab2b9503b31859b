/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h - what to write so that the desired replicas follow the deployments.
 *
 * Pure: plan_make(world) looks at everything once and proposes the next steps; the acting half
 * commits them in one txn that compares the records they were made from, and plans again when the
 * world has changed.  Same world, same plan, on any node; a world at rest yields no operation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemons/schedd/placement.h"
#include "daemons/schedd/world.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"

enum plan_what {
	PLAN_PUT_REPLICA,
	PLAN_DROP_REPLICA,
	PLAN_PUT_COUNTER,
	PLAN_PUT_ROLLOUT,
	PLAN_DROP_ROLLOUT,
	PLAN_PUT_RESTART,
	PLAN_DROP_RESTART,
	PLAN_PUT_NODE, /* intent, drain_* and lost_ms; the rest is not the scheduler's */
	PLAN_ROLLBACK, /* ask raftd for a new revision with the previous content */
	PLAN_AUDIT,
};

struct plan_op {
	enum plan_what what;
	const char *why; /* short, for logs and people */
	union {
		struct world_replica replica;
		struct world_counter counter;
		struct world_rollout rollout; /* ROLLBACK: deployment, from_revision */
		struct world_restart restart;
		struct world_node node;
		struct {
			const char *type; /* audit type */
			const char *deployment, *service, *replica, *host;
		} audit;
	};
};

struct plan {
	struct plan_op *ops; /* in the arena */
	size_t n, cap;
	int64_t next_ms; /* when time alone changes the plan; INT64_MAX: never */
	struct jaco_arena *arena;
};

/* @world is sorted (world_sort).  The plan borrows from @world and @arena. */
void plan_make(struct plan *plan, const struct world *world, struct jaco_arena *arena);

/* One line per operation, for people, logs and golden tests. */
void plan_render(const struct plan *plan, struct jaco_buf *out);

/* --- between the modules of the plan --- */

/* The service being planned: working copies of its records. */
struct plan_pass {
	const struct world *world;
	struct plan *plan;
	struct placement *placement;
	const struct world_service *service; /* NULL: retired */
	const char *deployment, *name;
	const struct world_replica *before; /* the stored ones, n_before of them */
	size_t n_before;
	struct world_replica *work; /* copies in the same order, then new ones */
	bool *is_dropped;           /* per work entry: the record goes */
	const char **why;           /* per work entry: what the last change was for */
	size_t n_work, cap_work;
	struct world_rollout rollout; /* valid when has_rollout */
	bool has_rollout;
	uint64_t next_index;
};

struct plan_op *plan_op(struct plan *plan, enum plan_what what, const char *why);

/* Time alone will change the decision at @ms. */
void plan_wake(struct plan *plan, int64_t ms);

/* Enter @phase now. */
void plan_enter(struct plan_pass *pass, size_t i, enum world_phase phase, const char *why);

/* Put @pass->work[i] on @node of the service's present revision as a new generation. */
void plan_place(struct plan_pass *pass, size_t i, size_t node);

/* drain.c: nodes that are lost or draining, and replicas that have to leave theirs. */
void drain_nodes(struct plan *plan, const struct world *world);
void drain_lost(struct plan_pass *pass);
bool drain_must_move(const struct plan_pass *pass, const struct world_replica *replica,
		     const char **out_why);

/* rollout.c: replace what differs, step by step. */
void rollout_pass(struct plan_pass *pass);
void rollout_leaving(struct plan_pass *pass);

/* restart.c: budgets. */
void restart_pass(struct plan *plan, const struct world *world);

/* scale.c: how many there should be, and which. */
void scale_pass(struct plan_pass *pass);
void scale_leave(struct plan_pass *pass, size_t i, const char *why);
