/* SPDX-License-Identifier: Apache-2.0
 *
 * reply.c - see reply.h. */
#include "daemons/proxyd/reply.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "daemons/proxyd/client.h"
#include "daemons/proxyd/forward.h"
#include "daemons/proxyd/upstream.h"
#include "daemons/proxyd/worker.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

bool reply_flush(struct client *c)
{
	while (c->out && c->out->n) {
		struct iovec iov = {iobuf_head(c->out), c->out->n};
		ssize_t sent;

		if (!c->writable)
			return false;
		sent = client_write(c, &iov, 1);
		if (sent < 0) {
			if (errno != EAGAIN)
				client_close(c);
			return false;
		}
		iobuf_consume(c->out, (size_t)sent);
	}
	iobuf_put(&c->worker->bufs, &c->out);
	return true;
}

/* Room for @bytes more in the output buffer. */
static struct forward_out open_out(struct client *c, size_t bytes)
{
	char *at;

	if (c->out && iobuf_room(c->out) < bytes) {
		struct iobuf *bigger = iobuf_get(&c->worker->bufs, c->out->n + bytes);

		memcpy(bigger->data, iobuf_head(c->out), c->out->n);
		bigger->n = c->out->n;
		iobuf_put(&c->worker->bufs, &c->out);
		c->out = bigger;
	}
	if (!c->out)
		c->out = iobuf_get(&c->worker->bufs, bytes);
	at = iobuf_head(c->out) + c->out->n;
	return (struct forward_out){at, at + iobuf_room(c->out), false};
}

static void close_out(struct client *c, const struct forward_out *out)
{
	JACO_ASSERT(!out->overflow);
	c->out->n = (uint32_t)(out->p - iobuf_head(c->out));
}

