/* SPDX-License-Identifier: Apache-2.0
 *
 * random.h - unpredictable bytes from the kernel, and a small seeded generator for everything that
 * must be repeatable. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* getrandom(2); never fails once the kernel's pool is initialised. */
void jaco_random_bytes(void *out, size_t n);

/* 0 .. bound-1 without modulo bias; bound > 0. */
uint32_t jaco_random_below(uint32_t bound);

/* splitmix64: the caller owns the state, equal seeds give equal sequences. */
uint64_t jaco_prng_next(uint64_t *state);
