/* SPDX-License-Identifier: Apache-2.0
 *
 * test_eval.c - the rules' meaning, packet by packet, without a kernel.  The same claims are made
 * with real packets in tests/integration/test_isolation.py. */
#include "daemons/fwd-nft/eval.h"

#include <linux/netfilter.h>

#include "tests/unit/fwd-nft/cluster.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* In the cluster of cluster.h: */
#define SHOP_HERE    IP(10, 210, 0, 7)
#define SHOP_THERE   IP(10, 210, 1, 7)
#define BLOG_HERE    IP(10, 210, 2, 7) /* internal */
#define BLOG_GATEWAY IP(10, 210, 2, 1)
#define SHOP_GATEWAY IP(10, 210, 0, 1)
#define ZOO_THERE    IP(10, 210, 3, 7)
#define UNCLAIMED    IP(10, 210, 99, 7)
#define WORLD        IP(192, 0, 2, 1)

struct route {
	const char *in;
	uint32_t source;
	uint32_t destination;
	bool is_local;
	enum eval_result result;
	const char *comment; /* of the deciding rule, NULL: the policy */
};

static void expect(const struct ruleset *ruleset, const struct route *route)
{
	struct eval_packet packet = {.family = NFPROTO_IPV4, .source = route->source,
				     .destination = route->destination};
	struct eval_verdict verdict;

	strcpy(packet.in, route->in);
	verdict = eval_path(ruleset, &packet, route->is_local);
	JT_EQ(verdict.result, route->result);
	JT_EQ(verdict.rule != NULL, route->comment != NULL);
	if (route->comment)
		JT_STR(verdict.rule->comment, route->comment);
}

JT_CASE(scopes_are_judged_by_both_addresses)
{
	static const struct route routes[] = {
		{"jaco-aaaa-0001", SHOP_HERE, SHOP_THERE, false, EVAL_ACCEPTED, "same scope"},
		{"wg-jaco", SHOP_THERE, SHOP_HERE, false, EVAL_ACCEPTED, "same scope"},
		{"jaco-aaaa-0001", SHOP_HERE, BLOG_HERE, false, EVAL_DROPPED, "another scope"},
		{"jaco-aaaa-0001", SHOP_HERE, ZOO_THERE, false, EVAL_DROPPED, "another scope"},
		{"wg-jaco", ZOO_THERE, SHOP_HERE, false, EVAL_DROPPED, "another scope"},
		/* a subnet this host has not heard of yet is not the world */
		{"wg-jaco", UNCLAIMED, SHOP_HERE, false, EVAL_DROPPED, "another scope"},
		{"jaco-aaaa-0001", SHOP_HERE, WORLD, false, EVAL_ACCEPTED, NULL},
		{"eth0", WORLD, SHOP_HERE, false, EVAL_ACCEPTED, NULL},
		{"eth0", WORLD, WORLD + 1, false, EVAL_ACCEPTED, NULL},
	};
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;

	cluster_build(&ruleset, 4);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(routes); i++)
		expect(&ruleset, &routes[i]);
}

JT_CASE(a_gateway_answers_its_own_scope_only)
{
	static const struct route routes[] = {
		{"jaco-aaaa-0001", SHOP_HERE, SHOP_GATEWAY, true, EVAL_ACCEPTED, "same scope"},
		{"jaco-aaaa-0001", SHOP_HERE, BLOG_GATEWAY, true, EVAL_DROPPED, "another scope"},
		{"wg-jaco", SHOP_THERE, BLOG_GATEWAY, true, EVAL_DROPPED, "another scope"},
		{"eth0", WORLD, BLOG_GATEWAY, true, EVAL_ACCEPTED, NULL},
	};
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;

	cluster_build(&ruleset, 4);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(routes); i++)
		expect(&ruleset, &routes[i]);
}

