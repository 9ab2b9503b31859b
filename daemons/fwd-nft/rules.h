/* SPDX-License-Identifier: Apache-2.0
 *
 * rules.h - the constant rules of `table inet jaco` (spec/network.md section 3).
 *
 * Pure.  They depend on nothing but which prefix lengths are in use. */
#pragma once

#include "daemons/fwd-nft/ruleset.h"

struct rules_lengths {
	uint8_t bits[RULESET_LENGTHS_MAX]; /* the configured one first */
	size_t n;
};

/* Append the base chains with their rules; @mesh is the interface to the other nodes, NULL:
 * none. */
void rules_add_chains(struct ruleset *ruleset, const struct rules_lengths *lengths,
		      const char *mesh);

/* "port", or "port_22" for a length other than the configured one. */
void rules_set_name(char out[static RULESET_NAME_BYTES], const char *stem,
		    const struct rules_lengths *lengths, size_t i);

/* "same_scope", or "same_scope_24_22" for source and destination of other lengths. */
void rules_pair_name(char out[static RULESET_NAME_BYTES], const struct rules_lengths *lengths,
		     size_t source, size_t destination);
