/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever a client or a replica sends.  What is accepted must be rebuilt into something that
 * parses to the same meaning, and a chunked body must decode the same whole and in pieces. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemons/proxyd/forward.h"
#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/iobuf.h"
#include "daemons/proxyd/proxyproto.h"
#include "daemons/proxyd/relay.h"
#include "daemons/proxyd/route.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http1_head head, again;
static char rebuilt[512 * 1024], scratch[HTTP1_HEAD_MAX + 64], twice[HTTP1_HEAD_MAX + 64];

static bool same(struct http1_span a, struct http1_span b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static void check_path(struct http1_span path)
{
	size_t n, m;

	if (path.p[0] != '/')
		return;
	n = route_path_normalise(path.p, path.n, scratch);
	JACO_ASSERT(n >= 1 && n <= path.n + 1 && scratch[0] == '/');
	m = route_path_normalise(scratch, n, twice);
	JACO_ASSERT(m <= n);
	if (!memchr(scratch, '%', n))
		JACO_ASSERT(m == n && memcmp(scratch, twice, n) == 0);
}

static void check_request(const char *text, size_t n)
{
	static const struct route route = {.domain = "x"};
	struct forward_client client = {.ip = "192.0.2.1", .ip_n = 9, .is_trusted = n & 1};
	struct forward_out out = {rebuilt, rebuilt + sizeof(rebuilt), false};
	struct http1_scan scan = {0};
	int found;

	memset(client.request_id, 'a', sizeof(client.request_id));
	if (http1_parse_request(&head, text, n) != 0)
		return;
	check_path(head.path);
	forward_request(&out, &head, head.path, &client, &route, head.framing, head.wants_upgrade);
	JACO_ASSERT(!out.overflow && (size_t)(out.p - rebuilt) <= forward_bound(n, &route) * 2);
	found = http1_scan(&scan, rebuilt, (size_t)(out.p - rebuilt));
	/* Our own fields may push a head of exactly 100 over the edge; nothing else may. */
	if (found < 0)
		return;
	JACO_ASSERT(found == out.p - rebuilt);
	if (head.authority.n == 0 || http1_parse_request(&again, rebuilt, (size_t)found) != 0) {
		JACO_ASSERT(head.minor == 0 || head.n_fields > 90);
		return;
	}
	JACO_ASSERT(same(head.path, again.path) && same(head.query, again.query));
	JACO_ASSERT(head.method == again.method && head.framing == again.framing);
	JACO_ASSERT(head.length == again.length || head.framing != HTTP1_LENGTH);
	JACO_ASSERT(same(head.authority, again.authority));
}

static void check_response(const char *text, size_t n, enum http1_method method)
{
	static const struct route route = {.domain = "x"};
	struct forward_reply reply = {.route = &route, .keep_alive = true};
	struct forward_out out = {rebuilt, rebuilt + sizeof(rebuilt), false};
	struct http1_scan scan = {0};

	if (http1_parse_response(&head, text, n, method) != 0)
		return;
	reply.framing = head.framing == HTTP1_UNTIL_CLOSE ? HTTP1_CHUNKED : head.framing;
	forward_response(&out, &head, &reply);
	JACO_ASSERT(!out.overflow);
	if (http1_scan(&scan, rebuilt, (size_t)(out.p - rebuilt)) < 0 || head.n_fields > 90)
		return;
	JACO_ASSERT(http1_parse_response(&again, rebuilt, (size_t)(out.p - rebuilt), method) == 0);
	JACO_ASSERT(again.status == head.status && again.framing == reply.framing);
}

/* Decode @n bytes given @step at a time; returns a hash of payload and outcome. */
static uint64_t relay(const char *text, size_t n, size_t step)
{
	static struct iobuf_pool pool;
	struct iobuf *in = iobuf_get(&pool, IOBUF_SMALL_BYTES);
	uint64_t hash = 0xcbf29ce484222325ULL;
	struct relay r;
	size_t given = 0;

	relay_init(&r, &pool, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE, 0);
	for (;;) {
		enum relay_state state = relay_prepare(&r, in, given == n);
		struct iovec iov[RELAY_IOV];

		if (state == RELAY_DONE || state == RELAY_BAD) {
			hash = (hash ^ state) * 0x100000001b3ULL;
			break;
		}
		if (state == RELAY_NEED) {
			size_t k = step < n - given ? step : n - given;

			iobuf_compact(in);
			if (k > iobuf_room(in))
				k = iobuf_room(in);
			memcpy(iobuf_head(in) + in->n, text + given, k);
			in->n += (uint32_t)k;
			given += k;
			continue;
		}
		for (int i = 0, parts = relay_iov(&r, in, iov); i < parts; i++) {
			const uint8_t *p = iov[i].iov_base;
			size_t bytes = iov[i].iov_len;

			for (size_t b = 0; b < bytes; b++)
				hash = (hash ^ p[b]) * 0x100000001b3ULL;
			relay_sent(&r, in, bytes);
			break;
		}
	}
	relay_fini(&r);
	iobuf_put(&pool, &in);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	struct http1_scan scan = {0};
	struct proxyproto_peer peer;
	int n;

	if (size < 2 || size > 100000)
		return 0;
	text = jaco_memdup(data + 1, size - 1); /* so that a read past the end is seen */
	size--;
	n = http1_scan(&scan, text, size);
	if (n > 0) {
		struct http1_scan slow = {0};
		int found = 0;

		for (size_t k = 1; k <= (size_t)n && found == 0; k += 1 + data[0] % 16)
			found = http1_scan(&slow, text, k);
		JACO_ASSERT(found == 0 || found == n);
	}
	switch (data[0] & 3) {
	case 0:
		if (n > 0)
			check_request(text, (size_t)n);
		break;
	case 1:
		if (n > 0)
			check_response(text, (size_t)n, data[0] & 4 ? HTTP1_M_HEAD : HTTP1_M_GET);
		break;
	case 2:
		if (size < IOBUF_SMALL_BYTES / 2)
			JACO_ASSERT(relay(text, size, size) == relay(text, size, 1 + data[0] % 7));
		break;
	case 3:
		n = proxyproto_parse(text, size, &peer);
		JACO_ASSERT(n <= (int)size);
		break;
	}
	jaco_free(text);
	return 0;
}
