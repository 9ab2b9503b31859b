/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve.h - compose and overlay together: the manifest, with every check that needs both.
 *
 * Internal to the manifest readers. */
#pragma once

#include "libjaco/model/manifest/compose.h"
#include "libjaco/model/manifest/overlay.h"

/* One load in progress. */
struct resolve {
	struct jaco_read *read; /* its path is set by whoever reports */
	const struct overlay *overlay;
	struct compose_doc *compose;
	struct jaco_manifest *manifest;
};

/* Fill resolve->manifest; findings say what is wrong. */
void jaco_resolve_run(struct resolve *resolve);

/* By name among the compose services; NULL when there is none. */
struct compose_service *jaco_resolve_find(const struct resolve *resolve, const char *name);

/* By name among the declared volumes; NULL when there is none. */
struct jaco_volume *jaco_resolve_volume(const struct resolve *resolve, const char *name);

/* Report under services.<name>[.<key>]. */
void jaco_resolve_error(struct resolve *resolve, enum jaco_code code, struct jaco_pos pos,
			const char *service, const char *key, const char *remedy, const char *fmt,
			...) JACO_PRINTF(7, 8);
void jaco_resolve_warn(struct resolve *resolve, struct jaco_pos pos, const char *service,
		       const char *key, const char *fmt, ...) JACO_PRINTF(5, 6);

/* What one service is on its own: image, resources, replicas, placement, rollout, volumes, files
 * (resolve_service.c). */
void jaco_resolve_service(struct resolve *resolve, struct compose_service *service,
			  const struct overlay_service *overlay);

/* dns: of one service, once its network mode is known (compose_dns.c). */
void jaco_resolve_dns(struct resolve *resolve, struct compose_service *service);

/* Privileged keys of one service (resolve_gate.c). */
void jaco_resolve_gates(struct resolve *resolve, struct compose_service *compose);

/* Ports, routes, networks, dependencies, links between services (resolve_links.c,
 * resolve_routes.c). */
void jaco_resolve_names(struct resolve *resolve);
void jaco_resolve_dependencies(struct resolve *resolve);
void jaco_resolve_networks(struct resolve *resolve);
void jaco_resolve_routes(struct resolve *resolve);
void jaco_resolve_ports(struct resolve *resolve);

/* Published ports of @s that are the ingress's own: left to its routes, or refused
 * (resolve_ingress.c).  Needs the manifest's routes. */
void jaco_resolve_ingress_ports(struct resolve *resolve, struct jaco_service *s);
