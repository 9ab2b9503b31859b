/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h - a growable run of bytes: output being built, input being gathered.
 *
 * A buffer with a bound never grows past it: the append that would is dropped whole, `overflow` is
 * set and stays set, so that many appends need one check.
 *
 * A secret buffer wipes its memory before giving it back, on whatever path that happens, and when
 * it moves to grow.  What was taken out of it is the taker's to wipe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/auto.h"

struct jaco_buf {
	char *data;     /* always NUL-terminated once non-NULL; the NUL is not counted */
	size_t n;       /* bytes in use */
	size_t cap;     /* bytes allocated */
	size_t max;     /* bound, 0 = none */
	bool overflow;  /* an append was refused */
	bool is_secret; /* keys, tokens, passwords */
};

#define JACO_BUF_INIT       ((struct jaco_buf){.data = NULL})
#define JACO_BUF_BOUND(max_) ((struct jaco_buf){.max = (max_)})
#define JACO_BUF_SECRET(max_) ((struct jaco_buf){.max = (max_), .is_secret = true})

void jaco_buf_add(struct jaco_buf *buf, const void *data, size_t n);
void jaco_buf_add_str(struct jaco_buf *buf, const char *text);
void jaco_buf_add_char(struct jaco_buf *buf, char c);
void jaco_buf_printf(struct jaco_buf *buf, const char *fmt, ...) JACO_PRINTF(2, 3);

/* Room for @n more bytes at the returned place, or NULL (overflow set).  Commit with buf->n +=
 * used. */
char *jaco_buf_reserve(struct jaco_buf *buf, size_t n);

/* Drop @n bytes from the front. */
void jaco_buf_consume(struct jaco_buf *buf, size_t n);

/* The text, "" when empty.  Borrowed. */
const char *jaco_buf_str(const struct jaco_buf *buf);

/* The memory, NUL-terminated; the buffer is empty afterwards.  Release with jaco_free(). */
char *jaco_buf_take(struct jaco_buf *buf);

void jaco_buf_reset(struct jaco_buf *buf);
void jaco_buf_fini(struct jaco_buf *buf);
#define jaco_buf_cleanup jaco_buf_fini
