/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/base/err.h"

#include <errno.h>

#include "tests/lib/test.h"

JT_CASE(context_is_prefixed_on_the_way_up)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_EQ(jaco_err_set(&err, JACO_CONFLICT, "key %s changed", "/a"), -JACO_CONFLICT);
	JT_EQ(jaco_err_wrap(&err, "apply %s", "shop"), -JACO_CONFLICT);
	JT_STR(err.text, "apply shop: key /a changed");
}

JT_CASE(a_system_call_names_its_errno)
{
	struct jaco_err err = JACO_ERR_INIT;

	errno = ENOENT;
	JT_FAILS_WITH(jaco_err_errno(&err, "open x"), INTERNAL, "open x: No such file", &err);
	JT_EQ(err.sys_errno, ENOENT);
}

JT_CASE(codes_and_names_are_one_to_one)
{
	for (int i = JACO_OK + 1; i < JACO_CODE_END; i++) {
		JT_EQ(jaco_code_find(jaco_code_name((enum jaco_code)i)), i);
		JT_NE(jaco_code_exit((enum jaco_code)i), 0);
	}
	JT_EQ(jaco_code_find("no such code"), JACO_INTERNAL);
}

JT_CASE(long_texts_are_cut_not_overrun)
{
	struct jaco_err err = JACO_ERR_INIT;
	char text[2000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	jaco_err_set(&err, JACO_INTERNAL, "%s", text);
	for (int i = 0; i < 10; i++) {
		jaco_err_wrap(&err, "%s", text);
		jaco_err_detail(&err, text, "%s", text);
	}
	JT_EQ(strlen(err.text), JACO_ERR_TEXT_MAX - 1);
	JT_TRUE(err.n_details <= JACO_ERR_DETAILS_MAX);
}

JT_CASE(details_replace_by_key)
{
	struct jaco_err err = JACO_ERR_INIT;

	jaco_err_set(&err, JACO_VALIDATION_FAILED, "x");
	jaco_err_detail(&err, "line", "%d", 1);
	jaco_err_detail(&err, "line", "%d", 2);
	JT_EQ(err.n_details, 1);
	JT_STR(jaco_err_get_detail(&err, "line"), "2");
	JT_NULL(jaco_err_get_detail(&err, "column"));
}

JT_MAIN(JT_RUN(context_is_prefixed_on_the_way_up), JT_RUN(a_system_call_names_its_errno),
	JT_RUN(codes_and_names_are_one_to_one), JT_RUN(long_texts_are_cut_not_overrun),
	JT_RUN(details_replace_by_key))
