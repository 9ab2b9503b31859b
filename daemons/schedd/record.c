/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/schedd/record.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "libjaco/base/limits.h"
#include "libjaco/base/str.h"
#include "libjaco/model/ids.h"

static const char *text(const char *maybe)
{
	return maybe ? maybe : "";
}

static void take_policy(struct world_service *out, const struct wire_service *service)
{
	const struct wire_rollout_policy *policy = service->rollout;

	out->is_stop_first = service->stateful || service->host_ports.n > 0;
	out->parallel = 1;
	out->timeout_ms = 60000;
	out->drain_ms = 10000;
	out->monitor_ms = 5000;
	if (!policy)
		return;
	out->is_stop_first = policy->order == JACO_ORDER_STOP_FIRST;
	out->parallel = JACO_MAX(policy->parallel, 1u);
	out->timeout_ms = policy->timeout_ms;
	out->drain_ms = policy->drain_ms;
	out->monitor_ms = policy->monitor_ms;
	out->delay_ms = policy->delay_ms;
	out->max_failure_permille = policy->max_failure_permille;
	switch (policy->on_failure) {
	case JACO_ON_FAILURE_PAUSE:
		out->on_failure = WORLD_PAUSE;
		break;
	case JACO_ON_FAILURE_CONTINUE:
		out->on_failure = WORLD_CONTINUE;
		break;
	case JACO_ON_FAILURE_ROLLBACK:
	case JACO_ON_FAILURE_END:
		out->on_failure = WORLD_ROLLBACK;
		break;
	}
}

static enum world_placement placement_of(enum jaco_placement placement)
{
	switch (placement) {
	case JACO_PLACE_PACK:
		return WORLD_PACK;
	case JACO_PLACE_HOSTS:
		return WORLD_HOSTS;
	case JACO_PLACE_GLOBAL:
		return WORLD_GLOBAL;
	case JACO_PLACE_SPREAD:
	case JACO_PLACE_END:
		return WORLD_SPREAD;
	}
	return WORLD_SPREAD;
}

struct world_service record_service(const struct wire_deployment *deployment,
				    const struct wire_service *service)
{
	struct world_service out = {
		.deployment = deployment->name,
		.name = service->name,
		.revision = deployment->revision,
		.previous_revision = deployment->previous,
		.spec_hash = service->spec_hash,
		.image = text(service->image),
		.nonce = service->restart_nonce,
		.placement = placement_of(service->placement),
		.replicas = service->replicas,
		.per_host = service->per_host,
		.hosts = service->hosts.v,
		.n_hosts = service->hosts.n,
		.constraints = service->constraints.v,
		.n_constraints = service->constraints.n,
		.platform = text(service->platform),
		.max_per_node = service->max_per_node,
		.cpu_milli = service->reserve_cpu_milli,
		.memory_bytes = service->reserve_memory,
		.host_ports = service->host_ports.v,
		.n_host_ports = service->host_ports.n,
		.is_stateful = service->stateful,
		.is_rescheduled = service->reschedule,
		.is_one_shot = service->one_shot,
	};

	take_policy(&out, service);
	return out;
}

struct world_node record_node(const struct wire_node *node, struct jaco_arena *arena)
{
	const char **labels = jaco_arena_alloc_n(arena, node->labels.n + 1, sizeof(*labels));
	struct world_node out = {
		.name = node->host,
		.arch = text(node->arch),
		.labels = labels,
		.n_labels = node->labels.n,
		.drain_force = node->drain_force,
		.drain_started_ms = (int64_t)node->drain_started,
		.drain_limit_ms = node->drain_limit_ms ? (int64_t)node->drain_limit_ms
						       : JACO_DRAIN_LIMIT_MS,
		.drain_left = node->drain_left,
		.drain_progress_ms = (int64_t)node->drain_progress,
		.drain_code = text(node->drain_code),
		.drain_message = text(node->drain_message),
		.lost_ms = (int64_t)node->lost,
		.cpu_milli = (uint64_t)node->cpus * 1000,
		.memory_bytes = node->memory_bytes,
	};

	for (size_t i = 0; i < node->labels.n; i++)
		labels[i] = jaco_arena_printf(arena, "%s=%s", node->labels.v[i].key,
					      text(node->labels.v[i].value));
	switch (node->intent) {
	case JACO_NODE_INTENT_CORDONED:
		out.intent = WORLD_CORDONED;
		break;
	case JACO_NODE_INTENT_DRAINING:
		out.intent = WORLD_DRAINING;
		break;
	case JACO_NODE_INTENT_ACTIVE:
	case JACO_NODE_INTENT_END:
		out.intent = WORLD_ACTIVE;
		break;
	}
	return out;
}

