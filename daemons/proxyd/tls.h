/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h - TLS 1.2 and 1.3 from clients, certificates chosen by server name.
 *
 * A store is immutable and counted like the route table; a handshake uses the store current when it
 * began, so certificates change without dropping connections.  spec/ingress.md section 3. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "libjaco/base/err.h"

struct tls_conn;
struct tls_store;

struct tls_store *tls_store_new(void);
struct tls_store *tls_store_ref(struct tls_store *store);
void tls_store_unref(struct tls_store *take_store);

/* Add a certificate with its chain and key (PEM) under every DNS name it carries.
 * Errors: VALIDATION_FAILED - unreadable, or the key does not belong to it. */
int tls_store_add(struct tls_store *store, const char *chain_pem, const char *key_pem,
		  struct jaco_err *err);

/* Is there a certificate for that host, exactly or by wildcard?  NULL store: no. */
bool tls_has_certificate(const struct tls_store *store, const char *host);

/* Server side of a new connection on @fd. */
struct tls_conn *tls_conn_new(struct tls_store *store, int fd);
/* The same when @n bytes of it have been read already. */
struct tls_conn *tls_conn_new_after(struct tls_store *store, int fd, const char *early, size_t n);
void tls_conn_free(struct tls_conn *take_conn);

/* recv(2) and writev(2) with EAGAIN, through the handshake too.  0: the peer closed. */
ssize_t tls_read(struct tls_conn *conn, char *out, size_t n);
ssize_t tls_write(struct tls_conn *conn, const struct iovec *iov, int n);

/* Bytes already decrypted: no readiness event announces them. */
bool tls_has_pending(const struct tls_conn *conn);

/* Has a read found that it must wait for writability first? */
bool tls_wants_write(const struct tls_conn *conn);
void tls_close_notify(struct tls_conn *conn);

enum tls_protocol { TLS_UNKNOWN, TLS_HTTP1, TLS_HTTP2 };
/* What was agreed by ALPN (RFC 7301); UNKNOWN until the handshake is over. */
enum tls_protocol tls_protocol(const struct tls_conn *conn);
