/* SPDX-License-Identifier: Apache-2.0
 *
 * random.c - kernel randomness and a repeatable generator. */
#include "libjaco/base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "libjaco/base/assert.h"

void jaco_random_bytes(void *out, size_t n)
{
	unsigned char *at = out;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0) {
			JACO_ASSERT(errno == EINTR);
			continue;
		}
		at += got;
		n -= (size_t)got;
	}
}

uint32_t jaco_random_below(uint32_t bound)
{
	uint32_t limit = UINT32_MAX - UINT32_MAX % bound;
	uint32_t value;

	do {
		jaco_random_bytes(&value, sizeof(value));
	} while (value >= limit);
	return value % bound;
}

uint64_t jaco_prng_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}
