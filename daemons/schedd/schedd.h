/* SPDX-License-Identifier: Apache-2.0
 *
 * schedd.h - the acting half: plans when the world changed and this node leads, commits the plan.
 *
 * One transaction at a time; the next plan is made from a view that has seen it. */
#pragma once

#include "daemons/schedd/plan.h"
#include "libjaco/daemon/daemon.h"

struct schedd {
	struct jaco_daemon *daemon;
	struct jaco_arena arena;     /* of the pass whose plan is being committed */
	struct world world;
	struct plan plan;
	bool is_leader;
	struct jaco_pending *leader; /* the stream that says so */
	struct jaco_pending *txn;
	struct jaco_pending *rollback;
	struct jaco_time rollback_hold; /* no call before */
	uint64_t min_revision;       /* of the last own commit: older views are not planned on */
	size_t n_done;               /* operations in the running transaction */
	struct jaco_timer wake;      /* time alone changes the plan */
	struct jaco_timer retry;
	struct jaco_timer resubscribe;
	struct jaco_histogram plan_us;
	uint64_t n_ops, n_conflicts, n_failures;
	size_t n_pending;            /* replicas without a node in the last world */
};

#define SCHEDD_INIT ((struct schedd){.daemon = NULL})

extern const struct jaco_service_row schedd_methods[];

int schedd_open(struct schedd *schedd, struct jaco_daemon *daemon, struct jaco_err *err);
void schedd_cleanup(struct schedd *schedd);

/* Follow who leads; after jaco_daemon_subscribe(). */
int schedd_follow_leader(struct schedd *schedd, struct jaco_err *err);

/* The view changed, or 30 s went by. */
void schedd_on_view(struct jaco_view *view, void *ctx);

void schedd_metrics(void *self, struct jaco_buf *out);
void schedd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);
