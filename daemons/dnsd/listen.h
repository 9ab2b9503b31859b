/* SPDX-License-Identifier: Apache-2.0
 *
 * listen.h - the sockets clients ask on: UDP and TCP of each bridge's gateway address.
 *
 * Each listener answers from one scope.  Listeners are kept as wanted: opened when wanted and
 * (again) when their address was taken, closed when not wanted any more; those that stay are not
 * touched, so a change loses no query. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "daemons/dnsd/forward.h"
#include "daemons/dnsd/stats.h"
#include "daemons/dnsd/zone.h"
#include "libjaco/io/loop.h"
#include "libjaco/io/sock.h"

#define LISTEN_MAX             1024 /* gateway addresses of one host */
#define LISTEN_TCP_PER_CONN    64   /* queries of one connection at the upstreams at once */

struct listen_set;

/* A listener that should be there. */
struct listen_want {
	struct jaco_addr addr;
	const struct zone *zone; /* borrowed: valid until the next listen_apply() */
};

struct listen_set *listen_new(struct jaco_loop *loop, struct forward *forward, struct stats *stats);
void listen_free(struct listen_set *set);

/* Connections in all, and how long one may be idle (RFC 7766 section 6.2.3). */
void listen_configure(struct listen_set *set, size_t tcp_max, int64_t tcp_idle_ms);

/* Open, keep and close.  Returns how many wanted listeners are not open; the first reason is in
 * @err.
 * Those are tried again by listen_retry(). */
size_t listen_apply(struct listen_set *set, const struct listen_want *wants, size_t n,
		    struct jaco_err *err);
size_t listen_retry(struct listen_set *set, struct jaco_err *err);

size_t listen_open_count(const struct listen_set *set);

/* The client's IPv4 address, host byte order; 0 when it has none. */
uint32_t listen_source(const struct sockaddr *peer);

/* Take no more queries: what the kernel has queued waits for the next process. */
void listen_pause(struct listen_set *set);
