/* SPDX-License-Identifier: Apache-2.0
 *
 * le.h - numbers as bytes, the least significant one first, whatever the machine. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The low @n bytes of @value, 1..8. */
static inline void jaco_le_put(uint8_t *out, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

/* The number in @n bytes, 1..8. */
static inline uint64_t jaco_le_get(const uint8_t *in, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value |= (uint64_t)in[i] << (8 * i);
	return value;
}
