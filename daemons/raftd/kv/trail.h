/* SPDX-License-Identifier: Apache-2.0
 *
 * trail.h - what the hash of the state was at the indexes behind, so that members that are never at
 * the same index at the same moment compare one that both have passed.
 *
 * Pure.  Every one of the last 4096 indexes, and each 1024th of the last four million; one lane of
 * the digest (digest.h), which is enough against accidents.  64 KiB, a store per entry. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TRAIL_FINE   4096
#define TRAIL_STEP   1024
#define TRAIL_COARSE 4096

struct trail {
	uint64_t first; /* known without a gap from there */
	uint64_t last;
	uint64_t fine[TRAIL_FINE];
	uint64_t coarse[TRAIL_COARSE];
};

/* Begin anew: the state of @index was loaded. */
void trail_reset(struct trail *trail, uint64_t index, uint64_t hash);

/* The entry at @index, trail->last + 1, was applied. */
void trail_note(struct trail *trail, uint64_t index, uint64_t hash);

/* False: not passed yet, or too long ago. */
bool trail_find(const struct trail *trail, uint64_t index, uint64_t *out_hash);

/* The last index that is remembered for long, or 0. */
uint64_t trail_mark(const struct trail *trail);