JT_CASE(a_bridge_emits_its_own_sources_only)
{
	static const struct route routes[] = {
		{"jaco-aaaa-0001", SHOP_THERE, SHOP_HERE, false, EVAL_DROPPED,
		 "source is not of this bridge"},
		{"jaco-aaaa-0001", WORLD, BLOG_HERE, false, EVAL_DROPPED,
		 "source is not of this bridge"},
		{"jaco-bbbb-0001", SHOP_HERE, SHOP_THERE, false, EVAL_DROPPED,
		 "source is not of this bridge"},
	};
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct eval_packet packet = {.family = NFPROTO_IPV6, .source6 = {0x20, 0x01},
				     .in = "jaco-aaaa-0001"};

	cluster_build(&ruleset, 4);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(routes); i++)
		expect(&ruleset, &routes[i]);
	JT_EQ(eval_path(&ruleset, &packet, false).result, EVAL_DROPPED);
	packet.source6[0] = 0xfe;
	packet.source6[1] = 0x80;
	JT_EQ(eval_path(&ruleset, &packet, true).result, EVAL_ACCEPTED);
	strcpy(packet.in, "eth0");
	packet.source6[0] = 0x20;
	JT_EQ(eval_path(&ruleset, &packet, true).result, EVAL_ACCEPTED);
}

JT_CASE(an_internal_network_answers_but_does_not_ask)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct eval_packet packet = {.family = NFPROTO_IPV4, .source = BLOG_HERE,
				     .destination = WORLD, .in = "jaco-bbbb-0001"};

	cluster_build(&ruleset, 4);
	JT_EQ(eval_path(&ruleset, &packet, false).result, EVAL_DROPPED);
	JT_EQ(eval_path(&ruleset, &packet, true).result, EVAL_DROPPED);
	packet.is_known = true;
	JT_EQ(eval_path(&ruleset, &packet, false).result, EVAL_ACCEPTED);
}

JT_CASE(only_what_leaves_the_pool_is_masqueraded)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	const struct ruleset_chain *chain;
	struct eval_packet packet = {.family = NFPROTO_IPV4, .source = SHOP_HERE,
				     .destination = WORLD, .out = "eth0"};

	cluster_build(&ruleset, 4);
	chain = ruleset_find_chain(&ruleset, "postrouting");
	JT_EQ(eval_chain(&ruleset, chain, &packet).result, EVAL_MASQUERADED);
	packet.destination = SHOP_THERE;
	JT_EQ(eval_chain(&ruleset, chain, &packet).result, EVAL_ACCEPTED);
	packet.destination = WORLD;
	packet.source = BLOG_HERE;
	JT_EQ(eval_chain(&ruleset, chain, &packet).result, EVAL_ACCEPTED);
	packet.source = WORLD + 1;
	JT_EQ(eval_chain(&ruleset, chain, &packet).result, EVAL_ACCEPTED);
}

JT_CASE(members_inside_the_pool_reach_containers)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_input input = cluster_input(4);
	uint32_t node = IP(10, 210, 255, 2);
	struct jaco_err err = JACO_ERR_INIT;

	input.nodes = &node;
	input.n_nodes = 1;
	JT_OK(ruleset_build(&ruleset, &input, NULL, &err), &err);
	expect(&ruleset, &(struct route){"wg-jaco", node, SHOP_HERE, false, EVAL_ACCEPTED, NULL});
	expect(&ruleset,
	       &(struct route){"jaco-aaaa-0001", SHOP_HERE, node, false, EVAL_ACCEPTED, NULL});
}

JT_CASE(a_masked_address_of_another_length_opens_nothing)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_subnet subnets[] = {
		{NET(10, 210, 0, 0, 24), "a", "x", "n1", "b1"},
		{NET(10, 210, 1, 0, 24), "b", "x", "n1", "b2"},
		{NET(10, 210, 4, 0, 22), "a", "x", "n2", NULL},
	};
	struct ruleset_input input = {.pool = NET(10, 210, 0, 0, 16), .prefix = 22,
				      .subnets = subnets, .n_subnets = 3};
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(ruleset_build(&ruleset, &input, NULL, &err), &err);
	/* 10.210.1.7 masked to /22 is 10.210.0.0, which is a's key */
	expect(&ruleset, &(struct route){"b2", IP(10, 210, 1, 7), IP(10, 210, 4, 7), false,
					 EVAL_DROPPED, "another scope"});
	expect(&ruleset, &(struct route){"b1", IP(10, 210, 1, 7), IP(10, 210, 4, 7), false,
					 EVAL_DROPPED, "source is not of this bridge"});
	expect(&ruleset, &(struct route){"b1", IP(10, 210, 0, 7), IP(10, 210, 7, 7), false,
					 EVAL_ACCEPTED, "same scope"});
}

/* shop-api is on front (0) and back (1) here; store is on back of n2 (4), web on front of n2
 * (2). */
