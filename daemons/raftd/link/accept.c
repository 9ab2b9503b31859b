/* SPDX-License-Identifier: Apache-2.0
 *
 * accept.c - who calls: members as many as there are, strangers few. */
#include "daemons/raftd/link/conn.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemons/raftd/link/face.h"
#include "daemons/raftd/raftd.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define ACCEPT_REST_MS 100

/* The oldest stranger goes when there are too many, or too many from @from.  Freed at once: a
 * caller who comes faster than the loop turns must not heap up dead ones. */
static void make_room(struct link *link, const char *from)
{
	struct link_conn *conn, *oldest = NULL, *oldest_here = NULL;
	struct jaco_err err = JACO_ERR_INIT;
	size_t n = 0, n_here = 0;

	TAILQ_FOREACH (conn, &link->conns, next) {
		if (conn->is_dead || !conn_is_stranger(conn))
			continue;
		n++;
		if (!oldest)
			oldest = conn;
		if (strcmp(conn->from, from) != 0)
			continue;
		n_here++;
		if (!oldest_here)
			oldest_here = conn;
	}
	conn = n_here >= LINK_STRANGERS_PER_ADDRESS ? oldest_here
	       : n >= LINK_STRANGERS_MAX	    ? oldest
						    : NULL;
	if (!conn)
		return;
	jaco_err_set(&err, JACO_TOO_MANY_REQUESTS, "%zu strangers, %zu from there", n, n_here);
	conn_end(conn, &err);
	conn_free(conn);
}

static void accept_one(struct link *link, int fd, const struct jaco_addr *addr)
{
	char from[JACO_ADDR_TEXT_BYTES];
	struct link_conn *conn;

	if (!link->context) {
		(void)close(fd);
		return;
	}
	jaco_addr_render_host(from, addr);
	make_room(link, from);
	link_set_options(fd);
	conn = conn_new(link, LINK_IN, link->context, fd, false, NULL);
	if (conn)
		memcpy(conn->from, from, sizeof(conn->from));
}

static void on_listener(struct jaco_io *io, unsigned events, void *ctx)
{
	struct link *link = ctx;
	struct jaco_addr addr;
	int fd;

	(void)events;
	while ((fd = jaco_sock_accept(io->fd, &addr)) >= 0)
		accept_one(link, fd, &addr);
	/* Without a free descriptor the caller stays in the backlog and the socket stays
	 * readable. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		jaco_io_set(io, 0);
		jaco_timer_arm(&link->rest, ACCEPT_REST_MS);
	}
}

static void on_rested(struct jaco_timer *timer, void *ctx)
{
	struct link *link = ctx;

	(void)timer;
	jaco_io_set(&link->listener, JACO_IO_READ);
}

int link_listen(struct link *link, struct jaco_err *err)
{
	struct raftd *raftd = link->raftd;
	const char *text = raftd->daemon->config.cluster_addr;
	struct jaco_addr addr;

	if (face_resolve("cluster_addr", text, &addr, err) < 0)
		return -(int)err->code;
	link->listen_fd = jaco_sock_listen_tcp(&addr, 0, err);
	if (link->listen_fd < 0)
		return jaco_err_wrap(err, "cluster_addr %s", text);
	jaco_addr_render(raftd->peer_addr, &addr);
	jaco_timer_init(link->loop, &link->rest, on_rested, link);
	jaco_io_start(link->loop, &link->listener, link->listen_fd, JACO_IO_READ, on_listener,
		      link);
	return 0;
}

void link_unlisten(struct link *link)
{
	jaco_io_stop(&link->listener);
	jaco_fd_close(&link->listen_fd);
	jaco_timer_fini(&link->rest);
}
