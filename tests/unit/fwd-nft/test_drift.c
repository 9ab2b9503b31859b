/* SPDX-License-Identifier: Apache-2.0
 *
 * test_drift.c - what the audit says when somebody else changed our table. */
#include "daemons/fwd-nft/drift.h"

#include <linux/netfilter.h>

#include "tests/unit/fwd-nft/cluster.h"

static void expect(const struct ruleset *meant, const struct ruleset *seen, const char *part)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	JT_EQ(drift_describe(&text, meant, seen), 1);
	if (!strstr(jaco_buf_str(&text), part))
		fail_msg("wanted \"%s\" in \"%s\"", part, jaco_buf_str(&text));
}

JT_CASE(a_missing_table_is_one_difference)
{
	jaco_auto(ruleset) struct ruleset meant = RULESET_INIT;

	cluster_build(&meant, 4);
	expect(&meant, NULL, "table inet jaco is missing");
}

JT_CASE(a_changed_policy_is_told)
{
	jaco_auto(ruleset) struct ruleset meant = RULESET_INIT, seen = RULESET_INIT;

	cluster_build(&meant, 4);
	cluster_build(&seen, 4);
	ruleset_find_chain(&seen, "forward")->policy = NF_DROP;
	expect(&meant, &seen, "hook forward priority filter - 5; policy drop");
}

JT_CASE(a_changed_rule_is_shown_with_what_was_meant)
{
	jaco_auto(ruleset) struct ruleset meant = RULESET_INIT, seen = RULESET_INIT;
	struct ruleset_rule *rule;

	cluster_build(&meant, 4);
	cluster_build(&seen, 4);
	rule = &ruleset_find_chain(&seen, "forward")->rules[3];
	rule->exprs[rule->n_exprs - 1].key = NF_ACCEPT;
	expect(&meant, &seen, "rule 4 is \"ip saddr @pool ip saddr != @nodes ip daddr @pool "
			      "ip daddr != @nodes counter accept\"");
}

JT_CASE(a_counter_that_counts_is_no_difference)
{
	jaco_auto(ruleset) struct ruleset meant = RULESET_INIT, seen = RULESET_INIT;
	struct ruleset_rule *rule;

	cluster_build(&meant, 4);
	cluster_build(&seen, 4);
	rule = &ruleset_find_chain(&seen, "forward")->rules[3];
	rule->exprs[rule->n_exprs - 2].packets = 7;
	rule->handle = 42;
	JT_EQ(drift_describe(&(struct jaco_buf){.max = 64}, &meant, &seen), 0);
}

JT_CASE(elements_are_counted_and_the_first_ones_shown)
{
	jaco_auto(ruleset) struct ruleset meant = RULESET_INIT, seen = RULESET_INIT;
	struct ruleset_set *set;

	cluster_build(&meant, 4);
	cluster_build(&seen, 4);
	set = ruleset_find_set(&seen, "same_scope");
	set->n_elems--;
	expect(&meant, &seen, "set same_scope: 1 missing, 0 unexpected, 0 changed (-10.210.2.0");
}

JT_CASE(a_foreign_chain_or_set_is_told)
{
	jaco_auto(ruleset) struct ruleset meant = RULESET_INIT, seen = RULESET_INIT;

	cluster_build(&meant, 4);
	cluster_build(&seen, 4);
	ruleset_add_chain(&seen, "backdoor");
	expect(&meant, &seen, "chain backdoor was added");
	seen.n_chains--;
	ruleset_add_set(&seen, "exempt");
	expect(&meant, &seen, "set exempt was added");
}

JT_MAIN(JT_RUN(a_missing_table_is_one_difference), JT_RUN(a_changed_policy_is_told),
	JT_RUN(a_changed_rule_is_shown_with_what_was_meant),
	JT_RUN(a_counter_that_counts_is_no_difference),
	JT_RUN(elements_are_counted_and_the_first_ones_shown),
	JT_RUN(a_foreign_chain_or_set_is_told))
