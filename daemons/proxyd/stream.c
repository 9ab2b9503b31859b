/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.c - see stream.h. */
#include "daemons/proxyd/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "daemons/proxyd/stats.h"
#include "daemons/proxyd/upstream.h"
#include "daemons/proxyd/worker.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"

static const struct stream_answer bad_gateway = {502, "Bad Gateway", NULL, NULL};
static const struct stream_answer unavailable = {503, "Service Unavailable", "Retry-After: 1\r\n",
						 NULL};
static const struct stream_answer gateway_timeout = {504, "Gateway Timeout", NULL, NULL};
static const struct stream_answer too_large = {413, "Content Too Large", NULL, NULL};
static const struct stream_answer bad_request = {400, "Bad Request", NULL, NULL};
static const struct stream_answer request_timeout = {408, "Request Timeout", NULL, NULL};

static void attempt(struct stream *s);
static void advance(struct stream *s);

/* --- memory --- */

static void on_timeout(struct wheel_entry *entry);

static struct stream *stream_new(struct worker *w)
{
	struct stream *s = w->free_streams;

	if (s) {
		w->free_streams = s->next_free;
		memset(s, 0, sizeof(*s));
	} else {
		s = jaco_alloc(sizeof(*s));
	}
	s->worker = w;
	s->timer.fn = on_timeout;
	return s;
}

static void drop_uconn(struct stream *s, bool keep)
{
	if (!s->uconn)
		return;
	s->upstream->peer.in_flight--;
	if (keep) {
		uconn_give(s->uconn);
	} else {
		struct uconn *u = s->uconn;

		u->upstream->n_idle++; /* uconn_close() takes it from the idle list */
		u->stream = NULL;
		LIST_INSERT_HEAD(&u->upstream->idle, u, link);
		uconn_close(u);
	}
	s->uconn = NULL;
}

void stream_free(struct stream *s, bool is_ok)
{
	struct worker *w = s->worker;

	if (s->route && s->route->stats)
		stats_request(s->route->stats, w->index, s->status,
			      (uint64_t)jaco_time_now().ns - s->start_ns, s->up.bytes,
			      s->down.bytes);
	drop_uconn(s, is_ok && s->keep_uconn && !s->is_tunnel && s->up.is_done && s->down.is_done &&
			      !s->is_broken_up);
	wheel_cancel(&w->wheel, &s->timer);
	relay_fini(&s->up);
	relay_fini(&s->down);
	iobuf_put(&w->bufs, &s->out);
	if (s->upstream)
		upstream_unref(s->upstream);
	hold_unref(w, s->hold);
	WORKER_COUNT_DOWN(w, open_streams);
	s->next_free = w->free_streams;
	w->free_streams = s;
}

void stream_pool_fini(struct worker *worker)
{
	while (worker->free_streams) {
		struct stream *s = worker->free_streams;

		worker->free_streams = s->next_free;
		jaco_free(s);
	}
}

void stream_cancel(struct stream *s)
{
	s->status = s->status ? s->status : 499;
	stream_free(s, false);
}

/* --- endings --- */

static void set_deadline(struct stream *s, uint32_t ms)
{
	wheel_set(&s->worker->wheel, &s->timer, s->worker->now_ms + ms);
}

static void answer(struct stream *s, const struct stream_answer *a)
{
	drop_uconn(s, false);
	s->status = a->status;
	s->ops->answer(s, a);
}

static void count_ejection(struct stream *s, int64_t ms)
{
	if (ms <= 0)
		return;
	WORKER_COUNT(s->worker, ejections);
	if (s->route->stats)
		stats_ejection(s->route->stats, s->worker->index);
}

/* The response cannot be had or completed. */
static void broken(struct stream *s, const struct stream_answer *a)
{
	WORKER_COUNT(s->worker, bad_gateway);
	count_ejection(s, balance_failed(&s->upstream->peer, s->worker->now_ms));
	if (s->is_started)
		s->ops->finished(s, false);
	else
		answer(s, a);
}

