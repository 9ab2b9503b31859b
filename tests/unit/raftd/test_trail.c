/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/kv/trail.h"

#include "tests/lib/test.h"

static struct trail trail;

static uint64_t hash_of(uint64_t index)
{
	return index * 0x9e3779b97f4a7c15u + 1;
}

static void walk(uint64_t from, uint64_t to)
{
	trail_reset(&trail, from, hash_of(from));
	for (uint64_t i = from + 1; i <= to; i++)
		trail_note(&trail, i, hash_of(i));
}

static bool knows(uint64_t index)
{
	uint64_t hash = 0;

	if (!trail_find(&trail, index, &hash))
		return false;
	JT_EQ(hash, hash_of(index));
	return true;
}

JT_CASE(every_index_of_late_and_round_ones_for_long)
{
	walk(7, 100000);
	for (uint64_t i = 0; i <= 100001; i++)
		JT_EQ(knows(i), i >= 7 && i <= 100000 &&
					(100000 - i < TRAIL_FINE || i % TRAIL_STEP == 0));
	JT_EQ(trail_mark(&trail), 100000 / TRAIL_STEP * TRAIL_STEP);
}

JT_CASE(what_was_before_a_reset_is_not_known)
{
	walk(1, 9000);
	trail_reset(&trail, 20000, hash_of(20000));
	JT_TRUE(knows(20000));
	JT_FALSE(knows(9000));
	JT_FALSE(knows(8192));
	JT_FALSE(knows(19999));
	JT_EQ(trail_mark(&trail), 0); /* none since */
	trail_note(&trail, 20001, hash_of(20001));
	JT_TRUE(knows(20001));
	trail_reset(&trail, 5, hash_of(5)); /* another group */
	JT_FALSE(knows(20001));
	JT_TRUE(knows(5));
}

JT_CASE(rings_that_went_round_give_no_wrong_answer)
{
	const uint64_t far = (uint64_t)TRAIL_STEP * TRAIL_COARSE + 5 * TRAIL_STEP;

	walk(0, far);
	JT_FALSE(knows(0));
	JT_FALSE(knows(TRAIL_STEP * 4));
	JT_TRUE(knows(far - (uint64_t)TRAIL_STEP * (TRAIL_COARSE - 2)));
	JT_TRUE(knows(far));
}

JT_MAIN(JT_RUN(every_index_of_late_and_round_ones_for_long),
	JT_RUN(what_was_before_a_reset_is_not_known),
	JT_RUN(rings_that_went_round_give_no_wrong_answer))
