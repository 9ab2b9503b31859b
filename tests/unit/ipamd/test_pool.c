/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/ipamd/pool.h"

#include <stdio.h>

#include "libjaco/base/str.h"
#include "libjaco/model/meshaddr.h"
#include "tests/lib/test.h"

static struct jaco_cidr cidr(const char *text)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_cidr out = {0};

	JT_OK(jaco_cidr_parse(text, &out, &err), &err);
	return out;
}

static void claim(struct pool *pool, const char *deployment, const char *network, const char *host,
		  const char *subnet, uint32_t scope)
{
	struct pool_claim claim = {.cidr = cidr(subnet), .scope = scope};

	jaco_str_copy(claim.deployment, sizeof(claim.deployment), deployment);
	jaco_str_copy(claim.network, sizeof(claim.network), network);
	jaco_str_copy(claim.host, sizeof(claim.host), host);
	pool_add(pool, &claim);
}

static void picks(struct pool *pool, const char *network, unsigned bits, const char *want)
{
	struct jaco_err err = JACO_ERR_INIT;
	char text[JACO_CIDR_TEXT_BYTES];
	struct jaco_cidr net;

	JT_OK(pool_pick(pool, "shop", network, "n1", bits, &net, &err), &err);
	jaco_cidr_render(text, net);
	JT_STR(text, want);
}

JT_CASE(the_first_claim_is_the_first_block)
{
	jaco_auto(pool) struct pool pool;

	pool_init(&pool, cidr("10.244.0.0/16"));
	picks(&pool, "front", 24, "10.244.0.0/24");
}

JT_CASE(pick_takes_the_lowest_gap_whatever_the_order_of_claims)
{
	jaco_auto(pool) struct pool pool;

	pool_init(&pool, cidr("10.244.0.0/16"));
	claim(&pool, "a", "x", "n1", "10.244.3.0/24", 1);
	claim(&pool, "a", "x", "n2", "10.244.0.0/24", 1);
	claim(&pool, "a", "x", "n3", "10.244.1.0/24", 1);
	picks(&pool, "front", 24, "10.244.2.0/24");
}

JT_CASE(pick_is_stable_for_an_owner_even_with_another_prefix)
{
	jaco_auto(pool) struct pool pool;

	pool_init(&pool, cidr("10.244.0.0/16"));
	claim(&pool, "shop", "front", "n1", "10.244.7.0/24", 3);
	picks(&pool, "front", 24, "10.244.7.0/24");
	picks(&pool, "front", 26, "10.244.7.0/24");
}

JT_CASE(blocks_of_mixed_sizes_stay_aligned_and_apart)
{
	jaco_auto(pool) struct pool pool;

	pool_init(&pool, cidr("10.244.0.0/16"));
	claim(&pool, "a", "x", "n1", "10.244.0.0/26", 1);
	picks(&pool, "big", 22, "10.244.4.0/22");
	picks(&pool, "small", 26, "10.244.0.64/26");
	claim(&pool, "a", "y", "n1", "10.244.0.0/20", 2); /* overlaps the first: still occupied */
	picks(&pool, "small", 26, "10.244.16.0/26");
}

JT_CASE(claims_outside_the_range_do_not_disturb)
{
	jaco_auto(pool) struct pool pool;

	pool_init(&pool, cidr("10.244.0.0/16"));
	claim(&pool, "a", "x", "n1", "10.9.0.0/24", 1);
	claim(&pool, "a", "x", "n2", "10.250.0.0/24", 1);
	picks(&pool, "front", 24, "10.244.0.0/24");
}

JT_CASE(exhaustion_says_how_many_and_spares_the_mesh_block)
{
	jaco_auto(pool) struct pool pool;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_cidr net;
	char network[16], text[JACO_CIDR_TEXT_BYTES];

	pool_init(&pool, cidr("10.244.0.0/20"));
	for (int i = 0; i < 15; i++) {
		snprintf(network, sizeof(network), "net%d", i);
		JT_OK(pool_pick(&pool, "shop", network, "n1", 24, &net, &err), &err);
		jaco_cidr_render(text, net);
		claim(&pool, "shop", network, "n1", text, (uint32_t)i + 1);
		JT_FALSE(jaco_cidr_overlaps(net, jaco_meshaddr_block(pool.range)));
	}
	JT_FAILS_WITH(pool_pick(&pool, "shop", "one-more", "n1", 24, &net, &err),
		      SUBNET_POOL_EXHAUSTED, "no free /24: 15 subnets in use of 15", &err);
	JT_STR(jaco_err_get_detail(&err, "used"), "15");
}

