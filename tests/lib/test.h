/* SPDX-License-Identifier: Apache-2.0
 *
 * test.h - thin names over cmocka.
 *
 *   JT_CASE(pick_is_stable_for_an_owner)
 *   {
 *           JT_EQ(pool_pick(...), 0);
 *           JT_FAILS_WITH(pool_pick(..., &err), CONFLICT, "already holds", &err);
 *   }
 *   JT_MAIN(JT_RUN(pick_is_stable_for_an_owner))
 *
 * Cases are named as claims, so that a failing name is the bug report. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "libjaco/base/err.h"

#define JT_CASE(name) static void name(JACO_UNUSED void **jt_state)
#define JT_RUN(name)  cmocka_unit_test(name)

#define JT_EQ(a, b)     assert_int_equal((a), (b))
#define JT_NE(a, b)     assert_int_not_equal((a), (b))
#define JT_TRUE(x)      assert_true(x)
#define JT_FALSE(x)     assert_false(x)
#define JT_STR(a, b)    assert_string_equal((a), (b))
#define JT_MEM(a, b, n) assert_memory_equal((a), (b), (n))
#define JT_NULL(x)      assert_null(x)
#define JT_NOT_NULL(x)  assert_non_null(x)

/* @expr succeeded (>= 0); otherwise the error text is the failure message. */
#define JT_OK(expr, err_)                                                                          \
	do {                                                                                       \
		if ((expr) < 0)                                                                    \
			fail_msg("%s: %s: %s", #expr, jaco_code_name((err_)->code), (err_)->text); \
	} while (0)

/* @expr fails with JACO_@code_ and a text that contains @part. */
#define JT_FAILS_WITH(expr, code_, part, err_)                                                     \
	do {                                                                                       \
		int jt_rc = (int)(expr);                                                           \
		if (jt_rc != -(int)JACO_##code_ || (err_)->code != JACO_##code_)                   \
			fail_msg("%s: wanted %s, got %d %s: %s", #expr,                            \
				 jaco_code_name(JACO_##code_), jt_rc,                              \
				 jaco_code_name((err_)->code), (err_)->text);                      \
		if (!strstr((err_)->text, (part)))                                                 \
			fail_msg("%s: wanted \"%s\" in \"%s\"", #expr, (part), (err_)->text);      \
	} while (0)

#define JT_MAIN(...)                                                                               \
	int main(void)                                                                             \
	{                                                                                          \
		const struct CMUnitTest jt_cases[] = {__VA_ARGS__};                                \
		return cmocka_run_group_tests(jt_cases, NULL, NULL);                               \
	}
