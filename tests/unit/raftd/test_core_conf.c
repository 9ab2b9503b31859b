/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/core/core.h"

#include "tests/lib/test.h"

JT_CASE(members_stay_sorted_and_single)
{
	struct core_conf conf = {.n = 0};
	struct jaco_err err = JACO_ERR_INIT;
	const uint64_t ids[] = {5, 1, 9, 5, 3};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(ids); i++)
		JT_OK(core_conf_set(&conf, ids[i], i != 2, &err), &err);
	JT_EQ(conf.n, 4);
	for (size_t i = 1; i < conf.n; i++)
		JT_TRUE(conf.members[i - 1].id < conf.members[i].id);
	JT_EQ(core_conf_voters(&conf), 3);
	JT_FALSE(core_conf_find(&conf, 9)->is_voter);
	core_conf_remove(&conf, 1);
	core_conf_remove(&conf, 77);
	JT_EQ(conf.n, 3);
	JT_NULL(core_conf_find(&conf, 1));
}

JT_CASE(a_full_configuration_takes_no_more)
{
	struct core_conf conf = {.n = 0};
	struct jaco_err err = JACO_ERR_INIT;

	for (uint64_t id = 1; id <= JACO_NODES_MAX; id++)
		JT_OK(core_conf_set(&conf, id, true, &err), &err);
	JT_OK(core_conf_set(&conf, 3, false, &err), &err);
	JT_FAILS_WITH(core_conf_set(&conf, 1000, true, &err), LIMIT_EXCEEDED, "at most 64", &err);
}

JT_CASE(packing_and_back_is_the_same)
{
	struct core_conf conf = {.n = 0}, back = {.n = 7};
	struct jaco_err err = JACO_ERR_INIT;
	uint8_t packed[CORE_CONF_PACKED_MAX];
	size_t n;

	JT_OK(core_conf_set(&conf, 0xfedcba9876543210u, true, &err), &err);
	JT_OK(core_conf_set(&conf, 2, false, &err), &err);
	n = core_conf_pack(&conf, packed);
	JT_EQ(n, 18);
	JT_OK(core_conf_unpack(&back, packed, n, &err), &err);
	JT_EQ(back.n, 2);
	JT_EQ(back.members[0].id, 2);
	JT_FALSE(back.members[0].is_voter);
	JT_TRUE(back.members[1].id == 0xfedcba9876543210u && back.members[1].is_voter);
}

JT_CASE(malformed_bytes_are_refused)
{
	struct core_conf conf = {.n = 3};
	struct jaco_err err = JACO_ERR_INIT;
	uint8_t two[18] = {[0] = 1, [8] = 1, [9] = 2, [17] = 1};
	uint8_t big[9 * (JACO_NODES_MAX + 1)] = {0};

	JT_OK(core_conf_unpack(&conf, two, 18, &err), &err);
	JT_FAILS_WITH(core_conf_unpack(&conf, two, 17, &err), PARSE_FAILED, "17 bytes", &err);
	JT_FAILS_WITH(core_conf_unpack(&conf, big, sizeof(big), &err), PARSE_FAILED, "bytes", &err);
	two[9] = 1;
	JT_FAILS_WITH(core_conf_unpack(&conf, two, 18, &err), PARSE_FAILED, "member 1", &err);
	two[9] = 2;
	two[17] = 2;
	JT_FAILS_WITH(core_conf_unpack(&conf, two, 18, &err), PARSE_FAILED, "member 1", &err);
	two[0] = 0;
	JT_FAILS_WITH(core_conf_unpack(&conf, two, 9, &err), PARSE_FAILED, "member 0", &err);
	JT_EQ(conf.n, 2);
}

JT_MAIN(JT_RUN(members_stay_sorted_and_single), JT_RUN(a_full_configuration_takes_no_more),
	JT_RUN(packing_and_back_is_the_same), JT_RUN(malformed_bytes_are_refused))
