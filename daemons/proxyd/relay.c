/* SPDX-License-Identifier: Apache-2.0
 *
 * relay.c - see relay.h. */
#include "daemons/proxyd/relay.h"

#include "daemons/proxyd/forward.h"
#include "libjaco/base/assert.h"

static const char crlf[] = "\r\n";
static const char crlf_end[] = "\r\n0\r\n\r\n"; /* end of a chunk and of the body */

void relay_init(struct relay *relay, struct iobuf_pool *pool, enum http1_framing in,
		enum http1_framing out, uint64_t length)
{
	*relay = (struct relay){.in = in, .out = out, .pool = pool,
				.left = in == HTTP1_LENGTH ? length : 0};
	relay->is_done = in == HTTP1_NO_BODY || (in == HTTP1_LENGTH && length == 0);
}

void relay_fini(struct relay *relay)
{
	if (relay->trailers)
		iobuf_put(relay->pool, &relay->trailers);
}

static bool has_output(const struct relay *relay)
{
	return relay->frame_n || relay->payload || relay->tail_n || relay->trailers;
}

static void frame_chunk(struct relay *relay, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	char digits[16];
	uint8_t k = 0;

	for (size_t v = n; v; v >>= 4)
		digits[k++] = hex[v & 15];
	relay->frame_off = 0;
	relay->frame_n = 0;
	while (k)
		relay->frame[relay->frame_n++] = digits[--k];
	relay->frame[relay->frame_n++] = '\r';
	relay->frame[relay->frame_n++] = '\n';
	relay->tail = crlf;
	relay->tail_n = 2;
	relay->tail_skip = 0;
}

/* The body is over on the input side: what must still be said on the output side. */
static void finish(struct relay *relay)
{
	if (relay->out != HTTP1_CHUNKED) {
		relay->is_done = true;
		return;
	}
	relay->tail = crlf_end + 2;
	relay->tail_n = 5;
	relay->tail_skip = 0;
	relay->is_last = true;
}

static bool finish_with_trailers(struct relay *relay, const char *lines, size_t n)
{
	struct http1_head head;
	struct forward_out out;

	if (http1_parse_trailers(&head, lines, n) != 0)
		return false;
	if (relay->out != HTTP1_CHUNKED) {
		relay->is_done = true;
		return true;
	}
	relay->trailers = iobuf_get(relay->pool, n + HTTP1_FIELDS_MAX * 4 + 8);
	out = (struct forward_out){relay->trailers->data,
				   relay->trailers->data + relay->trailers->cap, false};
	FORWARD_LIT(&out, "0\r\n");
	forward_trailers(&out, &head);
	JACO_ASSERT(!out.overflow);
	relay->trailers->n = (uint32_t)(out.p - relay->trailers->data);
	relay->is_last = true;
	return true;
}

static void offer(struct relay *relay, struct iobuf *in, size_t n)
{
	relay->payload = n;
	if (relay->out != HTTP1_CHUNKED)
		return;
	frame_chunk(relay, n);
	if (relay->in != HTTP1_CHUNKED || relay->chunked.left != n || in->n - n < 7 ||
	    memcmp(iobuf_head(in) + n, crlf_end, 7) != 0)
		return;
	/* The end is here already: one write instead of two. */
	relay->tail = crlf_end;
	relay->tail_n = 7;
	relay->tail_skip = 7;
	relay->is_last = true;
}

static enum relay_state prepare_chunked(struct relay *relay, struct iobuf *in, bool is_eof)
{
	size_t used, payload;

