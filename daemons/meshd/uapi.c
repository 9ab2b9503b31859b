/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/uapi.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define LINE_MAX_BYTES 256

size_t uapi_complete(const char *text, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (text[i] == '\n' && text[i + 1] == '\n')
			return i + 2;
	return 0;
}

struct parser {
	struct jaco_arena *arena;
	struct mesh_device *device;
	struct mesh_peer *peer; /* the one whose lines follow; NULL before the first */
	size_t cap_allowed, n_allowed_total;
	uint64_t handshake_s;
	uint64_t result;
	struct jaco_err *err;
};

static int bad(struct parser *p, const char *key)
{
	return jaco_err_set(p->err, JACO_PARSE_FAILED, "WireGuard's answer: bad value of %s", key);
}

static int take_number(struct parser *p, const char *key, const char *value, uint64_t max,
		       uint64_t *out)
{
	return jaco_str_to_u64(value, max, out) ? 0 : bad(p, key);
}

static int take_peer(struct parser *p, const char *value)
{
	struct mesh_device *device = p->device;

	if (device->n_peers >= UAPI_PEERS_MAX)
		return jaco_err_set(p->err, JACO_PARSE_FAILED,
				    "WireGuard's answer: more than %d peers", UAPI_PEERS_MAX);
	device->peers = jaco_arena_grow(p->arena, device->peers, &device->cap_peers,
					device->n_peers + 1, sizeof(*device->peers));
	p->peer = &device->peers[device->n_peers];
	memset(p->peer, 0, sizeof(*p->peer));
	p->cap_allowed = 0;
	if (!jaco_hex_decode(value, p->peer->key, MESH_KEY_BYTES))
		return bad(p, "public_key");
	device->n_peers++;
	return 0;
}

static int take_allowed(struct parser *p, const char *value)
{
	struct mesh_peer *peer = p->peer;
	struct jaco_err ignored = JACO_ERR_INIT;
	struct jaco_cidr cidr;

	if (strchr(value, ':'))
		return 0;
	if (jaco_cidr_parse(value, &cidr, &ignored) < 0 ||
	    ++p->n_allowed_total > UAPI_ALLOWED_MAX)
		return bad(p, "allowed_ip");
	peer->allowed = jaco_arena_grow(p->arena, peer->allowed, &p->cap_allowed,
					peer->n_allowed + 1, sizeof(*peer->allowed));
	peer->allowed[peer->n_allowed++] = jaco_cidr_network(cidr);
	return 0;
}

static int take_peer_line(struct parser *p, const char *key, const char *value)
{
	struct mesh_peer *peer = p->peer;
	uint64_t number = 0;
	int rc = 0;

	if (strcmp(key, "endpoint") == 0)
		return jaco_str_copy(peer->endpoint, sizeof(peer->endpoint), value) ? 0
										     : bad(p, key);
	if (strcmp(key, "allowed_ip") == 0)
		return take_allowed(p, value);
	if (strcmp(key, "persistent_keepalive_interval") == 0) {
		rc = take_number(p, key, value, 65535, &number);
		peer->keepalive_s = (unsigned)number;
	} else if (strcmp(key, "last_handshake_time_sec") == 0) {
		rc = take_number(p, key, value, INT64_MAX / 1000 - 1, &number);
		peer->handshake_ms = (int64_t)number * 1000;
	} else if (strcmp(key, "last_handshake_time_nsec") == 0) {
		rc = take_number(p, key, value, 999999999, &number);
		if (peer->handshake_ms)
			peer->handshake_ms += (int64_t)(number / 1000000);
	} else if (strcmp(key, "rx_bytes") == 0) {
		rc = take_number(p, key, value, UINT64_MAX, &peer->rx_bytes);
	} else if (strcmp(key, "tx_bytes") == 0) {
		rc = take_number(p, key, value, UINT64_MAX, &peer->tx_bytes);
	}
	return rc;
}

static int take_line(struct parser *p, const char *key, const char *value)
{
	uint64_t number = 0;
	int rc;

	if (strcmp(key, "errno") == 0) {
		if (!jaco_str_to_u64(value, INT32_MAX, &p->result))
			p->result = EPROTO; /* some answer with negative numbers: failure as well */
		return 0;
	}
	if (strcmp(key, "public_key") == 0)
		return take_peer(p, value);
	if (p->peer)
		return take_peer_line(p, key, value);
	if (strcmp(key, "private_key") == 0)
		return jaco_hex_decode(value, p->device->private_key, MESH_KEY_BYTES) ? 0
										      : bad(p, key);
	if (strcmp(key, "listen_port") == 0) {
		rc = take_number(p, key, value, 65535, &number);
		p->device->port = (uint16_t)number;
		return rc;
	}
	return 0;
}

