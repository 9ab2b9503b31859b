/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.c - bump allocation in blocks; large requests get a block of their own. */
#include "libjaco/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

#define BLOCK_BYTES 4096

struct jaco_arena_block {
	struct jaco_arena_block *next;
	size_t size; /* of data */
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

static struct jaco_arena_block *add_block(struct jaco_arena *arena, size_t need)
{
	size_t size = need > BLOCK_BYTES / 4 ? need : BLOCK_BYTES;
	/* what is handed out is zeroed then; most of a block is never used */
	struct jaco_arena_block *block = jaco_alloc_dirty(sizeof(*block) + size);

	*block = (struct jaco_arena_block){.size = size};
	/* A block made for one big object goes second, so that the current one keeps filling. */
	if (size != BLOCK_BYTES && arena->head) {
		block->next = arena->head->next;
		arena->head->next = block;
	} else {
		block->next = arena->head;
		arena->head = block;
	}
	return block;
}

/* Room whose bytes are whatever they were. */
static void *take(struct jaco_arena *arena, size_t bytes)
{
	size_t need = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct jaco_arena_block *block = arena->head;
	void *out;

	JACO_ASSERT(need >= bytes);
	if (!block || block->size - block->used < need)
		block = add_block(arena, need);
	out = block->data + block->used;
	block->used += need;
	arena->used_bytes += need;
	return out;
}

void *jaco_arena_alloc(struct jaco_arena *arena, size_t bytes)
{
	return memset(take(arena, bytes), 0, bytes);
}

void *jaco_arena_alloc_n(struct jaco_arena *arena, size_t n, size_t bytes)
{
	JACO_ASSERT(bytes == 0 || n <= SIZE_MAX / bytes);
	return jaco_arena_alloc(arena, n * bytes);
}

char *jaco_arena_strdup(struct jaco_arena *arena, const char *text)
{
	return jaco_arena_memdup(arena, text, strlen(text) + 1);
}

char *jaco_arena_strndup(struct jaco_arena *arena, const char *text, size_t n)
{
	size_t used = strnlen(text, n);
	char *copy = jaco_arena_alloc(arena, used + 1);

	memcpy(copy, text, used);
	return copy;
}

void *jaco_arena_memdup(struct jaco_arena *arena, const void *data, size_t bytes)
{
	void *copy = take(arena, bytes);

	if (bytes)
		memcpy(copy, data, bytes);
	return copy;
}

char *jaco_arena_printf(struct jaco_arena *arena, const char *fmt, ...)
{
	va_list ap;
	va_list again;
	char small[256]; /* most texts are: they are formatted once */
	char *text;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	JACO_ASSERT(n >= 0);
	if ((size_t)n < sizeof(small)) {
		text = jaco_arena_memdup(arena, small, (size_t)n + 1);
	} else {
		text = jaco_arena_alloc(arena, (size_t)n + 1);
		(void)vsnprintf(text, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	return text;
}

void *jaco_arena_grow(struct jaco_arena *arena, void *old, size_t *cap, size_t need, size_t bytes)
{
	size_t want = *cap ? *cap : 4;
	void *grown;

	if (need <= *cap)
		return old;
	while (want < need)
		want *= 2;
	grown = jaco_arena_alloc_n(arena, want, bytes);
	if (*cap)
		memcpy(grown, old, *cap * bytes);
	*cap = want;
	return grown;
}

void jaco_arena_reset(struct jaco_arena *arena)
{
	struct jaco_arena_block *block = arena->head;
	struct jaco_arena_block *keep = NULL;

	while (block) {
		struct jaco_arena_block *next = block->next;

		if (!keep && block->size == BLOCK_BYTES)
			keep = block;
		else
			jaco_free(block);
		block = next;
	}
	if (keep) {
		keep->next = NULL;
		keep->used = 0;
	}
	arena->head = keep;
	arena->used_bytes = 0;
}

void jaco_arena_fini(struct jaco_arena *arena)
{
	struct jaco_arena_block *block = arena->head;

	while (block) {
		struct jaco_arena_block *next = block->next;

		jaco_free(block);
		block = next;
	}
	*arena = JACO_ARENA_INIT;
}
