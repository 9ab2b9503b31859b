/* SPDX-License-Identifier: Apache-2.0
 *
 * world.h - everything a scheduling decision depends on, as plain values.
 *
 * Pure.  All strings and arrays are borrowed from whoever filled the world and outlive the pass.
 * Times are wall clock milliseconds: they are stored in records that a later leader reads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"

enum world_placement {
	WORLD_SPREAD, /* fewest replicas of the service, then fewest replicas */
	WORLD_PACK,   /* fullest node that still fits */
	WORLD_HOSTS,  /* listed nodes only */
	WORLD_GLOBAL, /* one per eligible node */
};

enum world_intent {
	WORLD_ACTIVE,   /* takes new replicas */
	WORLD_CORDONED, /* keeps what it has */
	WORLD_DRAINING, /* gives away what it has */
};

/* Where a desired replica stands; stored in its record.  Transitions: rollout.c. */
enum world_phase {
	WORLD_PENDING,    /* wants a node and has none, or its home is away; code says why */
	WORLD_SETTLED,    /* one generation, which should run */
	WORLD_STARTING,   /* start-first: the new generation starts, the old one serves */
	WORLD_YIELDING,   /* the new one serves, the old one is draining */
	WORLD_STOPPING,   /* stop-first: the only generation drains before it is replaced */
	WORLD_GATING,     /* stop-first: the new generation runs alone and must become healthy */
	WORLD_MONITORING, /* replaced and healthy, watched for a while */
	WORLD_LEAVING,    /* drains, then its record goes */
};

enum world_state { /* spec/cluster.md section 5 */
	WORLD_S_UNKNOWN,
	WORLD_S_PENDING,
	WORLD_S_PULLING,
	WORLD_S_STARTING,
	WORLD_S_RUNNING,
	WORLD_S_DEGRADED,
	WORLD_S_UPDATING,
	WORLD_S_DRAINING,
	WORLD_S_COMPLETED,
	WORLD_S_FAILED,
	WORLD_S_STOPPED,
};

enum world_rollout_state { /* spec/cluster.md section 5 */
	WORLD_R_IN_PROGRESS,
	WORLD_R_PAUSED,
	WORLD_R_COMPLETED,
	WORLD_R_ABORTED,
	WORLD_R_ROLLED_BACK,
};

enum world_on_failure { WORLD_ROLLBACK, WORLD_PAUSE, WORLD_CONTINUE };

struct world_node {
	const char *name;
	const char *arch;          /* "amd64"; "" unknown */
	const char *const *labels; /* "key=value" */
	size_t n_labels;
	enum world_intent intent;
	bool drain_force;   /* what cannot move stays and does not block the drain */
	int64_t drain_started_ms;
	int64_t drain_limit_ms;    /* without a replica leaving */
	unsigned drain_left;       /* replicas still to move, as last written */
	int64_t drain_progress_ms; /* when that last fell */
	const char *drain_code, *drain_message; /* why the last drain was given up */
	int64_t lost_ms;           /* given up; 0 while it is heard */
	bool has_isolation; /* its firewall passed the self-test */
	bool has_engine;    /* its container engine answers */
	bool is_reachable;  /* by gossip */
	int64_t unreachable_since_ms; /* when not reachable */
	uint64_t cpu_milli, memory_bytes; /* capacity; 0 unknown: reservations are not checked */
};

struct world_service {
	const char *deployment, *name;
	uint64_t revision;
	const char *spec_hash, *image;
	uint64_t nonce; /* moves with `jaco restart` */
	enum world_placement placement;
	unsigned replicas; /* not for global */
	unsigned per_host; /* for hosts: this many on each; 0: `replicas` over them, one per host */
	const char *const *hosts;
	size_t n_hosts;
	const char *const *constraints; /* "node.labels.disk == ssd" */
	size_t n_constraints;
	const char *platform;     /* "linux/arm64", "" any */
	unsigned max_per_node;    /* 0 no bound */
	uint64_t cpu_milli, memory_bytes; /* reserved; 0 none */
	const char *const *host_ports; /* bound on its node: "53/udp", "53/udp@10.0.0.1" */
	size_t n_host_ports;
	bool is_stateful;
	bool is_rescheduled; /* failover: a stateful one may lose its home and data */
	/* rollout */
	bool is_stop_first;
	unsigned parallel; /* > 0 */
	int64_t timeout_ms, drain_ms, monitor_ms, delay_ms;
	enum world_on_failure on_failure;
	unsigned max_failure_permille;
	uint64_t previous_revision; /* of the deployment; 0 none */
	/* restarts */
	bool is_one_shot;    /* exit 0 completes it */
	unsigned restart_max; /* budget; UINT_MAX never gives up */
};

