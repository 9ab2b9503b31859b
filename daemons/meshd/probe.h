/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.h - round trip and loss to every peer, through the tunnel.
 *
 * Large probes beside them find the MTU (mtu.h); their answers are small and name the size that
 * came.
 *
 * A datagram to the peer's mesh address on PROBE_PORT; its meshd sends it back.  Whatever arrives
 * there came out of WireGuard, so it is from a member; it is parsed as hostile all the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/meshd/mtu.h"
#include "daemons/meshd/plan.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"

#define PROBE_PORT   7004
#define PROBE_WINDOW 20 /* probes that loss is counted over */

struct probe_path {
	uint32_t addr; /* mesh address of the peer */
	uint32_t sent; /* sequence of the last one */
	uint32_t answered; /* bit i: the probe i before the last one came back */
	uint64_t rtt_us;   /* of the last answer; 0 none */
	struct jaco_time sent_at;
	struct jaco_time answered_at;
	struct jaco_time heard_at; /* a question or an answer of it came in; .ns 0: never */
	struct mtu mtu;
	bool is_seen;
};

struct probe {
	struct jaco_loop *loop;
	struct jaco_io io;
	int fd; /* -1: not bound */
	uint32_t addr; /* bound to */
	struct probe_path *paths; /* owned */
	size_t n, cap;
};

#define PROBE_INIT ((struct probe){.fd = -1})

/* Answer on @addr, and probe from it; another address than before re-binds, 0 closes. */
int probe_bind(struct probe *probe, struct jaco_loop *loop, uint32_t addr, struct jaco_err *err);

/* One probe to each peer of @device that has a mesh address, and what mtu_step() asks for of those
 * with a `ceiling`. */
void probe_send(struct probe *probe, const struct mesh_device *device);

/* The path to @addr is another one: forget how large its packets may be.  No path: nothing. */
void probe_moved(struct probe *probe, uint32_t addr);

/* The path to @addr, or NULL. */
const struct probe_path *probe_find(const struct probe *probe, uint32_t addr);

/* Lost probes per thousand over the window; 0 before the first. */
unsigned probe_loss(const struct probe_path *path);

void probe_close(struct probe *probe);
