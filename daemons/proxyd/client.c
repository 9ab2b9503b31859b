/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c - see client.h.
 *
 * Edge-triggered throughout: `readable` and `writable` remember what the kernel has said; a read
 * shorter than asked empties the socket, so no read is made just to see EAGAIN, unless the peer has
 * hung up, which is announced only once. */
#include "daemons/proxyd/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "daemons/proxyd/admit.h"
#include "daemons/proxyd/forward.h"
#include "daemons/proxyd/listen.h"
#include "daemons/proxyd/proxyproto.h"
#include "daemons/proxyd/reply.h"
#include "daemons/proxyd/stream.h"
#include "daemons/proxyd/tls.h"
#include "daemons/proxyd/worker.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"

#define DRAIN_IDLE_MS 1000

static void client_run(struct client *c);

/* --- socket --- */

int client_fill(struct client *c)
{
	size_t room;
	ssize_t n;

	if (!c->readable || c->eof)
		return 0;
	if (!c->in)
		c->in = iobuf_get(&c->worker->bufs, IOBUF_SMALL_BYTES);
	if (iobuf_room(c->in) == 0)
		iobuf_compact(c->in);
	room = iobuf_room(c->in);
	if (room == 0)
		return 0;
	n = c->tls ? tls_read(c->tls, iobuf_head(c->in) + c->in->n, room)
		   : recv(c->fd, iobuf_head(c->in) + c->in->n, room, 0);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR) {
			c->readable = errno == EINTR;
			return 0;
		}
		return -1;
	}
	if (n == 0) {
		c->eof = true;
		return 0;
	}
	/* A TLS record may end anywhere: only the socket's own EAGAIN says "empty". */
	if ((size_t)n < room && !c->hangup && !c->tls)
		c->readable = false;
	c->in->n += (uint32_t)n;
	return (int)n;
}

ssize_t client_write(struct client *c, struct iovec *iov, int n)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	ssize_t sent = c->tls ? tls_write(c->tls, iov, n) :
		       n == 1 ? send(c->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL) :
				sendmsg(c->fd, &msg, MSG_NOSIGNAL);

	if (sent < 0 && errno == EAGAIN)
		c->writable = false;
	return sent;
}

/* --- life --- */

static void free_client(struct client *c)
{
	struct worker *w = c->worker;

	wheel_cancel(&w->wheel, &c->timer);
	jaco_io_stop(&c->io);
	if (c->tls)
		tls_conn_free(c->tls);
	jaco_fd_close(&c->fd);
	iobuf_put(&w->bufs, &c->in);
	iobuf_put(&w->bufs, &c->out);
	LIST_REMOVE(c, link);
	WORKER_COUNT_DOWN(w, open_clients);
	jaco_free(c);
}

void client_close(struct client *c)
{
	if (c->is_dead)
		return;
	c->is_dead = true;
	if (c->stream) {
		struct stream *s = c->stream;

		c->stream = NULL;
		stream_cancel(s);
	}
	if (!c->is_running)
		free_client(c);
}

void client_abort(struct client *c)
{
	struct linger hard = {.l_onoff = 1};

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	client_close(c);
}

/* The last response is written.  Unread input would make the kernel reset the connection and take
 * the response with it, so what comes is read away for a while (RFC 9112 section 9.6). */
static void end_client(struct client *c, bool has_unread)
{
	if (c->tls)
		tls_close_notify(c->tls);
	if (!has_unread && !c->readable) {
		client_close(c);
		return;
	}
	shutdown(c->fd, SHUT_WR);
	c->is_lingering = true;
	iobuf_put(&c->worker->bufs, &c->out);
	wheel_set(&c->worker->wheel, &c->timer, c->worker->now_ms + c->worker->limits.linger_ms);
}

static void on_timeout(struct wheel_entry *entry);
static void on_event(struct jaco_io *io, unsigned events, void *ctx);