static struct world_shape shape_of(const struct wire_replica_gen *gen)
{
	return (struct world_shape){
		.host = gen->host,
		.spec_hash = gen->spec_hash,
		.image = text(gen->image),
		.generation = gen->generation,
		.revision = gen->revision,
		.placed_ms = (int64_t)gen->placed,
	};
}

struct wire_node record_from_node(const struct wire_node *stored, const struct world_node *node)
{
	struct wire_node out = *stored;

	switch (node->intent) {
	case WORLD_ACTIVE:
		out.intent = JACO_NODE_INTENT_ACTIVE;
		break;
	case WORLD_CORDONED:
		out.intent = JACO_NODE_INTENT_CORDONED;
		break;
	case WORLD_DRAINING:
		out.intent = JACO_NODE_INTENT_DRAINING;
		break;
	}
	out.has &=
		~(UINT64_C(1) << wire_node_drain_left_ | UINT64_C(1) << wire_node_drain_progress_ |
		  UINT64_C(1) << wire_node_lost_); /* zero is absent */
	out.drain_left = node->drain_left;
	out.drain_progress = (uint64_t)node->drain_progress_ms;
	out.lost = (uint64_t)node->lost_ms;
	out.drain_code = node->drain_code[0] ? node->drain_code : NULL;
	out.drain_message = node->drain_message[0] ? node->drain_message : NULL;
	return out;
}

struct world_replica record_replica(const struct wire_replica *replica, uint64_t mod)
{
	size_t n = replica->generations.n;
	struct world_replica out = {
		.id = replica->id,
		.deployment = replica->deployment,
		.service = replica->service,
		.index = replica->index,
		.is_global = !JACO_HAS(replica, replica, index),
		.phase = n ? WORLD_SETTLED : WORLD_PENDING,
		.since_ms = (int64_t)replica->since,
		.now = {.host = "", .spec_hash = "", .image = ""},
		.old = {.host = "", .spec_hash = "", .image = ""},
		.last_generation = replica->last_generation,
		.nonce = replica->restart_nonce,
		.code = text(replica->code),
		.message = text(replica->message),
		.mod = mod,
	};

	(void)world_phase_parse(text(replica->phase), &out.phase);
	if (n)
		out.now = shape_of(&replica->generations.v[n - 1]);
	if (n > 1)
		out.old = shape_of(&replica->generations.v[0]);
	else if (replica->previous)
		out.old = shape_of(replica->previous);
	out.last_generation = JACO_MAX(out.last_generation, out.now.generation);
	return out;
}

struct world_rollout record_rollout(const struct wire_rollout *rollout, uint64_t mod)
{
	struct world_rollout out = {
		.deployment = rollout->deployment,
		.service = rollout->service,
		.revision = rollout->to_revision,
		.from_revision = rollout->from_revision,
		.state = WORLD_R_IN_PROGRESS,
		.started_ms = (int64_t)rollout->started,
		.since_ms = (int64_t)rollout->step_started,
		.n_total = rollout->total,
		.n_done = rollout->done,
		.n_failed = rollout->failed,
		.code = text(rollout->code),
		.message = text(rollout->reason),
		.mod = mod,
	};

	(void)world_rollout_state_parse(jaco_enum_word(&jaco_rollout_state_enum, rollout->state),
					&out.state);
	return out;
}

struct world_observed record_observed(const struct wire_obs_replica *replica,
				      const struct wire_obs_gen *gen)
{
	enum world_state state =
		world_state_parse(jaco_enum_word(&jaco_replica_state_enum, gen->state));

	return (struct world_observed){
		.id = replica->id,
		.host = replica->host,
		.generation = gen->generation,
		.state = state,
		.since_ms = (int64_t)gen->since,
		.restarts = gen->restarts,
		.code = text(gen->code),
		.message = text(gen->message),
	};
}

