/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h - stored records as values of the world, and back.
 *
 * Pure.  Worlds borrow from the wire structs and @arena. */
#pragma once

#include "daemons/schedd/world.h"
#include "libjaco/base/arena.h"
#include "libjaco/wire/wire.h"

struct world_service record_service(const struct wire_deployment *deployment,
				    const struct wire_service *service);
struct world_node record_node(const struct wire_node *node, struct jaco_arena *arena);
/* @stored with what the scheduler decides about a node. */
struct wire_node record_from_node(const struct wire_node *stored, const struct world_node *node);
struct world_replica record_replica(const struct wire_replica *replica, uint64_t mod);
struct world_rollout record_rollout(const struct wire_rollout *rollout, uint64_t mod);
struct world_observed record_observed(const struct wire_obs_replica *replica,
				      const struct wire_obs_gen *gen);

/* The record of a replica; generations that drain do so until since + @drain_ms. */
struct wire_replica record_from_replica(const struct world_replica *replica, int64_t drain_ms,
					struct jaco_arena *arena);
struct wire_rollout record_from_rollout(const struct world_rollout *rollout, int64_t now_ms);

/* Generations of @replica that drain, by its phase: at most two; returns how many. */
size_t record_draining(const struct world_replica *replica, uint64_t out_generations[static 2]);

/* Keys of the store; memory from @arena. */
const char *record_replica_key(const struct world_replica *replica, struct jaco_arena *arena);
const char *record_service_key(const char *prefix, const char *deployment, const char *service,
			       struct jaco_arena *arena);
