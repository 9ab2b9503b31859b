/* SPDX-License-Identifier: Apache-2.0
 *
 * forward.h - names that are not ours: asked of the upstreams, in their order.
 *
 * Each attempt has a socket of its own, connected, with a random port and id (RFC 5452 section 9).
 * The next upstream is asked on timeout, transport error, SERVFAIL, REFUSED, NOTIMP or nonsense;
 * one that says FORMERR to EDNS is asked again without it (RFC 6891 section 7).  The first NOERROR
 * or NXDOMAIN is relayed as it came.  Identical queries under way are asked once.  All failed: a
 * stale answer when there is one, else SERVFAIL, never NXDOMAIN.
 *
 * Services with servers of their own (dns: of compose) are asked for there: their questions and the
 * kept answers are apart from everybody else's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemons/dnsd/packet.h"
#include "daemons/dnsd/stats.h"
#include "daemons/dnsd/upstreams.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"
#include "libjaco/io/sock.h"

#define FORWARD_FLIGHTS_MAX   1024 /* one descriptor each */
#define FORWARD_CLIENTS_MAX   8192 /* waiting, in all */

struct forward;
struct forward_flight;

/* Who waits.  Embedded in its owner; alive until its callback ran or it was cancelled. */
struct forward_client {
	LIST_ENTRY(forward_client) link;
	struct forward_flight *flight; /* NULL: not waiting */
	struct packet_query query;
	struct jaco_time since;
	unsigned resolver; /* whose servers are asked, as in forward_cached() */
	bool is_tcp;
	uint8_t name[PACKET_NAME_MAX]; /* the question in the client's own case */
	/* @reply belongs to the callee until it returns; the client is not waiting any more.  The
	 * callee must not submit another query. */
	void (*on_reply)(struct forward_client *client, uint8_t *reply, size_t n,
			 enum packet_rcode rcode);
};

struct forward *forward_new(struct jaco_loop *loop, struct stats *stats);
void forward_free(struct forward *forward); /* drops who still waits without a word */

/* Replace upstreams; queries under way finish with the old ones.  @cache_bytes 0: no cache. */
void forward_configure(struct forward *forward, const struct jaco_addr *upstreams, size_t n,
		       int64_t timeout_ms, size_t cache_bytes);

/* Replace the lists of servers that some clients have of their own: client->resolver is 1 for the
 * first of them.  One that is in force already keeps its answers; one that is empty fails every
 * question. */
struct forward_resolver {
	struct jaco_addr addrs[UPSTREAMS_MAX];
	size_t n;
};
void forward_set_resolvers(struct forward *forward, const struct forward_resolver *resolvers,
			   size_t n);

/* Answer @msg from the cache in place.  0 when it must be asked.
 * @resolver  0: the node's own upstreams, else a list of forward_set_resolvers() */
size_t forward_cached(struct forward *forward, unsigned resolver, const struct packet_query *query,
		      bool is_tcp, uint8_t *msg, size_t cap, enum packet_rcode *out_rcode);

/* Ask for @client (set by the caller: query, resolver, is_tcp, on_reply).  on_reply may
 * be called before this returns. */
void forward_submit(struct forward *forward, struct forward_client *client, const uint8_t *msg);
void forward_cancel(struct forward_client *client);

/* Clients that wait. */
size_t forward_waiting(const struct forward *forward);