size_t record_draining(const struct world_replica *replica, uint64_t out_generations[static 2])
{
	size_t n = 0;

	switch (replica->phase) {
	case WORLD_YIELDING:
		out_generations[n++] = replica->old.generation;
		break;
	case WORLD_STOPPING:
		out_generations[n++] = replica->now.generation;
		break;
	case WORLD_LEAVING:
		if (replica->old.generation)
			out_generations[n++] = replica->old.generation;
		if (replica->now.generation)
			out_generations[n++] = replica->now.generation;
		break;
	case WORLD_PENDING:
	case WORLD_SETTLED:
	case WORLD_STARTING:
	case WORLD_GATING:
	case WORLD_MONITORING:
		break;
	}
	return n;
}

static struct wire_replica_gen gen_of(const struct world_replica *replica,
				      const struct world_shape *shape, int64_t drain_ms)
{
	uint64_t draining[2];
	size_t n = record_draining(replica, draining);
	struct wire_replica_gen gen = {
		.generation = (uint32_t)shape->generation,
		.host = shape->host,
		.revision = shape->revision,
		.spec_hash = shape->spec_hash,
		.image = shape->image,
		.intent = JACO_INTENT_RUN,
		.placed = (uint64_t)shape->placed_ms,
	};

	for (size_t i = 0; i < n; i++)
		if (draining[i] == shape->generation) {
			gen.intent = JACO_INTENT_DRAIN;
			gen.drain_until = (uint64_t)(replica->since_ms + drain_ms);
		}
	return gen;
}

/* Does the old shape stand for a container, or only for what to go back to? */
static bool has_old_container(const struct world_replica *replica)
{
	return replica->old.generation &&
	       (replica->phase == WORLD_STARTING || replica->phase == WORLD_YIELDING ||
		replica->phase == WORLD_LEAVING);
}

struct wire_replica record_from_replica(const struct world_replica *replica, int64_t drain_ms,
					struct jaco_arena *arena)
{
	struct wire_replica_gen *gens = jaco_arena_alloc_n(arena, 3, sizeof(*gens));
	struct wire_replica out = {
		.id = replica->id,
		.deployment = replica->deployment,
		.service = replica->service,
		.restart_nonce = replica->nonce,
		.phase = world_phase_name(replica->phase),
		.since = (uint64_t)replica->since_ms,
		.last_generation = (uint32_t)replica->last_generation,
		.code = replica->code[0] ? replica->code : NULL,
		.message = replica->message[0] ? replica->message : NULL,
	};

	out.generations.v = gens;
	if (has_old_container(replica))
		gens[out.generations.n++] = gen_of(replica, &replica->old, drain_ms);
	if (replica->now.generation)
		gens[out.generations.n++] = gen_of(replica, &replica->now, drain_ms);
	if (replica->old.generation && !has_old_container(replica)) {
		gens[2] = gen_of(replica, &replica->old, drain_ms);
		out.previous = &gens[2];
	}
	if (!replica->is_global)
		JACO_SET(&out, replica, index, replica->index);
	return out;
}

struct wire_rollout record_from_rollout(const struct world_rollout *rollout, int64_t now_ms)
{
	int state = jaco_enum_find(&jaco_rollout_state_enum,
				   world_rollout_state_name(rollout->state));

	return (struct wire_rollout){
		.deployment = rollout->deployment,
		.service = rollout->service,
		.state = (enum jaco_rollout_state)state,
		.from_revision = rollout->from_revision,
		.to_revision = rollout->revision,
		.done = rollout->n_done,
		.total = rollout->n_total,
		.failed = rollout->n_failed,
		.started = (uint64_t)rollout->started_ms,
		.step_started = (uint64_t)rollout->since_ms,
		.updated = (uint64_t)now_ms,
		.code = rollout->code[0] ? rollout->code : NULL,
		.reason = rollout->message[0] ? rollout->message : NULL,
	};
}

const char *record_replica_key(const struct world_replica *replica, struct jaco_arena *arena)
{
	const char *suffix = "";

	if (!replica->is_global)
		return jaco_arena_printf(arena, "/replica/%s/%s/%" PRIu64, replica->deployment,
					 replica->service, replica->index);
	(void)jaco_replica_id_suffix(replica->id, replica->deployment, replica->service, &suffix);
	return jaco_arena_printf(arena, "/replica/%s/%s/%s", replica->deployment, replica->service,
				 suffix);
}

const char *record_service_key(const char *prefix, const char *deployment, const char *service,
			       struct jaco_arena *arena)
{
	return jaco_arena_printf(arena, "%s%s/%s", prefix, deployment, service);
}