	switch (http1_chunked_step(&relay->chunked, in ? iobuf_head(in) : "", in ? in->n : 0, &used,
				   &payload)) {
	case HTTP1_CHUNK_MORE:
		if (in)
			iobuf_consume(in, used);
		if (in && relay->chunked.state == HTTP1_CHUNK_TRAILERS && in->n == in->cap)
			return RELAY_BAD;
		return is_eof ? RELAY_BAD : RELAY_NEED;
	case HTTP1_CHUNK_PAYLOAD:
		iobuf_consume(in, used);
		offer(relay, in, payload);
		return RELAY_SEND;
	case HTTP1_CHUNK_END:
		if (payload == 0)
			finish(relay);
		else if (!finish_with_trailers(relay, iobuf_head(in) + used, payload))
			return RELAY_BAD;
		iobuf_consume(in, used + payload + 2);
		return relay->is_done ? RELAY_DONE : RELAY_SEND;
	case HTTP1_CHUNK_BAD:
		return RELAY_BAD;
	}
	return RELAY_BAD;
}

enum relay_state relay_prepare(struct relay *relay, struct iobuf *in, bool is_eof)
{
	size_t available = in ? in->n : 0;

	if (relay->is_done)
		return RELAY_DONE;
	if (has_output(relay))
		return RELAY_SEND;
	switch (relay->in) {
	case HTTP1_CHUNKED:
		return prepare_chunked(relay, in, is_eof);
	case HTTP1_LENGTH:
		if (relay->left == 0) {
			finish(relay);
			return relay->is_done ? RELAY_DONE : RELAY_SEND;
		}
		if (available == 0)
			return is_eof ? RELAY_BAD : RELAY_NEED;
		offer(relay, in, relay->left < available ? (size_t)relay->left : available);
		return RELAY_SEND;
	case HTTP1_UNTIL_CLOSE:
		if (available) {
			offer(relay, in, available);
			return RELAY_SEND;
		}
		if (!is_eof)
			return RELAY_NEED;
		finish(relay);
		return relay->is_done ? RELAY_DONE : RELAY_SEND;
	case HTTP1_NO_BODY:
		break;
	}
	return RELAY_DONE;
}

int relay_iov(const struct relay *relay, struct iobuf *in, struct iovec iov[static RELAY_IOV])
{
	int n = 0;

	if (relay->frame_n)
		iov[n++] = (struct iovec){(char *)relay->frame + relay->frame_off, relay->frame_n};
	if (relay->payload)
		iov[n++] = (struct iovec){iobuf_head(in), relay->payload};
	if (relay->tail_n)
		iov[n++] = (struct iovec){(char *)relay->tail, relay->tail_n};
	if (relay->trailers)
		iov[n++] = (struct iovec){iobuf_head(relay->trailers), relay->trailers->n};
	return n;
}

static size_t less(size_t *n, size_t available)
{
	size_t k = *n < available ? *n : available;

	*n -= k;
	return k;
}

static void sent_payload(struct relay *relay, struct iobuf *in, size_t n)
{
	relay->payload -= n;
	relay->bytes += n;
	iobuf_consume(in, n);
	if (relay->in == HTTP1_CHUNKED) {
		http1_chunked_took(&relay->chunked, n);
	} else if (relay->in == HTTP1_LENGTH) {
		relay->left -= n;
		if (relay->left == 0 && relay->out != HTTP1_CHUNKED)
			relay->is_last = true;
	}
}

void relay_sent(struct relay *relay, struct iobuf *in, size_t n)
{
	size_t k = less(&n, relay->frame_n);

	relay->frame_off = (uint8_t)(relay->frame_off + k);
	relay->frame_n = (uint8_t)(relay->frame_n - k);
	k = less(&n, relay->payload);
	if (k)
		sent_payload(relay, in, k);
	k = less(&n, relay->tail_n);
	if (k)
		relay->tail += k;
	relay->tail_n = (uint8_t)(relay->tail_n - k);
	if (relay->trailers) {
		iobuf_consume(relay->trailers, less(&n, relay->trailers->n));
		if (relay->trailers->n == 0)
			iobuf_put(relay->pool, &relay->trailers);
	}
	if (has_output(relay))
		return;
	if (relay->tail_skip) {
		iobuf_consume(in, relay->tail_skip);
		relay->tail_skip = 0;
	}
	if (relay->is_last)
		relay->is_done = true;
}
