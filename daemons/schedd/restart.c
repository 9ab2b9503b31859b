/* SPDX-License-Identifier: Apache-2.0
 *
 * Restart budgets (spec/scheduling.md section 5).
 *
 * runtimed restarts on its own node, with back-off, because it must do so when no leader can be
 * reached; it counts, and reports `failed` with restart_exhausted when the budget is used up.  What
 * is kept here is the verdict: stored, it outlives runtimed and reboots, so that a hopeless
 * generation is not tried three more times after each.  The next generation - an apply that changes
 * the service, or `jaco restart` - starts with a full budget. */
#include <string.h>

#include "daemons/schedd/plan.h"

static const struct world_replica *replica_of(const struct world *world, const char *id)
{
	for (size_t i = 0; i < world->n_replicas; i++)
		if (strcmp(world->replicas[i].id, id) == 0)
			return &world->replicas[i];
	return NULL;
}

static void give_up(struct plan *plan, const struct world *world,
		    const struct world_observed *observed)
{
	const struct world_restart *stored = world_restart(world, observed->id);
	const struct world_replica *replica = replica_of(world, observed->id);

	if (!replica || replica->now.generation != observed->generation ||
	    (stored && stored->generation == observed->generation))
		return;
	plan_op(plan, PLAN_PUT_RESTART, "budget used up")->restart = (struct world_restart){
		.replica = observed->id,
		.generation = observed->generation,
		.count = observed->restarts,
		.since_ms = observed->since_ms,
		.reason = observed->message,
		.mod = stored ? stored->mod : 0,
	};
}

void restart_pass(struct plan *plan, const struct world *world)
{
	for (size_t i = 0; i < world->n_observed; i++)
		if (world->observed[i].state == WORLD_S_FAILED &&
		    strcmp(world->observed[i].code, "restart_exhausted") == 0)
			give_up(plan, world, &world->observed[i]);
	for (size_t i = 0; i < world->n_restarts; i++) {
		const struct world_restart *stored = &world->restarts[i];
		const struct world_replica *replica = replica_of(world, stored->replica);

		if (!replica || replica->now.generation > stored->generation)
			plan_op(plan, PLAN_DROP_RESTART, replica ? "replaced" : "retired")
				->restart = *stored;
	}
}
