/* SPDX-License-Identifier: Apache-2.0
 *
 * listen.c - see listen.h. */
#include "daemons/proxyd/listen.h"

#include <errno.h>

#include "daemons/proxyd/client.h"
#include "daemons/proxyd/l4.h"
#include "daemons/proxyd/udp.h"
#include "daemons/proxyd/worker.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"

#define ACCEPT_BATCH 64 /* then the connections already here get their turn */
#define REST_MS      200

/* The socket stays readable: watching it on would burn the processor and fill the log. */
static void rest(struct listener *l)
{
	jaco_log_warning("no descriptor left for a connection");
	jaco_io_set(&l->io, 0);
	jaco_timer_arm(&l->rest, REST_MS);
}

static void on_rested(struct jaco_timer *timer, void *ctx)
{
	struct listener *l = ctx;

	(void)timer;
	jaco_io_set(&l->io, JACO_IO_READ);
}

/* False when no more wait. */
static bool accept_batch(struct listener *l)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct jaco_addr peer;
		int fd = jaco_sock_accept(l->fd, &peer);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				rest(l);
			return false;
		}
		if (l->kind == LISTEN_TCP)
			l4_new(l->worker, l, fd, &peer);
		else if (l->kind == LISTEN_HTTPS && !l->worker->tls)
			jaco_fd_close(&fd);
		else
			client_new(l->worker, l, fd, &peer);
	}
	return true;
}

static void on_accept(struct jaco_io *io, unsigned events, void *ctx)
{
	struct listener *l = ctx;

	(void)io;
	(void)events;
	worker_touch(l->worker);
	(void)accept_batch(l);
}

void listen_add(struct worker *worker, const struct listen_spec *spec)
{
	struct listener *l = jaco_alloc(sizeof(*l));

	l->worker = worker;
	l->kind = spec->kind;
	l->id = spec->id;
	l->https_port = spec->https_port;
	l->fd = spec->fd;
	LIST_INSERT_HEAD(&worker->listeners, l, link);
	jaco_timer_init(&worker->loop, &l->rest, on_rested, l);
	if (spec->kind == LISTEN_UDP)
		udp_start(l);
	else
		jaco_io_start(&worker->loop, &l->io, l->fd, JACO_IO_READ, on_accept, l);
}

static void close_listener(struct listener *l)
{
	LIST_REMOVE(l, link);
	if (l->udp)
		udp_stop(l);
	jaco_io_stop(&l->io);
	jaco_timer_fini(&l->rest);
	jaco_fd_close(&l->fd);
	jaco_free(l);
}

void listen_remove(struct worker *worker, uint64_t id)
{
	struct listener *l;

	LIST_FOREACH(l, &worker->listeners, link)
		if (l->id == id) {
			close_listener(l);
			return;
		}
}

void listen_drain(struct worker *worker)
{
	struct listener *l;

	LIST_FOREACH(l, &worker->listeners, link)
		while (l->kind != LISTEN_UDP && accept_batch(l))
			;
	listen_close_all(worker);
}

void listen_close_all(struct worker *worker)
{
	while (!LIST_EMPTY(&worker->listeners))
		close_listener(LIST_FIRST(&worker->listeners));
}
