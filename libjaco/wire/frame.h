/* SPDX-License-Identifier: Apache-2.0
 *
 * frame.h - the three shapes of MessagePack-RPC, read from and written to buffers.  Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

enum jaco_frame_kind { JACO_FRAME_REQUEST = 0, JACO_FRAME_REPLY = 1, JACO_FRAME_NOTIFY = 2 };

struct jaco_frame {
	enum jaco_frame_kind kind;
	uint32_t id;        /* request, reply; of the stream for a notification (0: none) */
	char method[64];    /* request, notification */
	char caller[128];   /* request: on whose behalf it is passed on; "" when it is not */
	const void *body;   /* packed params, result or event map; borrowed from the input */
	size_t body_bytes;  /* 0: nil or absent */
	const void *error;  /* reply: packed error map, NULL for nil */
	size_t error_bytes;
	size_t bytes;       /* of the whole frame */
};

/* 1: @out is the frame at the front of @data; 0: more bytes are needed.  Errors: PARSE_FAILED - not
 * MessagePack-RPC, the stream cannot be resynchronised; out->id is set when it could be read. */
int jaco_frame_read(const void *data, size_t n, struct jaco_frame *out, struct jaco_err *err);

/* Heads; the caller appends the packed map right after them. */
void jaco_frame_request(struct jaco_buf *out, uint32_t id, const char *method);
void jaco_frame_result(struct jaco_buf *out, uint32_t id); /* then the result map (or nil) */
void jaco_frame_event(struct jaco_buf *out, uint32_t id, const char *method);

/* A whole request passed on for @caller: its name is a second element of the params array. */
void jaco_frame_relay(struct jaco_buf *out, uint32_t id, const char *method, const void *params,
		      size_t n, const char *caller);

/* A whole error reply. */
void jaco_frame_error(struct jaco_buf *out, uint32_t id, const struct jaco_err *err);

/* Fill @err from a packed error map; a malformed one becomes INTERNAL. */
void jaco_frame_unpack_error(const void *data, size_t n, struct jaco_err *err);
