/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.h - what is remembered of every peer between two passes, and the endpoint it leads to.
 *
 * Pure.  endpoint.h judges one moment; what it asks of the past - since when an endpoint is in use,
 * whether it came from the record, what the record named first - is kept here. */
#pragma once

#include "daemons/meshd/plan.h"
#include "libjaco/base/time.h"

struct memory_peer {
	uint8_t key[MESH_KEY_BYTES];
	struct jaco_time endpoint_set;
	char endpoint[JACO_ADDR_MAX];  /* in use at the last pass */
	char published[JACO_ADDR_MAX]; /* the last one in use that the record named */
	char best[JACO_ADDR_MAX];      /* what the record named first at the last pass */
	uint64_t rx_bytes;             /* as of the last pass; it moves with handshakes too */
	struct jaco_time heard;        /* .ns 0: never */
	bool is_seen;                  /* during a pass: it is still wanted */
};

struct memory {
	struct memory_peer *peers; /* owned */
	size_t n, cap;
};

#define MEMORY_INIT ((struct memory){.peers = NULL})

/* The moment of a pass. */
struct memory_now {
	struct jaco_time time;
	int64_t wall_ms;  /* the clock of mesh_peer.handshake_ms */
	int64_t stale_ms; /* see endpoint_pick() */
};

/*
 * Choose the endpoint of every peer of @desired; it stays "" where the device's is to be left.
 * Peers that are wanted no more are forgotten.
 *
 * @out_moved  room for desired->n_peers: mesh addresses of the peers whose endpoint in use is not
 *             the one of the last pass
 *
 * Returns how many moved.
 */
size_t memory_choose(struct memory *memory, struct mesh_device *desired,
		     const struct mesh_device *observed, struct memory_now now,
		     uint32_t *out_moved);

/* When a pass last saw that anything of the peer with @key had come in; .ns 0: never. */
struct jaco_time memory_heard(const struct memory *memory,
			      const uint8_t key[static MESH_KEY_BYTES]);

void memory_fini(struct memory *memory);
