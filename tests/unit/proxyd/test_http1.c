/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/proxyd/http1.h"

#include "tests/lib/test.h"

JT_CASE(the_end_is_found_whatever_the_pieces)
{
	const char *text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
	size_t head = strlen(text) - 4;

	for (size_t step = 1; step < head; step++) {
		struct http1_scan scan = {0};
		size_t n = 0;
		int found = 0;

		while (found == 0) {
			n = n + step < strlen(text) ? n + step : strlen(text);
			found = http1_scan(&scan, text, n);
		}
		JT_EQ(found, head);
	}
}

JT_CASE(a_line_of_the_bound_passes_and_one_more_does_not)
{
	static char text[HTTP1_LINE_MAX + 8];
	struct http1_scan scan = {0};

	memset(text, 'a', HTTP1_LINE_MAX);
	memcpy(text + HTTP1_LINE_MAX, "\r\n\r\n", 4);
	JT_EQ(http1_scan(&scan, text, HTTP1_LINE_MAX + 4), HTTP1_LINE_MAX + 4);
	memset(text, 'a', HTTP1_LINE_MAX + 1);
	memcpy(text + HTTP1_LINE_MAX + 1, "\r\n\r\n", 4);
	scan = (struct http1_scan){0};
	JT_EQ(http1_scan(&scan, text, HTTP1_LINE_MAX + 5), -400);
}

JT_CASE(a_line_without_end_is_refused_before_it_ends)
{
	static char text[HTTP1_LINE_MAX + 8];
	struct http1_scan scan = {0};

	memset(text, 'a', sizeof(text));
	JT_EQ(http1_scan(&scan, text, sizeof(text)), -400);
}

static void run_chunked(const char *body, size_t step, char *out, size_t *out_n,
			enum http1_chunk_event *out_last)
{
	struct http1_chunked dec = {.state = HTTP1_CHUNK_SIZE};
	size_t at = 0, have = 0, n = strlen(body), used, payload;

	*out_n = 0;
	for (;;) {
		enum http1_chunk_event event = http1_chunked_step(&dec, body + at, have - at, &used,
								  &payload);
		*out_last = event;
		if (event == HTTP1_CHUNK_BAD || event == HTTP1_CHUNK_END)
			return;
		at += used;
		if (event == HTTP1_CHUNK_PAYLOAD) {
			memcpy(out + *out_n, body + at, payload);
			*out_n += payload;
			at += payload;
			http1_chunked_took(&dec, payload);
		} else if (have == n) {
			return;
		} else {
			have = have + step < n ? have + step : n;
		}
	}
}

JT_CASE(chunks_decode_the_same_in_any_pieces)
{
	const char *body = "5;x=\"y\"\r\nhello\r\n1\r\n,\r\n06\r\n world\r\n0\r\nT: 1\r\n\r\n";
	char out[64];

	for (size_t step = 1; step <= strlen(body); step++) {
		enum http1_chunk_event last;
		size_t n;

		run_chunked(body, step, out, &n, &last);
		JT_EQ(last, HTTP1_CHUNK_END);
		JT_EQ(n, 12);
		JT_MEM(out, "hello, world", 12);
	}
}

JT_CASE(extension_bytes_are_bounded_over_the_whole_body)
{
	struct http1_chunked dec = {.state = HTTP1_CHUNK_SIZE};
	char chunk[1024];
	size_t n, used, payload;
	int rounds = 0;

	memset(chunk, 'e', sizeof(chunk));
	memcpy(chunk, "1;", 2);
	n = 1000;
	memcpy(chunk + n, "\r\nx\r\n", 5);
	n += 5;
	for (;;) {
		enum http1_chunk_event event = http1_chunked_step(&dec, chunk, n, &used, &payload);

		if (event == HTTP1_CHUNK_BAD)
			break;
		JT_EQ(event, HTTP1_CHUNK_PAYLOAD);
		http1_chunked_took(&dec, 1);
		JT_EQ(http1_chunked_step(&dec, "\r\n", 2, &used, &payload), HTTP1_CHUNK_MORE);
		rounds++;
		JT_TRUE(rounds < 20);
	}
	JT_TRUE(rounds > 10);
}

JT_CASE(every_owned_name_is_recognised_in_any_case)
{
	JT_EQ(http1_field_id("CoNtEnT-LeNgTh", 14), HTTP1_F_CONTENT_LENGTH);
	JT_EQ(http1_field_id("transfer-encoding", 17), HTTP1_F_TRANSFER_ENCODING);
	JT_EQ(http1_field_id("TE", 2), HTTP1_F_TE);
	JT_EQ(http1_field_id("content_length", 14), HTTP1_F_ALIAS);
	JT_EQ(http1_field_id("contentxlength", 14), HTTP1_F_OTHER);
	JT_EQ(http1_field_id("x", 1), HTTP1_F_OTHER);
	JT_EQ(http1_field_id("proxy-authorization", 19), HTTP1_F_PROXY_AUTHORIZATION);
	JT_EQ(http1_field_id("proxy-authorizations", 20), HTTP1_F_OTHER);
}

JT_CASE(authorities)
{
	const char *good[] = {"a", "a:80", "a.b.c:65535", "[::1]", "[::1]:8080", "a:", "127.0.0.1"};
	const char *bad[] = {"",   ":80",    "a b",  "a/b",     "a@b", "[::1",
			     "[]", "[::1]x", "a:8a", "a:65536", "a,b", "a%41"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(good); i++)
		JT_TRUE(http1_is_authority(good[i], strlen(good[i])));
	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		JT_FALSE(http1_is_authority(bad[i], strlen(bad[i])));
}

JT_MAIN(JT_RUN(the_end_is_found_whatever_the_pieces),
	JT_RUN(a_line_of_the_bound_passes_and_one_more_does_not),
	JT_RUN(a_line_without_end_is_refused_before_it_ends),
	JT_RUN(chunks_decode_the_same_in_any_pieces),
	JT_RUN(extension_bytes_are_bounded_over_the_whole_body),
	JT_RUN(every_owned_name_is_recognised_in_any_case), JT_RUN(authorities))
