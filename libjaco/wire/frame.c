/* SPDX-License-Identifier: Apache-2.0
 *
 * frame.c - MessagePack-RPC framing. */
#include "libjaco/wire/frame.h"

#include <string.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/limits.h"
#include "libjaco/base/str.h"
#include "libjaco/wire/codec.h"
#include "libjaco/wire/wire.h"

static int refuse(struct jaco_err *err, const char *why)
{
	return jaco_err_set(err, JACO_PARSE_FAILED, "not MessagePack-RPC: %s", why);
}

static int read_method(struct jaco_cursor *cursor, struct jaco_frame *out)
{
	size_t n;
	const char *name = jaco_cursor_str(cursor, &n);

	if (cursor->state != JACO_CURSOR_OK || n == 0 || n >= sizeof(out->method) ||
	    memchr(name, 0, n))
		return -1;
	memcpy(out->method, name, n);
	out->method[n] = '\0';
	return 0;
}

static void read_slice(struct jaco_cursor *cursor, const void **out, size_t *out_bytes)
{
	const uint8_t *start = cursor->at;
	bool is_nil = jaco_cursor_peek(cursor) == JACO_CURSOR_NIL;

	jaco_cursor_skip(cursor);
	*out = is_nil ? NULL : start;
	*out_bytes = is_nil ? 0 : (size_t)(cursor->at - start);
}

/* {"id": n, "event": map} in any order. */
static int read_event(struct jaco_cursor *cursor, struct jaco_frame *out)
{
	uint32_t pairs;

	if (jaco_cursor_array(cursor) != 1)
		return -1;
	pairs = jaco_cursor_map(cursor);
	for (uint32_t i = 0; i < pairs && cursor->state == JACO_CURSOR_OK; i++) {
		size_t n;
		const char *key = jaco_cursor_str(cursor, &n);

		if (cursor->state != JACO_CURSOR_OK)
			return -1;
		if (n == 2 && memcmp(key, "id", 2) == 0)
			out->id = (uint32_t)jaco_cursor_u64(cursor, UINT32_MAX);
		else if (n == 5 && memcmp(key, "event", 5) == 0)
			read_slice(cursor, &out->body, &out->body_bytes);
		else
			jaco_cursor_skip(cursor);
	}
	return cursor->state == JACO_CURSOR_OK ? 0 : -1;
}

static int read_params(struct jaco_cursor *cursor, struct jaco_frame *out)
{
	uint32_t n = jaco_cursor_array(cursor);
	const char *caller;
	size_t caller_n;

	if (cursor->state != JACO_CURSOR_OK || n > 2)
		return -1;
	if (n >= 1)
		read_slice(cursor, &out->body, &out->body_bytes);
	if (n == 2) {
		caller = jaco_cursor_str(cursor, &caller_n);
		if (cursor->state != JACO_CURSOR_OK || caller_n >= sizeof(out->caller) ||
		    memchr(caller, 0, caller_n))
			return -1;
		memcpy(out->caller, caller, caller_n);
	}
	return cursor->state == JACO_CURSOR_OK ? 0 : -1;
}

