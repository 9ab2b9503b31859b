/* SPDX-License-Identifier: Apache-2.0
 *
 * meshaddr.h - the address of a node inside the mesh, and the block kept for such addresses.
 *
 * Pure.  The last /24 of ipam_pool belongs to the nodes themselves: ipamd gives no subnet there,
 * meshd puts one address of it on wg-jaco.  The address follows from the raft id alone, so every
 * node knows every other's without asking. */
#pragma once

#include <stdint.h>

#include "libjaco/model/cidr.h"

#define JACO_MESHADDR_BITS 24

/* The block: the last /24 of @pool (a pool is /8 to /20). */
struct jaco_cidr jaco_meshaddr_block(struct jaco_cidr pool);

/* The address of the member with @raft_id (> 0).  Ids 254 apart share one: meshd then leaves the
 * member with the higher id without a mesh address, which costs it the path matrix only. */
uint32_t jaco_meshaddr(struct jaco_cidr pool, uint64_t raft_id);
