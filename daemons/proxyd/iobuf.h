/* SPDX-License-Identifier: Apache-2.0
 *
 * iobuf.h - buffers of connections in use: two sizes, pooled per worker, newest first.
 *
 * An idle connection holds none.  The memory is never given back below a watermark, because a page
 * fault costs more than a request (design/performance.md section 8). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define IOBUF_SMALL_BYTES (16 * 1024)
#define IOBUF_LARGE_BYTES (96 * 1024) /* the largest head and everything we add to it */
#define IOBUF_KEEP_SMALL  4096        /* kept for reuse per worker: 64 MiB */
#define IOBUF_KEEP_LARGE  64

struct iobuf {
	struct iobuf *next;
	uint32_t cap; /* bytes in data */
	uint32_t off; /* first byte in use */
	uint32_t n;   /* bytes in use */
	char data[];
};

struct iobuf_pool {
	struct iobuf *small, *large;
	size_t n_small, n_large; /* kept */
	size_t n_used;           /* handed out */
};

/* An empty buffer with room for @bytes; more than IOBUF_LARGE_BYTES gets one of its own size. */
struct iobuf *iobuf_get(struct iobuf_pool *pool, size_t bytes);

/* NULL is fine; *@buf is NULL afterwards. */
void iobuf_put(struct iobuf_pool *pool, struct iobuf **buf);
void iobuf_pool_fini(struct iobuf_pool *pool);

static inline char *iobuf_head(struct iobuf *buf)
{
	return buf->data + buf->off;
}

static inline size_t iobuf_room(const struct iobuf *buf)
{
	return buf->cap - buf->off - buf->n;
}

static inline void iobuf_consume(struct iobuf *buf, size_t n)
{
	buf->n -= (uint32_t)n;
	buf->off = buf->n ? buf->off + (uint32_t)n : 0;
}

/* Move what is in use to the front. */
static inline void iobuf_compact(struct iobuf *buf)
{
	if (buf->off && buf->n)
		memmove(buf->data, buf->data + buf->off, buf->n);
	buf->off = 0;
}