static void address_of(const struct jaco_addr *peer, struct netmatch_ip *out)
{
	if (peer->sa.sa_family == AF_INET) {
		*out = (struct netmatch_ip){.b = {[10] = 0xff, [11] = 0xff}};
		memcpy(out->b + 12, &((const struct sockaddr_in *)&peer->storage)->sin_addr, 4);
	} else {
		memcpy(out->b, &((const struct sockaddr_in6 *)&peer->storage)->sin6_addr, 16);
	}
}

void client_new(struct worker *w, const struct listener *listener, int take_fd,
		const struct jaco_addr *peer)
{
	struct client *c = jaco_alloc(sizeof(*c));
	const struct route_table *table = w->hold->table;

	c->worker = w;
	c->fd = take_fd;
	c->https_port = listener->https_port;
	c->writable = true;
	c->timer.fn = on_timeout;
	address_of(peer, &c->ip);
	c->is_trusted = netmatch_any(table->trusted, table->n_trusted, &c->ip);
	c->may_proxy = c->is_trusted;
	c->is_tls = listener->kind == LISTEN_HTTPS;
	jaco_sock_set_nodelay(take_fd);
	LIST_INSERT_HEAD(&w->clients, c, link);
	WORKER_COUNT(w, open_clients);
	WORKER_COUNT(w, accepted);
	wheel_set(&w->wheel, &c->timer, w->now_ms + w->limits.client_head_ms);
	jaco_io_start(&w->loop, &c->io, take_fd,
		      JACO_IO_READ | JACO_IO_WRITE | JACO_IO_HANGUP | JACO_IO_EDGE, on_event, c);
	if (c->is_tls && !c->may_proxy)
		c->tls = tls_conn_new(w->tls, c->fd);
}

void client_close_all(struct worker *worker)
{
	while (!LIST_EMPTY(&worker->clients)) {
		struct client *c = LIST_FIRST(&worker->clients);

		c->is_running = false;
		client_close(c);
	}
}

static bool is_idle(const struct client *c)
{
	return !c->stream && !c->has_begun && !c->is_lingering && !(c->out && c->out->n);
}

