/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ruleset.c - what becomes an element, and what is refused. */
#include "daemons/fwd-nft/ruleset.h"

#include "tests/unit/fwd-nft/cluster.h"

static bool has(const struct ruleset *ruleset, const char *set, struct jaco_cidr a,
		struct jaco_cidr b)
{
	uint8_t key[8] = {a.addr >> 24, a.addr >> 16, a.addr >> 8, a.addr,
			  b.addr >> 24, b.addr >> 16, b.addr >> 8, b.addr};

	return ruleset_find_elem(ruleset_find_set(ruleset, set), key, sizeof(key)) != NULL;
}

JT_CASE(a_scope_is_its_pairs_that_touch_this_host)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct jaco_cidr here = NET(10, 210, 0, 0, 24), there = NET(10, 210, 1, 0, 24);

	cluster_build(&ruleset, 4);
	JT_TRUE(has(&ruleset, "same_scope", here, here));
	JT_TRUE(has(&ruleset, "same_scope", here, there));
	JT_TRUE(has(&ruleset, "same_scope", there, here));
	JT_FALSE(has(&ruleset, "same_scope", there, there));
	JT_FALSE(has(&ruleset, "same_scope", here, NET(10, 210, 2, 0, 24)));
	JT_FALSE(has(&ruleset, "same_scope", NET(10, 210, 3, 0, 24), NET(10, 210, 3, 0, 24)));
	JT_EQ(ruleset_find_set(&ruleset, "same_scope")->n_elems, 4);
}

JT_CASE(only_local_bridges_have_ports_and_internal_networks)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;

	cluster_build(&ruleset, 4);
	JT_EQ(ruleset_find_set(&ruleset, "port")->n_elems, 2);
	JT_EQ(ruleset_find_set(&ruleset, "bridges")->n_elems, 2);
	JT_EQ(ruleset_find_set(&ruleset, "internal")->n_elems, 1);
}

JT_CASE(the_pool_covers_what_an_earlier_pool_left)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_subnet subnets[] = {
		{NET(10, 9, 255, 0, 24), "a", "x", "n1", NULL},
		{NET(10, 211, 0, 0, 24), "b", "x", "n1", NULL}, /* adjacent to the pool's end */
		{NET(172, 20, 0, 0, 24), "c", "x", "n1", NULL},
	};
	struct ruleset_input input = {.pool = NET(10, 210, 0, 0, 16), .prefix = 24,
				      .subnets = subnets, .n_subnets = 3};
	struct jaco_err err = JACO_ERR_INIT;
	const struct ruleset_set *pool;

	JT_OK(ruleset_build(&ruleset, &input, NULL, &err), &err);
	pool = ruleset_find_set(&ruleset, "pool");
	JT_EQ(pool->n_elems, 6);
	JT_MEM(pool->elems[2].key, ((uint8_t[]){10, 210, 0, 0}), 4);
	JT_MEM(pool->elems[3].key, ((uint8_t[]){10, 211, 1, 0}), 4);
	JT_TRUE(pool->elems[3].is_end);
}

JT_CASE(each_pair_of_lengths_has_its_own_set_and_rule)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_subnet subnets[] = {
		{NET(10, 210, 0, 0, 24), "a", "x", "n1", "b1"},
		{NET(10, 210, 4, 0, 22), "a", "x", "n2", NULL},
	};
	struct ruleset_input input = {.pool = NET(10, 210, 0, 0, 16), .prefix = 22,
				      .subnets = subnets, .n_subnets = 2};
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(ruleset_build(&ruleset, &input, NULL, &err), &err);
	JT_TRUE(has(&ruleset, "same_scope_24_22", subnets[0].cidr, subnets[1].cidr));
	JT_TRUE(has(&ruleset, "same_scope_22_24", subnets[1].cidr, subnets[0].cidr));
	JT_TRUE(has(&ruleset, "same_scope_24_24", subnets[0].cidr, subnets[0].cidr));
	JT_EQ(ruleset_find_set(&ruleset, "same_scope")->n_elems, 0);
	JT_EQ(ruleset_find_chain(&ruleset, "forward")->n_rules, 4 + 4 + 1 + 2);
}

