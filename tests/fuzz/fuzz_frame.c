/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_frame.c - any bytes as MessagePack-RPC: a frame lies inside what was given, more bytes never
 * turn a whole frame into another one, fewer never make one up. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be(bool holds)
{
	if (!holds)
		abort();
}

static void lies_inside(const void *part, size_t part_bytes, const uint8_t *data, size_t n)
{
	const uint8_t *at = part;

	must_be(!part || (at >= data && at + part_bytes <= data + n));
}

static void check_frame(const uint8_t *data, const struct jaco_frame *frame)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_frame again;

	lies_inside(frame->body, frame->body_bytes, data, frame->bytes);
	lies_inside(frame->error, frame->error_bytes, data, frame->bytes);
	must_be(memchr(frame->method, 0, sizeof(frame->method)) != NULL);
	must_be(jaco_frame_read(data, frame->bytes, &again, &err) == 1);
	must_be(again.bytes == frame->bytes && again.id == frame->id && again.kind == frame->kind);
	must_be(jaco_frame_read(data, frame->bytes - 1, &again, &err) < 1);
	if (frame->error) {
		jaco_frame_unpack_error(frame->error, frame->error_bytes, &err);
		must_be(err.code != JACO_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		struct jaco_err err = JACO_ERR_INIT;
		struct jaco_frame frame;
		int rc = jaco_frame_read(data + at, size - at, &frame, &err);

		if (rc < 1) {
			must_be(rc == 0 || err.code == JACO_PARSE_FAILED);
			return 0;
		}
		must_be(frame.bytes > 0 && frame.bytes <= size - at);
		check_frame(data + at, &frame);
		at += frame.bytes;
	}
	return 0;
}
