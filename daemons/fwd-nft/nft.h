/* SPDX-License-Identifier: Apache-2.0
 *
 * nft.h - the one place that changes `table inet jaco`: apply, read back, compare. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/fwd-nft/plan.h"
#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/base/buf.h"
#include "libjaco/io/netlink.h"

/* Up to so many changed elements are read back singly; more, and the whole table is. */
#define NFT_SINGLE_CHECKS_MAX 256

/* A build for 4,000 scopes touches some 2 MiB; freed memory up to this is kept for the next. */
#define NFT_KEEP_BYTES (16 * 1024 * 1024)

struct nft {
	struct jaco_netlink nl;   /* acts and asks */
	struct ruleset present;   /* as last read back, brought forward by our own changes */
	bool has_table;           /* @present is what the kernel has, as far as we know */
	struct nft_stats {
		uint64_t replacements;
		uint64_t increments;
		uint64_t elements; /* added or removed by increments */
		uint64_t failures;
		int64_t commit_ns;  /* of the last transaction, sendmsg to acknowledgement */
	} stats;
};

#define NFT_INIT ((struct nft){.nl = JACO_NETLINK_INIT})

int nft_open(struct nft *nft, struct jaco_err *err);
void nft_close(struct nft *nft);
#define nft_cleanup nft_close

/* Look at the kernel's table anew. */
int nft_refresh(struct nft *nft, struct jaco_err *err);

/* Make the kernel hold @take_desired, in one transaction, and prove it by reading back.  A table
 * that has the right shape is adopted and only its elements are changed, so traffic never meets an
 * absent table.  @take_desired is emptied on success and left alone on failure.
 * Errors: ISOLATION_SELF_TEST_FAILED - the kernel took it but holds something else. */
int nft_apply(struct nft *nft, struct ruleset *take_desired, struct jaco_err *err);

/* Compare the kernel's table with what was applied last; differences are appended to @out_why and
 * counted in *@out_n.  nft->present is then what was read. */
int nft_check(struct nft *nft, const struct ruleset *meant, struct jaco_buf *out_why, size_t *out_n,
	      struct jaco_err *err);

/* Delete the table, if there is one. */
int nft_remove(struct nft *nft, struct jaco_err *err);
