/* SPDX-License-Identifier: Apache-2.0
 *
 * The pass over one service works on copies of its records: scale.c decides how many there are,
 * drain.c takes them off nodes that are gone, rollout.c replaces what differs.  What differs from
 * the stored record at the end becomes one operation, so a step that undoes another costs nothing
 * and a world at rest yields an empty plan. */
#include "daemons/schedd/plan.h"

#include <inttypes.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

struct plan_op *plan_op(struct plan *plan, enum plan_what what, const char *why)
{
	plan->ops = jaco_arena_grow(plan->arena, plan->ops, &plan->cap, plan->n + 1,
				    sizeof(*plan->ops));
	plan->ops[plan->n] = (struct plan_op){.what = what, .why = why};
	return &plan->ops[plan->n++];
}

void plan_wake(struct plan *plan, int64_t ms)
{
	plan->next_ms = JACO_MIN(plan->next_ms, ms);
}

void plan_enter(struct plan_pass *pass, size_t i, enum world_phase phase, const char *why)
{
	struct world_replica *replica = &pass->work[i];

	replica->phase = phase;
	replica->since_ms = pass->world->now_ms;
	pass->why[i] = why;
	if (phase != WORLD_PENDING)
		replica->code = replica->message = "";
}

void plan_place(struct plan_pass *pass, size_t i, size_t node)
{
	struct world_replica *replica = &pass->work[i];
	const struct world_service *service = pass->service;

	replica->last_generation = JACO_MAX(replica->last_generation, replica->now.generation) + 1;
	replica->now = (struct world_shape){
		.host = pass->world->nodes[node].name,
		.spec_hash = service->spec_hash,
		.image = service->image,
		.generation = replica->last_generation,
		.revision = service->revision,
		.placed_ms = pass->world->now_ms,
	};
	replica->nonce = service->nonce;
}

static bool shape_eq(const struct world_shape *a, const struct world_shape *b)
{
	if (a->generation != b->generation)
		return false;
	return a->generation == 0 ||
	       (a->revision == b->revision && strcmp(a->host, b->host) == 0 &&
		strcmp(a->spec_hash, b->spec_hash) == 0 && strcmp(a->image, b->image) == 0);
}

static bool replica_eq(const struct world_replica *a, const struct world_replica *b)
{
	return a->phase == b->phase && a->since_ms == b->since_ms && a->nonce == b->nonce &&
	       a->last_generation == b->last_generation && shape_eq(&a->now, &b->now) &&
	       shape_eq(&a->old, &b->old) && strcmp(a->code, b->code) == 0 &&
	       strcmp(a->message, b->message) == 0;
}

static bool rollout_eq(const struct world_rollout *a, const struct world_rollout *b)
{
	return a->revision == b->revision && a->state == b->state && a->n_done == b->n_done &&
	       a->n_failed == b->n_failed && a->n_total == b->n_total &&
	       a->since_ms == b->since_ms && strcmp(a->code, b->code) == 0;
}

static void begin_pass(struct plan_pass *pass, const struct world_replica *before, size_t n)
{
	struct jaco_arena *arena = pass->plan->arena;
	const struct world_rollout *rollout =
		world_rollout(pass->world, pass->deployment, pass->name);
	const struct world_counter *counter =
		world_counter(pass->world, pass->deployment, pass->name);

	pass->before = before;
	pass->n_before = pass->n_work = pass->cap_work = n;
	pass->work = jaco_arena_alloc_n(arena, n + 1, sizeof(*pass->work));
	pass->is_dropped = jaco_arena_alloc_n(arena, n + 1, sizeof(*pass->is_dropped));
	pass->why = jaco_arena_alloc_n(arena, n + 1, sizeof(*pass->why));
	if (n)
		memcpy(pass->work, before, n * sizeof(*pass->work));
	pass->has_rollout = rollout != NULL;
	if (rollout)
		pass->rollout = *rollout;
	pass->next_index = counter ? counter->next : 0;
	for (size_t i = 0; i < n; i++) /* a lost counter must not give a number twice */
		if (!before[i].is_global && before[i].index >= pass->next_index)
			pass->next_index = before[i].index + 1;
}