static bool may_retry(const struct stream *s)
{
	return s->tries <= STREAM_RETRIES &&
	       s->worker->now_ms - s->start_ms < STREAM_RETRY_MS && s->up.bytes == 0 &&
	       !s->is_started;
}

static void retry(struct stream *s)
{
	WORKER_COUNT(s->worker, retries);
	if (s->route->stats)
		stats_retry(s->route->stats, s->worker->index);
	drop_uconn(s, false);
	s->out->off = 0;
	s->out->n = s->head_n;
	s->scan = (struct http1_scan){0};
	s->is_broken_up = false;
	attempt(s);
}

static void connect_failed(struct stream *s, bool at_once, const struct stream_answer *a)
{
	count_ejection(s, balance_refused(&s->upstream->peer, s->worker->now_ms, at_once));
	if (s->n_tried < BALANCE_TRIED_MAX)
		s->tried[s->n_tried++] = s->upstream->peer.id;
	if (may_retry(s)) {
		retry(s);
	} else {
		WORKER_COUNT(s->worker, unavailable);
		answer(s, a);
	}
}

/* The replica closed or reset before a complete response head. */
static void lost(struct stream *s)
{
	struct uconn *u = s->uconn;
	bool untouched = !u->in || u->in->n == 0;

	if (u->is_reused && untouched && http1_is_idempotent(s->method) && may_retry(s) &&
	    s->up.in == HTTP1_NO_BODY)
		retry(s); /* it had given this connection up already: RFC 9112 section 9.3.1 */
	else
		broken(s, &bad_gateway);
}

static void on_timeout(struct wheel_entry *entry)
{
	struct stream *s = JACO_CONTAINER_OF(entry, struct stream, timer);

	WORKER_COUNT(s->worker, timeouts);
	if (s->is_started)
		s->ops->finished(s, false);
	else if (s->uconn && s->uconn->is_connecting)
		connect_failed(s, false, &gateway_timeout);
	else if (!s->up.is_done && !s->is_broken_up && s->uconn && s->uconn->writable)
		answer(s, &request_timeout);
	else
		broken(s, &gateway_timeout);
}

/* --- moving bytes --- */

static ssize_t send_all(struct uconn *u, struct iovec *iov, int n)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	ssize_t sent;

	if (n == 1)
		sent = send(u->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
	else
		sent = sendmsg(u->fd, &msg, MSG_NOSIGNAL);
	if (sent < 0 && errno == EAGAIN)
		u->writable = false;
	return sent;
}

/* More of the body; false when there is none now, and @out_io is what that comes to. */
static bool refill(struct stream *s, enum stream_io *out_io)
{
	int got = s->ops->fill(s);

	if (got > 0 || (got == 0 && s->body_eof))
		return true;
	if (got == 0)
		s->ops->drained(s);
	*out_io = got < 0 ? STREAM_BROKEN : STREAM_WAIT;
	return false;
}

/* Head, then body, to the replica. */
static enum stream_io push_request(struct stream *s)
{
	struct uconn *u = s->uconn;

	for (;;) {
		enum relay_state state = relay_prepare(&s->up, *s->body, s->body_eof);
		struct iovec iov[1 + RELAY_IOV];
		int n = 0;
		ssize_t sent;
		size_t from_head;

		if (state == RELAY_BAD)
			return STREAM_BROKEN;
		if (s->out && s->out->n)
			iov[n++] = (struct iovec){iobuf_head(s->out), s->out->n};
		if (state == RELAY_SEND)
			n += relay_iov(&s->up, *s->body, iov + n);
		if (n == 0) {
			enum stream_io io;

			if (state == RELAY_DONE) {
				s->ops->drained(s);
				return STREAM_DONE;
			}
			if (!refill(s, &io))
				return io;
			continue;
		}
		if (!u->writable)
			return STREAM_WAIT;
		sent = send_all(u, iov, n);
		if (sent < 0) {
			if (errno == EAGAIN)
				return STREAM_WAIT;
			/* It may have answered before it closed: what it said still counts. */
			s->is_broken_up = true;
			return STREAM_WAIT;
		}
		from_head = s->out ? JACO_MIN((size_t)sent, s->out->n) : 0;
		if (from_head)
			iobuf_consume(s->out, from_head);
		if ((size_t)sent > from_head)
			relay_sent(&s->up, *s->body, (size_t)sent - from_head);
		if (s->route->max_body && s->up.bytes > s->route->max_body)
			return STREAM_BROKEN;
	}
}

