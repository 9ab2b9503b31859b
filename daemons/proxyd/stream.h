/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.h - one request on its way: route, replica, request body up, response down.
 *
 * The client's side (HTTP/1.1 connection or HTTP/2 stream) is behind `struct stream_ops`; the
 * replica's side is HTTP/1.1.  Failures before the replica can have seen the request are retried on
 * another one; later ones are answered 502/504 or break the response.  spec/ingress.md section
 * 2. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/proxyd/balance.h"
#include "daemons/proxyd/forward.h"
#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/iobuf.h"
#include "daemons/proxyd/relay.h"
#include "daemons/proxyd/route.h"
#include "daemons/proxyd/wheel.h"

#define STREAM_RETRIES      2
#define STREAM_RETRY_MS     10000
#define STREAM_STICKY_BYTES 160

struct hold;
struct stream;
struct uconn;
struct worker;

enum stream_io { STREAM_WAIT, STREAM_DONE, STREAM_BROKEN };

/* A whole answer of ours. */
struct stream_answer {
	uint16_t status;
	const char *reason;
	const char *fields; /* more field lines, each with CRLF; NULL: none */
	const char *body;   /* NULL: "<status> <reason>\n" */
};

struct stream_ops {
	/* Bring more request body into *stream->body: >0 bytes, 0 nothing now, -1 the client is
	 * gone.
	 * Sets stream->body_eof when no more will come. */
	int (*fill)(struct stream *stream);
	/* The body buffer was emptied: it may be released. */
	void (*drained)(struct stream *stream);
	void (*interim)(struct stream *stream, const struct http1_head *head);
	/* Queue the response head; sets stream->down up. */
	void (*head)(struct stream *stream, const struct http1_head *head);
	/* Move response body from the replica's buffer to the client. */
	enum stream_io (*pump)(struct stream *stream);
	/* Answer ourselves; the stream is over and freed by the callee. */
	void (*answer)(struct stream *stream, const struct stream_answer *answer);
	/* The response is complete (@is_ok) or cannot be completed; freed by the callee. */
	void (*finished)(struct stream *stream, bool is_ok);
};

struct stream {
	struct stream *next_free;
	struct worker *worker;
	const struct stream_ops *ops;
	void *owner;            /* client or HTTP/2 stream */
	struct hold *hold;
	const struct route *route;
	struct upstream *upstream;
	struct uconn *uconn;
	struct wheel_entry timer;
	enum http1_method method;
	uint8_t client_minor;
	bool wants_upgrade;
	bool is_tunnel;
	bool is_started;        /* response head has gone to the client */
	bool keep_uconn;        /* the replica keeps the connection */
	bool is_broken_up;      /* the replica takes no more of the request */
	bool up_shut, down_shut; /* tunnel: half closed */
	bool body_eof;
	uint16_t status;
	uint8_t tries;
	unsigned n_tried;
	uint64_t tried[BALANCE_TRIED_MAX];
	uint64_t key;           /* balance by hash */
	uint64_t sticky_id;     /* what the cookie asked for */
	int64_t start_ms;
	uint64_t start_ns;
	struct iobuf **body;    /* request body input, the owner's */
	struct iobuf *out;      /* head for the replica; kept until it answers */
	uint32_t head_n;        /* its bytes */
	struct relay up, down;
	struct http1_scan scan; /* response head */
};

struct stream_start {
	const struct stream_ops *ops;
	void *owner;
	struct stream **slot;   /* set before anything can happen to the stream */
	struct iobuf **body;
	const struct http1_head *head;
	const struct route_match *match;
	const struct forward_client *client;
	const struct netmatch_ip *client_ip;
	size_t head_bytes;
};

/* Begin; may finish (and free) the stream before it returns. */
void stream_start(struct worker *worker, const struct stream_start *start);

void stream_on_upstream(struct stream *stream, unsigned events);

/* The client can be written to, or has more body: try again. */
void stream_on_client(struct stream *stream);

/* The client went away: stop and free. */
void stream_cancel(struct stream *stream);

/* For owners: return memory and the replica's connection (kept only when @is_ok). */
void stream_free(struct stream *stream, bool is_ok);

/* The Set-Cookie value for a sticky route when the choice differs from what the client had. */
const char *stream_sticky(const struct stream *stream, char out[static STREAM_STICKY_BYTES]);

void stream_pool_fini(struct worker *worker);
