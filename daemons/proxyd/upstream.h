/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream.h - replicas as one worker sees them: load, health, idle connections.
 *
 * An upstream lives as long as a table names it or a connection uses it, so load and ejection
 * survive table changes.  A `uconn` is one connection to it, in use by one stream or idle in the
 * pool. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemons/proxyd/balance.h"
#include "daemons/proxyd/iobuf.h"
#include "daemons/proxyd/route.h"
#include "daemons/proxyd/wheel.h"
#include "libjaco/io/loop.h"
#include "libjaco/io/sock.h"

#define UPSTREAM_IDLE_MAX 256 /* idle connections kept per replica and worker */

struct worker;
struct stream;

struct uconn {
	LIST_ENTRY(uconn) link; /* idle ones */
	struct jaco_io io;
	int fd;
	struct worker *worker;
	struct upstream *upstream;
	struct stream *stream;  /* NULL: idle */
	struct iobuf *in;
	struct wheel_entry timer; /* idle */
	bool is_connecting;
	bool is_reused;         /* has carried a request before */
	bool readable, writable, hangup, eof;
};

LIST_HEAD(uconn_list, uconn);

struct upstream {
	struct balance_peer peer; /* first: balance_pick() sees an array of these */
	struct worker *worker;
	struct route_endpoint endpoint;
	struct jaco_addr addr;
	unsigned refs;          /* holds and connections */
	struct uconn_list idle; /* newest first */
	unsigned n_idle;
	bool is_gone;           /* the current table does not name it */
};

/* This worker's upstream for @endpoint, with a reference for the caller. */
struct upstream *upstream_get(struct worker *worker, const struct route_endpoint *endpoint);
void upstream_unref(struct upstream *upstream);

/* Close idle connections of replicas the current table does not name. */
void upstream_sweep(struct worker *worker);
void upstream_close_all(struct worker *worker);

/*
 * A connection for @stream: idle, or newly begun (is_connecting may be set).  @probe: make sure
 * that an idle one is still open first (a request that could not be repeated).  NULL: refused at
 * once.
 */
struct uconn *uconn_take(struct upstream *upstream, struct stream *stream, bool probe,
			 bool only_new);

/* The stream is finished with it: keep it for later, or close. */
void uconn_give(struct uconn *take_uconn);
void uconn_close(struct uconn *take_uconn);

/* Read into uconn->in.  >0 bytes, 0 nothing now (or eof is set), -1 connection error. */
int uconn_fill(struct uconn *uconn);
