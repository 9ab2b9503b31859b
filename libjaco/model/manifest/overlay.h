/* SPDX-License-Identifier: Apache-2.0
 *
 * overlay.h - jaco.yaml, typed: a closed schema (spec/manifests.md section 4).
 *
 * Internal to the manifest readers. */
#pragma once

#include "libjaco/model/manifest/manifest.h"
#include "libjaco/model/manifest/read.h"

struct overlay_service {
	const char *name;
	struct jaco_pos pos; /* of the name */
	struct jaco_opt_i64 replicas, per_host;
	struct jaco_pos replicas_pos;
	bool placement_is_set;
	enum jaco_placement placement;
	struct jaco_pos placement_pos;
	struct jaco_strings hosts;
	struct jaco_pos hosts_pos;
	struct jaco_strings networks;
	struct jaco_pos networks_pos;
	struct jaco_constraint *constraints;
	size_t n_constraints;
	struct jaco_probe probe;
	struct jaco_pos probe_pos;
	struct jaco_rollout rollout; /* fields below say which were written */
	struct jaco_opt_i64 parallel, timeout_ms, drain_ms, monitor_ms, delay_ms;
	bool on_failure_is_set;
	bool failover_is_set;
	bool failover_stay;
	bool is_single;
};

struct overlay {
	const char *deployment;
	const char *environment;
	bool acme;
	const char *acme_email;
	struct jaco_route *routes; /* in the order of the file */
	bool *tls_is_set;          /* per route */
	size_t n_routes;
	struct overlay_service *services;
	size_t n_services;
};

void jaco_overlay_read(struct jaco_read *read, const struct jaco_yaml_node *root,
		       struct overlay *out);

/* "routes" of the overlay (overlay_route.c). */
void jaco_overlay_read_routes(struct jaco_read *read, const struct jaco_yaml_node *node,
			      struct overlay *out);

/* health: of a service or a route into @probe. */
void jaco_overlay_read_probe(struct jaco_read *read, const struct jaco_yaml_node *node,
			     bool is_route, struct jaco_probe *probe);
