/* SPDX-License-Identifier: Apache-2.0
 *
 * report.h - desired and observed records, told as one story.  Pure over a view. */
#pragma once

#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"
#include "libjaco/daemon/view.h"
#include "libjaco/wire/wire.h"

/* Prefixes a view needs for these reports; NULL-terminated. */
extern const char *const report_prefixes[];

/* Replicas of @deployment (NULL: all) and @service (NULL: all), by id, newest generation last. */
struct wire_replica_row *report_replicas(const struct jaco_view *view, const char *deployment,
					 const char *service, struct jaco_arena *arena,
					 size_t *out_n);
struct wire_deployment_row *report_deployments(const struct jaco_view *view, const char *deployment,
					       struct jaco_arena *arena, size_t *out_n);
struct wire_route_row *report_routes(const struct jaco_view *view, const char *deployment,
				     struct jaco_arena *arena, size_t *out_n);
struct wire_port_row *report_ports(const struct jaco_view *view, const char *deployment,
				   struct jaco_arena *arena, size_t *out_n);
/* @alarms is kept by reference. */
struct wire_status_report report_status(const struct jaco_view *view, const char *deployment,
					const char *service, struct wire_strs alarms,
					struct jaco_arena *arena);

/* State and why, as in "running, not healthy yet" or "pending: waits for db". */
const char *report_state(const struct wire_replica_row *row, struct jaco_arena *arena);

/* The sentence for a service whose number was set by jaco scale.  @manifest: what its manifest
 * says, negative when that is not known here. */
const char *report_override(const char *deployment, const struct wire_service *service,
			    int64_t manifest, struct jaco_arena *arena);

/* Whether @deployment, and @service of it when not NULL, exist.
 * Errors: DEPLOYMENT_NOT_FOUND, UNKNOWN_SERVICE. */
int report_find(const struct jaco_view *view, const char *deployment, const char *service,
		struct jaco_err *err);

/* How one service stands against what is wanted of it. */
struct report_progress {
	size_t wanted;    /* replicas */
	size_t ready;     /* running the wanted spec and healthy, or completed */
	size_t old;       /* containers of another spec, or more of this one than wanted */
	size_t old_ready; /* those of another spec that serve meanwhile */
	size_t failed;    /* gave up */
	const struct wire_replica_row
		*worst; /* one that is not ready, for its message; may be NULL */
};
struct report_progress report_service(const struct jaco_view *view, const char *deployment,
				      const struct wire_service *service, struct jaco_arena *arena);
