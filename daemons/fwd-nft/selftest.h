/* SPDX-License-Identifier: Apache-2.0
 *
 * selftest.h - two packets that show the loaded table at work: one within a scope, which must pass,
 * and one between two scopes, which must not.
 *
 * They enter and leave this host by TUN devices made for it.  Throw-away namespaces would do the
 * same and need CAP_SYS_ADMIN; a TUN device needs CAP_NET_ADMIN alone, and it ends with its
 * descriptor together with its route, whatever happens to this process.  What the table did is told
 * by counters just before and just after our chain, not by arrival: an engine's own filter may drop
 * strangers later.
 *
 * The scopes are made for it too, of the highest free blocks of the pool: the caller loads them,
 * runs the test and takes them away. */
#pragma once

#include <stdbool.h>

#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/base/arena.h"

#define SELFTEST_TABLE "jaco-selftest" /* the counters; ends with the socket that made it */
#define SELFTEST_ENDS  3

struct selftest {
	struct ruleset_input input;                   /* the real one and the subnets of the test */
	struct ruleset_subnet ends[SELFTEST_ENDS];    /* sender, one of its scope, one of another */
};

/* Pure: choose the subnets for @input; memory from @arena.  False when the pool has no room. */
bool selftest_plan(struct selftest *test, const struct ruleset_input *input,
		   struct jaco_arena *arena);

/* The address of the test in @subnet. */
uint32_t selftest_address(const struct ruleset_subnet *subnet);

/* Send both packets; test->input is loaded.  Takes milliseconds, at most a second.
 * Errors: ISOLATION_SELF_TEST_FAILED - what passed or did not, or why nothing can be said. */
int selftest_run(const struct selftest *test, struct jaco_err *err);
