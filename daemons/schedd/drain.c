/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes that are gone or going (spec/scheduling.md sections 3, 6, 7).
 *
 * A lost node is one that is no member any more, or that gossip calls unreachable for longer than
 * reschedule_after; only then is a replica placed elsewhere without its old container being heard.
 * Everything gentler - drain, a constraint that no longer holds - moves by rollout steps and is only
 * recognised here. */
#include <string.h>

#include "daemons/schedd/plan.h"

static const struct world_node *node_of(const struct plan_pass *pass, const char *host)
{
	return host[0] ? world_node(pass->world, host) : NULL;
}

static bool is_lost(const struct plan_pass *pass, const char *host)
{
	const struct world_node *node = node_of(pass, host);
	int64_t due;

	if (!node)
		return true;
	if (node->is_reachable || pass->world->reschedule_after_ms < 0)
		return false;
	due = node->unreachable_since_ms + pass->world->reschedule_after_ms;
	if (pass->world->now_ms < due)
		plan_wake(pass->plan, due);
	return pass->world->now_ms >= due;
}

static void audit_lost_node(const struct plan_pass *pass, const char *host)
{
	struct plan *plan = pass->plan;
	struct plan_op *op;

	for (size_t i = 0; i < plan->n; i++)
		if (plan->ops[i].what == PLAN_AUDIT &&
		    strcmp(plan->ops[i].audit.type, "node_lost") == 0 &&
		    strcmp(plan->ops[i].audit.host, host) == 0)
			return;
	op = plan_op(plan, PLAN_AUDIT, "unreachable for longer than reschedule_after");
	op->audit.type = "node_lost";
	op->audit.deployment = op->audit.service = op->audit.replica = "-";
	op->audit.host = host;
}

/* Place a stateless replica elsewhere; it stays on the books of its node while nobody can take it,
 * for that node may come back. */
static void reschedule(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];
	const struct world_node *node = node_of(pass, replica->now.host);
	const char *from = replica->now.host;
	struct placement_reasons reasons;
	struct plan_op *op;
	size_t target;

	if (node)
		placement_remove(pass->placement, (size_t)(node - pass->world->nodes));
	target = placement_choose(pass->placement, replica->index, &reasons);
	if (target == PLACEMENT_NONE) {
		if (node)
			placement_add(pass->placement, (size_t)(node - pass->world->nodes));
		return;
	}
	if (node)
		audit_lost_node(pass, from);
	placement_add(pass->placement, target);
	plan_place(pass, i, target);
	replica->old = (struct world_shape){.host = ""};
	plan_enter(pass, i, WORLD_SETTLED, "node lost");
	op = plan_op(pass->plan, PLAN_AUDIT, "node lost");
	op->audit.type = "replica_rescheduled";
	op->audit.deployment = replica->deployment;
	op->audit.service = replica->service;
	op->audit.replica = replica->id;
	op->audit.host = replica->now.host;
}

static void keep_home(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];
	bool is_removed = !node_of(pass, replica->now.host);

	if (replica->phase == WORLD_PENDING)
		return;
	replica->old = (struct world_shape){.host = ""};
	plan_enter(pass, i, WORLD_PENDING, "home is away");
	replica->code = is_removed ? "host_removed" : "home_unreachable";
	replica->message = jaco_arena_printf(pass->plan->arena, "its data is on %s, which is %s",
					     replica->now.host,
					     is_removed ? "no member any more" : "unreachable");
}

static void lose_one(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];
	bool has_beside = replica->phase == WORLD_STARTING || replica->phase == WORLD_YIELDING;

	if (has_beside && is_lost(pass, replica->old.host)) {
		replica->old = (struct world_shape){.host = ""};
		plan_enter(pass, i, WORLD_SETTLED, "the old one's node is lost");
		has_beside = false;
	}
	if (!is_lost(pass, replica->now.host)) {
		if (replica->phase == WORLD_PENDING)
			plan_enter(pass, i, WORLD_SETTLED, "home is back");
		return;
	}
	if (replica->phase == WORLD_LEAVING ||
	    (replica->is_global && !node_of(pass, replica->now.host))) {
		pass->is_dropped[i] = true;
		pass->why[i] = "its node is lost";
		return;
	}
	if (replica->phase == WORLD_STARTING && has_beside) {
		replica->now = replica->old;
		replica->old = (struct world_shape){.host = ""};
		plan_enter(pass, i, WORLD_SETTLED, "the new one's node is lost");
	} else if (replica->is_global) {
		return;
	} else if (pass->service->is_stateful && !pass->service->is_rescheduled) {
		keep_home(pass, i);
	} else {
		reschedule(pass, i);
	}
}

void drain_lost(struct plan_pass *pass)
{
	for (size_t i = 0; i < pass->n_work; i++)
		if (pass->work[i].now.generation)
			lose_one(pass, i);
}

bool drain_must_move(const struct plan_pass *pass, const struct world_replica *replica,
		     const char **out_why)
{
	const struct world_node *node = node_of(pass, replica->now.host);

	if (!node || replica->is_global)
		return false;
	if (pass->service->is_stateful && !node->drain_force)
		return false; /* its home; blocks the drain */
	if (node->intent == WORLD_DRAINING) {
		*out_why = "node is draining";
		return true;
	}
	if (!placement_may_stay(pass->placement, node)) {
		*out_why = "node is no longer allowed";
		return true;
	}
	return false;
}
