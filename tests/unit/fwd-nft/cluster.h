/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.h - a small cluster for the firewall's tests: two deployments, two hosts, seen from
 * n1. */
#pragma once

#include "daemons/fwd-nft/ruleset.h"
#include "tests/lib/test.h"

#define NET(a, b, c, d, len)                                                                       \
	((struct jaco_cidr){(uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d), len})

static struct ruleset_subnet cluster_subnets[] = {
	{NET(10, 210, 2, 0, 24), "blog", "default", "n1", "jaco-bbbb-0001", .is_internal = true},
	{NET(10, 210, 0, 0, 24), "shop", "web", "n1", "jaco-aaaa-0001"},
	{NET(10, 210, 1, 0, 24), "shop", "web", "n2", NULL},
	{NET(10, 210, 3, 0, 24), "zoo", "default", "n2", NULL},
};

static inline struct ruleset_input cluster_input(size_t n_subnets)
{
	return (struct ruleset_input){.pool = NET(10, 210, 0, 0, 16), .prefix = 24,
				      .subnets = cluster_subnets, .n_subnets = n_subnets};
}

static inline void cluster_build(struct ruleset *ruleset, size_t n_subnets)
{
	struct ruleset_input input = cluster_input(n_subnets);
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(ruleset_build(ruleset, &input, NULL, &err), &err);
}
