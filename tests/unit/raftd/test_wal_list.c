/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that fails while the log's directory is read: readdir(3) is wrapped by the linker. */
#include "daemons/raftd/disk/wal.h"

#include <errno.h>

#include "tests/unit/raftd/tmpdir.h"

#define WHOLE 1000

/* One of the two is what readdir(3) is called here. */
struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);
struct dirent *__real_readdir64(DIR *dir);
struct dirent *__wrap_readdir64(DIR *dir);

static int n_left = WHOLE; /* entries until it fails */

static bool fails(void)
{
	if (n_left-- > 0)
		return false;
	errno = EIO;
	return true;
}

struct dirent *__wrap_readdir(DIR *dir)
{
	return fails() ? NULL : __real_readdir(dir);
}

struct dirent *__wrap_readdir64(DIR *dir)
{
	return fails() ? NULL : __real_readdir64(dir);
}

JT_CASE(a_directory_that_is_not_read_to_its_end_is_no_shorter_log)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal = {.spare_fd = -1, .dir_fd = -1};
	struct wal_entry entry = {.index = 1, .term = 1, .data = "one", .n = 3};
	struct jaco_err err = JACO_ERR_INIT;

	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	JT_OK(wal_append(&wal, &entry, &err), &err);
	JT_OK(wal_flush(&wal, &err), &err);
	wal_close(&wal);
	for (n_left = 0; n_left <= 3;) { /* ".", ".." and the segment come in any order */
		int kept = n_left;

		JT_FAILS_WITH(wal_open(&wal, dir.path, &err), INTERNAL, "reading the log's", &err);
		n_left = kept + 1;
	}
	n_left = WHOLE;
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	JT_EQ(wal.last_index, 1);
}

JT_MAIN(JT_RUN(a_directory_that_is_not_read_to_its_end_is_no_shorter_log))
