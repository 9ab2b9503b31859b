/* SPDX-License-Identifier: Apache-2.0
 *
 * test_plan.c - the smallest change, and when it is the whole table. */
#include "daemons/fwd-nft/plan.h"

#include "tests/unit/fwd-nft/cluster.h"

JT_CASE(equal_rulesets_need_nothing)
{
	jaco_auto(ruleset) struct ruleset a = RULESET_INIT, b = RULESET_INIT;
	jaco_auto(plan) struct plan plan = PLAN_INIT;

	cluster_build(&a, 4);
	cluster_build(&b, 4);
	plan_make(&plan, &a, &b);
	JT_TRUE(plan_is_empty(&plan));
}

JT_CASE(an_absent_table_is_made_whole)
{
	jaco_auto(ruleset) struct ruleset a = RULESET_INIT;
	jaco_auto(plan) struct plan plan = PLAN_INIT;

	cluster_build(&a, 4);
	plan_make(&plan, &a, NULL);
	JT_TRUE(plan.is_replacement);
	JT_FALSE(plan_is_empty(&plan));
}

JT_CASE(a_new_local_subnet_adds_only_its_elements)
{
	jaco_auto(ruleset) struct ruleset before = RULESET_INIT, after = RULESET_INIT;
	jaco_auto(plan) struct plan plan = PLAN_INIT;

	cluster_build(&before, 1);
	cluster_build(&after, 2);
	plan_make(&plan, &after, &before);
	JT_FALSE(plan.is_replacement);
	JT_EQ(plan.n_changes, 3); /* the pair with itself, its port, its bridge */
	for (size_t i = 0; i < plan.n_changes; i++)
		JT_FALSE(plan.changes[i].is_removal);
}

JT_CASE(removals_of_a_set_stand_before_its_additions)
{
	jaco_auto(ruleset) struct ruleset before = RULESET_INIT, after = RULESET_INIT;
	jaco_auto(plan) struct plan plan = PLAN_INIT;

	cluster_build(&before, 4);
	cluster_build(&after, 4);
	ruleset_find_set(&after, "same_scope")->elems[0].comment = "renamed";
	plan_make(&plan, &after, &before);
	JT_EQ(plan.n_changes, 2);
	JT_TRUE(plan.changes[0].is_removal);
	JT_FALSE(plan.changes[1].is_removal);
	JT_STR(plan.changes[1].elem->comment, "renamed");
}

JT_CASE(another_rule_replaces_the_table)
{
	jaco_auto(ruleset) struct ruleset before = RULESET_INIT, after = RULESET_INIT;
	jaco_auto(plan) struct plan plan = PLAN_INIT;

	cluster_build(&before, 4);
	cluster_build(&after, 4);
	ruleset_find_chain(&before, "input")->n_rules--;
	plan_make(&plan, &after, &before);
	JT_TRUE(plan.is_replacement);
	JT_EQ(plan.n_changes, 0);
}

JT_CASE(another_pool_replaces_the_table)
{
	jaco_auto(ruleset) struct ruleset before = RULESET_INIT, after = RULESET_INIT;
	jaco_auto(plan) struct plan plan = PLAN_INIT;

	cluster_build(&before, 4);
	cluster_build(&after, 4);
	ruleset_find_set(&before, "pool")->elems[0].key[1] = 0;
	plan_make(&plan, &after, &before);
	JT_TRUE(plan.is_replacement);
}

JT_MAIN(JT_RUN(equal_rulesets_need_nothing), JT_RUN(an_absent_table_is_made_whole),
	JT_RUN(a_new_local_subnet_adds_only_its_elements),
	JT_RUN(removals_of_a_set_stand_before_its_additions),
	JT_RUN(another_rule_replaces_the_table), JT_RUN(another_pool_replaces_the_table))
