/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h - one TLS 1.3 stream on the loop (RFC 8446): a pump (pump.h) over a jaco_chan.
 *
 * Not a channel's filter as wire/tls.h is one: what follows the handshake depends on who is there,
 * and what is sent before it is over is lost.  Who is at the other end is the owner's question: it
 * asks tls_peer_key() in on_up, before it sends or believes anything. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/raftd/link/identity.h"
#include "libjaco/wire/chan.h"
#include "libjaco/wire/pump.h"

struct ssl_ctx_st;
struct tls;

/* None of them may free the stream; they may call tls_shut(), after which nothing follows. */
struct tls_ops {
	void (*on_up)(struct tls *tls, void *ctx);   /* handshake done */
	void (*on_data)(struct tls *tls, void *ctx); /* plaintext arrived in tls->in */
	void (*on_end)(struct tls *tls, const struct jaco_err *err, void *ctx); /* once */
};

struct tls {
	struct jaco_chan chan;
	struct jaco_pump pump;
	struct jaco_buf in;
	bool is_over;
	const struct tls_ops *ops;
	void *ctx;
};

/* Certificates of this process.  @own NULL: none yet (a joining node).  @ca_pem NULL: believe no
 * certificate by itself; the owner checks with tls_is_vouched_by(). */
int tls_context_new(struct ssl_ctx_st **out_context, const struct identity *own, const char *ca_pem,
		    struct jaco_err *err);
void tls_context_free(struct ssl_ctx_st *context);

/* Take over @take_fd.  @pending: a connect(2) is under way. */
int tls_open(struct tls *tls, struct jaco_loop *loop, struct ssl_ctx_st *context, int take_fd,
	     bool is_client, bool pending, const struct tls_ops *ops, void *ctx,
	     struct jaco_err *err);
void tls_send(struct tls *tls, const void *data, size_t n);

/* The same, but it may wait for the next send or flush. */
void tls_queue(struct tls *tls, const void *data, size_t n);
void tls_flush(struct tls *tls);

/* Send what is queued as far as the kernel takes it now and end; no callback follows. */
void tls_shut(struct tls *tls);
void tls_close(struct tls *tls);

/* identity_key_fingerprint() of the certificate shown by the other end.  False when it showed
 * none. */
bool tls_peer_key(const struct tls *tls, char out_text[static IDENTITY_FINGERPRINT_TEXT]);

/* Did the other end show a certificate signed by the CA whose fingerprint is @ca_fingerprint?  The
 * CA itself must be in the chain it sent.  Times are not looked at: the caller has no clock it
 * could trust more than theirs. */
bool tls_is_vouched_by(const struct tls *tls, const char *ca_fingerprint);
