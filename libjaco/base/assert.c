/* SPDX-License-Identifier: Apache-2.0
 *
 * assert.c - the last words of a process that found a bug in itself. */
#include "libjaco/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void jaco_assert_fail(const char *cond, const char *file, int line, const char *func)
{
	fprintf(stderr, "jaco: bug: %s:%d: %s: assertion `%s' failed\n", file, line, func, cond);
	abort();
}
