/* SPDX-License-Identifier: Apache-2.0
 *
 * colliding - keys that meet in one bucket of a hash table whose function everybody knows.
 *
 *   colliding N   N different keys of letters and digits, one a line, whose hash by uthash's
 *                 default (Jenkins, by blocks of 12, seed 0xfeedbeef) ends in eight zero bits
 *
 * The manifest readers kept anchors, mapping keys and variables in such tables, where these keys
 * cost their square.  tests/corpus/worst holds the readers to less. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void mix(uint32_t v[static 3])
{
	static const struct {
		int at, other, last, left;
		unsigned bits;
	} steps[] = {{0, 1, 2, 0, 13}, {1, 2, 0, 1, 8},  {2, 0, 1, 0, 13},
		     {0, 1, 2, 0, 12}, {1, 2, 0, 1, 16}, {2, 0, 1, 0, 5},
		     {0, 1, 2, 0, 3},  {1, 2, 0, 1, 10}, {2, 0, 1, 0, 15}};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		uint32_t last = v[steps[i].last];

		v[steps[i].at] -= v[steps[i].other];
		v[steps[i].at] -= last;
		v[steps[i].at] ^= steps[i].left ? last << steps[i].bits : last >> steps[i].bits;
	}
}

/* Of a text shorter than one block. */
static uint32_t jenkins(const char *text, size_t n)
{
	uint32_t v[3] = {0x9e3779b9, 0x9e3779b9, 0xfeedbeef + (uint32_t)n};

	for (size_t i = 0; i < n; i++) /* the last word keeps its first byte for the length */
		v[i / 4] += (uint32_t)(uint8_t)text[i] << 8 * (i % 4 + (i >= 8));
	mix(v);
	return v[2];
}

int main(int argc, char **argv)
{
	unsigned long wanted = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned long n = 0;

	for (uint64_t i = 0; n < wanted; i++) {
		char key[12];
		int bytes = snprintf(key, sizeof(key), "k%llx", (unsigned long long)i);

		if ((jenkins(key, (size_t)bytes) & 0xff) == 0) {
			puts(key);
			n++;
		}
	}
	return wanted ? 0 : 2;
}
