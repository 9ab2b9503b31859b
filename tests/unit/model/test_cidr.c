/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/cidr.h"

#include "tests/lib/test.h"

JT_CASE(addresses_round_trip_and_odd_spellings_are_refused)
{
	static const char *const bad[] = {"",          "1.2.3",     "1.2.3.4.5", "256.1.1.1",
					  "01.2.3.4",  "1.2.3.4 ",  " 1.2.3.4",  "1..3.4",
					  "0x1.2.3.4", "1.2.3.0004"};
	char text[JACO_IPV4_TEXT_BYTES];
	uint32_t addr = 0;

	JT_TRUE(jaco_ipv4_parse("10.244.0.1", &addr));
	JT_EQ(addr, 0x0af40001);
	jaco_ipv4_render(text, 0xffffffff);
	JT_STR(text, "255.255.255.255");
	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		JT_FALSE(jaco_ipv4_parse(bad[i], &addr));
	JT_EQ(addr, 0x0af40001);
}

JT_CASE(networks_keep_host_bits_until_asked)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_cidr cidr = {0};
	char text[JACO_CIDR_TEXT_BYTES];

	JT_OK(jaco_cidr_parse("10.1.2.3/24", &cidr, &err), &err);
	jaco_cidr_render(text, cidr);
	JT_STR(text, "10.1.2.3/24");
	jaco_cidr_render(text, jaco_cidr_network(cidr));
	JT_STR(text, "10.1.2.0/24");
	JT_EQ(jaco_cidr_last(cidr), 0x0a0102ff);
	JT_FAILS_WITH(jaco_cidr_parse("10.0.0.0", &cidr, &err), VALIDATION_FAILED, "10.0.0.0",
		      &err);
	JT_FAILS_WITH(jaco_cidr_parse("10.0.0.0/33", &cidr, &err), VALIDATION_FAILED, "/33", &err);
	JT_FAILS_WITH(jaco_cidr_parse("10.0.0.0/08", &cidr, &err), VALIDATION_FAILED, "/08", &err);
}

JT_CASE(containment_and_overlap_agree)
{
	struct jaco_cidr pool = {.addr = 0x0af40000, .bits = 16};
	struct jaco_cidr sub = {.addr = 0x0af40500, .bits = 24};
	struct jaco_cidr other = {.addr = 0x0af50000, .bits = 16};
	struct jaco_cidr all = {.addr = 0, .bits = 0};

	JT_TRUE(jaco_cidr_contains(pool, 0x0af4ffff));
	JT_FALSE(jaco_cidr_contains(pool, 0x0af50000));
	JT_TRUE(jaco_cidr_contains(all, 0xffffffff));
	JT_TRUE(jaco_cidr_covers(pool, sub));
	JT_FALSE(jaco_cidr_covers(sub, pool));
	JT_TRUE(jaco_cidr_overlaps(sub, pool));
	JT_FALSE(jaco_cidr_overlaps(sub, other));
	JT_TRUE(jaco_cidr_cmp(pool, sub) < 0);
	JT_TRUE(jaco_cidr_eq(pool, (struct jaco_cidr){.addr = 0x0af40009, .bits = 16}));
	JT_EQ(jaco_cidr_mask(0), 0);
	JT_EQ(jaco_cidr_mask(32), 0xffffffff);
	JT_TRUE(jaco_ipv6_is("fe80::1"));
	JT_FALSE(jaco_ipv6_is("10.0.0.1"));
}

JT_MAIN(JT_RUN(addresses_round_trip_and_odd_spellings_are_refused),
	JT_RUN(networks_keep_host_bits_until_asked), JT_RUN(containment_and_overlap_agree))
