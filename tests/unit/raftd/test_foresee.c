/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses that cannot be had are missed at once, and only those. */
#include "daemons/raftd/api/foresee.h"

#include "tests/lib/test.h"

static struct foresee_network networks[2] = {{.name = "front", .n_hosts = 1, .replicas = 3},
					     {.name = "back", .n_hosts = 3, .replicas = 3}};

static struct foresee make(uint64_t n_used)
{
	return (struct foresee){.pool = {10u << 24, 20},
				.bits = 24,
				.n_used = n_used,
				.n_members = 3,
				.deployment = "shop",
				.networks = networks,
				.n_networks = 2};
}

JT_CASE(subnets_are_counted_without_the_nodes_own)
{
	struct foresee fits = make(11), full = make(12); /* of 16, one is the nodes' */
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(foresee_check(&fits, &err), &err);
	JT_FAILS_WITH(foresee_check(&full, &err), SUBNET_POOL_EXHAUSTED,
		      "needs 4 more subnets of /24; ipam_pool 10.0.0.0/20 holds 15, 12 are in use",
		      &err);
}

JT_CASE(what_is_claimed_is_not_wanted_again)
{
	struct foresee foresee = make(15);
	struct jaco_err err = JACO_ERR_INIT;

	networks[0].n_claimed = 1;
	networks[1].n_claimed = 5;
	JT_OK(foresee_check(&foresee, &err), &err);
	networks[0].n_claimed = networks[1].n_claimed = 0;
}

JT_CASE(replicas_that_no_number_of_subnets_holds)
{
	struct foresee foresee = make(0);
	struct jaco_err err = JACO_ERR_INIT;

	foresee.bits = 28; /* 13 containers each */
	networks[1].replicas = 39;
	JT_OK(foresee_check(&foresee, &err), &err);
	networks[1].replicas = 40;
	JT_FAILS_WITH(foresee_check(&foresee, &err), ADDRESS_POOL_EXHAUSTED,
		      "network shop/back: 40 replicas, but a /28 has room for 13 containers", &err);
	networks[1].replicas = 3;
}

JT_MAIN(JT_RUN(subnets_are_counted_without_the_nodes_own),
	JT_RUN(what_is_claimed_is_not_wanted_again),
	JT_RUN(replicas_that_no_number_of_subnets_holds))
