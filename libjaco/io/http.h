/* SPDX-License-Identifier: Apache-2.0
 *
 * http.h - an HTTP client on the loop: libcurl's multi-socket interface, wrapped once.
 *
 * For the container engine (unix socket), health probes and ACME.  An exchange is asynchronous and
 * bounded: time, header bytes and body bytes; the peer is hostile.  Redirects are never followed,
 * certificates are always verified, and proxies from the environment are used only when asked.
 *
 *   call = jaco_http_start(http, &(struct jaco_http_request){.url = "http://engine/_ping",
 *                          .unix_path = "/run/docker.sock", .timeout_ms = 5000},
 *                          on_done, ctx);
 *
 * on_done runs exactly once, from the loop, never from inside jaco_http_start(); not at all after
 * jaco_http_cancel().  Its callbacks may start, pause and cancel anything; only freeing the client
 * must wait until they have returned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/auto.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"

#define JACO_HTTP_HEADERS_MAX      64
#define JACO_HTTP_HEADER_BYTES_MAX (16 * 1024) /* of all reply headers together */
#define JACO_HTTP_BODY_MAX_DEFAULT (1024 * 1024)

struct jaco_http;
struct jaco_http_call;

/* All pointers are borrowed until the reply, except @url, @headers and @body which are copied. */
struct jaco_http_request {
	const char *method;         /* NULL: GET */
	const char *url;            /* http:// or https:// */
	const char *unix_path;      /* connect here instead of to the URL's host; may be NULL */
	const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	const void *body;           /* may be NULL */
	size_t body_bytes;
	int64_t connect_timeout_ms; /* 0: 10 s */
	int64_t timeout_ms;         /* whole exchange; 0: none (streams) */
	size_t body_max;            /* of a gathered reply; 0: JACO_HTTP_BODY_MAX_DEFAULT */
	const char *ca_file;        /* PEM; NULL: the system's */
	const char *connect_to;     /* curl's "HOST:PORT:ADDR:PORT"; NULL: resolve */
	bool use_env_proxy;         /* obey http_proxy, https_proxy, no_proxy */

	/* Stream: the body of a 2xx reply goes here as it arrives instead of being gathered. */
	void (*on_data)(void *ctx, struct jaco_http_call *call, const void *data, size_t n);
};

struct jaco_http_reply {
	int status;
	const char *body; /* NUL-terminated; "" when streamed */
	size_t body_bytes;
	const struct jaco_http_call *call; /* for jaco_http_header() */
};

/* @err is NULL on a complete exchange of whatever status; else @reply is NULL.
 * Errors: UNAVAILABLE - no connection, or it broke; TIMEOUT; MESSAGE_TOO_LARGE. */
typedef void jaco_http_done_fn(void *ctx, const struct jaco_http_reply *reply,
			       const struct jaco_err *err);

struct jaco_http *jaco_http_new(struct jaco_loop *loop);

/* Cancels what is under way. */
void jaco_http_free(struct jaco_http *http);

/* Never NULL: what goes wrong is told to @on_done. */
struct jaco_http_call *jaco_http_start(struct jaco_http *http,
				       const struct jaco_http_request *request,
				       jaco_http_done_fn *on_done, void *ctx);

/* Forget it: no callback follows.  NULL is fine. */
void jaco_http_cancel(struct jaco_http_call *call);

/* Stop reading from the peer while our own reader is slow; curl's buffer bounds what is kept. */
void jaco_http_pause(struct jaco_http_call *call, bool on);

/* A reply header's value, name compared without case; NULL when absent.  Also while streaming. */
const char *jaco_http_header(const struct jaco_http_call *call, const char *name);
int jaco_http_status(const struct jaco_http_call *call);

/* Append @text percent-encoded (RFC 3986 section 2.3: only unreserved stay). */
struct jaco_buf;
void jaco_http_escape(struct jaco_buf *out, const char *text);
