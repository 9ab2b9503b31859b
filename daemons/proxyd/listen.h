/* SPDX-License-Identifier: Apache-2.0
 *
 * listen.h - accepting. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "libjaco/io/loop.h"
#include "libjaco/io/sock.h"

struct udp_socket;
struct worker;

enum listen_kind { LISTEN_HTTP, LISTEN_HTTPS, LISTEN_TCP, LISTEN_UDP };

struct listener {
	LIST_ENTRY(listener) link;
	struct worker *worker;
	enum listen_kind kind;
	uint64_t id;         /* the control thread's name for it; of an L4 route in the table */
	uint16_t https_port; /* HTTP: where redirects go; 0: nowhere */
	struct jaco_io io;
	struct jaco_timer rest; /* armed: no descriptor was free, accepting goes on when it fires */
	int fd;
	struct udp_socket *udp; /* LISTEN_UDP */
};

struct listen_spec {
	enum listen_kind kind;
	uint64_t id;
	uint16_t https_port;
	int fd;
};

/* On the worker's thread; takes spec->fd. */
void listen_add(struct worker *worker, const struct listen_spec *spec);
void listen_remove(struct worker *worker, uint64_t id);
void listen_close_all(struct worker *worker);

/* Take what already waits, then close: a closed socket resets its queue. */
void listen_drain(struct worker *worker);
