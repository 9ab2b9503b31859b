/* SPDX-License-Identifier: Apache-2.0
 *
 * world.h - what the view says about other processes and nodes, as far as a container's start and
 * end depend on it.
 *
 * Pure: only reads the view. */
#pragma once

#include "libjaco/daemon/view.h"
#include "libjaco/model/manifest/service.h"

/* The first depends_on of @service that does not hold, as "db (service_healthy)" in @out; false
 * when all hold (spec/manifests.md section 3.6: evaluated cluster-wide). */
bool world_unmet(const struct jaco_view *view, const char *deployment,
		 const struct jaco_service *service, char *out, size_t bytes);

/* The newest change of the subnet records of @service's networks on @host: what firewall and DNS
 * must have applied.  0: it has none. */
uint64_t world_gate_revision(const struct jaco_view *view, const char *deployment,
			     const struct jaco_service *service, const char *host);

/* Nothing reaches generation @generation of @replica any more: every live node's ingress lists it
 * as draining with nothing in flight or does not serve it at all, and the DNS of the nodes that
 * answer for its networks has dropped it. */
bool world_is_drained(const struct jaco_view *view, const char *replica, uint32_t generation);