void client_drain_all(struct worker *worker)
{
	struct client *c, *next;

	for (c = LIST_FIRST(&worker->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		/* An idle client may be sending just now: its request is still served, with
		 * Connection: close, and only silence ends the connection. */
		if (is_idle(c))
			wheel_set(&worker->wheel, &c->timer, worker->now_ms + DRAIN_IDLE_MS);
		else
			c->keep_alive = false;
	}
}

/* --- requests --- */

void client_next_request(struct client *c)
{
	c->has_begun = false;
	c->was_blank = false;
	c->scan = (struct http1_scan){0};
	wheel_set(&c->worker->wheel, &c->timer,
		  c->worker->now_ms + c->worker->limits.client_idle_ms);
	if (!c->is_running)
		client_run(c);
}

static void refuse(struct client *c, int status)
{
	struct stream_answer a = {(uint16_t)status, "Bad Request", NULL, NULL};

	switch (status) {
	case 405:
		a.reason = "Method Not Allowed";
		a.fields = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n";
		break;
	case 408:
		a.reason = "Request Timeout";
		break;
	case 417:
		a.reason = "Expectation Failed";
		break;
	case 501:
		a.reason = "Not Implemented";
		break;
	case 505:
		a.reason = "HTTP Version Not Supported";
		break;
	default:
		break;
	}
	WORKER_COUNT(c->worker, refused);
	c->keep_alive = false;
	c->is_last = true;
	c->method = HTTP1_M_OTHER;
	c->has_begun = false;
	reply_write(c, &a);
}

static void random_id(struct worker *w, char out[static FORWARD_ID_BYTES])
{
	static const char hex[] = "0123456789abcdef";

	for (int half = 0; half < 2; half++) {
		uint64_t bits = jaco_prng_next(&w->prng);

		for (int i = 0; i < 16; i++, bits >>= 4)
			out[half * 16 + i] = hex[bits & 15];
	}
}

static void begin_stream(struct client *c, const struct http1_head *head,
			 const struct route_match *match, size_t head_bytes)
{
	char ip[NETMATCH_TEXT_BYTES];
	struct forward_client client = {
		.ip = ip, .ip_n = netmatch_ip_render(ip, &c->ip), .is_trusted = c->is_trusted,
		.is_tls = c->is_tls, .is_v6 = !netmatch_ip_is_v4(&c->ip),
	};
	struct stream_start start = {
		.ops = &reply_ops, .owner = c, .slot = &c->stream, .body = &c->in, .head = head,
		.match = match, .client = &client, .client_ip = &c->ip, .head_bytes = head_bytes,
	};

	random_id(c->worker, client.request_id);
	stream_start(c->worker, &start);
}

/* A complete head of @bytes is at the front of c->in. */
static void serve(struct client *c, size_t bytes)
{
	struct worker *w = c->worker;
	struct http1_head *head = &w->head;
	int status = http1_parse_request(head, iobuf_head(c->in), bytes);
	struct admit_ask ask = {.head = head, .ip = &c->ip, .is_tls = c->is_tls,
				.https_port = c->https_port};
	static _Thread_local struct admit_verdict verdict;

	iobuf_consume(c->in,
		      bytes); /* spans stay valid: nothing moves before the head is rebuilt */
	if (status != 0) {
		refuse(c, status);
		return;
	}
	WORKER_COUNT(w, requests);
	c->method = (uint8_t)head->method;
	c->is_1_0 = head->minor == 0;
	c->keep_alive = head->keep_alive && !w->is_draining;
	admit(w, &ask, &verdict);
	if (!verdict.is_answered) {
		begin_stream(c, head, &verdict.match, bytes);
		return;
	}
	if (head->framing != HTTP1_NO_BODY && !(head->framing == HTTP1_LENGTH && head->length == 0))
		c->keep_alive = false;
	reply_write(c, &verdict.answer);
	c->is_last = !c->keep_alive;
	client_next_request(c);
}

static void begin_head(struct client *c)
{
	if (c->has_begun)
		return;
	c->has_begun = true;
	wheel_set(&c->worker->wheel, &c->timer,
		  c->worker->now_ms + c->worker->limits.client_head_ms);
}

/* Something that no request can begin with is refused at once, not after 16 KiB. */
static bool is_hopeless(const struct client *c)
{
	char first = iobuf_head(c->in)[0];

	return c->scan.lines == 0 && first != '\r' && !http1_is_token(&first, 1);
}

static void enlarge_input(struct client *c)
{
	struct iobuf *large = iobuf_get(&c->worker->bufs, IOBUF_LARGE_BYTES);

	memcpy(large->data, iobuf_head(c->in), c->in->n);
	large->n = c->in->n;
	iobuf_put(&c->worker->bufs, &c->in);
	c->in = large;
}

/* The input buffer holds part of a head: look at it.  True: progress was made. */
static bool look_for_head(struct client *c)
{
	int bytes, blank = 0;

	begin_head(c);
	if (c->scan.at == 0 && !c->was_blank)
		blank = http1_skip_blank(iobuf_head(c->in), c->in->n);
	if (blank < 0)
		return false;
	if (blank > 0) {
		c->was_blank = true;
		iobuf_consume(c->in, (size_t)blank);
		return true;
	}
	bytes = is_hopeless(c) ? -400 : http1_scan(&c->scan, iobuf_head(c->in), c->in->n);
	if (bytes < 0)
		refuse(c, -bytes);
	else if (bytes > 0)
		serve(c, (size_t)bytes);
	return bytes != 0;
}

/* Bytes before the first request that tell about the real client.  True: go on. */
static bool take_proxy_header(struct client *c)
{
	struct proxyproto_peer peer;
	int n = c->in && c->in->n ? proxyproto_parse(iobuf_head(c->in), c->in->n, &peer) : 0;

	if (n < 0) {
		client_close(c);
		return false;
	}
	if (n == 0)
		return false;
	if (peer.has_address)
		c->ip = peer.ip;
	if (peer.is_header)
		iobuf_consume(c->in, (size_t)n);
	c->may_proxy = false;
	if (c->is_tls)
		c->tls = tls_conn_new_after(c->worker->tls, c->fd, c->in ? iobuf_head(c->in) : "",
					    c->in ? c->in->n : 0);
	if (c->is_tls && c->in)
		c->in->n = c->in->off = 0;
	return true;
}

static void discard(struct client *c)
{
	char *sink = c->worker->scratch;

	while (c->readable) {
		ssize_t n = recv(c->fd, sink, HTTP1_HEAD_MAX, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			client_close(c);
			return;
		}
		if (n < 0)
			c->readable = false;
	}
}

/* One step of the connection's life; false when it must wait for an event. */
static bool step(struct client *c)
{
	int got;

	if (c->is_dead || c->stream)
		return false;
	if (c->is_lingering) {
		discard(c);
		return false;
	}
	/* Answers of ours queue up behind pipelined requests, within one buffer. */
	if (c->out && c->out->n && (c->is_last || c->out->n > IOBUF_SMALL_BYTES / 2 || !c->in ||
				    c->in->n == 0) && !reply_flush(c))
		return false;
	if (c->is_last) {
		end_client(c, c->in && c->in->n);
		return false;
	}
	if (c->may_proxy ? take_proxy_header(c) : c->in && c->in->n && look_for_head(c))
		return true;
	if (c->is_dead || c->stream || c->is_last)
		return !c->is_dead && !c->stream;
	if (c->in && c->in->n == c->in->cap && c->in->cap == IOBUF_SMALL_BYTES)
		enlarge_input(c);
	got = client_fill(c);
	if (got > 0)
		return true;
	if (got == 0 && c->eof && c->in && c->in->n) {
		refuse(c, 400); /* half a head; the other half of the connection may still read */
		return true;
	}
	if (got < 0 || c->eof) {
		client_close(c);
		return false;
	}
	if (c->in && c->in->n == 0)
		iobuf_put(&c->worker->bufs, &c->in);
	if (c->out && c->out->n)
		(void)reply_flush(c);
	return false;
}

static void client_run(struct client *c)
{
	c->is_running = true;
	while (step(c))
		;
	c->is_running = false;
	if (c->is_dead)
		free_client(c);
}

static void on_timeout(struct wheel_entry *entry)
{
	struct client *c = JACO_CONTAINER_OF(entry, struct client, timer);
	struct worker *w = c->worker;

	if (c->stream) { /* the streams have their own deadlines */
		wheel_set(&w->wheel, &c->timer, w->now_ms + w->limits.client_idle_ms);
	} else if (c->has_begun && !c->is_lingering && !c->is_last && !c->may_proxy) {
		WORKER_COUNT(w, timeouts);
		refuse(c, 408);
		wheel_set(&w->wheel, &c->timer, w->now_ms + w->limits.linger_ms);
		client_run(c);
	} else {
		client_close(c);
	}
}

/* A reset while we wait for the replica: nobody is left to answer. */
static bool is_reset(struct client *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != EAGAIN &&
	       errno != EINTR;
}

static void on_event(struct jaco_io *io, unsigned events, void *ctx)
{
	struct client *c = ctx;

	(void)io;
	worker_touch(c->worker);
	if (events & (JACO_IO_READ | JACO_IO_HANGUP))
		c->readable = true;
	if (events & JACO_IO_HANGUP)
		c->hangup = true;
	if (events & JACO_IO_WRITE)
		c->writable = true;
	if (c->stream) {
		if ((events & JACO_IO_HANGUP) && !c->tls && is_reset(c)) {
			client_close(c);
			return;
		}
		c->is_running = true;
		stream_on_client(c->stream);
		c->is_running = false;
		if (c->is_dead) {
			free_client(c);
			return;
		}
		if (c->stream)
			return;
	}
	client_run(c);
}
