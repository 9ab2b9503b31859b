/* SPDX-License-Identifier: Apache-2.0
 *
 * assert.h - a bug of ours stops the process; systemd restarts it and its state is rebuilt.
 *
 * Compiled into releases.  Never used on input from outside: that is an error, not a bug. */
#pragma once

#include "libjaco/base/auto.h"

#define JACO_ASSERT(cond)                                                                          \
	do {                                                                                       \
		if (JACO_UNLIKELY(!(cond)))                                                        \
			jaco_assert_fail(#cond, __FILE__, __LINE__, __func__);                     \
	} while (0)

#define JACO_UNREACHABLE() jaco_assert_fail("unreachable", __FILE__, __LINE__, __func__)

/* Write one line to standard error and abort. */
JACO_NORETURN void jaco_assert_fail(const char *cond, const char *file, int line, const char *func);
