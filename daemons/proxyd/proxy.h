/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy.h - the control side: workers, what they listen on, which tables they use.
 *
 * Belongs to the control thread.  proxy_apply() makes the workers follow a new configuration; what
 * has not changed is not touched, and no connection is closed by it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/proxyd/listen.h"
#include "daemons/proxyd/route.h"
#include "daemons/proxyd/stats.h"
#include "daemons/proxyd/tls.h"
#include "daemons/proxyd/worker.h"

#define PROXY_WORKERS_MAX 64
#define PROXY_PROBLEM_BYTES 160

struct proxy_listener {
	enum listen_kind kind;
	char address[JACO_ADDR_TEXT_BYTES];
	uint64_t id;
};

/* A listener that could not be had. */
struct proxy_problem {
	struct proxy_listener listener;
	int sys_errno; /* EADDRINUSE: port_in_use */
	char text[PROXY_PROBLEM_BYTES];
};

struct proxy_plan {
	struct route_table *table; /* consumed */
	struct tls_store *tls;     /* consumed; NULL: no HTTPS */
	struct proxy_listener *listeners; /* borrowed */
	size_t n_listeners;
};

struct proxy_bound;

struct proxy {
	struct worker *workers;
	unsigned n_workers;
	struct stats *stats;
	struct proxy_bound *bound;
	size_t n_bound, cap_bound;
	struct proxy_problem *problems;
	size_t n_problems, cap_problems;
	uint64_t generation; /* of the last plan */
	size_t n_routes;
};

/* The stable name of a listener. */
uint64_t proxy_listener_id(enum listen_kind kind, const char *address);

/* Start @n_workers threads (0: one per processor). */
int proxy_open(struct proxy *proxy, unsigned n_workers, const struct worker_limits *limits,
	       struct jaco_err *err);
void proxy_close(struct proxy *proxy);

/* Follow @plan.  Returns how many listeners could not be had; they are in proxy->problems. */
size_t proxy_apply(struct proxy *proxy, const struct proxy_plan *plan);

/* Stop accepting and let requests finish; true once nothing is open any more. */
void proxy_drain(struct proxy *proxy);
bool proxy_is_idle(const struct proxy *proxy);

/* Wait until every worker has done what it was told. */
void proxy_sync(struct proxy *proxy);

/* Requests and connections in flight to one address, over all workers and ports. */
uint64_t proxy_in_flight(struct proxy *proxy, const struct netmatch_ip *ip);

/* The oldest table some request still uses. */
uint64_t proxy_oldest_generation(struct proxy *proxy);

/* Addresses listened on; borrowed until the next plan.  Returns how many were stored. */
size_t proxy_addresses(const struct proxy *proxy, const char **out, size_t cap);

/* Prometheus text. */
void proxy_metrics(struct proxy *proxy, struct jaco_buf *out);

extern const struct worker_limits proxy_default_limits;
