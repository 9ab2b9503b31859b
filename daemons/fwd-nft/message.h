/* SPDX-License-Identifier: Apache-2.0
 *
 * message.h - one nftables message, taken apart into the terms of ruleset.h.
 *
 * Pure.  libnftnl's own parsers are not used: they follow null pointers when an attribute is
 * missing and end the process when one is not of the kind they know, which a newer kernel may
 * send. */
#pragma once

#include "daemons/fwd-nft/ruleset.h"

struct nlmsghdr;

/* The flags of table `inet jaco` and its chains, rules, sets and elements are added to @out;
 * anything else is ignored.
 * Rules and elements are kept only when their chain or set came before.
 * Errors: LIMIT_EXCEEDED - somebody filled the table beyond the bounds. */
int message_take(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err);

/* A rule of @chain (by its name) in @table is appended to it. */
int message_take_rule(struct ruleset_chain *chain, const char *table, const struct nlmsghdr *msg,
		      struct jaco_err *err);
