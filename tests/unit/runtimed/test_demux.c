/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/demux.h"

#include "libjaco/base/buf.h"
#include "libjaco/base/str.h"
#include "tests/lib/test.h"

static void collect(void *ctx, bool is_stderr, const char *text, size_t n)
{
	JT_EQ(strlen(text), n);
	jaco_buf_printf(ctx, "%s%s|", is_stderr ? "E:" : "", text);
}

static const char stream[] =
	"\1\0\0\0\0\0\0\x7one\ntwo\2\0\0\0\0\0\0\4err\n\1\0\0\0\0\0\0\6!\r\nend";

JT_CASE(chunks_become_lines_however_they_are_cut)
{
	for (size_t step = 1; step < sizeof(stream); step++) {
		struct jaco_buf got = JACO_BUF_INIT;
		struct jaco_err err = JACO_ERR_INIT;
		struct demux d;

		demux_init(&d, false, collect, &got);
		for (size_t at = 0; at < sizeof(stream) - 1; at += step)
			JT_OK(demux_feed(&d, stream + at, JACO_MIN(step, sizeof(stream) - 1 - at),
					 &err),
			      &err);
		demux_fini(&d);
		JT_STR(jaco_buf_str(&got), "one|E:err|two!|end|");
		jaco_buf_fini(&got);
	}
}

JT_CASE(garbage_is_refused)
{
	struct jaco_buf got = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct demux d;

	demux_init(&d, false, collect, &got);
	JT_FAILS_WITH(demux_feed(&d, "plain text", 10, &err), DOCKER_ERROR, "chunk header", &err);
	demux_fini(&d);
	jaco_buf_fini(&got);
}

JT_CASE(a_terminal_has_no_headers)
{
	struct jaco_buf got = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct demux d;

	demux_init(&d, true, collect, &got);
	JT_OK(demux_feed(&d, "a\r\nb", 4, &err), &err);
	demux_fini(&d);
	JT_STR(jaco_buf_str(&got), "a|b|");
	jaco_buf_fini(&got);
}

static void count(void *ctx, bool is_stderr, const char *text, size_t n)
{
	size_t *sizes = ctx;

	(void)is_stderr;
	(void)text;
	sizes[0]++;
	sizes[1] += n;
	JT_TRUE(n <= DEMUX_LINE_MAX);
}

JT_CASE(endless_lines_are_cut_and_nothing_is_lost)
{
	char block[4096];
	size_t sizes[2] = {0};
	struct jaco_err err = JACO_ERR_INIT;
	struct demux d;

	memset(block, 'x', sizeof(block));
	demux_init(&d, true, count, sizes);
	for (int i = 0; i < 100; i++)
		JT_OK(demux_feed(&d, block, sizeof(block), &err), &err);
	demux_fini(&d);
	JT_EQ(sizes[0], (100 * sizeof(block) + DEMUX_LINE_MAX - 1) / DEMUX_LINE_MAX);
	JT_EQ(sizes[1], 100 * sizeof(block));
}

JT_CASE(the_time_in_front_is_found_only_when_it_is_one)
{
	JT_EQ(demux_time_prefix("2026-11-21T23:40:31.123456789Z text"), 30);
	JT_EQ(demux_time_prefix("no time here at all, just a text"), 0);
	JT_EQ(demux_time_prefix(""), 0);
}

JT_CASE(a_line_is_utf8_whatever_it_was_and_never_ends_inside_a_character)
{
	static char line[DEMUX_LINE_MAX + 1];
	jaco_auto(jaco_buf) struct jaco_buf scratch = JACO_BUF_INIT;
	const char *text;

	JT_STR(demux_as_utf8(&scratch, "caf\xc3\xa9", 5), "caf\xc3\xa9");
	JT_STR(demux_as_utf8(&scratch, "a\xff\xc3z", 4), "a\xef\xbf\xbd\xef\xbf\xbdz");
	memset(line, 0xff, DEMUX_LINE_MAX); /* three times as long, and no multiple of three */
	text = demux_as_utf8(&scratch, line, DEMUX_LINE_MAX);
	JT_EQ(strlen(text), DEMUX_LINE_MAX / 3 * 3);
	JT_TRUE(jaco_str_is_utf8(text, strlen(text)));
	memset(line, 'x', DEMUX_LINE_MAX); /* a long line that was cut inside its last character */
	line[DEMUX_LINE_MAX - 1] = (char)0xc3;
	text = demux_as_utf8(&scratch, line, DEMUX_LINE_MAX);
	JT_EQ(strlen(text), DEMUX_LINE_MAX - 1);
	JT_TRUE(jaco_str_is_utf8(text, strlen(text)));
}

JT_MAIN(JT_RUN(a_line_is_utf8_whatever_it_was_and_never_ends_inside_a_character),
	JT_RUN(chunks_become_lines_however_they_are_cut), JT_RUN(garbage_is_refused),
	JT_RUN(a_terminal_has_no_headers), JT_RUN(endless_lines_are_cut_and_nothing_is_lost),
	JT_RUN(the_time_in_front_is_found_only_when_it_is_one))
