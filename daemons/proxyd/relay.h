/* SPDX-License-Identifier: Apache-2.0
 *
 * relay.h - one direction of a message body: how it ends where it comes from, how it is framed
 * where it goes.
 *
 * Pure.  Payload is sent straight from the input buffer; only framing is written anew.  Usage:
 * relay_prepare() until it says NEED (read more), DONE or BAD; on SEND, write relay_iov() and
 * report with relay_sent(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/iobuf.h"

#define RELAY_IOV 3

enum relay_state {
	RELAY_NEED, /* nothing to send until more input arrives */
	RELAY_SEND,
	RELAY_DONE, /* everything including final framing has been sent */
	RELAY_BAD,  /* malformed, or ended early */
};

struct relay {
	enum http1_framing in, out;
	uint64_t left;       /* in LENGTH: payload still to come */
	uint64_t bytes;      /* payload sent */
	struct http1_chunked chunked;
	struct iobuf_pool *pool;
	struct iobuf *trailers; /* final chunk with trailer fields, while it is being sent */
	size_t payload;      /* bytes at the front of the input buffer announced for sending */
	char frame[20];      /* before the payload */
	uint8_t frame_off, frame_n;
	uint8_t tail_n;      /* bytes of tail still to send, after the payload */
	const char *tail;
	size_t tail_skip;    /* input bytes the tail stands for */
	bool is_last;        /* what is being sent ends the body */
	bool is_done;
};

void relay_init(struct relay *relay, struct iobuf_pool *pool, enum http1_framing in,
		enum http1_framing out, uint64_t length);
void relay_fini(struct relay *relay);

/* @in may be NULL (empty).  @is_eof: no more input will come. */
enum relay_state relay_prepare(struct relay *relay, struct iobuf *in, bool is_eof);

/* Fill @iov with what is to be sent, in order.  Returns how many. */
int relay_iov(const struct relay *relay, struct iobuf *in, struct iovec iov[static RELAY_IOV]);

/* @n bytes of them are gone. */
void relay_sent(struct relay *relay, struct iobuf *in, size_t n);
