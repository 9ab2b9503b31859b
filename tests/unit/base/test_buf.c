/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"

#include "tests/lib/test.h"

JT_CASE(an_append_past_the_bound_is_dropped_whole_and_remembered)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_BOUND(8);

	jaco_buf_add_str(&buf, "12345");
	jaco_buf_add_str(&buf, "6789");
	JT_TRUE(buf.overflow);
	JT_STR(jaco_buf_str(&buf), "12345");
	jaco_buf_add_str(&buf, "678");
	JT_STR(jaco_buf_str(&buf), "12345678");
	JT_TRUE(buf.overflow);
}

JT_CASE(consume_drops_from_the_front)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;

	jaco_buf_printf(&buf, "%d-%s", 42, "abc");
	jaco_buf_consume(&buf, 3);
	JT_STR(jaco_buf_str(&buf), "abc");
}

JT_CASE(take_leaves_an_empty_buffer)
{
	struct jaco_buf buf = JACO_BUF_INIT;
	jaco_auto(jaco_ptr) char *text = NULL;

	jaco_buf_add_char(&buf, 'x');
	text = jaco_buf_take(&buf);
	JT_STR(text, "x");
	JT_EQ(buf.n, 0);
	JT_STR(jaco_buf_str(&buf), "");
}

static bool is_blank(const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (data[i] != '\0')
			return false;
	return true;
}

JT_CASE(a_secret_buffer_leaves_nothing_behind)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_SECRET(0);

	for (int i = 0; i < 1000; i++) /* grows several times */
		jaco_buf_add_str(&buf, "secret");
	JT_EQ(buf.n, 6000);
	JT_MEM(buf.data + 5994, "secret", 7);
	jaco_buf_consume(&buf, 5994);
	JT_STR(jaco_buf_str(&buf), "secret");
	JT_TRUE(is_blank(buf.data + 6, 5994));
	jaco_buf_reset(&buf);
	JT_TRUE(is_blank(buf.data, 6000));
	jaco_buf_add_str(&buf, "again");
	JT_STR(jaco_buf_str(&buf), "again");
}

JT_MAIN(JT_RUN(a_secret_buffer_leaves_nothing_behind),
	JT_RUN(an_append_past_the_bound_is_dropped_whole_and_remembered),
	JT_RUN(consume_drops_from_the_front), JT_RUN(take_leaves_an_empty_buffer))
