/* SPDX-License-Identifier: Apache-2.0
 *
 * trail.c - two rings. */
#include "daemons/raftd/kv/trail.h"

static void keep(struct trail *trail, uint64_t index, uint64_t hash)
{
	trail->last = index;
	trail->fine[index % TRAIL_FINE] = hash;
	if (index % TRAIL_STEP == 0)
		trail->coarse[index / TRAIL_STEP % TRAIL_COARSE] = hash;
}

void trail_reset(struct trail *trail, uint64_t index, uint64_t hash)
{
	trail->first = index;
	keep(trail, index, hash);
}

void trail_note(struct trail *trail, uint64_t index, uint64_t hash)
{
	keep(trail, index, hash);
}

bool trail_find(const struct trail *trail, uint64_t index, uint64_t *out_hash)
{
	if (index < trail->first || index > trail->last)
		return false;
	if (trail->last - index < TRAIL_FINE) {
		*out_hash = trail->fine[index % TRAIL_FINE];
		return true;
	}
	if (index % TRAIL_STEP != 0 || (trail->last - index) / TRAIL_STEP >= TRAIL_COARSE - 1)
		return false;
	*out_hash = trail->coarse[index / TRAIL_STEP % TRAIL_COARSE];
	return true;
}

uint64_t trail_mark(const struct trail *trail)
{
	uint64_t mark = trail->last - trail->last % TRAIL_STEP;

	return mark >= trail->first ? mark : 0;
}
