/* SPDX-License-Identifier: Apache-2.0
 *
 * mem.h - heap memory that never comes back NULL.
 *
 * Exhaustion is treated like a bug: the process stops and is restarted with rebuilt state.  Sizes a
 * peer chooses are bounded before they reach these functions. */
#pragma once

#include <stddef.h>

#include "libjaco/base/auto.h"

/* Zeroed memory. */
void *jaco_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));

/* Memory of any content, for what is written whole. */
void *jaco_alloc_dirty(size_t bytes) __attribute__((malloc, returns_nonnull));

/* Zeroed array of @n elements; an overflowing product is a bug. */
void *jaco_alloc_n(size_t n, size_t bytes) __attribute__((malloc, returns_nonnull));

/* Like realloc; new bytes are not zeroed. */
void *jaco_realloc(void *take_ptr, size_t bytes) __attribute__((returns_nonnull));

/* Grow an array to hold at least @need elements; *@cap is updated, doubling from 8. */
void *jaco_grow(void *take_ptr, size_t *cap, size_t need, size_t bytes);

char *jaco_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *jaco_strndup(const char *text, size_t n) __attribute__((malloc, returns_nonnull));
void *jaco_memdup(const void *data, size_t bytes) __attribute__((malloc, returns_nonnull));
char *jaco_asprintf(const char *fmt, ...) JACO_PRINTF(1, 2);

/* NULL is fine. */
void jaco_free(void *ptr);

/* Overwrite secrets before release; never optimised away. */
void jaco_wipe(void *ptr, size_t bytes);

/* Guard for a heap pointer: jaco_auto(jaco_ptr) char *text = ... */
void jaco_ptr_cleanup(void *ptr_to_ptr);
#define jaco_ptr_take(ptr_to_ptr)                                                                  \
	({                                                                                         \
		__typeof__(*(ptr_to_ptr)) taken_ = *(ptr_to_ptr);                                  \
		*(ptr_to_ptr) = NULL;                                                              \
		taken_;                                                                            \
	})