JT_CASE(a_container_of_two_networks_reaches_both_elsewhere)
{
	struct ruleset_subnet subnets[] = {
		{NET(10, 210, 0, 0, 24), "shop", "front", "n1", "f1"},
		{NET(10, 210, 1, 0, 24), "shop", "back", "n1", "k1"},
		{NET(10, 210, 2, 0, 24), "shop", "front", "n2", NULL},
		{NET(10, 210, 4, 0, 24), "shop", "back", "n2", NULL},
	};
	static const struct ruleset_home home = {{IP(10, 210, 0, 5), IP(10, 210, 1, 5)}, 2};
	struct ruleset_input input = {.pool = NET(10, 210, 0, 0, 16),
				      .prefix = 24,
				      .subnets = subnets,
				      .n_subnets = 4,
				      .homes = &home,
				      .n_homes = 1};
	static const struct route routes[] = {
		/* its question, and the answer after conntrack has put the first address back */
		{"f1", IP(10, 210, 0, 5), IP(10, 210, 4, 7), false, EVAL_ACCEPTED,
		 "container of two networks"},
		{"wg", IP(10, 210, 4, 7), IP(10, 210, 0, 5), false, EVAL_ACCEPTED,
		 "answer to a container of two networks"},
		/* its answer comes in by the bridge of its default route */
		{"f1", IP(10, 210, 1, 5), IP(10, 210, 4, 7), false, EVAL_ACCEPTED, "same scope"},
		{"wg", IP(10, 210, 4, 7), IP(10, 210, 1, 5), false, EVAL_ACCEPTED, "same scope"},
		/* its neighbours on one network have none of that, and it relays for nobody */
		{"f1", IP(10, 210, 0, 6), IP(10, 210, 4, 7), false, EVAL_DROPPED, "another scope"},
		{"f1", IP(10, 210, 1, 6), IP(10, 210, 4, 7), false, EVAL_DROPPED,
		 "source is not of this bridge"},
		{"f1", IP(10, 210, 2, 7), IP(10, 210, 4, 7), false, EVAL_DROPPED,
		 "source is not of this bridge"},
		{"wg", IP(10, 210, 4, 7), IP(10, 210, 0, 6), false, EVAL_DROPPED, "another scope"},
	};
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct eval_packet packet = {.family = NFPROTO_IPV4, .source = IP(10, 210, 0, 5),
				     .destination = IP(10, 210, 4, 7), .out = "wg"};
	const struct ruleset_chain *postrouting;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(ruleset_build(&ruleset, &input, NULL, &err), &err);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(routes); i++)
		expect(&ruleset, &routes[i]);
	postrouting = ruleset_find_chain(&ruleset, "postrouting");
	JT_EQ(eval_chain(&ruleset, postrouting, &packet).rule - postrouting->rules, 0);
	packet.source = IP(10, 210, 1, 5); /* right already */
	JT_EQ(eval_chain(&ruleset, postrouting, &packet).result, EVAL_ACCEPTED);
}

JT_CASE(a_rule_nobody_of_us_wrote_is_unknown)
{
	jaco_auto(ruleset) struct ruleset ruleset = RULESET_INIT;
	struct ruleset_chain *chain;
	struct eval_packet packet = {.family = NFPROTO_IPV4, .source = SHOP_HERE,
				     .destination = SHOP_THERE, .in = "jaco-aaaa-0001"};

	cluster_build(&ruleset, 4);
	chain = ruleset_find_chain(&ruleset, "forward");
	chain->rules[0] = (struct ruleset_rule){.n_exprs = 1, .exprs = {{.op = RULESET_OTHER}}};
	JT_EQ(eval_path(&ruleset, &packet, false).result, EVAL_UNKNOWN);
}

JT_MAIN(JT_RUN(scopes_are_judged_by_both_addresses), JT_RUN(a_gateway_answers_its_own_scope_only),
	JT_RUN(a_bridge_emits_its_own_sources_only),
	JT_RUN(an_internal_network_answers_but_does_not_ask),
	JT_RUN(only_what_leaves_the_pool_is_masqueraded),
	JT_RUN(members_inside_the_pool_reach_containers),
	JT_RUN(a_masked_address_of_another_length_opens_nothing),
	JT_RUN(a_container_of_two_networks_reaches_both_elsewhere),
	JT_RUN(a_rule_nobody_of_us_wrote_is_unknown))
