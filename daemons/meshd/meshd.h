/* SPDX-License-Identifier: Apache-2.0
 *
 * meshd.h - the acting half: keeps the WireGuard device, its interface and its routes as the
 * cluster wants them, and tells the cluster about this node's key and paths.
 *
 * One pass does everything and may be repeated at any time: make sure the device is there, look at
 * it, change what differs, publish. */
#pragma once

#include "daemons/meshd/device.h"
#include "daemons/meshd/memory.h"
#include "daemons/meshd/plan.h"
#include "daemons/meshd/probe.h"
#include "libjaco/daemon/daemon.h"

#define MESHD_TICK_MS    2000  /* peers removed by hand are seen no other way; one probe each */
#define MESHD_HEARD_MS   8000  /* silence that means lost: four probes, or one handshake retry
				* (5 s, WireGuard paper section 6.4) and a look at the counters */
#define MESHD_PUBLISH_MS 30000 /* handshake ages and round trips, when nothing else changed */

struct meshd {
	struct jaco_daemon *daemon;
	struct device device;
	struct jaco_cidr pool;
	char key_path[600];
	uint8_t private_key[MESH_KEY_BYTES];
	uint8_t public_key[MESH_KEY_BYTES];
	bool has_next; /* a rotation is under way, rotate.h */
	uint8_t next_private[MESH_KEY_BYTES];
	uint8_t next_public[MESH_KEY_BYTES];
	struct memory memory;
	struct jaco_pending *txn;    /* our fields of /node/<host> */
	struct jaco_timer tick;
	struct jaco_timer soon;
	struct jaco_io monitor;
	int monitor_fd;
	struct probe probe;
	struct jaco_arena arena;     /* of the last pass, whose tables are below */
	struct mesh_device desired, observed;
	uint32_t mesh_addr;
	uint32_t mtu;
	bool is_ready;
	char message[256];           /* why not */
	uint64_t generation;         /* store revision the device reflects */
	uint64_t applied_digest;     /* plan_digest() of the last success */
	struct jaco_time published;
	uint64_t published_digest;   /* of what matters in the last publication */
	uint64_t n_repairs, n_changes, n_restarts;
};

#define MESHD_INIT ((struct meshd){.monitor_fd = -1})

extern const struct jaco_service_row meshd_methods[];

int meshd_open(struct meshd *meshd, struct jaco_daemon *daemon, struct jaco_err *err);
void meshd_cleanup(struct meshd *meshd);

/* With --down: take the device away.  Returns whether that was asked. */
bool meshd_down(struct meshd *meshd);

void meshd_on_view(struct jaco_view *view, void *ctx);
void meshd_metrics(void *self, struct jaco_buf *out);
void meshd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);

/* When anything of the peer with @key and @mesh_addr last arrived; .ns 0: never. */
struct jaco_time meshd_heard(const struct meshd *meshd, const uint8_t *key, uint32_t mesh_addr);

/* --- publish.c --- */

/* Our key, endpoints and mesh address in /node/<host>, where they differ from what is there. */
void publish_node(struct meshd *meshd);

/* "/obs/node/<host>/mesh": at once when something changed, else every MESHD_PUBLISH_MS. */
void publish_mesh(struct meshd *meshd);

/* The same record for a call; memory from @arena. */
void publish_fill(const struct meshd *meshd, struct wire_obs_mesh *out, struct jaco_arena *arena);
