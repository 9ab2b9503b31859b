/* SPDX-License-Identifier: Apache-2.0
 *
 * mem.c - the only place that calls malloc and free. */
#include "libjaco/base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/assert.h"

static void *must(void *ptr)
{
	if (JACO_UNLIKELY(!ptr))
		jaco_assert_fail("memory is available", __FILE__, __LINE__, __func__);
	return ptr;
}

void *jaco_alloc(size_t bytes)
{
	return must(calloc(1, bytes ? bytes : 1));
}

void *jaco_alloc_dirty(size_t bytes)
{
	return must(malloc(bytes ? bytes : 1));
}

void *jaco_alloc_n(size_t n, size_t bytes)
{
	return must(calloc(n ? n : 1, bytes ? bytes : 1));
}

void *jaco_realloc(void *take_ptr, size_t bytes)
{
	return must(realloc(take_ptr, bytes ? bytes : 1));
}

void *jaco_grow(void *take_ptr, size_t *cap, size_t need, size_t bytes)
{
	size_t want = *cap ? *cap : 8;

	if (need <= *cap)
		return take_ptr;
	while (want < need) {
		JACO_ASSERT(want <= SIZE_MAX / 2);
		want *= 2;
	}
	JACO_ASSERT(bytes == 0 || want <= SIZE_MAX / bytes);
	*cap = want;
	return jaco_realloc(take_ptr, want * bytes);
}

char *jaco_strdup(const char *text)
{
	return jaco_memdup(text, strlen(text) + 1);
}

char *jaco_strndup(const char *text, size_t n)
{
	size_t used = strnlen(text, n);
	char *copy = jaco_alloc(used + 1);

	memcpy(copy, text, used);
	return copy;
}

void *jaco_memdup(const void *data, size_t bytes)
{
	void *copy = must(malloc(bytes ? bytes : 1));

	if (bytes)
		memcpy(copy, data, bytes);
	return copy;
}

char *jaco_asprintf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return must(n < 0 ? NULL : text);
}

void jaco_free(void *ptr)
{
	free(ptr);
}

void jaco_wipe(void *ptr, size_t bytes)
{
	if (bytes > 0) /* an empty buffer has no address: undefined for explicit_bzero(3) */
		explicit_bzero(ptr, bytes);
}

void jaco_ptr_cleanup(void *ptr_to_ptr)
{
	void **slot = ptr_to_ptr;

	free(*slot);
	*slot = NULL;
}
