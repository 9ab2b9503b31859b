/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/meshaddr.h"

#include "libjaco/base/assert.h"

#define USABLE 254 /* of 256: neither network nor broadcast address */

struct jaco_cidr jaco_meshaddr_block(struct jaco_cidr pool)
{
	JACO_ASSERT(pool.bits <= JACO_MESHADDR_BITS);
	return jaco_cidr_network((struct jaco_cidr){.addr = jaco_cidr_last(pool),
						    .bits = JACO_MESHADDR_BITS});
}

uint32_t jaco_meshaddr(struct jaco_cidr pool, uint64_t raft_id)
{
	JACO_ASSERT(raft_id > 0);
	return jaco_meshaddr_block(pool).addr + 1 + (uint32_t)((raft_id - 1) % USABLE);
}
