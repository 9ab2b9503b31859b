/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h - TLS 1.3 (RFC 8446) on a channel: what the API of cluster.md 3 is spoken through.
 *
 * The server shows a certificate, the client believes one CA and nothing else; who the client is
 * is said inside, by a token.  OpenSSL only ever sees memory: nothing blocks. */
#pragma once

#include <stdbool.h>

#include "libjaco/wire/chan.h"

struct ssl_ctx_st;

/* Show @cert_pem with @key_pem, and @ca_pem along with it.  Errors: VALIDATION_FAILED. */
int jaco_tls_server_context(const char *cert_pem, const char *key_pem, const char *ca_pem,
			    struct ssl_ctx_st **out_context, struct jaco_err *err);

/* Believe servers whose certificate @ca_pem has signed for servers and that are in force.  Names
 * are not compared: every node of the cluster may answer for the cluster.  Errors:
 * VALIDATION_FAILED. */
int jaco_tls_client_context(const char *ca_pem, struct ssl_ctx_st **out_context,
			    struct jaco_err *err);
void jaco_tls_context_free(
	struct ssl_ctx_st *context); /* NULL is fine; streams keep what they use */

/* Speak TLS on @chan from its first byte on.  What is sent before the handshake is over waits for
 * it, so nothing reaches a server that was not believed. */
int jaco_tls_attach(struct jaco_chan *chan, struct ssl_ctx_st *context, bool is_client,
		    struct jaco_err *err);
