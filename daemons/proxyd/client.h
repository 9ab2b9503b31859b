/* SPDX-License-Identifier: Apache-2.0
 *
 * client.h - one HTTP/1.1 client connection: heads in, responses out, one stream at a time.
 *
 * Idle connections hold no buffer.  Pipelined requests are served in order. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/iobuf.h"
#include "daemons/proxyd/netmatch.h"
#include "daemons/proxyd/wheel.h"
#include "libjaco/io/loop.h"
#include "libjaco/io/sock.h"

struct listener;
struct stream;
struct tls_conn;
struct worker;

struct client {
	LIST_ENTRY(client) link;
	struct stream *stream;
	struct worker *worker;
	struct tls_conn *tls;
	struct iobuf *in, *out;
	struct jaco_io io;
	int fd;
	uint16_t https_port;       /* for redirects; 0: none */
	uint8_t method;            /* enum http1_method of the current request */
	struct wheel_entry timer;
	struct http1_scan scan;
	struct netmatch_ip ip;     /* of the client, as PROXY protocol says when trusted */
	bool readable : 1, writable : 1, hangup : 1, eof : 1;
	bool is_tls : 1;
	bool is_trusted : 1;
	bool may_proxy : 1;        /* a PROXY header may still come */
	bool was_blank : 1;        /* an empty line before the request was forgiven */
	bool has_begun : 1;        /* bytes of a head have arrived */
	bool keep_alive : 1;
	bool is_1_0 : 1;
	bool is_last : 1;          /* close once `out` is written */
	bool is_lingering : 1;
	bool is_running : 1;       /* inside client_run(): free later */
	bool is_dead : 1;
};

/* Take over an accepted connection. */
void client_new(struct worker *worker, const struct listener *listener, int take_fd,
		const struct jaco_addr *peer);
void client_close(struct client *client);
/* Close so that the peer sees the response broken off, not ended. */
void client_abort(struct client *client);

/* The response is complete: read the next head, or end after what is queued when `is_last`. */
void client_next_request(struct client *client);
void client_close_all(struct worker *worker);

/* Connections close after their next response, or after a second of silence. */
void client_drain_all(struct worker *worker);

/* Read into client->in; as uconn_fill(). */
int client_fill(struct client *client);

/* writev(2) through TLS where there is TLS; clears `writable` on EAGAIN. */
ssize_t client_write(struct client *client, struct iovec *iov, int n);
