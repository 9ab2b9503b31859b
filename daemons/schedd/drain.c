/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes that are gone or going (spec/scheduling.md sections 3, 6, 7).
 *
 * A lost node is one that is no member any more, or that gossip calls unreachable for longer than
 * reschedule_after; only then is a replica placed elsewhere without its old container being heard.
 * Everything gentler - drain, a constraint that no longer holds - moves by rollout steps and is
 * only recognised here.
 *
 * A drain ends in a cordoned node: empty, or with drain_timeout when for a replica's limit none has
 * left.  Its clock is in the node's record, so that a change of leader does not restart it. */
#include <string.h>

#include "daemons/schedd/plan.h"

#define NAMED_MAX 5 /* replicas in a message for people */

static const struct world_node *node_of(const struct plan_pass *pass, const char *host)
{
	return host[0] ? world_node(pass->world, host) : NULL;
}

static bool is_due(struct plan *plan, const struct world *world, int64_t due_ms)
{
	if (world->now_ms < due_ms)
		plan_wake(plan, due_ms);
	return world->now_ms >= due_ms;
}

static bool is_lost(struct plan *plan, const struct world *world, const struct world_node *node)
{
	if (!node)
		return true;
	if (node->is_reachable || world->reschedule_after_ms < 0)
		return false;
	return is_due(plan, world, node->unreachable_since_ms + world->reschedule_after_ms);
}

static bool host_is_lost(const struct plan_pass *pass, const char *host)
{
	return is_lost(pass->plan, pass->world, node_of(pass, host));
}

/* Place a stateless replica elsewhere; it stays on the books of its node while nobody can take it,
 * for that node may come back. */
