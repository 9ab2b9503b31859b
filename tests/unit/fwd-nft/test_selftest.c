/* SPDX-License-Identifier: Apache-2.0
 *
 * test_selftest.c - which subnets the self-test takes, and what its counters mean. */
#include "daemons/fwd-nft/selftest.c" /* NOLINT: judge() is static */

#include "tests/unit/fwd-nft/cluster.h"

JT_CASE(the_highest_free_blocks_are_taken)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct ruleset_input input = cluster_input(JACO_ARRAY_SIZE(cluster_subnets));
	static const uint32_t nodes[] = {10u << 24 | 210u << 16 | 255u << 8 | 1u};
	struct selftest test;

	input.nodes = nodes;
	input.n_nodes = 1;
	JT_TRUE(selftest_plan(&test, &input, &arena));
	JT_EQ(test.ends[0].cidr.addr, 10u << 24 | 210u << 16 | 254u << 8);
	JT_EQ(test.ends[2].cidr.addr, 10u << 24 | 210u << 16 | 252u << 8);
	JT_STR(test.ends[0].network, test.ends[1].network);
	JT_EQ(test.input.n_subnets, JACO_ARRAY_SIZE(cluster_subnets) + 3);
	JT_EQ(input.n_subnets, JACO_ARRAY_SIZE(cluster_subnets));
}

JT_CASE(a_full_pool_has_no_room)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct ruleset_input input = cluster_input(JACO_ARRAY_SIZE(cluster_subnets));
	struct selftest test;

	input.pool = NET(10, 210, 0, 0, 22); /* its four blocks are all taken */
	JT_FALSE(selftest_plan(&test, &input, &arena));
	input.pool = NET(10, 210, 0, 0, 21);
	JT_TRUE(selftest_plan(&test, &input, &arena));
}

JT_CASE(the_tests_subnets_make_a_ruleset)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_input input = cluster_input(JACO_ARRAY_SIZE(cluster_subnets));
	struct jaco_err err = JACO_ERR_INIT;
	struct selftest test;
	uint8_t pair[RULESET_KEY_MAX] = {10, 210, 255, 0, 10, 210, 254, 0};

	JT_TRUE(selftest_plan(&test, &input, &arena));
	JT_OK(ruleset_build(&ruleset, &test.input, NULL, &err), &err);
	JT_TRUE(ruleset_find_elem(ruleset_find_set(&ruleset, "same_scope"), pair, 8) != NULL);
	pair[6] = 253;
	JT_TRUE(ruleset_find_elem(ruleset_find_set(&ruleset, "same_scope"), pair, 8) == NULL);
}

static const char *verdict(uint64_t before_same, uint64_t after_same, uint64_t before_other,
			   uint64_t after_other)
{
	static struct jaco_err err;
	struct seen seen = {{{0, before_same, before_other}, {0, after_same, after_other}}};

	err = JACO_ERR_INIT;
	return judge(&seen, &err) < 0 ? err.text : "";
}

JT_CASE(every_outcome_is_told)
{
	JT_STR(verdict(1, 1, 1, 0), "");
	JT_TRUE(strstr(verdict(1, 1, 1, 1), "between two scopes passed") != NULL);
	JT_TRUE(strstr(verdict(1, 0, 1, 0), "within one scope did not pass") != NULL);
	JT_TRUE(strstr(verdict(0, 0, 0, 0), "never came") != NULL);
	JT_TRUE(strstr(verdict(1, 1, 0, 0), "never came") != NULL);
}

JT_MAIN(JT_RUN(the_highest_free_blocks_are_taken), JT_RUN(a_full_pool_has_no_room),
	JT_RUN(the_tests_subnets_make_a_ruleset), JT_RUN(every_outcome_is_told))
