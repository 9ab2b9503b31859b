/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp.c - see tcp.h.
 *
 * A connection stops being read while it has too much unanswered or unsent, so that one client can
 * hold no more than LISTEN_TCP_PER_CONN questions and OUTPUT_HIGH bytes.  The idle clock starts
 * again with a whole query or a reply, not with single bytes. */
#include "daemons/dnsd/tcp.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemons/dnsd/answer.h"
#include "daemons/dnsd/listen.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"

#define READ_BYTES   4096
#define OUTPUT_HIGH  (128 * 1024)
#define ACCEPTS      32 /* per wake-up */
#define BUFFER_BYTES (PACKET_MAX + PACKET_SLACK)

static_assert(BUFFER_BYTES >= ANSWER_BUFFER_BYTES, "answers are built where the query is");

struct conn {
	TAILQ_ENTRY(conn) by_use;
	struct tcp_pool *pool;
	const struct zone *const *zone;
	uint32_t source; /* as of struct answer_from */
	int fd;
	struct jaco_io io;
	struct jaco_timer timer;
	struct jaco_buf in, out;
	size_t n_waiting;
	bool is_ended;  /* the client sends no more */
	bool is_broken; /* to be closed by whoever is on top of the stack */
	LIST_HEAD(, tcp_pending) pendings;
};

struct tcp_pending {
	struct forward_client client;
	LIST_ENTRY(tcp_pending) link;
	struct conn *conn;
};

struct tcp_pool {
	struct jaco_loop *loop;
	struct forward *forward;
	struct stats *stats;
	size_t max, n;
	int64_t idle_ms;
	uint64_t prng;
	TAILQ_HEAD(conns, conn) by_use; /* most recently used first */
	uint8_t buffer[BUFFER_BYTES];
};

struct tcp_pool *tcp_pool_new(struct jaco_loop *loop, struct forward *forward, struct stats *stats)
{
	struct tcp_pool *pool = jaco_alloc(sizeof(*pool));

	pool->loop = loop;
	pool->forward = forward;
	pool->stats = stats;
	pool->max = 256;
	pool->idle_ms = 10000;
	TAILQ_INIT(&pool->by_use);
	jaco_random_bytes(&pool->prng, sizeof(pool->prng));
	return pool;
}

void tcp_pool_configure(struct tcp_pool *pool, size_t max, int64_t idle_ms)
{
	pool->max = max;
	pool->idle_ms = idle_ms;
}

static void conn_close(struct conn *conn)
{
	while (!LIST_EMPTY(&conn->pendings)) {
		struct tcp_pending *pending = LIST_FIRST(&conn->pendings);

		forward_cancel(&pending->client);
		LIST_REMOVE(pending, link);
		jaco_free(pending);
	}
	jaco_io_stop(&conn->io);
	jaco_timer_fini(&conn->timer);
	jaco_fd_close(&conn->fd);
	jaco_buf_fini(&conn->in);
	jaco_buf_fini(&conn->out);
	TAILQ_REMOVE(&conn->pool->by_use, conn, by_use);
	conn->pool->n--;
	jaco_free(conn);
}

static void conn_touch(struct conn *conn)
{
	TAILQ_REMOVE(&conn->pool->by_use, conn, by_use);
	TAILQ_INSERT_HEAD(&conn->pool->by_use, conn, by_use);
	jaco_timer_arm(&conn->timer, conn->pool->idle_ms);
}

static void on_idle(struct jaco_timer *timer, void *ctx)
{
	struct conn *conn = ctx;

	if (conn->n_waiting > 0) { /* the upstreams are slow, not the client */
		jaco_timer_arm(&conn->timer, conn->pool->idle_ms);
		return;
	}
	conn->pool->stats->tcp_closed_idle++;
	conn_close(conn);
}