/* What identifies one container's shape. */
struct world_shape {
	const char *host, *spec_hash, *image;
	uint64_t generation, revision;
	int64_t placed_ms;
};

struct world_replica {
	const char *id, *deployment, *service;
	uint64_t index;   /* not for global */
	bool is_global;   /* id ends in the host name */
	enum world_phase phase;
	int64_t since_ms; /* phase entered */
	struct world_shape now; /* the one that should run; host "" while PENDING */
	struct world_shape old; /* STARTING, YIELDING: runs beside; GATING, MONITORING: what to go
				 * back to; else generation 0 */
	uint64_t last_generation; /* highest ever used: a number never names two containers */
	uint64_t nonce;   /* of the service when it was last started */
	const char *code, *message; /* PENDING: why */
	uint64_t mod; /* store revision of the record; 0: not stored yet */
	/* observed, not stored: reachable ingress and DNS nodes that do not yet use `now`, that
	 * have not confirmed the drain of what is draining, and the requests they still have with
	 * it */
	unsigned uses_missing, acks_missing, in_flight;
};

struct world_observed {
	const char *id, *host;
	uint64_t generation;
	enum world_state state;
	int64_t since_ms;
	unsigned restarts; /* without 60 s of running in between */
	const char *code, *message;
};

struct world_rollout {
	const char *deployment, *service;
	uint64_t revision; /* that it brings */
	uint64_t from_revision; /* 0: nothing to go back to */
	enum world_rollout_state state;
	int64_t started_ms, since_ms; /* since: last step finished */
	unsigned n_total, n_done, n_failed;
	const char *code, *message; /* why it stopped */
	uint64_t mod;
};

struct world_counter {
	const char *deployment, *service;
	uint64_t next;
	uint64_t mod;
};

/* The verdict that outlives runtimed: this generation is not to be restarted any more. */
struct world_restart {
	const char *replica;
	uint64_t generation;
	unsigned count;
	int64_t since_ms;
	const char *reason;
	uint64_t mod;
};

struct world {
	int64_t now_ms;
	int64_t reschedule_after_ms; /* < 0: off */
	struct world_node *nodes;    /* by name */
	size_t n_nodes;
	const uint32_t *node_index;  /* hash of the names: position + 1, 0 free */
	size_t n_node_index;         /* a power of two */
	struct world_service *services; /* by (deployment, name) */
	size_t n_services;
	struct world_replica *replicas; /* by (deployment, service, is_global, index or host) */
	size_t n_replicas;
	struct world_observed *observed; /* by (id, generation) */
	size_t n_observed;
	struct world_rollout *rollouts; /* by (deployment, service) */
	size_t n_rollouts;
	struct world_counter *counters; /* by (deployment, service) */
	size_t n_counters;
	struct world_restart *restarts; /* by replica */
	size_t n_restarts;
};

/* Put every array into the order named above and index the nodes; call once after filling. */
void world_sort(struct world *world, struct jaco_arena *arena);

/* Look-ups by the sorted keys; NULL when there is none. */
struct world_node *world_node(const struct world *world, const char *name);
const struct world_service *world_service(const struct world *world, const char *deployment,
					  const char *name);
const struct world_rollout *world_rollout(const struct world *world, const char *deployment,
					  const char *service);
const struct world_counter *world_counter(const struct world *world, const char *deployment,
					  const char *service);
const struct world_restart *world_restart(const struct world *world, const char *replica);

/* What the node that should run (@id, @generation) says of it; NULL when it says nothing. */
const struct world_observed *world_observed(const struct world *world, const char *id,
					    uint64_t generation);

/* Names as they are stored and printed. */
const char *world_intent_name(enum world_intent intent);
const char *world_phase_name(enum world_phase phase);
bool world_phase_parse(const char *text, enum world_phase *out);
enum world_state world_state_parse(const char *text); /* UNKNOWN for anything else */
const char *world_rollout_state_name(enum world_rollout_state state);
bool world_rollout_state_parse(const char *text, enum world_rollout_state *out);
bool world_placement_parse(const char *text, enum world_placement *out);
