/* SPDX-License-Identifier: Apache-2.0
 *
 * submit.h - transactions and linearizable reads of this node's callers, wherever the leader is.
 *
 * On the leader they go straight to the store.  Elsewhere the transaction travels to the leader
 * under a request id and, when leader or link is lost, again under the same id, so that it is never
 * applied twice; its answer waits until this node's state holds it, so that a caller reads what it
 * wrote. */
#pragma once

#include "daemons/raftd/link/link.h"
#include "daemons/raftd/store.h"

#define SUBMIT_MS 5000 /* how long a leader is waited for */

struct raftd;
struct submit;
TAILQ_HEAD(submits, submit);

void submit_init(struct raftd *raftd);
void submit_fini(struct raftd *raftd);

/* As store_propose(), store_read(), store_forget().
 * Errors: also QUORUM_LOST - no majority of voters can be reached from here. */
int submit_txn(struct raftd *raftd, const struct txn *txn, store_done_fn *on_done, void *ctx,
	       struct jaco_err *err);
int submit_read(struct raftd *raftd, store_read_fn *on_read, void *ctx, struct jaco_err *err);
void submit_forget(struct raftd *raftd, void *ctx);

/* Something changed: state applied, a leader, a connection. */
void submit_pump(struct raftd *raftd);

/* The leader's side. */
void submit_on_txn(struct raftd *raftd, struct link_call *call, const struct wire_raft_submit *msg);
void submit_on_read(struct raftd *raftd, struct link_call *call);

/* Can a majority of the voters be reached from here, as far as this node can tell? */
bool submit_has_quorum(struct raftd *raftd);
