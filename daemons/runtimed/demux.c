/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/demux.h"

#include <string.h>

#include "libjaco/base/str.h"

#define STREAM_STDERR 2
#define CHUNK_MAX     (16u << 20) /* a longer chunk is no chunk but garbage read as a header */

void demux_init(struct demux *d, bool is_raw, demux_line_fn *on_line, void *ctx)
{
	*d = (struct demux){.is_raw = is_raw, .on_line = on_line, .ctx = ctx};
}

static void flush(struct demux *d, bool is_stderr)
{
	struct jaco_buf *line = &d->lines[is_stderr];
	size_t n = line->n;

	if (n > 0 && line->data[n - 1] == '\r')
		line->data[--n] = '\0';
	d->on_line(d->ctx, is_stderr, n ? line->data : "", n);
	jaco_buf_reset(line);
}

static void take_text(struct demux *d, const char *data, size_t n)
{
	struct jaco_buf *line = &d->lines[d->is_stderr];

	while (n > 0) {
		const char *end = memchr(data, '\n', n);
		size_t part = end ? (size_t)(end - data) : n;
		size_t room = DEMUX_LINE_MAX - line->n;

		if (part > room) {
			jaco_buf_add(line, data, room);
			flush(d, d->is_stderr);
			data += room;
			n -= room;
			continue;
		}
		jaco_buf_add(line, data, part);
		if (end) {
			flush(d, d->is_stderr);
			part++;
		}
		data += part;
		n -= part;
	}
}

static int take_header(struct demux *d, struct jaco_err *err)
{
	const uint8_t *h = d->header;

	d->left = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
	d->is_stderr = h[0] == STREAM_STDERR;
	d->n_header = 0;
	if (h[0] > STREAM_STDERR || h[1] || h[2] || h[3] || d->left > CHUNK_MAX)
		return jaco_err_set(err, JACO_DOCKER_ERROR, "log stream: not a chunk header");
	return 0;
}

int demux_feed(struct demux *d, const void *data, size_t n, struct jaco_err *err)
{
	const char *at = data;

	if (d->is_raw) {
		take_text(d, at, n);
		return 0;
	}
	while (n > 0) {
		size_t part;

		if (d->left == 0) {
			d->header[d->n_header++] = (uint8_t)*at++;
			n--;
			if (d->n_header == sizeof(d->header) && take_header(d, err) < 0)
				return -(int)err->code;
			continue;
		}
		part = JACO_MIN(n, d->left);
		take_text(d, at, part);
		d->left -= part;
		at += part;
		n -= part;
	}
	return 0;
}

void demux_fini(struct demux *d)
{
	for (size_t i = 0; i < JACO_ARRAY_SIZE(d->lines); i++) {
		if (d->lines[i].n > 0)
			flush(d, i == 1);
		jaco_buf_fini(&d->lines[i]);
	}
}

size_t demux_time_prefix(const char *text)
{
	size_t n = strcspn(text, " ");

	if (n < 20 || n > 40 || text[n] != ' ' || text[4] != '-' || text[10] != 'T')
		return 0;
	return n;
}

const char *demux_as_utf8(struct jaco_buf *scratch, const char *text, size_t n)
{
	static const char unknown[] = "\xef\xbf\xbd";

	if (jaco_str_is_utf8(text, n))
		return text;
	jaco_buf_reset(scratch);
	while (n > 0) {
		size_t good = 1;
		bool is_good;

		while (good < 4 && good < n && !jaco_str_is_utf8(text, good))
			good++;
		is_good = jaco_str_is_utf8(text, good);
		good = is_good ? good : 1;
		if (scratch->n + (is_good ? good : strlen(unknown)) > DEMUX_LINE_MAX)
			break;
		jaco_buf_add(scratch, is_good ? text : unknown, is_good ? good : strlen(unknown));
		text += good;
		n -= good;
	}
	return jaco_buf_str(scratch);
}
