/* SPDX-License-Identifier: Apache-2.0
 *
 * l4.c - see l4.h. */
#include "daemons/proxyd/l4.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "daemons/proxyd/balance.h"
#include "daemons/proxyd/iobuf.h"
#include "daemons/proxyd/listen.h"
#include "daemons/proxyd/proxyproto.h"
#include "daemons/proxyd/route.h"
#include "daemons/proxyd/upstream.h"
#include "daemons/proxyd/worker.h"
#include "libjaco/base/mem.h"

#define PIPE_BYTES  (1024 * 1024)
#define SPLICE_LOW  4096 /* moves smaller than this go back to copying */

struct l4_side {
	struct jaco_io io;
	int fd;
	struct iobuf *buf;  /* read from here, to be written to the other side */
	int pipe[2];        /* the same while spliced; -1 when there is none */
	size_t in_pipe;
	bool readable, writable, hangup, eof;
	bool is_bulk;
	bool is_shut;       /* the other side's end has been passed on to us */
};

struct l4_conn {
	LIST_ENTRY(l4_conn) link;
	struct worker *worker;
	struct upstream *upstream;
	struct hold *hold;
	struct wheel_entry timer;
	struct l4_side client, server;
	bool is_connecting;
	uint8_t tries;
	unsigned n_tried;
	uint64_t tried[BALANCE_TRIED_MAX];
	uint64_t id;
	uint32_t idle_ms;
	struct netmatch_ip ip;
	uint16_t port;
};

static void close_pipe(struct l4_side *side)
{
	jaco_fd_close(&side->pipe[0]);
	jaco_fd_close(&side->pipe[1]);
	side->in_pipe = 0;
}

static void close_side(struct l4_conn *c, struct l4_side *side)
{
	jaco_io_stop(&side->io);
	jaco_fd_close(&side->fd);
	close_pipe(side);
	iobuf_put(&c->worker->bufs, &side->buf);
}

static void drop_upstream(struct l4_conn *c)
{
	if (!c->upstream)
		return;
	c->upstream->peer.in_flight--;
	upstream_unref(c->upstream);
	c->upstream = NULL;
}

static void l4_close(struct l4_conn *c)
{
	LIST_REMOVE(c, link);
	wheel_cancel(&c->worker->wheel, &c->timer);
	close_side(c, &c->client);
	close_side(c, &c->server);
	drop_upstream(c);
	hold_unref(c->worker, c->hold);
	jaco_free(c);
}

void l4_close_all(struct worker *worker)
{
	while (!LIST_EMPTY(&worker->l4s))
		l4_close(LIST_FIRST(&worker->l4s));
}

/* --- moving --- */

enum move { MOVE_MORE, MOVE_WAIT, MOVE_DEAD };

static enum move failed(bool *ready)
{
	if (errno == EINTR)
		return MOVE_MORE;
	if (errno != EAGAIN)
		return MOVE_DEAD;
	*ready = false;
	return MOVE_WAIT;
}

static enum move write_buf(struct l4_side *from, struct l4_side *to)
{
	ssize_t n;

	if (!to->writable)
		return MOVE_WAIT;
	n = send(to->fd, iobuf_head(from->buf), from->buf->n, MSG_NOSIGNAL);
	if (n < 0)
		return failed(&to->writable);
	iobuf_consume(from->buf, (size_t)n);
	return MOVE_MORE;
}

static enum move write_pipe(struct l4_side *from, struct l4_side *to)
{
	ssize_t n;

	if (!to->writable)
		return MOVE_WAIT;
	n = splice(from->pipe[0], NULL, to->fd, NULL, from->in_pipe,
		   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n < 0)
		return failed(&to->writable);
	from->in_pipe -= (size_t)n;
	return MOVE_MORE;
}

static enum move read_buf(struct l4_conn *c, struct l4_side *from)
{
	ssize_t n;

	if (!from->buf)
		from->buf = iobuf_get(&c->worker->bufs, IOBUF_SMALL_BYTES);
	n = recv(from->fd, from->buf->data, from->buf->cap, 0);
	if (n < 0)
		return failed(&from->readable);
	from->buf->n = (uint32_t)n;
	from->eof = n == 0;
	if ((size_t)n == from->buf->cap)
		from->is_bulk = true;
	else if (!from->hangup)
		from->readable = false;
	return MOVE_MORE;
}

