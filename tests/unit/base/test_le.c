/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/base/le.h"

#include "tests/lib/test.h"

JT_CASE(the_least_significant_byte_comes_first)
{
	uint8_t bytes[9] = {[8] = 0xee};

	jaco_le_put(bytes, UINT64_C(0x0102030405060708), 8);
	JT_MEM(bytes, "\x08\x07\x06\x05\x04\x03\x02\x01\xee", 9);
	JT_TRUE(jaco_le_get(bytes, 8) == UINT64_C(0x0102030405060708));
	JT_EQ(jaco_le_get(bytes, 1), 8);
	JT_EQ(jaco_le_get(bytes, 3), 0x060708);
}

JT_CASE(what_does_not_fit_is_left_out)
{
	uint8_t bytes[4] = {0, 0, 0xee, 0xee};

	jaco_le_put(bytes, 0x12345, 2);
	JT_MEM(bytes, "\x45\x23\xee\xee", 4);
	jaco_le_put(bytes, UINT64_MAX, 4);
	JT_EQ(jaco_le_get(bytes, 4), UINT32_MAX);
}

JT_MAIN(JT_RUN(the_least_significant_byte_comes_first), JT_RUN(what_does_not_fit_is_left_out))