static void conn_put(struct conn *conn, const uint8_t *reply, size_t n, enum packet_rcode rcode)
{
	uint8_t length[2];

	packet_put16(length, (unsigned)n);
	jaco_buf_add(&conn->out, length, sizeof(length));
	jaco_buf_add(&conn->out, reply, n);
	conn->pool->stats->rcodes[rcode]++;
}

static bool is_full(const struct conn *conn)
{
	return conn->n_waiting >= LISTEN_TCP_PER_CONN || conn->out.n >= OUTPUT_HIGH;
}

/* Send what there is; marks the connection broken when it is. */
static void conn_flush(struct conn *conn)
{
	while (conn->out.n > 0 && !conn->is_broken) {
		ssize_t n =
			send(conn->fd, conn->out.data, conn->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno != EINTR)
			conn->is_broken = true;
		if (n > 0)
			jaco_buf_consume(&conn->out, (size_t)n);
	}
}

static void pending_on_reply(struct forward_client *client, uint8_t *reply, size_t n,
			     enum packet_rcode rcode);

static void submit(struct conn *conn, const struct answer *answer, const uint8_t *msg)
{
	struct tcp_pending *pending = jaco_alloc(sizeof(*pending));

	pending->conn = conn;
	pending->client.query = answer->query;
	pending->client.resolver = answer->resolver;
	pending->client.is_tcp = true;
	pending->client.on_reply = pending_on_reply;
	LIST_INSERT_HEAD(&conn->pendings, pending, link);
	conn->n_waiting++;
	forward_submit(conn->pool->forward, &pending->client, msg);
}

static void conn_answer(struct conn *conn, size_t n)
{
	struct tcp_pool *pool = conn->pool;
	uint8_t *msg = pool->buffer;
	struct jaco_time began = jaco_loop_now(pool->loop);
	struct answer_from from = {*conn->zone, conn->source};
	struct answer answer;
	enum packet_rcode rcode;

	pool->stats->tcp++;
	switch (answer_query(&from, true, &pool->prng, msg, n, PACKET_MAX, &answer)) {
	case ANSWER_REPLY:
		pool->stats->local++;
		conn_put(conn, msg, answer.n, answer.rcode);
		break;
	case ANSWER_DROP:
		/* On a connection silence helps nobody; who sends this is no resolver. */
		pool->stats->dropped++;
		conn->is_broken = true;
		return;
	case ANSWER_FORWARD:
		n = forward_cached(pool->forward, answer.resolver, &answer.query, true, msg,
				   PACKET_MAX, &rcode);
		if (n == 0) {
			submit(conn, &answer, msg);
			return;
		}
		conn_put(conn, msg, n, rcode);
		break;
	}
	stats_latency(pool->stats, jaco_loop_now(pool->loop).ns - began.ns, 1);
}

/* Answer whole queries as long as there is room for replies. */
static void conn_take(struct conn *conn)
{
	while (!conn->is_broken && !is_full(conn) && conn->in.n >= 2) {
		size_t n = packet_get16((const uint8_t *)conn->in.data);

		if (conn->in.n - 2 < n)
			return;
		memcpy(conn->pool->buffer, conn->in.data + 2, n);
		jaco_buf_consume(&conn->in, n + 2);
		conn_touch(conn);
		conn_answer(conn, n);
	}
}

static void conn_receive(struct conn *conn)
{
	char *room = jaco_buf_reserve(&conn->in, READ_BYTES);
	ssize_t n;

	if (!room) {
		conn->is_broken = true;
		return;
	}
	n = recv(conn->fd, room, READ_BYTES, MSG_DONTWAIT);
	if (n > 0)
		conn->in.n += (size_t)n;
	else if (n == 0)
		conn->is_ended = true;
	else if (errno != EAGAIN && errno != EINTR)
		conn->is_broken = true;
}

