/* SPDX-License-Identifier: Apache-2.0
 *
 * placement.h - which node takes a replica, and why the others do not (spec/scheduling.md 1, 2).
 *
 * Pure.  A `struct placement_load` per node, in the order of world->nodes, counts what the plan has
 * placed so far; the caller keeps it current with placement_add and placement_remove. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/schedd/world.h"
#include "libjaco/base/arena.h"

/* X(NAME, words after "N nodes ") */
#define PLACEMENT_RULES(X)                                                                         \
	X(UNREACHABLE, "unreachable")                                                              \
	X(ISOLATION, "without isolation")                                                          \
	X(ENGINE, "without engine")                                                                \
	X(DRAINING, "draining")                                                                    \
	X(CORDONED, "cordoned")                                                                    \
	X(HOSTS, "not listed")                                                                     \
	X(CONSTRAINT, "excluded by a constraint")                                                  \
	X(PLATFORM, "of another platform")                                                         \
	X(RESERVATION, "without enough unreserved cpu or memory")                                  \
	X(MAX_PER_NODE, "at max_replicas_per_node")                                                \
	X(HOST_PORT, "with the host port taken")

enum placement_rule {
#define X(name, text) PLACEMENT_##name,
	PLACEMENT_RULES(X)
#undef X
	PLACEMENT_N_RULES
};

struct placement_load {
	unsigned n_replicas;   /* of all services */
	unsigned n_of_service; /* of the service being planned */
	uint64_t cpu_milli, memory_bytes; /* reserved */
};

struct placement_port {
	size_t node;
	const char *port;
};

struct placement {
	const struct world *world;
	struct jaco_arena *arena;
	struct placement_load *loads;  /* one per node */
	uint64_t *name_hash;           /* one per node */
	struct placement_port *ports;  /* host ports taken */
	size_t n_ports, cap_ports;
	/* of the service being planned */
	const struct world_service *service;
	const struct world_replica *replicas;
	size_t n_replicas;
	bool is_prepared;
	enum placement_rule *verdict; /* static rules, per node; N_RULES: eligible so far */
};

/* How many nodes each rule rejected; each node counts once, for the first rule. */
struct placement_reasons {
	unsigned rejected[PLACEMENT_N_RULES];
};

#define PLACEMENT_NONE ((size_t)-1)

/* Everything that is placed in @world counts as load.  Memory from @arena. */
void placement_init(struct placement *p, const struct world *world, struct jaco_arena *arena);

/* Turn to @service, whose @replicas stand where they say. */
void placement_begin(struct placement *p, const struct world_service *service,
		     const struct world_replica *replicas, size_t n);

/* Node index for replica @index of the current service, or PLACEMENT_NONE and @out_reasons. */
size_t placement_choose(struct placement *p, uint64_t index, struct placement_reasons *out_reasons);

/* May the current service be on @node at all, by what was written (hosts, constraints, platform)?
 * Passing conditions - cordon, load, reachability - do not drive away what runs. */
bool placement_may_stay(const struct placement *p, const struct world_node *node);

/* Is @node eligible for one more replica of the current service? */
bool placement_is_eligible(struct placement *p, size_t node);

/* A replica of the current service goes to or leaves @node. */
void placement_add(struct placement *p, size_t node);
void placement_remove(struct placement *p, size_t node);

/* "3 nodes: 1 cordoned, 2 excluded by a constraint"; memory from the arena. */
const char *placement_explain(const struct placement *p, const struct placement_reasons *reasons);
