/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h - scratch memory that vanishes with one unit of work (a call, a pass, a document).
 *
 * Nothing is freed singly.  Memory from an arena must not be stored beyond jaco_arena_reset(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/auto.h"

struct jaco_arena {
	struct jaco_arena_block *head; /* newest first */
	size_t used_bytes;             /* handed out since the last reset */
};

#define JACO_ARENA_INIT ((struct jaco_arena){.head = NULL})

/* Zeroed, aligned for any type. */
void *jaco_arena_alloc(struct jaco_arena *arena, size_t bytes) __attribute__((returns_nonnull));
void *jaco_arena_alloc_n(struct jaco_arena *arena, size_t n, size_t bytes)
	__attribute__((returns_nonnull));
char *jaco_arena_strdup(struct jaco_arena *arena, const char *text);
char *jaco_arena_strndup(struct jaco_arena *arena, const char *text, size_t n);
void *jaco_arena_memdup(struct jaco_arena *arena, const void *data, size_t bytes);
char *jaco_arena_printf(struct jaco_arena *arena, const char *fmt, ...) JACO_PRINTF(2, 3);

/* Grow an array that lives in the arena: the old copy stays behind until reset. */
void *jaco_arena_grow(struct jaco_arena *arena, void *old, size_t *cap, size_t need, size_t bytes);

/* Forget everything; keeps one block for the next unit of work. */
void jaco_arena_reset(struct jaco_arena *arena);

/* Release all blocks. */
void jaco_arena_fini(struct jaco_arena *arena);
#define jaco_arena_cleanup jaco_arena_fini