static void emit_counter(const struct plan_pass *pass)
{
	const struct world_counter *counter =
		world_counter(pass->world, pass->deployment, pass->name);

	if (pass->next_index == (counter ? counter->next : 0))
		return;
	plan_op(pass->plan, PLAN_PUT_COUNTER, "next index")->counter =
		(struct world_counter){.deployment = pass->deployment, .service = pass->name,
				       .next = pass->next_index, .mod = counter ? counter->mod : 0};
}

static void emit_rollout(const struct plan_pass *pass)
{
	const struct world_rollout *stored =
		world_rollout(pass->world, pass->deployment, pass->name);

	if (pass->has_rollout && (!stored || !rollout_eq(stored, &pass->rollout)))
		plan_op(pass->plan, PLAN_PUT_ROLLOUT,
			world_rollout_state_name(pass->rollout.state))->rollout = pass->rollout;
	else if (!pass->has_rollout && stored)
		plan_op(pass->plan, PLAN_DROP_ROLLOUT, "retired")->rollout = *stored;
}

static void end_pass(const struct plan_pass *pass)
{
	for (size_t i = 0; i < pass->n_work; i++) {
		const struct world_replica *replica = &pass->work[i];
		const char *why = pass->why[i] ? pass->why[i] : "changed";

		if (pass->is_dropped[i]) {
			if (replica->mod)
				plan_op(pass->plan, PLAN_DROP_REPLICA, why)->replica = *replica;
			continue;
		}
		if (i >= pass->n_before || !replica_eq(replica, &pass->before[i]))
			plan_op(pass->plan, PLAN_PUT_REPLICA, why)->replica = *replica;
	}
	emit_counter(pass);
	emit_rollout(pass);
}

static void plan_service(struct plan *plan, struct placement *placement, const struct world *world,
			 const struct world_service *service, const struct world_replica *replicas,
			 size_t n)
{
	struct plan_pass pass = {
		.world = world,
		.plan = plan,
		.placement = placement,
		.service = service,
		.deployment = service ? service->deployment : replicas->deployment,
		.name = service ? service->name : replicas->service,
	};

	begin_pass(&pass, replicas, n);
	if (service) {
		placement_begin(placement, service, replicas, n);
		drain_lost(&pass);
		scale_pass(&pass);
		rollout_pass(&pass);
	} else {
		pass.has_rollout = false;
		for (size_t i = 0; i < n; i++)
			scale_leave(&pass, i, "service retired");
	}
	rollout_leaving(&pass);
	end_pass(&pass);
}

static int order(const struct world_service *service, const struct world_replica *replica)
{
	int rc;

	if (!service || !replica)
		return service ? -1 : 1;
	rc = strcmp(service->deployment, replica->deployment);
	return rc ? rc : strcmp(service->name, replica->service);
}

static bool is_same_service(const struct world_replica *a, const struct world_replica *b)
{
	return strcmp(a->service, b->service) == 0 && strcmp(a->deployment, b->deployment) == 0;
}

/* A rollout record whose service and replicas are gone would stay for ever. */
static void drop_orphans(struct plan *plan, const struct world *world)
{
	for (size_t i = 0; i < world->n_rollouts; i++) {
		const struct world_rollout *rollout = &world->rollouts[i];
		bool has_op = false;

		if (world_service(world, rollout->deployment, rollout->service))
			continue;
		for (size_t j = 0; j < plan->n && !has_op; j++)
			has_op =
				plan->ops[j].what == PLAN_DROP_ROLLOUT &&
				strcmp(plan->ops[j].rollout.deployment, rollout->deployment) == 0 &&
				strcmp(plan->ops[j].rollout.service, rollout->service) == 0;
		if (!has_op)
			plan_op(plan, PLAN_DROP_ROLLOUT, "retired")->rollout = *rollout;
	}
}

