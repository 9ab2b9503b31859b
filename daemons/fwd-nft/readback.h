/* SPDX-License-Identifier: Apache-2.0
 *
 * readback.h - the table as the kernel has it, in the terms of ruleset.h. */
#pragma once

#include <stdbool.h>

#include "daemons/fwd-nft/plan.h"
#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/io/netlink.h"

/* Fill empty @out with table `inet jaco`; *@out_exists false when there is none.  Read again, a few
 * times, when somebody changes it meanwhile.
 * Errors: CONFLICT - it never stood still. */
int readback_table(struct jaco_netlink *nl, struct ruleset *out, bool *out_exists,
		   struct jaco_err *err);

/* The chains of our table with their rules, without any set: for counters. */
int readback_rules(struct jaco_netlink *nl, struct ruleset *out, struct jaco_err *err);

/* Append the rules of any chain to @out; a chain that does not exist has none.  *@out_exists says
 * which (may be NULL). */
int readback_chain(struct jaco_netlink *nl, uint8_t family, const char *table,
		   struct ruleset_chain *out, bool *out_exists, struct jaco_err *err);

/* Ask for each element of an applied plan singly: additions are there, removals are not.  Costs the
 * size of the change, not of the sets.  *@out_ok false when one is not as meant. */
int readback_changes(struct jaco_netlink *nl, const struct plan *plan, bool *out_ok,
		     struct jaco_err *err);
