/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/meshaddr.h"

#include "tests/lib/test.h"

JT_CASE(addresses_lie_in_the_last_block_and_differ)
{
	struct jaco_cidr pool = {.addr = 0x0af40000, .bits = 16}; /* 10.244.0.0/16 */
	struct jaco_cidr block = jaco_meshaddr_block(pool);
	char text[JACO_CIDR_TEXT_BYTES];

	jaco_cidr_render(text, block);
	JT_STR(text, "10.244.255.0/24");
	for (uint64_t id = 1; id < 254; id++) {
		JT_TRUE(jaco_cidr_contains(block, jaco_meshaddr(pool, id)));
		JT_NE(jaco_meshaddr(pool, id), jaco_meshaddr(pool, id + 1));
	}
	JT_EQ(jaco_meshaddr(pool, 1), block.addr + 1);
	JT_EQ(jaco_meshaddr(pool, 254), block.addr + 254);
	JT_EQ(jaco_meshaddr(pool, 255), block.addr + 1);
}

JT_MAIN(JT_RUN(addresses_lie_in_the_last_block_and_differ))