/* --- the response --- */

static void start_tunnel(struct stream *s)
{
	s->is_tunnel = true;
	relay_fini(&s->up);
	relay_init(&s->up, &s->worker->bufs, HTTP1_UNTIL_CLOSE, HTTP1_UNTIL_CLOSE, 0);
	s->keep_uconn = false;
}

/* One complete head is in u->in.  False: the stream is over. */
static bool take_head(struct stream *s, int bytes)
{
	struct uconn *u = s->uconn;
	struct http1_head *head = &s->worker->head;

	if (http1_parse_response(head, iobuf_head(u->in), (size_t)bytes, s->method) != 0) {
		broken(s, &bad_gateway);
		return false;
	}
	if (head->status < 200 && head->status != 101) {
		if (s->client_minor > 0)
			s->ops->interim(s, head);
		iobuf_consume(u->in, (size_t)bytes);
		s->scan = (struct http1_scan){0};
		return true;
	}
	if (head->status == 101 && (!s->wants_upgrade || !head->wants_upgrade)) {
		broken(s, &bad_gateway);
		return false;
	}
	balance_succeeded(&s->upstream->peer);
	s->status = head->status;
	s->is_started = true;
	s->keep_uconn = head->keep_alive;
	if (head->status == 101)
		head->framing = HTTP1_UNTIL_CLOSE;
	s->ops->head(s, head);
	if (head->status == 101)
		start_tunnel(s);
	iobuf_consume(u->in, (size_t)bytes);
	iobuf_put(&s->worker->bufs, &s->out);
	s->out = NULL;
	return true;
}

/* Find heads until the final one.  False: nothing more to do now. */
static bool read_head(struct stream *s)
{
	while (!s->is_started) {
		struct uconn *u = s->uconn;
		int bytes =
			u->in && u->in->n ? http1_scan(&s->scan, iobuf_head(u->in), u->in->n) : 0;
		int got;

		if (bytes < 0) {
			broken(s, &bad_gateway);
			return false;
		}
		if (bytes > 0) {
			if (!take_head(s, bytes))
				return false;
			continue;
		}
		if (u->in && iobuf_room(u->in) == 0 && u->in->cap == IOBUF_SMALL_BYTES) {
			struct iobuf *large = iobuf_get(&s->worker->bufs, IOBUF_LARGE_BYTES);

			memcpy(large->data, iobuf_head(u->in), u->in->n);
			large->n = u->in->n;
			iobuf_put(&s->worker->bufs, &u->in);
			u->in = large;
		}
		got = uconn_fill(u);
		if (got < 0 || (got == 0 && u->eof)) {
			lost(s);
			return false;
		}
		if (got == 0) {
			if (u->in && u->in->n == 0)
				iobuf_put(&s->worker->bufs, &u->in);
			return false;
		}
	}
	return true;
}

/* Tunnel bytes from client to replica; its end is a half close. */
static enum stream_io push_tunnel(struct stream *s)
{
	struct uconn *u = s->uconn;

	for (;;) {
		enum relay_state state = relay_prepare(&s->up, *s->body, s->body_eof);
		struct iovec iov[RELAY_IOV];
		enum stream_io io;
		ssize_t sent;
		int n;

		if (state == RELAY_DONE) {
			if (!s->up_shut)
				shutdown(u->fd, SHUT_WR);
			s->up_shut = true;
			s->ops->drained(s);
			return STREAM_DONE;
		}
		if (state == RELAY_NEED) {
			if (!refill(s, &io))
				return io;
			continue;
		}
		if (!u->writable)
			return STREAM_WAIT;
		n = relay_iov(&s->up, *s->body, iov);
		sent = send_all(u, iov, n);
		if (sent < 0)
			return errno == EAGAIN ? STREAM_WAIT : STREAM_BROKEN;
		relay_sent(&s->up, *s->body, (size_t)sent);
	}
}

