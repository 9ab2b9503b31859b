/* SPDX-License-Identifier: Apache-2.0
 *
 * create.h - a compose service as an engine's create request.
 *
 * Pure.  One row per honoured compose key (spec/manifests.md section 3.4): create_keys() lists
 * them, so that a test can hold the table against the specification.  What never appears in a
 * request:
 * port publishing, restart policies and network aliases - ingress, restarts and names are ours, and
 * an engine's own resolver would answer an alias with its local containers only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/runtimed/engine_types.h"
#include "libjaco/base/buf.h"
#include "libjaco/model/cidr.h"
#include "libjaco/model/manifest/manifest.h"

/* One network of the replica, in the order of the service's attachments. */
struct create_network {
	const char *engine_name; /* "jaco_shop_front" */
	uint32_t address;        /* leased; host byte order */
	uint32_t gateway;        /* where dnsd listens */
};

struct create_input {
	const char *cluster_id, *deployment;
	const char *replica_id, *replica_index; /* index is the host's name for global services */
	uint64_t revision, generation;
	const char *spec_hash; /* as decided by schedd */
	const struct jaco_service *service;
	const struct jaco_manifest *manifest; /* volumes' options and labels */
	const struct create_network *networks;
	size_t n_networks;
	const struct engine_info *engine;
	const char *files_dir; /* of configs and secrets that are bound (files.h) */

	/* Container of this node that runs a replica of @service, for network_mode, ipc and pid
	 * "service:<x>"; NULL when there is none. */
	const char *(*container_of)(void *ctx, const char *service);
	void *ctx;
};

/*
 * Append the JSON body of "/containers/create".
 *
 * Only the first network is in it: engines before API 1.44 take one, the others are connected
 * before the start (create_connect_json).
 * Errors: DEPENDS_ON_UNMET - a shared namespace's owner has no container here.
 */
int create_container_json(const struct create_input *in, bool is_pretty, struct jaco_buf *out,
			  struct jaco_err *err);

/* Append the JSON body of "/networks/<n>/connect" for networks[@index]. */
void create_connect_json(const struct create_input *in, size_t index, const char *container_id,
			 struct jaco_buf *out);

/* What an engine network of ours must be. */
struct create_network_spec {
	const char *cluster_id, *deployment, *network;
	const char *engine_name; /* jaco_engine_network_name_render() */
	const char *bridge;      /* jaco_bridge_name_render() */
	struct jaco_cidr subnet;
	uint32_t gateway;
	unsigned mtu; /* 0: the engine's default */
};

/* Append the JSON body that creates it (engine_podman.c has its own form). */
void create_network_json(const struct create_network_spec *spec, const struct engine_info *engine,
			 struct jaco_buf *out);

/* True when @net is what @spec says; else @out_what names the first difference. */
bool create_network_matches(const struct create_network_spec *spec,
			    const struct engine_network *net, const char **out_what);

/* Whether the engine runs a health check for this service (compose healthcheck or overlay cmd). */
bool create_has_engine_health(const struct jaco_service *service);

/* NULL-terminated names of the compose keys that have a row. */
const char *const *create_keys(void);