int jaco_frame_read(const void *data, size_t n, struct jaco_frame *out, struct jaco_err *err)
{
	struct jaco_cursor whole = jaco_cursor_over(data, n);
	struct jaco_cursor cursor;
	uint32_t elements;
	uint64_t kind;

	memset(out, 0, sizeof(*out));
	if (n == 0)
		return 0;
	if (jaco_cursor_peek(&whole) != JACO_CURSOR_ARRAY)
		return refuse(err, "not an array");
	jaco_cursor_skip(&whole);
	if (whole.state == JACO_CURSOR_SHORT)
		return 0;
	if (whole.state == JACO_CURSOR_BAD)
		return refuse(err, "malformed or nested too deep");
	out->bytes = (size_t)(whole.at - (const uint8_t *)data);

	cursor = jaco_cursor_over(data, out->bytes);
	elements = jaco_cursor_array(&cursor);
	kind = jaco_cursor_u64(&cursor, 2);
	if (cursor.state != JACO_CURSOR_OK || elements != (kind == JACO_FRAME_NOTIFY ? 3u : 4u))
		return refuse(err, "wrong kind or number of elements");
	out->kind = (enum jaco_frame_kind)kind;
	if (kind != JACO_FRAME_NOTIFY)
		out->id = (uint32_t)jaco_cursor_u64(&cursor, UINT32_MAX);
	if (kind == JACO_FRAME_REPLY) {
		read_slice(&cursor, &out->error, &out->error_bytes);
		read_slice(&cursor, &out->body, &out->body_bytes);
		return cursor.state == JACO_CURSOR_OK ? 1 : refuse(err, "malformed reply");
	}
	if (cursor.state != JACO_CURSOR_OK || read_method(&cursor, out) < 0)
		return refuse(err, "malformed method name");
	if (kind == JACO_FRAME_NOTIFY)
		return read_event(&cursor, out) < 0 ? refuse(err, "malformed notification") : 1;
	return read_params(&cursor, out) < 0 ? refuse(err, "params must be one map in an array")
					     : 1;
}

static void request_head(struct jaco_buf *out, uint32_t id, const char *method, size_t n_params)
{
	jaco_pack_array(out, 4);
	jaco_pack_u64(out, JACO_FRAME_REQUEST);
	jaco_pack_u64(out, id);
	jaco_pack_str(out, method);
	jaco_pack_array(out, n_params);
}

void jaco_frame_request(struct jaco_buf *out, uint32_t id, const char *method)
{
	request_head(out, id, method, 1);
}

void jaco_frame_relay(struct jaco_buf *out, uint32_t id, const char *method, const void *params,
		      size_t n, const char *caller)
{
	request_head(out, id, method, 2);
	jaco_buf_add(out, params, n);
	jaco_pack_str(out, caller);
}

void jaco_frame_result(struct jaco_buf *out, uint32_t id)
{
	jaco_pack_array(out, 4);
	jaco_pack_u64(out, JACO_FRAME_REPLY);
	jaco_pack_u64(out, id);
	jaco_pack_nil(out);
}

void jaco_frame_event(struct jaco_buf *out, uint32_t id, const char *method)
{
	jaco_pack_array(out, 3);
	jaco_pack_u64(out, JACO_FRAME_NOTIFY);
	jaco_pack_str(out, method);
	jaco_pack_array(out, 1);
	jaco_pack_map(out, 2);
	jaco_pack_str(out, "id");
	jaco_pack_u64(out, id);
	jaco_pack_str(out, "event");
}

void jaco_frame_error(struct jaco_buf *out, uint32_t id, const struct jaco_err *err)
{
	struct wire_pair pairs[JACO_ERR_DETAILS_MAX];
	struct wire_error map = {
		.code = jaco_code_name(err->code),
		.message = err->text,
		.details = {pairs, err->n_details},
	};

	for (size_t i = 0; i < err->n_details; i++)
		pairs[i] = (struct wire_pair){err->details[i].key, err->details[i].value};
	jaco_pack_array(out, 4);
	jaco_pack_u64(out, JACO_FRAME_REPLY);
	jaco_pack_u64(out, id);
	(void)jaco_pack(out, &wire_error_desc, &map, NULL); /* within its bounds by construction */
	jaco_pack_nil(out);
}

void jaco_frame_unpack_error(const void *data, size_t n, struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_error map;

	if (jaco_unpack(&wire_error_desc, data, n, &arena, &map, NULL) < 0) {
		jaco_err_set(err, JACO_INTERNAL, "the other side sent a malformed error");
		return;
	}
	jaco_err_set(err, jaco_code_find(map.code), "%s", map.message);
	for (size_t i = 0; i < map.details.n; i++)
		jaco_err_detail(err, map.details.v[i].key, "%s", map.details.v[i].value);
}
