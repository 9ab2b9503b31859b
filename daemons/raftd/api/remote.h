/* SPDX-License-Identifier: Apache-2.0
 *
 * remote.h - people who are not on a node: TLS on listen_addr, and a token (spec/cluster.md section
 * 3).
 *
 * A connection begins as a stranger's.  Its first call is `auth`; from then on it is the token's
 * identity, and every call asks again whether that token still stands, so a revoked one fails with
 * the next call anywhere once the revocation is applied there.  A write also carries the token's
 * record as a compare: it cannot be committed after the revocation, however far behind the node
 * that took it may be.
 *
 * A node that was put out of the cluster serves nobody here: it hears of no revocation, and whoever
 * asks it would be told history as if it were the present. */
#pragma once

#include "daemons/raftd/raftd.h"

/* Listen on listen_addr; raftd->api_addr is where.  Errors: VALIDATION_FAILED, INTERNAL. */
int remote_open(struct raftd *raftd, struct jaco_err *err);
void remote_close(struct raftd *raftd);

/* Something below /token/ changed, or this node got an identity. */
void remote_review(struct raftd *raftd);

/* May this remote call be made?  Fills in the rights of its token.
 * Errors: TOKEN_INVALID, TOKEN_REVOKED, TOKEN_EXPIRED. */
int remote_authorize(struct raftd *raftd, struct jaco_call *call, struct jaco_err *err);

/* What @call gives away that lasts until @expires (ms; 0: for ever) must not outlast the token that
 * the call came with.  Errors: PERMISSION_DENIED. */
int remote_check_expiry(struct raftd *raftd, struct jaco_call *call, uint64_t expires,
			struct jaco_err *err);

/* When that token ends, ms; UINT64_MAX: never, or the caller is on a node. */
uint64_t remote_token_end(struct raftd *raftd, struct jaco_call *call);

/* The revision of the record of the token that @call came with, for a compare. */
uint64_t remote_token_revision(struct raftd *raftd, struct jaco_call *call);
