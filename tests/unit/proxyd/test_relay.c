/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/proxyd/relay.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/random.h"

#include "tests/lib/test.h"

static struct iobuf_pool pool;

/* Move @text through a relay, giving @in_step bytes at a time and taking @out_step. */
static enum relay_state run(enum http1_framing in, enum http1_framing out, uint64_t length,
			    const char *text, size_t in_step, size_t out_step,
			    struct jaco_buf *sent)
{
	struct relay relay;
	struct iobuf *buf = iobuf_get(&pool, IOBUF_SMALL_BYTES);
	size_t n = strlen(text), given = 0;
	enum relay_state state;

	relay_init(&relay, &pool, in, out, length);
	jaco_buf_reset(sent);
	for (;;) {
		struct iovec iov[RELAY_IOV];
		size_t left = out_step;

		state = relay_prepare(&relay, buf, given == n);
		if (state == RELAY_DONE || state == RELAY_BAD)
			break;
		if (state == RELAY_NEED) {
			size_t k = in_step < n - given ? in_step : n - given;

			if (k == 0)
				break;
			iobuf_compact(buf);
			memcpy(iobuf_head(buf) + buf->n, text + given, k);
			buf->n += (uint32_t)k;
			given += k;
			continue;
		}
		for (int i = 0, parts = relay_iov(&relay, buf, iov); i < parts && left; i++) {
			size_t k = iov[i].iov_len < left ? iov[i].iov_len : left;

			jaco_buf_add(sent, iov[i].iov_base, k);
			left -= k;
		}
		relay_sent(&relay, buf, out_step - left);
	}
	relay_fini(&relay);
	iobuf_put(&pool, &buf);
	return state;
}

static void dechunk(const char *text, struct jaco_buf *out)
{
	struct http1_chunked dec = {.state = HTTP1_CHUNK_SIZE};
	size_t at = 0, used, payload;
	enum http1_chunk_event event;

	jaco_buf_reset(out);
	while ((event = http1_chunked_step(&dec, text + at, strlen(text) - at, &used, &payload)) ==
	       HTTP1_CHUNK_PAYLOAD) {
		jaco_buf_add(out, text + at + used, payload);
		at += used + payload;
		http1_chunked_took(&dec, payload);
	}
	JT_EQ(event, HTTP1_CHUNK_END);
}

JT_CASE(chunked_stays_chunked_in_any_pieces)
{
	const char *text =
		"5;ext\r\nhello\r\n7\r\n, world\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n";
	jaco_auto(jaco_buf) struct jaco_buf sent = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf body = JACO_BUF_INIT;

	for (size_t in = 1; in < 60; in += 3)
		for (size_t out = 1; out < 60; out += 5) {
			JT_EQ(run(HTTP1_CHUNKED, HTTP1_CHUNKED, 0, text, in, out, &sent),
			      RELAY_DONE);
			dechunk(jaco_buf_str(&sent), &body);
			JT_STR(jaco_buf_str(&body), "hello, world");
			JT_NOT_NULL(strstr(jaco_buf_str(&sent), "0\r\nX-Sum: 1\r\n\r\n"));
			JT_NULL(strstr(jaco_buf_str(&sent), "Content-Length"));
			JT_NULL(strstr(jaco_buf_str(&sent), "ext"));
		}
}

JT_CASE(a_chunk_and_its_end_go_out_together)
{
	jaco_auto(jaco_buf) struct jaco_buf sent = JACO_BUF_INIT;

	JT_EQ(run(HTTP1_CHUNKED, HTTP1_CHUNKED, 0, "3\r\nabc\r\n0\r\n\r\n", 100, 100, &sent),
	      RELAY_DONE);
	JT_STR(jaco_buf_str(&sent), "3\r\nabc\r\n0\r\n\r\n");
}

JT_CASE(until_close_becomes_chunked)
{
	jaco_auto(jaco_buf) struct jaco_buf sent = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf body = JACO_BUF_INIT;

	for (size_t step = 1; step < 20; step++) {
		JT_EQ(run(HTTP1_UNTIL_CLOSE, HTTP1_CHUNKED, 0, "what there is", step, 3, &sent),
		      RELAY_DONE);
		dechunk(jaco_buf_str(&sent), &body);
		JT_STR(jaco_buf_str(&body), "what there is");
	}
}

JT_CASE(a_length_takes_no_more_than_it_says)
{
	jaco_auto(jaco_buf) struct jaco_buf sent = JACO_BUF_INIT;

	JT_EQ(run(HTTP1_LENGTH, HTTP1_LENGTH, 5, "helloGET /", 100, 2, &sent), RELAY_DONE);
	JT_STR(jaco_buf_str(&sent), "hello");
	JT_EQ(run(HTTP1_LENGTH, HTTP1_CHUNKED, 5, "hello", 2, 100, &sent), RELAY_DONE);
	JT_STR(jaco_buf_str(&sent), "2\r\nhe\r\n2\r\nll\r\n1\r\no\r\n0\r\n\r\n");
}

JT_CASE(an_early_end_is_broken_not_done)
{
	jaco_auto(jaco_buf) struct jaco_buf sent = JACO_BUF_INIT;

	JT_EQ(run(HTTP1_LENGTH, HTTP1_LENGTH, 5, "hel", 100, 100, &sent), RELAY_BAD);
	JT_EQ(run(HTTP1_CHUNKED, HTTP1_CHUNKED, 0, "3\r\nab", 100, 100, &sent), RELAY_BAD);
	JT_EQ(run(HTTP1_CHUNKED, HTTP1_CHUNKED, 0, "3\r\nabc\r\n", 100, 100, &sent), RELAY_BAD);
	JT_EQ(run(HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE, 0, "3\r\nabc\r\n0\r\n\r\n", 1, 1, &sent),
	      RELAY_DONE);
	JT_STR(jaco_buf_str(&sent), "abc");
}

JT_CASE(no_body_is_done_at_once)
{
	struct relay relay;

	relay_init(&relay, &pool, HTTP1_NO_BODY, HTTP1_NO_BODY, 0);
	JT_EQ(relay_prepare(&relay, NULL, false), RELAY_DONE);
	relay_init(&relay, &pool, HTTP1_LENGTH, HTTP1_LENGTH, 0);
	JT_EQ(relay_prepare(&relay, NULL, false), RELAY_DONE);
}

JT_CASE(buffers_come_back)
{
	JT_EQ(pool.n_used, 0);
	iobuf_pool_fini(&pool);
}

JT_MAIN(JT_RUN(chunked_stays_chunked_in_any_pieces), JT_RUN(a_chunk_and_its_end_go_out_together),
	JT_RUN(until_close_becomes_chunked), JT_RUN(a_length_takes_no_more_than_it_says),
	JT_RUN(an_early_end_is_broken_not_done), JT_RUN(no_body_is_done_at_once),
	JT_RUN(buffers_come_back))
