/* SPDX-License-Identifier: Apache-2.0
 *
 * demux.h - an engine's log stream as lines.
 *
 * Pure.  Without a terminal each chunk has a header of eight bytes: stream (0 in, 1 out, 2 error),
 * three zero bytes, length in network order (Docker Engine API, "Attach to a container").  With a
 * terminal the stream is raw.  Lines beyond DEMUX_LINE_MAX are cut into several. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

#define DEMUX_LINE_MAX 65000 /* below log_line.text of runtimed.def, with its terminator */

/* @text has no newline and is NUL-terminated; borrowed for the call. */
typedef void demux_line_fn(void *ctx, bool is_stderr, const char *text, size_t n);

struct demux {
	bool is_raw;
	uint8_t header[8];
	size_t n_header;
	size_t left; /* bytes of the present chunk still to come */
	bool is_stderr;
	struct jaco_buf lines[2]; /* incomplete: output, error */
	demux_line_fn *on_line;
	void *ctx;
};

void demux_init(struct demux *d, bool is_raw, demux_line_fn *on_line, void *ctx);

/* Errors: DOCKER_ERROR - not such a stream; feed no more then. */
int demux_feed(struct demux *d, const void *data, size_t n, struct jaco_err *err);

/* Give out what has no newline yet, and release. */
void demux_fini(struct demux *d);

/* "2026-11-21T23:40:31.123456789Z text": the length of the time in front, 0 when there is none. */
size_t demux_time_prefix(const char *text);

/* The line for those who take UTF-8 only: U+FFFD stands for each byte that belongs to no character.
 * What gets longer than DEMUX_LINE_MAX by that ends there, at a character.  Borrowed from @text or
 * from @scratch. */
const char *demux_as_utf8(struct jaco_buf *scratch, const char *text, size_t n);
