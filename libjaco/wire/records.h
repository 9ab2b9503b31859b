/* SPDX-License-Identifier: Apache-2.0
 *
 * records.h - a loaded manifest as the records that the other daemons follow.  Pure. */
#pragma once

#include "libjaco/base/arena.h"
#include "libjaco/model/manifest/manifest.h"
#include "libjaco/wire/wire.h"

/* Restarts without an intervening minute of running before a replica is given up
 * (spec/scheduling.md section 5). */
#define JACO_RESTART_BUDGET 3

/* Services in dependency order, networks; revision, times and overrides are the caller's. */
struct wire_deployment *jaco_records_deployment(const struct jaco_manifest *manifest,
						struct jaco_arena *arena);
struct wire_route *jaco_records_route(const struct jaco_route *route, const char *deployment,
				      uint64_t revision, struct jaco_arena *arena);
struct wire_tcproute *jaco_records_tcproute(const struct jaco_published *published,
					    const char *deployment, struct jaco_arena *arena);

/* "/route/<domain><path>"; from @arena, like the keys below. */
const char *jaco_records_route_key(const char *domain, const char *path, struct jaco_arena *arena);

/* "/tcproute/<port>/<protocol>", and behind it "/<address>" for one of several addresses that share
 * the port. */
const char *jaco_records_tcproute_key(const struct jaco_port *port, struct jaco_arena *arena);

/* What all keys of that port begin with. */
const char *jaco_records_tcproute_prefix(enum jaco_proto proto, uint16_t port,
					 struct jaco_arena *arena);
