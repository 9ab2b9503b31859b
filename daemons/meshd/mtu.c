/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/mtu.h"

#include "libjaco/base/auto.h"

#define MTU_MAX 8920 /* jumbo frames; more is not looked for */

/* Tunnel MTUs that occur: jumbo frames, Ethernet, PPPoE, clouds and tunnels in tunnels. */
static const uint32_t usual[] = {MTU_MAX, 4392, 1420, 1412, 1400, 1380, 1360, 1340, 1320, 1300,
				 1280, 1240, 1200, 1100, 1000, 800,  MTU_FLOOR};

size_t mtu_ladder(uint32_t ceiling, uint32_t out[static MTU_LADDER_MAX])
{
	size_t n = 0;

	out[n++] = ceiling < MTU_FLOOR ? MTU_FLOOR : ceiling;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (usual[i] < out[0])
			out[n++] = usual[i];
	return n;
}

void mtu_restart(struct mtu *mtu)
{
	mtu->round = 1;
	mtu->best = 0;
	mtu->lost = 0;
	mtu->age = 0;
	mtu->is_pending = false;
}

static void finish(struct mtu *mtu)
{
	mtu->round = 0;
	if (mtu->best)
		mtu->found = mtu->best;
}

static size_t search(struct mtu *mtu, uint32_t out[static MTU_LADDER_MAX])
{
	size_t n, kept = 0;

	if (mtu->best == mtu->ceiling || mtu->round > MTU_ROUNDS) {
		finish(mtu);
		return 0;
	}
	mtu->round++;
	n = mtu_ladder(mtu->ceiling, out);
	while (kept < n && out[kept] > mtu->best)
		kept++;
	return kept;
}

/* One full-size probe, and what became of the last one. */
static size_t watch(struct mtu *mtu, uint32_t out[static MTU_LADDER_MAX])
{
	mtu->lost = mtu->is_pending ? mtu->lost + 1 : 0;
	if (mtu->lost >= MTU_LOST_MAX ||
	    (++mtu->age >= MTU_AGAIN_ROUND && mtu->found < mtu->ceiling)) {
		mtu_restart(mtu);
		return search(mtu, out);
	}
	mtu->is_pending = true;
	out[0] = mtu->found;
	return 1;
}

size_t mtu_step(struct mtu *mtu, uint32_t ceiling, bool is_alive,
		uint32_t out[static MTU_LADDER_MAX])
{
	if (ceiling != mtu->ceiling) {
		mtu->ceiling = ceiling;
		mtu->found = mtu->found > ceiling ? ceiling : mtu->found;
		mtu_restart(mtu);
	}
	if (!is_alive) {
		mtu->is_pending = false; /* what is lost with everything says nothing about size */
		return 0;
	}
	if (!mtu->round && !mtu->found)
		mtu_restart(mtu);
	return mtu->round ? search(mtu, out) : watch(mtu, out);
}

void mtu_answered(struct mtu *mtu, uint32_t size)
{
	if (size > mtu->best && size <= mtu->ceiling)
		mtu->best = size;
	if (!mtu->round && size == mtu->found)
		mtu->is_pending = false;
	if (mtu->round && mtu->best == mtu->ceiling)
		finish(mtu);
}

uint32_t mtu_ceiling(uint32_t path)
{
	if (path < MTU_FLOOR + MTU_OVERHEAD)
		return path ? MTU_FLOOR : MTU_DEFAULT;
	return JACO_MIN(path - MTU_OVERHEAD, MTU_MAX);
}

void mtu_share(struct mtu_shared *shared, const struct mtu *mtu, uint32_t ceiling)
{
	uint32_t wanted = ceiling;

	if (mtu && mtu->ceiling == ceiling && mtu->round)
		shared->searching = JACO_MAX(shared->searching, ceiling);
	else if (mtu && mtu->ceiling == ceiling && mtu->found)
		wanted = mtu->found;
	if (!shared->smallest || wanted < shared->smallest)
		shared->smallest = wanted;
}

uint32_t mtu_of_all(const struct mtu_shared *shared)
{
	return JACO_MAX(shared->smallest ? shared->smallest : MTU_DEFAULT, shared->searching);
}
