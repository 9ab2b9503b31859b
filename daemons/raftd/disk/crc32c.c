/* SPDX-License-Identifier: Apache-2.0
 *
 * crc32c.c - the x86 instruction, or a table made at the first use. */
#include "daemons/raftd/disk/crc32c.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL_REFLECTED 0x82f63b78u

static uint32_t by_table(uint32_t crc, const uint8_t *at, size_t n)
{
	static uint32_t table[256];

	if (table[1] == 0) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t value = i;

			for (int bit = 0; bit < 8; bit++)
				value = value >> 1 ^ (value & 1 ? POLYNOMIAL_REFLECTED : 0);
			table[i] = value;
		}
	}
	for (size_t i = 0; i < n; i++)
		crc = table[(crc ^ at[i]) & 0xff] ^ crc >> 8;
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at,
								 size_t n)
{
	uint64_t wide = crc;

	for (; n >= 8; at += 8, n -= 8) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; n > 0; at++, n--)
		crc = __builtin_ia32_crc32qi(crc, *at);
	return crc;
}

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t by_instruction(uint32_t crc, const uint8_t *at, size_t n)
{
	return by_table(crc, at, n);
}

static bool has_instruction(void)
{
	return false;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	crc = ~crc;
	return ~(has_instruction() ? by_instruction(crc, data, n) : by_table(crc, data, n));
}