static bool open_pipe(struct l4_side *side)
{
	if (side->pipe[0] >= 0)
		return true;
	if (pipe2(side->pipe, O_NONBLOCK | O_CLOEXEC) < 0) {
		side->pipe[0] = side->pipe[1] = -1;
		return false;
	}
	/* Unprivileged users have a quota of large pipes; a small one works too. */
	(void)fcntl(side->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	return true;
}

static enum move read_pipe(struct l4_conn *c, struct l4_side *from)
{
	ssize_t n;

	if (!open_pipe(from))
		return read_buf(c, from);
	n = splice(from->fd, NULL, from->pipe[1], NULL, PIPE_BYTES,
		   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n < 0)
		return failed(&from->readable);
	from->in_pipe = (size_t)n;
	from->eof = n == 0;
	if (n < SPLICE_LOW)
		from->is_bulk = false;
	return MOVE_MORE;
}

/* From one side to the other until something blocks.  False: the connection is broken. */
static bool move(struct l4_conn *c, struct l4_side *from, struct l4_side *to)
{
	enum move m = MOVE_MORE;

	while (m == MOVE_MORE) {
		if (from->buf && from->buf->n) {
			m = write_buf(from, to);
		} else if (from->in_pipe) {
			m = write_pipe(from, to);
		} else if (from->eof) {
			if (!to->is_shut)
				shutdown(to->fd, SHUT_WR);
			to->is_shut = true;
			m = MOVE_WAIT;
		} else if (!from->readable) {
			m = MOVE_WAIT;
		} else {
			m = from->is_bulk ? read_pipe(c, from) : read_buf(c, from);
		}
	}
	if (from->buf && from->buf->n == 0)
		iobuf_put(&c->worker->bufs, &from->buf);
	if (from->in_pipe == 0 && !from->is_bulk)
		close_pipe(from);
	return m != MOVE_DEAD;
}

static void pump(struct l4_conn *c)
{
	wheel_set(&c->worker->wheel, &c->timer, c->worker->now_ms + c->idle_ms);
	if (!move(c, &c->client, &c->server) || !move(c, &c->server, &c->client) ||
	    (c->client.is_shut && c->server.is_shut))
		l4_close(c);
}

static void note(struct l4_side *side, unsigned events)
{
	if (events & (JACO_IO_READ | JACO_IO_HANGUP))
		side->readable = true;
	if (events & JACO_IO_HANGUP)
		side->hangup = true;
	if (events & JACO_IO_WRITE)
		side->writable = true;
}

static void on_client(struct jaco_io *io, unsigned events, void *ctx)
{
	struct l4_conn *c = ctx;

	(void)io;
	worker_touch(c->worker);
	note(&c->client, events);
	if (!c->is_connecting)
		pump(c);
}

/* --- connecting --- */

static void connect_next(struct l4_conn *c);

static void connect_failed(struct l4_conn *c, bool at_once)
{
	if (balance_refused(&c->upstream->peer, c->worker->now_ms, at_once) > 0)
		WORKER_COUNT(c->worker, ejections);
	if (c->n_tried < BALANCE_TRIED_MAX)
		c->tried[c->n_tried++] = c->upstream->peer.id;
	drop_upstream(c);
	jaco_io_stop(&c->server.io);
	jaco_fd_close(&c->server.fd);
	connect_next(c);
}

static void connected(struct l4_conn *c, const struct route_l4 *l4)
{
	balance_succeeded(&c->upstream->peer);
	c->is_connecting = false;
	if (l4 && l4->send_proxy) {
		struct jaco_addr local = {.n = sizeof(local.storage)};
		struct netmatch_ip to = c->ip;
		char header[PROXYPROTO_WRITE_MAX];
		size_t n;

		/* What the client connected to. */
		if (getsockname(c->client.fd, &local.sa, &local.n) == 0) {
			char text[JACO_ADDR_TEXT_BYTES];

			jaco_addr_render_host(text, &local);
			(void)netmatch_ip_parse(text, &to);
		}
		n = proxyproto_write(header, &c->ip, c->port, &to, jaco_addr_port(&local));
		c->client.buf = iobuf_get(&c->worker->bufs, IOBUF_SMALL_BYTES);
		memcpy(c->client.buf->data, header, n);
		c->client.buf->n = (uint32_t)n;
	}
	pump(c);
}

static void on_server(struct jaco_io *io, unsigned events, void *ctx)
{
	struct l4_conn *c = ctx;

	(void)io;
	worker_touch(c->worker);
	note(&c->server, events);
	if (c->is_connecting) {
		struct jaco_err err = JACO_ERR_INIT;

		if (jaco_sock_error(c->server.fd, &err) < 0)
			connect_failed(c, err.sys_errno == ECONNREFUSED);
		else if (c->server.writable)
			connected(c, route_table_l4(c->hold->table, c->id));
		return;
	}
	pump(c);
}

static struct upstream *choose(struct l4_conn *c, const struct route_l4 *l4)
{
	struct balance_ask ask = {.kind = BALANCE_TWO, .now_ms = c->worker->now_ms,
				  .prng = &c->worker->prng, .n_tried = c->n_tried};
	struct balance_peer **peers = jaco_alloc_n(l4->n_targets, sizeof(struct balance_peer *));
	int i;

	memcpy(ask.tried, c->tried, sizeof(ask.tried));
	for (uint32_t k = 0; k < l4->n_targets; k++)
		peers[k] = &c->hold->upstreams[l4->targets[k]]->peer;
	i = balance_pick(&ask, peers, l4->n_targets);
	jaco_free(peers);
	return i < 0 ? NULL : c->hold->upstreams[l4->targets[i]];
}

static void connect_next(struct l4_conn *c)
{
	const struct route_l4 *l4 = route_table_l4(c->hold->table, c->id);
	struct upstream *up = l4 && c->tries++ < BALANCE_TRIED_MAX ? choose(c, l4) : NULL;
	bool pending = false;

	if (!up) {
		WORKER_COUNT(c->worker, unavailable);
		l4_close(c);
		return;
	}
	up->refs++;
	up->peer.in_flight++;
	c->upstream = up;
	c->server.fd = jaco_sock_connect(&up->addr, &pending, NULL);
	if (c->server.fd < 0) {
		connect_failed(c, true);
		return;
	}
	jaco_sock_set_nodelay(c->server.fd);
	c->is_connecting = true;
	c->server.writable = !pending;
	wheel_set(&c->worker->wheel, &c->timer, c->worker->now_ms + l4->connect_ms);
	jaco_io_start(&c->worker->loop, &c->server.io, c->server.fd,
		      JACO_IO_READ | JACO_IO_WRITE | JACO_IO_HANGUP | JACO_IO_EDGE, on_server, c);
}

static void on_timeout(struct wheel_entry *entry)
{
	struct l4_conn *c = JACO_CONTAINER_OF(entry, struct l4_conn, timer);

	WORKER_COUNT(c->worker, timeouts);
	if (c->is_connecting)
		connect_failed(c, false);
	else
		l4_close(c);
}

void l4_new(struct worker *worker, const struct listener *listener, int take_fd,
	    const struct jaco_addr *peer)
{
	const struct route_l4 *l4 = route_table_l4(worker->hold->table, listener->id);
	struct l4_conn *c;

	if (!l4) {
		jaco_fd_close(&take_fd);
		return;
	}
	c = jaco_alloc(sizeof(*c));
	c->worker = worker;
	c->hold = hold_ref(worker->hold);
	c->id = listener->id;
	c->idle_ms = l4->idle_ms;
	c->timer.fn = on_timeout;
	c->client.fd = take_fd;
	c->client.writable = true;
	c->client.pipe[0] = c->client.pipe[1] = -1;
	c->server.fd = c->server.pipe[0] = c->server.pipe[1] = -1;
	if (peer->sa.sa_family == AF_INET) {
		c->ip = (struct netmatch_ip){.b = {[10] = 0xff, [11] = 0xff}};
		memcpy(c->ip.b + 12, &((const struct sockaddr_in *)&peer->storage)->sin_addr, 4);
	} else {
		memcpy(c->ip.b, &((const struct sockaddr_in6 *)&peer->storage)->sin6_addr, 16);
	}
	c->port = jaco_addr_port(peer);
	jaco_sock_set_nodelay(take_fd);
	LIST_INSERT_HEAD(&worker->l4s, c, link);
	WORKER_COUNT(worker, l4_connections);
	jaco_io_start(&worker->loop, &c->client.io, take_fd,
		      JACO_IO_READ | JACO_IO_WRITE | JACO_IO_HANGUP | JACO_IO_EDGE, on_client, c);
	connect_next(c);
}