JT_CASE(the_last_block_of_the_address_space_does_not_wrap)
{
	jaco_auto(pool) struct pool pool;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_cidr net;

	pool_init(&pool, cidr("255.255.240.0/20"));
	claim(&pool, "a", "x", "n1", "255.255.240.0/21", 1);
	claim(&pool, "a", "x", "n2", "255.255.248.0/21", 1);
	JT_FAILS_WITH(pool_pick(&pool, "shop", "front", "n1", 24, &net, &err),
		      SUBNET_POOL_EXHAUSTED, "255.255.240.0/20", &err);
}

JT_CASE(a_scope_id_is_one_per_network_over_all_hosts)
{
	jaco_auto(pool) struct pool pool;

	pool_init(&pool, cidr("10.244.0.0/16"));
	claim(&pool, "shop", "front", "n2", "10.244.0.0/24", 7);
	JT_EQ(pool_scope(&pool, "shop", "front", 9), 7);
	JT_EQ(pool_scope(&pool, "shop", "back", 9), 9);
	JT_EQ(pool_scope(&pool, "blog", "front", 9), 9);
}

JT_CASE(a_foreign_route_inside_or_around_the_pool_is_refused)
{
	struct pool_route inside = {.cidr = cidr("10.244.9.0/24"), .iface = "tun0"};
	struct pool_route around = {.cidr = cidr("10.0.0.0/8"), .iface = "vpn"};
	struct pool_route fine[] = {
		{.cidr = cidr("0.0.0.0/0"), .iface = "eth0"},
		{.cidr = cidr("192.168.1.0/24"), .iface = "eth0"},
		{.cidr = cidr("10.244.9.0/24"), .iface = "jaco-ab12-cd34"},
		{.cidr = cidr("10.244.1.0/24"), .iface = "wg-jaco"},
	};
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_cidr range = cidr("10.244.0.0/16");

	JT_OK(pool_check_routes(range, fine, JACO_ARRAY_SIZE(fine), "wg-jaco", &err), &err);
	JT_FAILS_WITH(pool_check_routes(range, &inside, 1, "wg-jaco", &err), VALIDATION_FAILED,
		      "overlaps 10.244.9.0/24, which this host routes to tun0", &err);
	JT_FAILS_WITH(pool_check_routes(range, &around, 1, "wg-jaco", &err), VALIDATION_FAILED,
		      "10.0.0.0/8", &err);
}

JT_CASE(impossible_sizes_are_refused)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(pool_check(cidr("10.244.0.0/16"), 24, &err), &err);
	JT_FAILS_WITH(pool_check(cidr("10.244.0.0/24"), 26, &err), VALIDATION_FAILED, "/8 to /20",
		      &err);
	JT_FAILS_WITH(pool_check(cidr("10.244.1.0/16"), 24, &err), VALIDATION_FAILED, "beyond",
		      &err);
	JT_FAILS_WITH(pool_check(cidr("10.244.0.0/16"), 29, &err), VALIDATION_FAILED, "20 to 28",
		      &err);
	JT_FAILS_WITH(pool_check(cidr("10.244.0.0/20"), 20, &err), VALIDATION_FAILED, "longer",
		      &err);
}

JT_MAIN(JT_RUN(the_first_claim_is_the_first_block),
	JT_RUN(pick_takes_the_lowest_gap_whatever_the_order_of_claims),
	JT_RUN(pick_is_stable_for_an_owner_even_with_another_prefix),
	JT_RUN(blocks_of_mixed_sizes_stay_aligned_and_apart),
	JT_RUN(claims_outside_the_range_do_not_disturb),
	JT_RUN(exhaustion_says_how_many_and_spares_the_mesh_block),
	JT_RUN(the_last_block_of_the_address_space_does_not_wrap),
	JT_RUN(a_scope_id_is_one_per_network_over_all_hosts),
	JT_RUN(a_foreign_route_inside_or_around_the_pool_is_refused),
	JT_RUN(impossible_sizes_are_refused))
