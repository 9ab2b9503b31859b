/* SPDX-License-Identifier: Apache-2.0
 *
 * ids.h - identifiers made from names: replicas, containers, engine networks and volumes.
 *
 * Pure.  Rendering answers false only when the result would not fit, which validated names cannot
 * cause. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/limits.h"

#define JACO_REPLICA_ID_BYTES     (JACO_REPLICA_ID_MAX + 1)
#define JACO_CONTAINER_NAME_BYTES (JACO_REPLICA_ID_MAX + 24) /* ".<generation>" */
#define JACO_ENGINE_NAME_BYTES    (JACO_DEPLOYMENT_MAX + JACO_NAME_MAX + 8)
#define JACO_BRIDGE_NAME_BYTES    16 /* IFNAMSIZ */

/* "<deployment>-<service>-<index>". */
bool jaco_replica_id_render(char out[static JACO_REPLICA_ID_BYTES], const char *deployment,
			    const char *service, uint64_t index);

/* "<deployment>-<service>-<host>", for placement global. */
bool jaco_replica_id_render_host(char out[static JACO_REPLICA_ID_BYTES], const char *deployment,
				 const char *service, const char *host);

/* Names may hold hyphens, so an id is not parsed without knowing its deployment and service: true
 * and the rest ("3" or "n1") when @id begins with "<deployment>-<service>-".  Borrowed from @id. */
bool jaco_replica_id_suffix(const char *id, const char *deployment, const char *service,
			    const char **out_suffix);

/* "<replica-id>", with ".<generation>" when @is_coexisting (spec/runtime.md section 2). */
bool jaco_container_name_render(char out[static JACO_CONTAINER_NAME_BYTES], const char *replica_id,
				uint64_t generation, bool is_coexisting);

/* "jaco_<deployment>_<network>", or "jacoi_..." for an internal one.  The engine gives a container
 * the default route of the network whose name sorts first: that must be one with a way out if there
 * is any. */
bool jaco_engine_network_name_render(char out[static JACO_ENGINE_NAME_BYTES],
				     const char *deployment, const char *network,
				     bool is_internal);

/* "jaco_<deployment>_<name>": the engine's volume. */
bool jaco_engine_name_render(char out[static JACO_ENGINE_NAME_BYTES], const char *deployment,
			     const char *name);

/* "jaco-xxxx-yyyy" from SHA-1 of deployment and network; @extra (0..) tells apart names that
 * collide by using digits further along (spec/runtime.md section 2). */
void jaco_bridge_name_render(char out[static JACO_BRIDGE_NAME_BYTES], const char *deployment,
			     const char *network, unsigned extra);
