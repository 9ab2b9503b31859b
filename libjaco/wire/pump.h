/* SPDX-License-Identifier: Apache-2.0
 *
 * pump.h - one TLS 1.3 stream (RFC 8446) between memory and memory, and what its contexts have in
 * common.
 *
 * OpenSSL sees neither descriptor nor loop, so nothing blocks.  The owner carries the bytes: tls.h
 * between a channel and who speaks MessagePack-RPC on it, raftd's link/tls.h between members. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

struct ssl_st;
struct ssl_ctx_st;
struct bio_st;

/* --- contexts --- */

/* TLS 1.3 and nothing older; each connection proves itself anew.  NULL: see jaco_ssl_failure(). */
struct ssl_ctx_st *jaco_pump_context(void);

/* Show @cert_pem, which @key_pem belongs to. */
bool jaco_pump_show(struct ssl_ctx_st *context, const char *cert_pem, const char *key_pem);

/* Send @ca_pem along with the certificate that is shown. */
bool jaco_pump_send_along(struct ssl_ctx_st *context, const char *ca_pem);

/* Believe what @ca_pem has signed. */
bool jaco_pump_trust(struct ssl_ctx_st *context, const char *ca_pem);

/* --- the stream --- */

struct jaco_pump {
	struct ssl_st *ssl;
	struct bio_st *from_net; /* owned by ssl */
	struct bio_st *to_net;
	bool is_up; /* the handshake is done */
};

/* Of a client there is output at once.  Errors: UNAVAILABLE. */
int jaco_pump_open(struct jaco_pump *pump, struct ssl_ctx_st *context, bool is_client,
		   struct jaco_err *err);

/* NULL members are fine. */
void jaco_pump_close(struct jaco_pump *pump);

/* @n bytes came from the other end; jaco_pump_shake() and jaco_pump_read() say what they mean. */
void jaco_pump_feed(struct jaco_pump *pump, const void *data, size_t n);

/*
 * Go on with the handshake, whose outcome is pump->is_up.
 *
 * Negative: it is over, and the output is an alert.  Errors: PERMISSION_DENIED - the other end's
 * certificate is not believed; UNAVAILABLE - anything else.
 */
int jaco_pump_shake(struct jaco_pump *pump, struct jaco_err *err);

/*
 * Append to @plain, which has a bound, what can be read; there may be output afterwards.
 *
 * Negative: it is over, after what was appended.  Errors: MESSAGE_TOO_LARGE - @plain is full;
 * UNAVAILABLE - closed or broken.
 */
int jaco_pump_read(struct jaco_pump *pump, struct jaco_buf *plain, struct jaco_err *err);

/* Turn @n bytes into output.  A connection that is broken is told by reading. */
void jaco_pump_write(struct jaco_pump *pump, const void *data, size_t n);

/* The bytes for the other end, borrowed until jaco_pump_sent(); returns how many. */
size_t jaco_pump_output(const struct jaco_pump *pump, const char **out_data);
void jaco_pump_sent(struct jaco_pump *pump);