/* After anything happened: send, take what waited for room, watch for what is needed, or close. */
static void conn_settle(struct conn *conn)
{
	unsigned events = 0;

	size_t before;

	do {
		conn_flush(conn);
		before = conn->in.n;
		if (!conn->is_broken)
			conn_take(conn);
	} while (!conn->is_broken && conn->in.n != before);
	if (conn->is_broken || (conn->is_ended && conn->n_waiting == 0 && conn->out.n == 0)) {
		conn_close(conn);
		return;
	}
	if (!conn->is_ended && !is_full(conn))
		events |= JACO_IO_READ;
	if (conn->out.n > 0)
		events |= JACO_IO_WRITE;
	jaco_io_set(&conn->io, events);
}

/* Called from within the forwarder: only note the reply, it is sent by the loop. */
static void pending_on_reply(struct forward_client *client, uint8_t *reply, size_t n,
			     enum packet_rcode rcode)
{
	struct tcp_pending *pending = JACO_CONTAINER_OF(client, struct tcp_pending, client);
	struct conn *conn = pending->conn;

	conn_put(conn, reply, n, rcode);
	stats_latency(conn->pool->stats,
		      jaco_loop_now(conn->pool->loop).ns - client->since.ns, 1);
	conn->n_waiting--;
	LIST_REMOVE(pending, link);
	jaco_free(pending);
	jaco_io_set(&conn->io, conn->io.events | JACO_IO_WRITE);
	conn_touch(conn);
}

static void on_conn(struct jaco_io *io, unsigned events, void *ctx)
{
	struct conn *conn = ctx;

	if (events & JACO_IO_READ)
		conn_receive(conn);
	conn_settle(conn);
}

/* Room for one more: the connection idle longest that waits for nothing. */
static bool make_room(struct tcp_pool *pool)
{
	struct conn *conn;

	if (pool->n < pool->max)
		return true;
	TAILQ_FOREACH_REVERSE(conn, &pool->by_use, conns, by_use)
	{
		if (conn->n_waiting > 0)
			continue;
		pool->stats->tcp_closed_idle++;
		conn_close(conn);
		return true;
	}
	return false;
}

void tcp_accept(struct tcp_pool *pool, int fd, const struct zone *const *zone)
{
	for (int i = 0; i < ACCEPTS; i++) {
		struct jaco_addr peer;
		struct conn *conn;
		int client = jaco_sock_accept(fd, &peer);

		if (client < 0) {
			/* No descriptors left: an idle connection gives its place, or we would
			 * spin. */
			if ((errno == EMFILE || errno == ENFILE) && !TAILQ_EMPTY(&pool->by_use))
				conn_close(TAILQ_LAST(&pool->by_use, conns));
			return;
		}
		if (!make_room(pool)) {
			pool->stats->tcp_refused++;
			jaco_fd_close(&client);
			continue;
		}
		conn = jaco_alloc(sizeof(*conn));
		conn->pool = pool;
		conn->zone = zone;
		conn->source = listen_source(&peer.sa);
		conn->fd = client;
		conn->in.max = PACKET_MAX + 2 + READ_BYTES;
		LIST_INIT(&conn->pendings);
		jaco_sock_set_nodelay(client);
		TAILQ_INSERT_HEAD(&pool->by_use, conn, by_use);
		pool->n++;
		pool->stats->tcp_connections++;
		jaco_timer_init(pool->loop, &conn->timer, on_idle, conn);
		jaco_timer_arm(&conn->timer, pool->idle_ms);
		jaco_io_start(pool->loop, &conn->io, client, JACO_IO_READ, on_conn, conn);
	}
}

void tcp_close_of(struct tcp_pool *pool, const struct zone *const *zone)
{
	struct conn *conn, *next;

	for (conn = TAILQ_FIRST(&pool->by_use); conn; conn = next) {
		next = TAILQ_NEXT(conn, by_use);
		if (conn->zone == zone)
			conn_close(conn);
	}
}

void tcp_pool_free(struct tcp_pool *pool)
{
	if (!pool)
		return;
	while (!TAILQ_EMPTY(&pool->by_use))
		conn_close(TAILQ_FIRST(&pool->by_use));
	jaco_free(pool);
}
