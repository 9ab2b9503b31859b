/* SPDX-License-Identifier: Apache-2.0
 *
 * ipamd.h - the acting half: answers for addresses, claims subnets through raftd, frees them.
 *
 * A lease request whose subnet is not there yet waits for the claim, at most IPAMD_WAIT_MS. */
#pragma once

#include "daemons/ipamd/book.h"
#include "daemons/ipamd/lease.h"
#include "daemons/ipamd/pool.h"
#include "libjaco/daemon/daemon.h"

#define IPAMD_WAIT_MS     3000
#define IPAMD_WAITERS_MAX 4096
#define IPAMD_IDLE_MS     (10 * 60 * 1000) /* before an unused subnet is freed; network.md 1 */
#define IPAMD_TICK_MS     5000

/* A lease call that waits for its subnets. */
struct ipamd_waiter {
	struct jaco_call *call;
	const struct wire_lease_request *req; /* in the call's arena */
	struct jaco_time deadline;
	struct ipamd_waiter *next;
};

/* A subnet of this host that nobody uses. */
struct ipamd_idle {
	char key[JACO_DEPLOYMENT_MAX + JACO_NAME_MAX + JACO_HOST_MAX + 16];
	struct jaco_time since;
	bool is_seen; /* still idle in the present pass */
};

struct ipamd {
	struct jaco_daemon *daemon;
	struct pool pool;         /* what the view says, plus what is being claimed */
	struct lease_table leases;
	struct book book;
	unsigned bits;            /* ipam_prefix */
	struct ipamd_waiter *waiters; /* oldest first */
	size_t n_waiters;
	struct jaco_pending *txn; /* one write at a time: claim or release */
	bool is_freeing;          /* the write frees subnets: nobody may lease from them */
	uint64_t min_revision;    /* of the last own write: older views are not decided on */
	struct ipamd_idle *idle;  /* owned */
	size_t n_idle, cap_idle;
	struct jaco_timer tick;
	struct jaco_timer retry;
	struct jaco_timer patience; /* of the waiting calls */
	char overlap[512];        /* "" or why ipam_pool collides with this host's routes */
	uint64_t n_claimed, n_freed, n_conflicts, n_leased, n_released;
};

#define IPAMD_INIT ((struct ipamd){.daemon = NULL})

extern const struct jaco_service_row ipamd_methods[];

/* Open the lease book and take its leases in; check ipam_pool against itself and the host. */
int ipamd_open(struct ipamd *ipamd, struct jaco_daemon *daemon, struct jaco_err *err);
void ipamd_cleanup(struct ipamd *ipamd);

/* The view changed, or 30 s went by. */
void ipamd_on_view(struct jaco_view *view, void *ctx);

void ipamd_metrics(void *self, struct jaco_buf *out);
void ipamd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);

/* Fill the pool from the view. */
void ipamd_refill(struct ipamd *ipamd);

/* --- claim.c --- */

/* Claim what waiting calls need; answers calls that can never be served. */
void claim_wanted(struct ipamd *ipamd);

/* Free the subnets nobody needs, of this host and of hosts that are members no more. */
void claim_free_unused(struct ipamd *ipamd);

/* Put right what this host's subnet records say of their networks: a network became internal, or
 * ceased to be. */
void claim_follow(struct ipamd *ipamd);
