/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/base/strmap.h"

#include <stdio.h>

#include "libjaco/base/mem.h"
#include "tests/lib/test.h"

/* The paper's own example: key 00..0f, message 00..0e. */
JT_CASE(the_hash_is_siphash)
{
	const uint64_t seed[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint8_t message[15];

	for (uint8_t i = 0; i < sizeof(message); i++)
		message[i] = i;
	JT_EQ(jaco_siphash(seed, message, sizeof(message)) == 0xa129ca6149be45e5, true);
	JT_EQ(jaco_siphash(seed, message, 0) == 0x726fdb47dd0e0e31, true);
	JT_EQ(jaco_siphash(seed, message, 8) == 0x93f5f5799a932462, true);
}

JT_CASE(what_is_put_is_found_and_the_last_value_stands)
{
	static char keys[5000][16];
	jaco_auto(jaco_strmap) struct jaco_strmap map = JACO_STRMAP_INIT;

	JT_NULL(jaco_strmap_find(&map, "key-1"));
	for (size_t i = 0; i < JACO_ARRAY_SIZE(keys); i++) {
		snprintf(keys[i], sizeof(keys[i]), "key-%zu", i);
		jaco_strmap_put(&map, keys[i], keys[0]);
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(keys); i++)
		jaco_strmap_put(&map, keys[i], keys[i]);
	JT_EQ(map.n, JACO_ARRAY_SIZE(keys));
	for (size_t i = 0; i < JACO_ARRAY_SIZE(keys); i++)
		JT_EQ(jaco_strmap_find(&map, keys[i]) == keys[i], true);
	JT_NULL(jaco_strmap_find(&map, "key-5000"));
}

JT_CASE(each_map_has_a_key_of_its_own)
{
	jaco_auto(jaco_strmap) struct jaco_strmap one = JACO_STRMAP_INIT;
	jaco_auto(jaco_strmap) struct jaco_strmap other = JACO_STRMAP_INIT;

	jaco_strmap_put(&one, "a", &one);
	jaco_strmap_put(&other, "a", &one);
	JT_TRUE(one.seed[0] != other.seed[0] && one.seed[1] != other.seed[1]);
}

JT_MAIN(JT_RUN(the_hash_is_siphash), JT_RUN(what_is_put_is_found_and_the_last_value_stands),
	JT_RUN(each_map_has_a_key_of_its_own))
