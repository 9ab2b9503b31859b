/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/disk/hard.h"

#include <fcntl.h>

#include "libjaco/base/auto.h"
#include "tests/unit/raftd/tmpdir.h"

static void smash(const char *path, off_t at)
{
	int fd = open(path, O_WRONLY);

	JT_EQ(pwrite(fd, "XXXX", 4, at), 4);
	close(fd);
}

JT_CASE(what_was_saved_last_is_read_back)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct jaco_err err = JACO_ERR_INIT;
	struct hard hard;
	char path[128];

	tmpdir_init(&dir);
	snprintf(path, sizeof(path), "%s/hard", dir.path);
	JT_OK(hard_open(&hard, path, &err), &err);
	JT_EQ(hard.term, 0);
	for (uint64_t term = 1; term < 6; term++) {
		JT_OK(hard_save(&hard, term, term * 10, &err), &err);
		hard_close(&hard);
		JT_OK(hard_open(&hard, path, &err), &err);
		JT_EQ(hard.term, term);
		JT_EQ(hard.vote, term * 10);
	}
	hard_close(&hard);
}

JT_CASE(a_torn_save_leaves_the_one_before_and_two_damaged_slots_refuse)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct jaco_err err = JACO_ERR_INIT;
	struct hard hard;
	char path[128];

	tmpdir_init(&dir);
	snprintf(path, sizeof(path), "%s/hard", dir.path);
	JT_OK(hard_open(&hard, path, &err), &err);
	JT_OK(hard_save(&hard, 4, 1, &err), &err);
	JT_OK(hard_save(&hard, 5, 2, &err), &err);
	smash(path, (off_t)(hard.sequence % 2 * 4096 + 20));
	hard_close(&hard);
	JT_OK(hard_open(&hard, path, &err), &err);
	JT_EQ(hard.term, 4);
	hard_close(&hard);
	smash(path, 20);
	smash(path, 4096 + 20);
	JT_FAILS_WITH(hard_open(&hard, path, &err), INTERNAL, "vote twice", &err);
}

JT_MAIN(JT_RUN(what_was_saved_last_is_read_back),
	JT_RUN(a_torn_save_leaves_the_one_before_and_two_damaged_slots_refuse))