void plan_make(struct plan *plan, const struct world *world, struct jaco_arena *arena)
{
	struct placement placement;
	size_t s = 0, r = 0;

	*plan = (struct plan){.arena = arena, .next_ms = INT64_MAX};
	placement_init(&placement, world, arena);
	drain_nodes(plan, world);
	while (s < world->n_services || r < world->n_replicas) {
		const struct world_service *service =
			s < world->n_services ? &world->services[s] : NULL;
		const struct world_replica *first =
			r < world->n_replicas ? &world->replicas[r] : NULL;
		int rc = order(service, first);
		size_t n = 0;

		if (rc >= 0)
			while (r + n < world->n_replicas && is_same_service(first, first + n))
				n++;
		plan_service(plan, &placement, world, rc <= 0 ? service : NULL, first, n);
		s += rc <= 0;
		r += n;
	}
	drop_orphans(plan, world);
	restart_pass(plan, world);
}

static void render_shape(struct jaco_buf *out, const char *label, const struct world_shape *shape)
{
	if (shape->generation)
		jaco_buf_printf(out, " %s=%s/%" PRIu64 "/%s@%" PRIu64, label,
				shape->host[0] ? shape->host : "-", shape->generation,
				shape->spec_hash, shape->revision);
}

static void render_replica(struct jaco_buf *out, const struct world_replica *replica)
{
	jaco_buf_printf(out, "put replica %s %s", replica->id, world_phase_name(replica->phase));
	render_shape(out, "now", &replica->now);
	render_shape(out, "old", &replica->old);
	if (replica->code[0])
		jaco_buf_printf(out, " %s: %s", replica->code, replica->message);
}

static void render_node(struct jaco_buf *out, const struct world_node *node)
{
	jaco_buf_printf(out, "put node %s %s", node->name, world_intent_name(node->intent));
	if (node->intent == WORLD_DRAINING)
		jaco_buf_printf(out, " left=%u", node->drain_left);
	if (node->lost_ms)
		jaco_buf_add_str(out, " lost");
	if (node->drain_message[0])
		jaco_buf_printf(out, " %s%s%s", node->drain_code, node->drain_code[0] ? ": " : "",
				node->drain_message);
}

static void render_op(struct jaco_buf *out, const struct plan_op *op)
{
	switch (op->what) {
	case PLAN_PUT_REPLICA:
		render_replica(out, &op->replica);
		break;
	case PLAN_DROP_REPLICA:
		jaco_buf_printf(out, "drop replica %s", op->replica.id);
		break;
	case PLAN_PUT_COUNTER:
		jaco_buf_printf(out, "put counter %s/%s %" PRIu64 "\n", op->counter.deployment,
				op->counter.service, op->counter.next);
		return;
	case PLAN_PUT_ROLLOUT:
		jaco_buf_printf(out, "put rollout %s/%s %s revision=%" PRIu64 " done=%u/%u",
				op->rollout.deployment, op->rollout.service,
				world_rollout_state_name(op->rollout.state), op->rollout.revision,
				op->rollout.n_done, op->rollout.n_total);
		if (op->rollout.n_failed)
			jaco_buf_printf(out, " failed=%u", op->rollout.n_failed);
		if (op->rollout.code[0])
			jaco_buf_printf(out, " %s: %s", op->rollout.code, op->rollout.message);
		jaco_buf_add_char(out, '\n');
		return;
	case PLAN_DROP_ROLLOUT:
		jaco_buf_printf(out, "drop rollout %s/%s", op->rollout.deployment,
				op->rollout.service);
		break;
	case PLAN_PUT_RESTART:
		jaco_buf_printf(out, "put restart %s generation=%" PRIu64 " count=%u",
				op->restart.replica, op->restart.generation, op->restart.count);
		break;
	case PLAN_DROP_RESTART:
		jaco_buf_printf(out, "drop restart %s", op->restart.replica);
		break;
	case PLAN_PUT_NODE:
		render_node(out, &op->node);
		break;
	case PLAN_ROLLBACK:
		jaco_buf_printf(out, "rollback %s revision=%" PRIu64, op->rollout.deployment,
				op->rollout.from_revision);
		break;
	case PLAN_AUDIT:
		jaco_buf_printf(out, "audit %s %s/%s %s %s", op->audit.type, op->audit.deployment,
				op->audit.service, op->audit.replica, op->audit.host);
		break;
	}
	jaco_buf_printf(out, "  # %s\n", op->why);
}

void plan_render(const struct plan *plan, struct jaco_buf *out)
{
	for (size_t i = 0; i < plan->n; i++)
		render_op(out, &plan->ops[i]);
}
