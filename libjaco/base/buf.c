/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.c - growable bytes with an optional bound. */
#include "libjaco/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

static void give_back(struct jaco_buf *buf)
{
	if (buf->is_secret)
		jaco_wipe(buf->data, buf->cap);
	jaco_free(buf->data);
}

static void resize(struct jaco_buf *buf, size_t cap)
{
	if (buf->is_secret) {
		char *data = jaco_alloc_dirty(cap);

		if (buf->n)
			memcpy(data, buf->data, buf->n);
		give_back(buf);
		buf->data = data;
	} else {
		buf->data = jaco_realloc(buf->data, cap);
	}
	buf->cap = cap;
}

char *jaco_buf_reserve(struct jaco_buf *buf, size_t n)
{
	size_t need = buf->n + n + 1;

	if (need < n || (buf->max && buf->n + n > buf->max)) {
		buf->overflow = true;
		return NULL;
	}
	if (need > buf->cap) {
		size_t cap = buf->cap ? buf->cap : 64;

		while (cap < need)
			cap *= 2;
		resize(buf, cap);
	}
	buf->data[buf->n] = '\0';
	return buf->data + buf->n;
}

void jaco_buf_add(struct jaco_buf *buf, const void *data, size_t n)
{
	char *at = jaco_buf_reserve(buf, n);

	if (!at)
		return;
	if (n)
		memcpy(at, data, n);
	buf->n += n;
	buf->data[buf->n] = '\0';
}

void jaco_buf_add_str(struct jaco_buf *buf, const char *text)
{
	jaco_buf_add(buf, text, strlen(text));
}

void jaco_buf_add_char(struct jaco_buf *buf, char c)
{
	jaco_buf_add(buf, &c, 1);
}

void jaco_buf_printf(struct jaco_buf *buf, const char *fmt, ...)
{
	va_list ap;
	char *at;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	JACO_ASSERT(n >= 0);
	at = jaco_buf_reserve(buf, (size_t)n);
	if (!at)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(at, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->n += (size_t)n;
}

void jaco_buf_consume(struct jaco_buf *buf, size_t n)
{
	JACO_ASSERT(n <= buf->n);
	if (n == 0)
		return;
	memmove(buf->data, buf->data + n, buf->n - n);
	buf->n -= n;
	if (buf->is_secret)
		jaco_wipe(buf->data + buf->n, n);
	buf->data[buf->n] = '\0';
}

const char *jaco_buf_str(const struct jaco_buf *buf)
{
	return buf->data ? buf->data : "";
}

char *jaco_buf_take(struct jaco_buf *buf)
{
	char *data = buf->data ? buf->data : jaco_alloc(1);

	buf->data = NULL;
	buf->n = 0;
	buf->cap = 0;
	return data;
}

void jaco_buf_reset(struct jaco_buf *buf)
{
	if (buf->is_secret)
		jaco_wipe(buf->data, buf->n);
	buf->n = 0;
	buf->overflow = false;
	if (buf->data)
		buf->data[0] = '\0';
}

void jaco_buf_fini(struct jaco_buf *buf)
{
	give_back(buf);
	buf->data = NULL;
	buf->n = 0;
	buf->cap = 0;
}