/* Send what can be sent, read what can be read. */
static void advance(struct stream *s)
{
	bool was_tunnel = s->is_tunnel;
	enum stream_io io;

	if (!s->uconn || s->uconn->is_connecting)
		return;
	if (!s->up.is_done || (s->out && s->out->n)) {
		io = s->is_broken_up ? STREAM_WAIT
		     : s->is_tunnel  ? push_tunnel(s)
				     : push_request(s);
		if (io == STREAM_BROKEN) {
			if (s->is_started)
				s->ops->finished(s, false);
			else if (s->route->max_body && s->up.bytes > s->route->max_body)
				answer(s, &too_large);
			else
				answer(s, &bad_request);
			return;
		}
		if (!s->is_started && io == STREAM_DONE)
			set_deadline(s, s->route->response_ms);
		else if (!s->is_started)
			set_deadline(s, s->worker->limits.client_body_ms);
	}
	if (!s->is_started && !read_head(s))
		return;
	/* A 101 opens the way up: early bytes of the client may be waiting. */
	if (s->is_tunnel && !was_tunnel && push_tunnel(s) == STREAM_BROKEN) {
		s->ops->finished(s, false);
		return;
	}
	io = s->ops->pump(s);
	if (io == STREAM_BROKEN || (io == STREAM_DONE && (!s->is_tunnel || s->up.is_done)))
		s->ops->finished(s, io == STREAM_DONE);
	else
		set_deadline(s, s->route->idle_ms);
}

void stream_on_upstream(struct stream *s, unsigned events)
{
	struct uconn *u = s->uconn;

	(void)events;
	if (u->is_connecting) {
		struct jaco_err err = JACO_ERR_INIT;

		if (jaco_sock_error(u->fd, &err) < 0) {
			connect_failed(s, err.sys_errno == ECONNREFUSED, &unavailable);
			return;
		}
		if (!u->writable)
			return;
		u->is_connecting = false;
		set_deadline(s, s->route->response_ms);
	}
	advance(s);
}

void stream_on_client(struct stream *s)
{
	advance(s);
}

/* --- beginning --- */

static int choose(struct stream *s)
{
	const struct route *r = s->route;
	struct balance_peer *small[16] = {NULL};
	struct balance_peer **peers = small;
	struct balance_ask ask = {
		.kind = r->balance, .key = s->key, .sticky_id = s->sticky_id,
		.now_ms = s->worker->now_ms, .prng = &s->worker->prng,
		.round = &s->hold->rounds[r->index], .n_tried = s->n_tried,
	};
	int i;

	memcpy(ask.tried, s->tried, sizeof(ask.tried));
	if (r->n_targets > JACO_ARRAY_SIZE(small))
		peers = jaco_alloc_n(r->n_targets, sizeof(struct balance_peer *));
	for (uint32_t k = 0; k < r->n_targets; k++)
		peers[k] = &s->hold->upstreams[r->targets[k]]->peer;
	i = balance_pick(&ask, peers, r->n_targets);
	if (peers != small)
		jaco_free(peers);
	return i;
}

static void attempt(struct stream *s)
{
	bool only_new = s->tries > 0;
	int i = choose(s);

	s->tries++;
	if (s->upstream)
		upstream_unref(s->upstream);
	s->upstream = NULL;
	if (i < 0) {
		WORKER_COUNT(s->worker, unavailable);
		answer(s, &unavailable);
		return;
	}
	s->upstream = s->hold->upstreams[s->route->targets[i]];
	s->upstream->refs++;
	s->uconn =
		uconn_take(s->upstream, s,
			   !http1_is_idempotent(s->method) || s->up.in != HTTP1_NO_BODY, only_new);
	if (!s->uconn) {
		connect_failed(s, true, &unavailable);
		return;
	}
	s->upstream->peer.in_flight++;
	set_deadline(s, s->uconn->is_connecting ? s->route->connect_ms : s->route->response_ms);
	advance(s);
}

