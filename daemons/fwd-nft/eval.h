/* SPDX-License-Identifier: Apache-2.0
 *
 * eval.h - what a table would do with one packet.
 *
 * Pure.  Walks the rules of a ruleset (usually one read back from the kernel) the way the kernel
 * does, for `jaco net can` and for tests of the rules without a kernel. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemons/fwd-nft/ruleset.h"

struct eval_packet {
	uint8_t family; /* NFPROTO_IPV4 or NFPROTO_IPV6 */
	uint32_t source; /* IPv4, host order */
	uint32_t destination;
	uint8_t source6[16];
	char in[IFNAMSIZ];  /* "" when it starts here */
	char out[IFNAMSIZ]; /* "" when it ends here */
	bool is_known;      /* conntrack: established or related */
};

enum eval_result {
	EVAL_ACCEPTED, /* by a rule, or by the policy of the chain */
	EVAL_DROPPED,
	EVAL_MASQUERADED,
	EVAL_UNKNOWN, /* a rule holds what we do not understand: somebody changed the table */
};

struct eval_verdict {
	enum eval_result result;
	const struct ruleset_chain *chain;
	const struct ruleset_rule *rule; /* NULL: the policy decided */
};

/* One chain. */
struct eval_verdict eval_chain(const struct ruleset *ruleset, const struct ruleset_chain *chain,
			       const struct eval_packet *packet);

/* A packet from where it enters to where it leaves: prerouting, then forward or (@is_local, its
 * destination is an address of this host) input.  Ends at the first chain that drops it. */
struct eval_verdict eval_path(const struct ruleset *ruleset, const struct eval_packet *packet,
			      bool is_local);
