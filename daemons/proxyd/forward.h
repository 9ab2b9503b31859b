/* SPDX-License-Identifier: Apache-2.0
 *
 * forward.h - the heads we send: regenerated from what was parsed, never copied.
 *
 * Pure.  Hop-by-hop fields go, forwarding fields are added or replaced, the route's header rules
 * are applied, framing is written by us alone.  RFC 9110 sections 7.6 and 6.6.1, RFC 7239. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/route.h"

/* Text being written into a fixed room; `overflow` stays set once something did not fit. */
struct forward_out {
	char *p, *end;
	bool overflow;
};

#define FORWARD_ID_BYTES 32 /* hex digits of a request id */

struct forward_client {
	const char *ip;     /* of the connection, or as PROXY protocol said */
	size_t ip_n;
	bool is_trusted;    /* its forwarding fields are believed */
	bool is_tls;
	bool is_v6;
	char request_id[FORWARD_ID_BYTES]; /* used when no trusted one came */
};

/*
 * Request head for a replica.  @path replaces head->path.  @framing is how the body goes out:
 * NO_BODY, LENGTH (head->length) or CHUNKED.
 */
void forward_request(struct forward_out *out, const struct http1_head *head,
		     struct http1_span path, const struct forward_client *client,
		     const struct route *route, enum http1_framing framing, bool upgrade);

struct forward_reply {
	const struct route *route;
	enum http1_framing framing;  /* to the client: UNTIL_CLOSE adds Connection: close */
	bool keep_alive;
	bool client_is_1_0;
	bool upgrade;                /* relay a 101 */
	const char *date;            /* added when the replica sent none; 29 characters */
	const char *sticky;          /* a whole Set-Cookie value, or NULL */
};

void forward_response(struct forward_out *out, const struct http1_head *head,
		      const struct forward_reply *reply);

/* An interim response (1xx but 101). */
void forward_interim(struct forward_out *out, const struct http1_head *head);

/* Trailer fields that may pass (RFC 9110 section 6.5.1), with the final blank line. */
void forward_trailers(struct forward_out *out, const struct http1_head *trailers);

/* The larger of what the functions above can write for @head_bytes of input. */
size_t forward_bound(size_t head_bytes, const struct route *route);

void forward_put(struct forward_out *out, const char *text, size_t n);
void forward_put_u64(struct forward_out *out, uint64_t value);
#define FORWARD_LIT(out, text) forward_put(out, text, sizeof(text) - 1)
