/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h - what to change so that the WireGuard device and its routes match the cluster.
 *
 * Pure.  Peers are told apart by public key, as WireGuard does.  A peer that is as it should be is
 * in no step, so its session is never disturbed (spec/network.md section 2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/limits.h"
#include "libjaco/model/cidr.h"

#define MESH_KEY_BYTES   32
#define MESH_KEEPALIVE_S 25

struct mesh_peer {
	char host[JACO_HOST_MAX + 1]; /* "" for one that is in no node record */
	uint8_t key[MESH_KEY_BYTES];
	char endpoint[JACO_ADDR_MAX]; /* "1.2.3.4:51820", "" unknown */
	unsigned keepalive_s;
	struct jaco_cidr *allowed; /* ordered, no duplicates */
	size_t n_allowed;
	/* observed only */
	int64_t handshake_ms; /* wall clock; 0 never */
	uint64_t rx_bytes, tx_bytes;
	/* desired only */
	const char *const *endpoints; /* known addresses, best first */
	size_t n_endpoints;
	uint32_t mesh_addr; /* 0 none */
	uint32_t ceiling;   /* largest tunnel packet that may fit the path; 0: not to be measured */
};

struct mesh_device {
	uint8_t private_key[MESH_KEY_BYTES];
	uint16_t port;
	struct mesh_peer *peers;
	size_t n_peers, cap_peers;
};

enum mesh_what {
	MESH_DROP_PEER,
	MESH_SET_PEER,   /* add or change, see the flags */
	MESH_SET_DEVICE, /* private key and port */
};

struct mesh_step {
	enum mesh_what what;
	bool set_endpoint, set_keepalive;
	bool replace_allowed; /* else `allowed` is added to what the peer has */
	const struct mesh_peer *peer;
	const struct jaco_cidr *allowed;
	size_t n_allowed;
};

struct mesh_plan {
	struct mesh_step *steps; /* in the arena; drops first */
	size_t n, cap;
};

/* The smallest change list from @observed to @desired; an endpoint is set only where
 * endpoint_pick() put one into the desired peer. */
void plan_peers(struct mesh_plan *plan, const struct mesh_device *desired,
		const struct mesh_device *observed, struct jaco_arena *arena);

/* A member as the node records tell it, and a subnet as the subnet records do. */
struct mesh_member {
	const char *host;
	uint64_t raft_id;
	bool has_key;
	uint8_t key[MESH_KEY_BYTES];
	const char *const *endpoints;
	size_t n_endpoints;
};

struct mesh_subnet {
	const char *host;
	struct jaco_cidr cidr;
};

/* Peers of @self: every other member with a key; allowed addresses are the subnets of its host and
 * its mesh address in @pool.  Memory from @arena; endpoints are left empty. */
void plan_desired(struct mesh_device *out, const char *self, struct jaco_cidr pool,
		  const struct mesh_member *members, size_t n_members,
		  const struct mesh_subnet *subnets, size_t n_subnets, struct jaco_arena *arena);

/* The mesh address of @raft_id, or 0 when a member with a lower id has the same one. */
uint32_t plan_mesh_addr(struct jaco_cidr pool, uint64_t raft_id, const struct mesh_member *members,
			size_t n_members);

struct mesh_route_step {
	bool is_add;
	struct jaco_cidr cidr;
};

/* Routes via the mesh: every allowed network of every peer.  Removals first; returns the count. */
size_t plan_routes(const struct mesh_device *desired, const struct jaco_cidr *observed,
		   size_t n_observed, struct jaco_arena *arena, struct mesh_route_step **out_steps);

/* One line per step, keys as base64. */
void plan_mesh_render(const struct mesh_plan *plan, struct jaco_buf *out);

/* Equal for equal peers with equal allowed addresses: a plan while it has not moved is a repair. */
uint64_t plan_digest(const struct mesh_device *desired);

struct mesh_peer *plan_find_peer(const struct mesh_device *device,
				 const uint8_t key[static MESH_KEY_BYTES]);
