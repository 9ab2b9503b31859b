/* SPDX-License-Identifier: Apache-2.0
 *
 * iobuf.c - see iobuf.h. */
#include "daemons/proxyd/iobuf.h"

#include "libjaco/base/mem.h"

static struct iobuf *fresh(size_t cap)
{
	/* Not zeroed: only bytes that were written are ever read. */
	struct iobuf *buf = jaco_realloc(NULL, sizeof(*buf) + cap);

	buf->cap = (uint32_t)cap;
	return buf;
}

struct iobuf *iobuf_get(struct iobuf_pool *pool, size_t bytes)
{
	struct iobuf *buf;

	if (bytes <= IOBUF_SMALL_BYTES) {
		buf = pool->small;
		if (buf) {
			pool->small = buf->next;
			pool->n_small--;
		} else {
			buf = fresh(IOBUF_SMALL_BYTES);
		}
	} else if (bytes <= IOBUF_LARGE_BYTES) {
		buf = pool->large;
		if (buf) {
			pool->large = buf->next;
			pool->n_large--;
		} else {
			buf = fresh(IOBUF_LARGE_BYTES);
		}
	} else {
		buf = fresh(bytes);
	}
	pool->n_used++;
	buf->next = NULL;
	buf->off = 0;
	buf->n = 0;
	return buf;
}

void iobuf_put(struct iobuf_pool *pool, struct iobuf **buf)
{
	struct iobuf *b = *buf;

	if (!b)
		return;
	*buf = NULL;
	pool->n_used--;
	if (b->cap == IOBUF_SMALL_BYTES && pool->n_small < IOBUF_KEEP_SMALL) {
		b->next = pool->small;
		pool->small = b;
		pool->n_small++;
	} else if (b->cap == IOBUF_LARGE_BYTES && pool->n_large < IOBUF_KEEP_LARGE) {
		b->next = pool->large;
		pool->large = b;
		pool->n_large++;
	} else {
		jaco_free(b);
	}
}

static void free_list(struct iobuf *list)
{
	while (list) {
		struct iobuf *next = list->next;

		jaco_free(list);
		list = next;
	}
}

void iobuf_pool_fini(struct iobuf_pool *pool)
{
	free_list(pool->small);
	free_list(pool->large);
	*pool = (struct iobuf_pool){.small = NULL};
}