/* Lines of @text one by one into take_line; the buffer holds a private key, so it is wiped. */
static int take_lines(struct parser *p, const char *text, size_t n)
{
	char line[LINE_MAX_BYTES];
	int rc = 0;

	for (size_t at = 0; at < n && rc >= 0;) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t length = end ? (size_t)(end - text) - at : n - at;
		char *equals;

		if (length == 0)
			break;
		if (length >= sizeof(line) || memchr(text + at, '\0', length)) {
			rc = jaco_err_set(p->err, JACO_PARSE_FAILED,
					  "WireGuard's answer: line too long");
			break;
		}
		memcpy(line, text + at, length);
		line[length] = '\0';
		equals = strchr(line, '=');
		if (!equals) {
			rc = jaco_err_set(p->err, JACO_PARSE_FAILED,
					  "WireGuard's answer: a line is not key=value");
			break;
		}
		*equals = '\0';
		rc = take_line(p, line, equals + 1);
		at += length + 1;
	}
	jaco_wipe(line, sizeof(line));
	return rc;
}

int uapi_parse(const char *text, size_t n, struct jaco_arena *arena, struct mesh_device *out,
	       struct jaco_err *err)
{
	struct mesh_device device = {.n_peers = 0};
	struct parser p = {.arena = arena, .device = &device, .err = err};
	int rc = take_lines(&p, text, n);

	if (rc >= 0 && p.result != 0)
		rc = jaco_err_set(err, JACO_INTERNAL, "WireGuard refuses get: errno %" PRIu64,
				  p.result);
	if (rc >= 0)
		*out = device;
	jaco_wipe(device.private_key, sizeof(device.private_key));
	return rc < 0 ? rc : 0;
}

int uapi_parse_result(const char *text, size_t n, struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct mesh_device device = {.n_peers = 0};
	struct parser p = {.arena = &arena, .device = &device, .err = err, .result = EPROTO};
	int rc = take_lines(&p, text, n);

	if (rc < 0)
		return rc;
	if (p.result != 0)
		return jaco_err_set(err, JACO_INTERNAL,
				    "WireGuard refuses the change: errno %" PRIu64, p.result);
	return 0;
}

static void add_hex(struct jaco_buf *out, const char *key,
		    const uint8_t bytes[static MESH_KEY_BYTES])
{
	char hex[2 * MESH_KEY_BYTES + 1];

	jaco_hex_encode(hex, bytes, MESH_KEY_BYTES);
	jaco_buf_printf(out, "%s=%s\n", key, hex);
	jaco_wipe(hex, sizeof(hex));
}

static void render_peer(struct jaco_buf *out, const struct mesh_step *step)
{
	char text[JACO_CIDR_TEXT_BYTES];

	add_hex(out, "public_key", step->peer->key);
	if (step->set_endpoint)
		jaco_buf_printf(out, "endpoint=%s\n", step->peer->endpoint);
	if (step->set_keepalive)
		jaco_buf_printf(out, "persistent_keepalive_interval=%u\n",
				step->peer->keepalive_s);
	if (step->replace_allowed)
		jaco_buf_add_str(out, "replace_allowed_ips=true\n");
	for (size_t i = 0; i < step->n_allowed; i++) {
		jaco_cidr_render(text, step->allowed[i]);
		jaco_buf_printf(out, "allowed_ip=%s\n", text);
	}
}

void uapi_render(struct jaco_buf *out, const struct mesh_plan *plan,
		 const struct mesh_device *desired)
{
	jaco_buf_add_str(out, "set=1\n");
	/* device keys must come before the first peer */
	for (size_t i = 0; i < plan->n; i++)
		if (plan->steps[i].what == MESH_SET_DEVICE) {
			add_hex(out, "private_key", desired->private_key);
			jaco_buf_printf(out, "listen_port=%u\n", desired->port);
		}
	for (size_t i = 0; i < plan->n; i++) {
		const struct mesh_step *step = &plan->steps[i];

		switch (step->what) {
		case MESH_SET_DEVICE:
			break;
		case MESH_DROP_PEER:
			add_hex(out, "public_key", step->peer->key);
			jaco_buf_add_str(out, "remove=true\n");
			break;
		case MESH_SET_PEER:
			render_peer(out, step);
			break;
		}
	}
	jaco_buf_add_char(out, '\n');
}
