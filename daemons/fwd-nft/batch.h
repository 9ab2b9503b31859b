/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.h - a plan as netlink messages: one batch is one kernel transaction.
 *
 * Builds bytes, sends nothing.  The message layout is nfnetlink's (linux/netfilter/nfnetlink.h,
 * nf_tables.h), written by libnftnl. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemons/fwd-nft/plan.h"
#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/base/buf.h"

struct nlmsghdr;

struct batch {
	struct jaco_buf bytes;
	uint32_t seq;     /* of the last message */
	size_t last_at;   /* offset of the last real message: it asks for the acknowledgement */
	size_t n_messages;
};

#define BATCH_INIT ((struct batch){.bytes = JACO_BUF_INIT})

/* Open a transaction; messages are numbered from @seq on. */
void batch_begin(struct batch *batch, uint32_t seq);

/* Delete the table if it exists and make it anew with all it should hold. */
void batch_add_replacement(struct batch *batch, const struct ruleset *desired);

/* Make table inet @name with chains and rules, without sets; it ends with the socket that sends
 * this (NFT_TABLE_F_OWNER, Linux 5.12). */
void batch_add_owned(struct batch *batch, const char *name, const struct ruleset *desired);

/* The plan's element changes. */
void batch_add_changes(struct batch *batch, const struct plan *plan);

/* Delete the table; it must exist. */
void batch_add_removal(struct batch *batch);

/* One rule at the top of somebody else's chain, and its removal by handle. */
void batch_add_rule(struct batch *batch, uint8_t family, const char *table, const char *chain,
		    const struct ruleset_rule *rule);
void batch_add_rule_removal(struct batch *batch, uint8_t family, const char *table,
			    const char *chain, uint64_t handle);

/* Close the transaction: the bytes are ready for jaco_netlink_transact(). */
void batch_end(struct batch *batch);

void batch_fini(struct batch *batch);
#define batch_cleanup batch_fini

/* The kernel's number of 32-bit register @word (nf_tables.h: 16-byte registers keep their own
 * numbers), and back; -1 for the verdict register and unknown ones. */
uint32_t batch_reg_number(uint8_t word);
int batch_reg_word(uint32_t number);
