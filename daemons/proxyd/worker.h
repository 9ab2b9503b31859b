/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.h - one thread that moves data: its loop, buffers, timeouts, replicas and current table.
 *
 * Nothing on the request path is shared between workers; the control thread hands over work by
 * worker_post().  A worker holds a table as a `struct hold`, which also resolves the table's
 * endpoints to this worker's upstreams; requests hold the hold they began with. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/iobuf.h"
#include "daemons/proxyd/route.h"
#include "daemons/proxyd/wheel.h"
#include "libjaco/io/loop.h"

struct client;
struct l4_conn;
struct listener;
struct stream;
struct tls_store;
struct uconn;
struct udp_flow;
struct upstream;
struct worker;

LIST_HEAD(client_list, client);
LIST_HEAD(listener_list, listener);
LIST_HEAD(l4_list, l4_conn);
LIST_HEAD(hold_list, hold);

struct hold {
	LIST_ENTRY(hold) link;
	struct route_table *table; /* one reference */
	unsigned refs;             /* of this worker's requests, and one while current */
	struct upstream **upstreams; /* by endpoint index */
	uint32_t *rounds;            /* round-robin position by route index */
};

struct worker_limits {
	uint32_t client_head_ms; /* first byte to the end of a head */
	uint32_t client_idle_ms; /* between requests */
	uint32_t client_body_ms; /* silence inside a request body */
	uint32_t upstream_idle_ms;
	uint32_t linger_ms;
};

struct worker_counters { /* written by the worker, read by the control thread (relaxed) */
	_Atomic uint64_t accepted, requests, refused, not_found, unavailable, bad_gateway, timeouts,
		retries, ejections, connects, l4_connections, udp_flows;
	_Atomic uint64_t client_bytes_in, client_bytes_out;
	_Atomic uint64_t open_clients, open_streams;
};

#define WORKER_COUNT(w, name)                                                                      \
	atomic_store_explicit(&(w)->counters.name,                                                 \
			      atomic_load_explicit(&(w)->counters.name, memory_order_relaxed) + 1, \
			      memory_order_relaxed)
#define WORKER_COUNT_DOWN(w, name)                                                                 \
	atomic_store_explicit(&(w)->counters.name,                                                 \
			      atomic_load_explicit(&(w)->counters.name, memory_order_relaxed) - 1, \
			      memory_order_relaxed)

struct worker_task {
	STAILQ_ENTRY(worker_task) link;
	void (*fn)(struct worker *worker, void *arg);
	void *arg;
};

struct worker {
	unsigned index;
	pthread_t thread;
	bool is_running;
	bool is_draining;        /* no new connections; keep-alive ends */
	struct jaco_loop loop;
	struct iobuf_pool bufs;
	struct wheel wheel;
	struct jaco_timer tick;
	int64_t now_ms;          /* of this pass, monotonic */
	uint64_t prng;
	char date[30];           /* IMF-fixdate, RFC 9110 section 5.6.7 */
	int64_t date_s;
	struct worker_limits limits;
	struct hold *hold;       /* current; never NULL while running */
	struct hold_list holds;
	struct upstream **upstream_slots;
	size_t n_upstreams, n_upstream_slots;
	struct listener_list listeners;
	struct client_list clients;
	struct l4_list l4s;
	struct stream *free_streams;
	struct tls_store *tls;   /* certificates; NULL: none */
	struct http1_head head;  /* scratch for responses */
	char *scratch;           /* HTTP1_HEAD_MAX bytes for path normalising, TLS gathering */
	struct worker_counters counters;
	/* mailbox */
	pthread_mutex_t lock;
	STAILQ_HEAD(, worker_task) tasks;
	int wake_fd;
	struct jaco_io wake;
};

int worker_open(struct worker *worker, unsigned index, const struct worker_limits *limits,
		struct jaco_err *err);
int worker_start(struct worker *worker, struct jaco_err *err);

/* Run @fn on the worker's thread; any thread may call.  Tasks run in order. */
void worker_post(struct worker *worker, void (*fn)(struct worker *, void *), void *arg);

/* Run @fn there and wait for it. */
void worker_call(struct worker *worker, void (*fn)(struct worker *, void *), void *arg);

/* End the thread, close what is left. */
void worker_stop(struct worker *worker);
void worker_close(struct worker *worker);

/* On the worker's thread: make @take_table the current one. */
void worker_set_table(struct worker *worker, struct route_table *take_table);

struct hold *hold_ref(struct hold *hold);
void hold_unref(struct worker *worker, struct hold *hold);

/* Refresh now_ms; call at the start of a callback. */
void worker_touch(struct worker *worker);
const char *worker_date(struct worker *worker);