JT_CASE(declared_sizes_stay_until_they_are_too_small)
{
	jaco_auto(ruleset) struct ruleset small = RULESET_INIT, next = RULESET_INIT;
	struct ruleset_input input = cluster_input(4);
	struct jaco_err err = JACO_ERR_INIT;

	cluster_build(&small, 2);
	ruleset_find_set(&small, "same_scope")->size = 4096;
	ruleset_find_set(&small, "port")->size = 1;
	JT_OK(ruleset_build(&next, &input, &small, &err), &err);
	JT_EQ(ruleset_find_set(&next, "same_scope")->size, 4096);
	JT_EQ(ruleset_find_set(&next, "port")->size, RULESET_SIZE_MIN);
}

JT_CASE(refuses_overlapping_subnets_and_names_both)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_subnet subnets[] = {
		{NET(10, 210, 0, 0, 22), "a", "x", "n1", NULL},
		{NET(10, 210, 3, 0, 24), "b", "y", "n2", NULL},
	};
	struct ruleset_input input = {.pool = NET(10, 210, 0, 0, 16), .prefix = 24,
				      .subnets = subnets, .n_subnets = 2};
	struct jaco_err err = JACO_ERR_INIT;

	JT_FAILS_WITH(ruleset_build(&ruleset, &input, NULL, &err), VALIDATION_FAILED,
		      "a/x@n1 and b/y@n2 overlap", &err);
}

JT_CASE(refuses_host_bits_and_bad_bridges)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_subnet subnet = {NET(10, 210, 0, 1, 24), "a", "x", "n1", NULL};
	struct ruleset_input input = {.pool = NET(10, 210, 0, 0, 16), .prefix = 24,
				      .subnets = &subnet, .n_subnets = 1};
	struct jaco_err err = JACO_ERR_INIT;

	JT_FAILS_WITH(ruleset_build(&ruleset, &input, NULL, &err), VALIDATION_FAILED,
		      "host bits set", &err);
	ruleset_fini(&ruleset);
	subnet = (struct ruleset_subnet){NET(10, 210, 0, 0, 24), "a", "x", "n1",
					 "longer-than-an-interface-name"};
	JT_FAILS_WITH(ruleset_build(&ruleset, &input, NULL, &err), VALIDATION_FAILED,
		      "bridge cannot name an interface", &err);
}

JT_CASE(refuses_more_prefix_lengths_than_are_bounded)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_subnet subnets[RULESET_LENGTHS_MAX + 1];
	struct ruleset_input input = {.pool = NET(10, 0, 0, 0, 8), .prefix = 32,
				      .subnets = subnets, .n_subnets = RULESET_LENGTHS_MAX};
	struct jaco_err err = JACO_ERR_INIT;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(subnets); i++)
		subnets[i] = (struct ruleset_subnet){NET(10, i, 0, 0, 16 + i), "a", "x", "n", NULL};
	JT_FAILS_WITH(ruleset_build(&ruleset, &input, NULL, &err), LIMIT_EXCEEDED,
		      "prefix lengths", &err);
}

JT_MAIN(JT_RUN(a_scope_is_its_pairs_that_touch_this_host),
	JT_RUN(only_local_bridges_have_ports_and_internal_networks),
	JT_RUN(the_pool_covers_what_an_earlier_pool_left),
	JT_RUN(each_pair_of_lengths_has_its_own_set_and_rule),
	JT_RUN(declared_sizes_stay_until_they_are_too_small),
	JT_RUN(refuses_overlapping_subnets_and_names_both),
	JT_RUN(refuses_host_bits_and_bad_bridges),
	JT_RUN(refuses_more_prefix_lengths_than_are_bounded))
