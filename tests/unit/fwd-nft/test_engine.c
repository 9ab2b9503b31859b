/* SPDX-License-Identifier: Apache-2.0
 *
 * test_engine.c - when an engine's raw drop or translation concerns us, and which tables are
 * watched for it. */
#include "daemons/fwd-nft/engine.h"

#include <linux/netfilter.h>

#include "tests/unit/fwd-nft/cluster.h"

/* "ip daddr <address>[/mask] drop" as Docker 28 writes it. */
static struct ruleset_rule drop_to(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint32_t verdict)
{
	return (struct ruleset_rule){
		.n_exprs = 4,
		.exprs = {
			{.op = RULESET_PAYLOAD, .key = 16, .len = 4},
			{.op = RULESET_CMP, .len = 4, .data = {a, b, c, d}},
			{.op = RULESET_COUNTER},
			{.op = RULESET_VERDICT, .key = verdict},
		},
	};
}

static bool concerns(struct ruleset_rule rule)
{
	struct ruleset_chain chain = {.rules = &rule, .n_rules = 1};

	return engine_drops_ours(&chain, NET(10, 210, 0, 0, 16));
}

JT_CASE(a_drop_of_an_address_of_ours_concerns_us)
{
	JT_TRUE(concerns(drop_to(10, 210, 3, 2, NF_DROP)));
	JT_FALSE(concerns(drop_to(172, 17, 0, 2, NF_DROP)));
	JT_FALSE(concerns(drop_to(10, 210, 3, 2, NF_ACCEPT)));
}

JT_CASE(a_drop_by_source_or_by_us_does_not)
{
	struct ruleset_rule rule = drop_to(10, 210, 3, 2, NF_DROP);

	rule.exprs[0].key = 12;
	JT_FALSE(concerns(rule));
	rule.exprs[0].key = 16;
	rule.exprs[1].invert = true;
	JT_FALSE(concerns(rule));
	rule.exprs[1].invert = false;
	strcpy(rule.comment, ENGINE_COMMENT);
	JT_FALSE(concerns(rule));
}

/* "ip saddr 10.210.3.0/24 <end>" in as many bytes as the prefix has, as netavark's rules are read
 * back. */
static bool translates(uint8_t b, struct ruleset_expr end)
{
	struct ruleset_rule rule = {
		.n_exprs = 4,
		.exprs = {
			{.op = RULESET_PAYLOAD, .key = 12, .len = 3},
			{.op = RULESET_CMP, .len = 3, .data = {10, b, 3}},
			{.op = RULESET_COUNTER},
			end,
		},
	};
	struct ruleset_chain chain = {.rules = &rule, .n_rules = 1};

	return engine_translates_ours(&chain, NET(10, 210, 0, 0, 16));
}

JT_CASE(a_jump_or_masquerade_by_source_changes_ours)
{
	JT_TRUE(translates(210, (struct ruleset_expr){.op = RULESET_OTHER, .set = "immediate"}));
	JT_TRUE(translates(210, (struct ruleset_expr){.op = RULESET_MASQUERADE}));
	JT_FALSE(translates(88, (struct ruleset_expr){.op = RULESET_MASQUERADE}));
	JT_FALSE(translates(210, (struct ruleset_expr){.op = RULESET_VERDICT, .key = NF_ACCEPT}));
}

JT_CASE(the_engines_tables_are_known_by_family_and_name)
{
	JT_TRUE(engine_is_table(NFPROTO_IPV4, "filter"));
	JT_TRUE(engine_is_table(NFPROTO_IPV4, "docker-bridges"));
	JT_FALSE(engine_is_table(NFPROTO_INET, "filter"));
	JT_TRUE(engine_is_table(NFPROTO_IPV4, "nat"));
	JT_FALSE(engine_is_table(NFPROTO_IPV6, "nat"));
}

JT_MAIN(JT_RUN(a_drop_of_an_address_of_ours_concerns_us),
	JT_RUN(a_drop_by_source_or_by_us_does_not),
	JT_RUN(a_jump_or_masquerade_by_source_changes_ours),
	JT_RUN(the_engines_tables_are_known_by_family_and_name))
