/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_types.h - what a container engine tells us, in bounded form.
 *
 * An engine's answers are hostile input: every text is cut or refused at the sizes below, and
 * nothing else of the JSON survives parsing (engine_json.h).  Times are wall milliseconds, 0 when
 * the engine has none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/limits.h"
#include "libjaco/model/ids.h"

#define ENGINE_ID_BYTES       72  /* 64 hex digits, "sha256:" */
#define ENGINE_NAME_BYTES     256
#define ENGINE_TEXT_BYTES     256 /* one sentence of the engine's, cut */
#define ENGINE_SIGNAL_BYTES   24
#define ENGINE_NETWORKS_MAX   JACO_NETWORKS_PER_SERVICE
#define ENGINE_CONTAINERS_MAX 4096 /* more on one node is refused, not truncated */
#define ENGINE_CLUSTER_BYTES  72
#define ENGINE_PODMAN_BRIDGE  "jaco.bridge" /* label of a network: what its bridge is called */

enum engine_container_state {
	ENGINE_CREATED,    /* never started */
	ENGINE_RUNNING,
	ENGINE_PAUSED,     /* by a person; left alone */
	ENGINE_RESTARTING, /* only with a restart policy, which we never set */
	ENGINE_REMOVING,
	ENGINE_EXITED,
	ENGINE_DEAD, /* the engine failed to remove it */
};

enum engine_health {
	ENGINE_HEALTH_NONE,
	ENGINE_HEALTH_STARTING,
	ENGINE_HEALTH_GOOD,
	ENGINE_HEALTH_BAD,
};

/* The labels by which a container is recognised (spec/manifests.md section 6). */
struct engine_labels {
	char cluster_id[ENGINE_CLUSTER_BYTES];
	char deployment[JACO_DEPLOYMENT_MAX + 1];
	char service[JACO_NAME_MAX + 1];
	char replica_id[JACO_REPLICA_ID_BYTES];
	char spec_hash[JACO_HASH_MAX + 1];
	uint64_t revision;
	uint64_t generation;
};

struct engine_attachment {
	char network[ENGINE_NAME_BYTES];
	uint32_t address; /* host byte order; 0 while not running */
};

struct engine_container {
	char id[ENGINE_ID_BYTES];
	char name[ENGINE_NAME_BYTES]; /* without the leading slash */
	char image[JACO_IMAGE_MAX + 1];
	char image_id[ENGINE_ID_BYTES];
	enum engine_container_state state;
	enum engine_health health;
	char health_output[ENGINE_TEXT_BYTES];
	char error[ENGINE_TEXT_BYTES]; /* why the last start failed */
	int exit_code;
	bool oom_killed;
	bool is_inspected; /* exit code, times and health are known (a listing has none) */
	int64_t started_ms;
	int64_t finished_ms;
	struct engine_labels labels;
	size_t n_networks;
	struct engine_attachment networks[ENGINE_NETWORKS_MAX];
};

struct engine_network {
	char id[ENGINE_ID_BYTES];
	char name[ENGINE_NAME_BYTES];
	char driver[JACO_NAME_MAX + 1];
	char bridge[JACO_BRIDGE_NAME_BYTES];
	char subnet[JACO_CIDR_MAX];
	char gateway[JACO_ADDR_MAX];
	char cluster_id[ENGINE_CLUSTER_BYTES];
	char deployment[JACO_DEPLOYMENT_MAX + 1];
	char network[JACO_NAME_MAX + 1];
	bool is_internal;
	bool has_masquerade;
	unsigned mtu; /* 0: the engine's default */
	size_t n_containers;
};

enum engine_event_what {
	ENGINE_EVENT_OTHER,
	ENGINE_EVENT_CREATE,
	ENGINE_EVENT_START,
	ENGINE_EVENT_DIE,
	ENGINE_EVENT_HEALTH,
	ENGINE_EVENT_DESTROY,
};

struct engine_event {
	enum engine_event_what what;
	char container_id[ENGINE_ID_BYTES];
	char replica_id[JACO_REPLICA_ID_BYTES]; /* "" when it is not ours */
	enum engine_health health;              /* for ENGINE_EVENT_HEALTH */
	int exit_code;                          /* for ENGINE_EVENT_DIE */
};

struct engine_info {
	char server_version[JACO_NAME_MAX + 1]; /* "" until asked */
	unsigned api_major, api_minor;          /* the version we speak with it */
	bool is_podman;
};

/* One line of an image pull. */
struct engine_pull_line {
	char layer[JACO_NAME_MAX + 1];
	char status[ENGINE_TEXT_BYTES];
	char error[ENGINE_TEXT_BYTES]; /* "" unless the pull failed */
	uint64_t done_bytes, total_bytes;
};

static inline bool engine_container_is_up(const struct engine_container *c)
{
	return c->state == ENGINE_RUNNING || c->state == ENGINE_PAUSED ||
	       c->state == ENGINE_RESTARTING;
}
