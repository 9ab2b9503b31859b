/* SPDX-License-Identifier: Apache-2.0
 *
 * A path of a given width, with and without loss, and what is found of it. */
#include "daemons/meshd/mtu.h"

#include "tests/lib/test.h"

/* What the interface allows when there is no other peer. */
static uint32_t wanted(const struct mtu *mtu)
{
	struct mtu_shared shared = {.smallest = 0};

	mtu_share(&shared, mtu, mtu->ceiling);
	return mtu_of_all(&shared);
}

/* One probe round over a path that lets @width through; @keep says which of the sizes arrive. */
static void turn(struct mtu *mtu, uint32_t ceiling, uint32_t width)
{
	uint32_t sizes[MTU_LADDER_MAX];
	size_t n = mtu_step(mtu, ceiling, true, sizes);

	for (size_t i = 0; i < n; i++)
		if (sizes[i] <= width && sizes[i] <= wanted(mtu))
			mtu_answered(mtu, sizes[i]);
}

JT_CASE(the_ladder_falls_and_begins_at_the_ceiling)
{
	uint32_t sizes[MTU_LADDER_MAX];
	size_t n = mtu_ladder(1420, sizes);

	JT_EQ(sizes[0], 1420);
	for (size_t i = 1; i < n; i++)
		JT_TRUE(sizes[i] < sizes[i - 1]);
	JT_EQ(sizes[n - 1], MTU_FLOOR);
	JT_EQ(mtu_ladder(100, sizes), 1);
	JT_TRUE(mtu_ladder(65535, sizes) <= MTU_LADDER_MAX);
}

JT_CASE(a_wide_path_is_found_in_one_round)
{
	struct mtu mtu = {.ceiling = 0};

	turn(&mtu, 1420, 1420);
	JT_EQ(mtu.found, 1420);
	JT_EQ(mtu.round, 0);
}

JT_CASE(a_narrow_path_is_found_and_stays_usable)
{
	struct mtu mtu = {.ceiling = 0};

	for (int i = 0; i < MTU_ROUNDS + 1; i++)
		turn(&mtu, 1420, 1340);
	JT_EQ(mtu.found, 1340);
	JT_EQ(wanted(&mtu), 1340);
	for (int i = 0; i < 100; i++)
		turn(&mtu, 1420, 1340);
	JT_EQ(mtu.found, 1340);
	JT_EQ(mtu.round, 0);
}

JT_CASE(a_path_that_shrinks_and_widens_is_followed)
{
	struct mtu mtu = {.ceiling = 0};

	turn(&mtu, 1420, 1420);
	for (int i = 0; i < MTU_LOST_MAX + MTU_ROUNDS + 2; i++)
		turn(&mtu, 1420, 1299);
	JT_EQ(mtu.found, 1280);
	for (int i = 0; i < MTU_AGAIN_ROUND + 2; i++)
		turn(&mtu, 1420, 1420);
	JT_EQ(mtu.found, 1420);
	turn(&mtu, 8920, 8920); /* another interface */
	JT_EQ(mtu.found, 8920);
	turn(&mtu, 1420, 1420);
	JT_EQ(mtu.found, 1420);
}

JT_CASE(a_dead_path_changes_nothing)
{
	struct mtu mtu = {.ceiling = 0};
	uint32_t sizes[MTU_LADDER_MAX];

	turn(&mtu, 1420, 1420);
	for (int i = 0; i < 100; i++)
		JT_EQ(mtu_step(&mtu, 1420, false, sizes), 0);
	JT_EQ(mtu.found, 1420);
	turn(&mtu, 1420, 1420);
	JT_EQ(mtu.lost, 0);
	mtu_answered(&mtu, 60000); /* nobody asked for that */
	JT_EQ(mtu.found, 1420);
}

JT_CASE(a_ceiling_leaves_room_for_the_tunnel)
{
	JT_EQ(mtu_ceiling(0), MTU_DEFAULT);
	JT_EQ(mtu_ceiling(1500), 1420);
	JT_EQ(mtu_ceiling(MTU_FLOOR), MTU_FLOOR);
	JT_EQ(mtu_ceiling(MTU_FLOOR + MTU_OVERHEAD + 1), MTU_FLOOR + 1);
	JT_EQ(mtu_ceiling(65535), 8920);
}

JT_CASE(the_interface_fits_the_narrowest_path_unless_a_wider_one_is_measured)
{
	struct mtu narrow = {.ceiling = 1420, .found = 1280};
	struct mtu wide = {.ceiling = 8920, .found = 8920};
	struct mtu_shared shared = {.smallest = 0};

	JT_EQ(mtu_of_all(&shared), MTU_DEFAULT);
	mtu_share(&shared, &wide, 8920);
	JT_EQ(mtu_of_all(&shared), 8920);
	mtu_share(&shared, &narrow, 1420);
	JT_EQ(mtu_of_all(&shared), 1280);
	mtu_share(&shared, NULL, 1420);
	JT_EQ(mtu_of_all(&shared), 1280);
	mtu_restart(&wide);
	mtu_share(&shared, &wide, 8920);
	JT_EQ(mtu_of_all(&shared), 8920);
}

JT_CASE(what_was_found_below_another_ceiling_says_nothing)
{
	struct mtu mtu = {.ceiling = 1420, .found = 1280};
	struct mtu_shared shared = {.smallest = 0};

	mtu_share(&shared, &mtu, 1400);
	JT_EQ(mtu_of_all(&shared), 1400);
}

JT_MAIN(JT_RUN(the_ladder_falls_and_begins_at_the_ceiling),
	JT_RUN(a_wide_path_is_found_in_one_round),
	JT_RUN(a_narrow_path_is_found_and_stays_usable),
	JT_RUN(a_path_that_shrinks_and_widens_is_followed),
	JT_RUN(a_dead_path_changes_nothing),
	JT_RUN(a_ceiling_leaves_room_for_the_tunnel),
	JT_RUN(the_interface_fits_the_narrowest_path_unless_a_wider_one_is_measured),
	JT_RUN(what_was_found_below_another_ceiling_says_nothing))