static uint64_t hash_text(const char *p, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (uint8_t)p[i]) * 0x100000001b3ULL;
	return hash;
}

static uint64_t balance_key(const struct stream_start *start, const struct route *route)
{
	size_t n = route->hash_header ? strlen(route->hash_header) : 0;

	for (size_t i = 0; n && i < start->head->n_fields; i++) {
		const struct http1_field *f = &start->head->fields[i];
		size_t k = 0;

		if (f->name_n != n)
			continue;
		while (k < n &&
		       jaco_ascii_lower(f->name[k]) == jaco_ascii_lower(route->hash_header[k]))
			k++;
		if (k == n)
			return hash_text(f->value, f->value_n);
	}
	return hash_text((const char *)start->client_ip->b, sizeof(start->client_ip->b));
}

/* "name=0123456789abcdef" in a Cookie field (RFC 6265 section 4.2.1). */
static uint64_t cookie_id(const struct http1_head *head, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < head->n_fields; i++) {
		const char *p = head->fields[i].value;
		const char *end = p + head->fields[i].value_n;

		if (head->fields[i].id != HTTP1_F_COOKIE)
			continue;
		while (p && (size_t)(end - p) > n + 16) {
			uint8_t raw[8];
			char hex[17];
			uint64_t id = 0;

			if (memcmp(p, name, n) == 0 && p[n] == '=') {
				memcpy(hex, p + n + 1, 16);
				hex[16] = '\0';
				if (!jaco_hex_decode(hex, raw, 8))
					return 0;
				for (int k = 0; k < 8; k++)
					id = id << 8 | raw[k];
				return id;
			}
			p = memchr(p, ';', (size_t)(end - p));
			while (p && p < end && (*p == ';' || *p == ' '))
				p++;
		}
	}
	return 0;
}

const char *stream_sticky(const struct stream *s, char out[static STREAM_STICKY_BYTES])
{
	const struct route *r = s->route;

	if (!r->sticky_cookie || s->sticky_id == s->upstream->peer.id)
		return NULL;
	if (!jaco_str_format(out, STREAM_STICKY_BYTES,
			     "%s=%016llx; Path=/; HttpOnly; SameSite=Lax; "
			     "Max-Age=%u",
			     r->sticky_cookie, (unsigned long long)s->upstream->peer.id,
			     r->sticky_ttl_s))
		return NULL;
	return out;
}

static void build_head(struct stream *s, const struct stream_start *start)
{
	const struct http1_head *head = start->head;
	size_t bound = forward_bound(start->head_bytes, s->route);
	struct forward_out out;

	s->out = iobuf_get(&s->worker->bufs, bound);
	out = (struct forward_out){s->out->data, s->out->data + s->out->cap, false};
	forward_request(&out, head, start->match->rest, start->client, s->route, s->up.out,
			s->wants_upgrade);
	JACO_ASSERT(!out.overflow);
	s->head_n = (uint32_t)(out.p - s->out->data);
	s->out->n = s->head_n;
}

void stream_start(struct worker *worker, const struct stream_start *start)
{
	struct stream *s = stream_new(worker);
	const struct http1_head *head = start->head;

	s->ops = start->ops;
	s->owner = start->owner;
	s->body = start->body;
	s->hold = hold_ref(worker->hold);
	s->route = start->match->route;
	s->method = head->method;
	s->client_minor = head->minor;
	s->wants_upgrade = head->wants_upgrade;
	s->start_ms = worker->now_ms;
	s->start_ns = (uint64_t)jaco_time_now().ns;
	if (s->route->balance == BALANCE_HASH)
		s->key = balance_key(start, s->route);
	if (s->route->sticky_cookie)
		s->sticky_id = cookie_id(head, s->route->sticky_cookie);
	relay_init(&s->up, &worker->bufs, head->framing,
		   head->framing == HTTP1_CHUNKED ? HTTP1_CHUNKED : head->framing, head->length);
	WORKER_COUNT(worker, open_streams);
	build_head(s, start);
	*start->slot = s;
	attempt(s);
}