static void reschedule(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];
	const struct world_node *node = node_of(pass, replica->now.host);
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

	if (has_beside && host_is_lost(pass, replica->old.host)) {
		replica->old = (struct world_shape){.host = ""};
		plan_enter(pass, i, WORLD_SETTLED, "the old one's node is lost");
		has_beside = false;
	}
	if (!host_is_lost(pass, replica->now.host)) {
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
	if (pass->service->is_stateful && !pass->service->is_rescheduled)
		return false; /* its home */
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

/* --- the node's own record --- */

static void put_node(struct plan *plan, const struct world_node *node, const char *why)
{
	plan_op(plan, PLAN_PUT_NODE, why)->node = *node;
}

static void audit_node(struct plan *plan, const char *type, const struct world_node *node,
		       const char *why)
{
	struct plan_op *op = plan_op(plan, PLAN_AUDIT, why);

	op->audit.type = type;
	op->audit.deployment = op->audit.service = op->audit.replica = "-";
	op->audit.host = node->name;
}

static void note_loss(struct plan *plan, const struct world *world, struct world_node *node)
{
	bool lost = is_lost(plan, world, node);

	if (lost == (node->lost_ms != 0))
		return;
	node->lost_ms = lost ? world->now_ms : 0;
	put_node(plan, node,
		 lost ? "unreachable for longer than reschedule_after" : "it is heard again");
	if (lost)
		audit_node(plan, "node_lost", node, "unreachable for longer than reschedule_after");
}

static bool has_container_on(const struct world_replica *replica, const char *host)
{
	bool has_beside = replica->phase == WORLD_STARTING || replica->phase == WORLD_YIELDING ||
			  replica->phase == WORLD_LEAVING;

	return (replica->now.generation && strcmp(replica->now.host, host) == 0) ||
	       (has_beside && replica->old.generation && strcmp(replica->old.host, host) == 0);
}

/* Nothing that a drain does can take it away: its data is there, or every other place it may be at
 * is no member. */
static bool is_bound(const struct world *world, const struct world_replica *replica)
{
	const struct world_service *service =
		world_service(world, replica->deployment, replica->service);

	if (!service)
		return false;
	if (service->is_stateful && !service->is_rescheduled)
		return true;
	for (size_t i = 0; i < service->n_hosts; i++)
		if (strcmp(service->hosts[i], replica->now.host) != 0 &&
		    world_node(world, service->hosts[i]))
			return false;
	return service->n_hosts > 0;
}

/* A container whose record has gone, or gone elsewhere, and that has not ended yet. */
static bool is_stopping_on(const struct world *world, const struct world_observed *observed,
			   const struct world_node *node)
{
	if (!node->is_reachable || strcmp(observed->host, node->name) != 0 ||
	    observed->state == WORLD_S_STOPPED || observed->state == WORLD_S_COMPLETED ||
	    observed->state == WORLD_S_FAILED)
		return false;
	for (size_t i = 0; i < world->n_replicas; i++)
		if (strcmp(world->replicas[i].id, observed->id) == 0)
			return !has_container_on(&world->replicas[i], node->name);
	return true;
}

static void name_left(struct jaco_buf *out, unsigned n, const char *id, const char *why)
{
	if (n == NAMED_MAX)
		jaco_buf_add_str(out, ", ...");
	if (n < NAMED_MAX)
		jaco_buf_printf(out, "%s%s (%s)", n ? ", " : "", id, why);
}

/* What is still there and has to go; with force the bound ones are to stay and are listed apart. */
static unsigned count_left(const struct world *world, const struct world_node *node,
			   struct jaco_buf *out_names, struct jaco_buf *out_stay)
{
	unsigned n_stay = 0;
	unsigned n = 0;

	for (size_t i = 0; i < world->n_replicas; i++) {
		const struct world_replica *replica = &world->replicas[i];
		bool bound;

		if (!has_container_on(replica, node->name))
			continue;
		bound = is_bound(world, replica);
		if (bound && node->drain_force)
			name_left(out_stay, n_stay++, replica->id, "bound to it");
		else
			name_left(out_names, n++, replica->id,
				  bound				    ? "bound to it"
				  : replica->phase == WORLD_SETTLED ? "no other node can take it"
								    : "its successor is not ready");
	}
	for (size_t i = 0; i < world->n_observed; i++)
		if (is_stopping_on(world, &world->observed[i], node))
			name_left(out_names, n++, world->observed[i].id, "stopping");
	return n;
}

static void follow_drain(struct plan *plan, const struct world *world, struct world_node *node)
{
	jaco_auto(jaco_buf) struct jaco_buf names = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf stay = JACO_BUF_INIT;
	unsigned n = count_left(world, node, &names, &stay);
	int64_t since = JACO_MAX(node->drain_started_ms, node->drain_progress_ms);

	if (n == 0) {
		node->intent = WORLD_CORDONED;
		node->drain_left = 0;
		if (stay.n)
			node->drain_message = jaco_arena_printf(plan->arena, "drained, but for %s",
								jaco_buf_str(&stay));
		put_node(plan, node, "drained");
		audit_node(plan, "node_drain", node, "drained");
	} else if (n != node->drain_left) {
		if (n < node->drain_left)
			node->drain_progress_ms = world->now_ms;
		node->drain_left = n;
		put_node(plan, node, "draining");
	} else if (is_due(plan, world, since + node->drain_limit_ms)) {
		node->intent = WORLD_CORDONED;
		node->drain_code = "drain_timeout";
		node->drain_message =
			jaco_arena_printf(plan->arena, "still there: %s", jaco_buf_str(&names));
		put_node(plan, node, "drain_timeout");
		audit_node(plan, "node_drain", node, "drain_timeout");
	}
}

void drain_nodes(struct plan *plan, const struct world *world)
{
	for (size_t i = 0; i < world->n_nodes; i++) {
		struct world_node node = world->nodes[i];
		size_t before = plan->n;

		note_loss(plan, world, &node);
		if (plan->n == before && node.intent == WORLD_DRAINING)
			follow_drain(plan, world, &node);
	}
}
