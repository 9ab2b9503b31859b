/* SPDX-License-Identifier: Apache-2.0
 *
 * scopes.h - from the cluster's records to the description of its names.
 *
 * Pure: a view and the time in, a zone_table_spec and the listeners of this host out.  A replica is
 * named when its desired generation is to run on that host, its node has seen it running and
 * healthy, and that node is not unreachable.
 *
 * Records of the observed plane are gone for a moment when raftd restarts and hears the others
 * anew.
 * A replica that was named and whose record is missing (not: says something else) therefore stays
 * named for SCOPES_HOLD_MS; its address has no other owner in that time (quarantine, network.md
 * 1). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/zone.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/digest.h"
#include "libjaco/daemon/view.h"

#define SCOPES_HOLD_MS 10000

/* What was named last, for the hold. */
struct scopes_held {
	char *key; /* "<replica>@<host>#<generation>/<network>" */
	uint32_t addr;
	int64_t seen_ms;
};

struct scopes_memory {
	struct scopes_held *v; /* sorted by key */
	size_t n;
};

void scopes_memory_fini(struct scopes_memory *memory);

struct scopes_listener {
	uint32_t gateway;
	const char *deployment;
	const char *network;
};

struct scopes_ack {
	const char *replica;
	uint32_t generation;
};

/* All of it in the arena given. */
struct scopes {
	struct zone_spec *scopes;
	size_t n_scopes;
	struct scopes_listener *listeners;
	size_t n_listeners;
	struct scopes_ack *draining; /* generations that are to drain and are not named */
	size_t n_draining;
	int64_t hold_ms;             /* until the first held replica must go; 0: none is held */
	uint8_t digest[JACO_SHA256_BYTES]; /* equal: nothing a client could notice has changed */
};

/* @host  the node we are on.  @memory is brought up to date. */
void scopes_read(const struct jaco_view *view, const char *host, int64_t now_ms,
		 struct scopes_memory *memory, struct jaco_arena *arena, struct scopes *out);