void reply_write(struct client *c, const struct stream_answer *a)
{
	char text[64];
	const char *body = a->body ? a->body : text;
	size_t fields_n = a->fields ? strlen(a->fields) : 0;
	size_t body_n;
	struct forward_out out;

	(void)jaco_str_format(text, sizeof(text), "%u %s\n", a->status, a->reason);
	body_n = strlen(body);
	out = open_out(c, 256 + strlen(a->reason) + fields_n + body_n);
	FORWARD_LIT(&out, "HTTP/1.1 ");
	forward_put_u64(&out, a->status);
	FORWARD_LIT(&out, " ");
	forward_put(&out, a->reason, strlen(a->reason));
	FORWARD_LIT(&out, "\r\nServer: jaco\r\nDate: ");
	forward_put(&out, worker_date(c->worker), 29);
	if (body[0] == '<')
		FORWARD_LIT(&out, "\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: ");
	else
		FORWARD_LIT(&out,
			    "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
	forward_put_u64(&out, body_n);
	FORWARD_LIT(&out, "\r\n");
	if (fields_n)
		forward_put(&out, a->fields, fields_n);
	if (!c->keep_alive)
		FORWARD_LIT(&out, "Connection: close\r\n");
	else if (c->is_1_0)
		FORWARD_LIT(&out, "Connection: keep-alive\r\n");
	FORWARD_LIT(&out, "\r\n");
	if (c->method != HTTP1_M_HEAD)
		forward_put(&out, body, body_n);
	close_out(c, &out);
}

/* --- the stream's view of us --- */

static int op_fill(struct stream *s)
{
	struct client *c = s->owner;
	int got = client_fill(c);

	s->body_eof = c->eof;
	return got;
}

static void op_drained(struct stream *s)
{
	struct client *c = s->owner;

	if (c->in && c->in->n == 0)
		iobuf_put(&c->worker->bufs, &c->in);
}

static void op_interim(struct stream *s, const struct http1_head *head)
{
	struct client *c = s->owner;
	struct forward_out out = open_out(c, forward_bound(IOBUF_SMALL_BYTES, s->route));

	forward_interim(&out, head);
	close_out(c, &out);
	(void)reply_flush(c); /* a dead client is noticed by the response itself */
}

static void op_head(struct stream *s, const struct http1_head *head)
{
	struct client *c = s->owner;
	char sticky[STREAM_STICKY_BYTES];
	struct forward_reply reply = {
		.route = s->route, .framing = head->framing, .client_is_1_0 = c->is_1_0,
		.upgrade = head->status == 101, .date = worker_date(c->worker),
		.sticky = stream_sticky(s, sticky),
	};
	struct forward_out out;

	if (head->framing == HTTP1_CHUNKED || head->framing == HTTP1_UNTIL_CLOSE)
		reply.framing = c->is_1_0 ? HTTP1_UNTIL_CLOSE : HTTP1_CHUNKED;
	if (reply.upgrade)
		reply.framing = HTTP1_UNTIL_CLOSE;
	if (reply.framing == HTTP1_UNTIL_CLOSE || s->worker->is_draining)
		c->keep_alive = false;
	/* A request body still on its way here: its rest cannot be told from a next request soon
	 * enough to be worth the trouble. */
	if (!s->up.is_done && !reply.upgrade)
		c->keep_alive = false;
	reply.keep_alive = c->keep_alive;
	out = open_out(c, forward_bound(s->uconn->in->n, s->route));
	forward_response(&out, head, &reply);
	close_out(c, &out);
	relay_init(&s->down, &c->worker->bufs, head->framing, reply.framing, head->length);
}

/* A reader of much gets bigger buffers. */
static void grow_input(struct uconn *u, int got)
{
	if (got < IOBUF_SMALL_BYTES || u->in->cap != IOBUF_SMALL_BYTES || u->in->n < u->in->cap)
		return;
	struct iobuf *large = iobuf_get(&u->worker->bufs, IOBUF_LARGE_BYTES);

	memcpy(large->data, iobuf_head(u->in), u->in->n);
	large->n = u->in->n;
	iobuf_put(&u->worker->bufs, &u->in);
	u->in = large;
}

static enum stream_io op_pump(struct stream *s)
{
	struct client *c = s->owner;
	struct uconn *u = s->uconn;

	for (;;) {
		enum relay_state state = relay_prepare(&s->down, u->in, u->eof);
		struct iovec iov[1 + RELAY_IOV];
		size_t from_head = c->out ? c->out->n : 0;
		ssize_t sent;
		int n = 0, got;

		if (state == RELAY_BAD)
			return STREAM_BROKEN;
		if (from_head)
			iov[n++] = (struct iovec){iobuf_head(c->out), from_head};
		if (state == RELAY_SEND)
			n += relay_iov(&s->down, u->in, iov + n);
		if (n == 0) {
			if (state == RELAY_DONE) {
				if (s->is_tunnel && !s->down_shut)
					shutdown(c->fd, SHUT_WR);
				s->down_shut = s->is_tunnel;
				return STREAM_DONE;
			}
			got = uconn_fill(u);
			if (got < 0)
				return STREAM_BROKEN;
			if (got == 0 && !u->eof) {
				if (u->in && u->in->n == 0)
					iobuf_put(&c->worker->bufs, &u->in);
				return STREAM_WAIT;
			}
			if (got > 0)
				grow_input(u, got);
			continue;
		}
		if (!c->writable)
			return STREAM_WAIT;
		sent = client_write(c, iov, n);
		if (sent < 0)
			return errno == EAGAIN ? STREAM_WAIT : STREAM_BROKEN;
		from_head = JACO_MIN((size_t)sent, from_head);
		if (from_head) {
			iobuf_consume(c->out, from_head);
			if (c->out->n == 0)
				iobuf_put(&c->worker->bufs, &c->out);
		}
		if ((size_t)sent > from_head)
			relay_sent(&s->down, u->in, (size_t)sent - from_head);
	}
}

static void op_answer(struct stream *s, const struct stream_answer *a)
{
	struct client *c = s->owner;

	if (!s->up.is_done)
		c->keep_alive = false;
	c->stream = NULL;
	stream_free(s, false);
	reply_write(c, a);
	if (!c->keep_alive)
		c->is_last = true;
	client_next_request(c);
}

static void op_finished(struct stream *s, bool is_ok)
{
	struct client *c = s->owner;

	c->stream = NULL;
	stream_free(s, is_ok);
	if (!is_ok) {
		client_abort(c);
		return;
	}
	if (!c->keep_alive)
		c->is_last = true;
	client_next_request(c);
}

const struct stream_ops reply_ops = {
	.fill = op_fill, .drained = op_drained, .interim = op_interim, .head = op_head,
	.pump = op_pump, .answer = op_answer, .finished = op_finished,
};
