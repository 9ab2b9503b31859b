/* SPDX-License-Identifier: Apache-2.0
 *
 * heads - the golden suite of HTTP/1.1 parsing: raw messages in, what is understood and sent on
 * out.
 *
 * Input: "# comment", or a line "request [trusted] [tls]" / "response METHOD", then the raw message
 * up to a line "." with \r \n \t \0 \\ \xNN escapes; line ends of the file itself are not part of
 * it. */
#include <stdio.h>
#include <string.h>

#include "daemons/proxyd/forward.h"
#include "daemons/proxyd/http1.h"
#include "libjaco/base/str.h"

#define RAW_BYTES (256 * 1024)

static char raw[RAW_BYTES], outgoing[RAW_BYTES];
static size_t raw_n;

static void put_raw(uint8_t byte)
{
	if (raw_n < sizeof(raw))
		raw[raw_n++] = (char)byte;
}

/* "\*1000(abc)" repeats, so that bounds can be tested in a readable file. */
static const char *repeat(const char *p)
{
	unsigned count = 0;
	const char *end;

	for (p += 2; *p >= '0' && *p <= '9'; p++)
		count = count * 10 + (unsigned)(*p - '0');
	end = strchr(p, ')');
	if (*p != '(' || !end)
		return p;
	while (count--)
		for (const char *c = p + 1; c < end; c++) {
			if (c[0] == '\\' && (c[1] == 'r' || c[1] == 'n'))
				put_raw(*++c == 'r' ? '\r' : '\n');
			else
				put_raw((uint8_t)*c);
		}
	return end + 1;
}

static void add_line(const char *p)
{
	while (*p && *p != '\n') {
		uint8_t byte;

		if (*p != '\\') {
			put_raw((uint8_t)*p++);
			continue;
		}
		if (p[1] == '*') {
			p = repeat(p);
			continue;
		}
		if (p[1] == 'x') {
			char hex[3] = {p[2], p[3], '\0'};

			put_raw(jaco_hex_decode(hex, &byte, 1) ? byte : '?');
			p += 4;
			continue;
		}
		put_raw(p[1] == 'r' ? '\r' : p[1] == 'n' ? '\n' : p[1] == 't' ? '\t' :
			p[1] == '0' ? '\0' : (uint8_t)p[1]);
		p += 2;
	}
}

static void print_text(const char *text, size_t n)
{
	putchar(' ');
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c == '\r')
			continue;
		if (c == '\n')
			fputs(i + 1 < n ? "\n " : "\n", stdout);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static void print_body(const struct http1_head *head, size_t at)
{
	static const char *const framings[] = {"none", "length", "chunked", "until close"};

	printf("body: %s", framings[head->framing]);
	if (head->framing == HTTP1_LENGTH)
		printf(" %llu", (unsigned long long)head->length);
	printf("; %s%s%s\n", head->keep_alive ? "keep" : "close",
	       head->wants_upgrade ? "; upgrade" : "", head->expects_continue ? "; continue" : "");
	if (head->framing == HTTP1_CHUNKED) {
		struct http1_chunked dec = {.state = HTTP1_CHUNK_SIZE};
		size_t used, payload;

		for (;;) {
			switch (http1_chunked_step(&dec, raw + at, raw_n - at, &used, &payload)) {
			case HTTP1_CHUNK_MORE:
				puts("chunks: incomplete");
				return;
			case HTTP1_CHUNK_BAD:
				puts("chunks: refused");
				return;
			case HTTP1_CHUNK_PAYLOAD:
				fputs("chunk:", stdout);
				print_text(raw + at + used, payload);
				putchar('\n');
				at += used + payload;
				http1_chunked_took(&dec, payload);
				break;
			case HTTP1_CHUNK_END:
				fputs("chunks: end", stdout);
				if (payload) {
					struct http1_head trailers;
					struct forward_out out = {
						outgoing, outgoing + sizeof(outgoing), false};

					if (http1_parse_trailers(&trailers, raw + at + used,
								 payload)) {
						puts(", trailers refused");
						return;
					}
					forward_trailers(&out, &trailers);
					fputs(", trailers:\n", stdout);
					print_text(outgoing, (size_t)(out.p - outgoing) - 2);
				} else {
					putchar('\n');
				}
				if (raw_n > at + used + payload + 2)
					printf("left: %zu bytes\n",
					       raw_n - at - used - payload - 2);
				return;
			}
		}
	}
}

static void request(const char *words)
{
	struct http1_head head;
	struct http1_scan scan = {0};
	struct route route = {.domain = "x"};
	struct forward_client client = {.ip = "192.0.2.7", .ip_n = 9,
					.is_trusted = strstr(words, "trusted") != NULL,
					.is_tls = strstr(words, "tls") != NULL};
	struct forward_out out = {outgoing, outgoing + sizeof(outgoing), false};
	int blank = http1_skip_blank(raw, raw_n);
	size_t skip = blank > 0 ? (size_t)blank : 0;
	int n = http1_scan(&scan, raw + skip, raw_n - skip);
	int status;

	memset(client.request_id, '0', sizeof(client.request_id));
	if (n == 0) {
		puts("incomplete");
		return;
	}
	if (n < 0) {
		printf("%d while looking for the end\n", -n);
		return;
	}
	status = http1_parse_request(&head, raw + skip, (size_t)n);
	if (status) {
		printf("%d %s\n", status, head.why);
		return;
	}
	forward_request(&out, &head, head.path, &client, &route, head.framing, head.wants_upgrade);
	print_text(outgoing, (size_t)(out.p - outgoing));
	print_body(&head, skip + (size_t)n);
}

static void response(const char *words)
{
	struct http1_head head;
	struct http1_scan scan = {0};
	struct route route = {.domain = "x"};
	struct forward_reply reply = {.route = &route, .keep_alive = true,
				      .date = "Sat, 21 Nov 2026 00:00:00 GMT"};
	struct forward_out out = {outgoing, outgoing + sizeof(outgoing), false};
	const char *method = strchr(words, ' ');
	int n = http1_scan(&scan, raw, raw_n);

	if (n <= 0) {
		puts(n == 0 ? "incomplete" : "502 while looking for the end");
		return;
	}
	if (http1_parse_response(&head, raw, (size_t)n,
				 http1_method_of(method + 1, strcspn(method + 1, "\n")))) {
		printf("502 %s\n", head.why);
		return;
	}
	reply.framing = head.framing == HTTP1_UNTIL_CLOSE ? HTTP1_CHUNKED : head.framing;
	reply.upgrade = head.status == 101;
	forward_response(&out, &head, &reply);
	print_text(outgoing, (size_t)(out.p - outgoing));
	print_body(&head, (size_t)n);
}

int main(int argc, char **argv)
{
	FILE *in = argc > 1 ? fopen(argv[1], "r") : stdin;
	char line[4096], kind[64] = "";

	if (!in)
		return 1;
	while (fgets(line, sizeof(line), in)) {
		if (!kind[0]) {
			if (line[0] == '#')
				fputs(line, stdout);
			else if (line[0] != '\n')
				(void)jaco_str_copy(kind, sizeof(kind), line);
			raw_n = 0;
		} else if (line[0] == '.' && line[1] == '\n') {
			if (jaco_str_starts(kind, "request"))
				request(kind);
			else
				response(kind);
			kind[0] = '\0';
		} else {
			add_line(line);
		}
	}
	fclose(in);
	return 0;
}
