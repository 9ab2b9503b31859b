/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/disk/wal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "libjaco/base/mem.h"
#include "tests/unit/raftd/tmpdir.h"

static void append(struct wal *wal, uint64_t index, uint64_t term, const char *text)
{
	struct wal_entry entry = {
		.index = index, .term = term, .type = 1, .data = text, .n = strlen(text)};
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(wal_append(wal, &entry, &err), &err);
}

static void flush(struct wal *wal)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(wal_flush(wal, &err), &err);
}

static void expect(struct wal *wal, uint64_t index, uint64_t term, const char *text)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wal_entry entry;

	JT_OK(wal_read(wal, index, &entry, &buf, &err), &err);
	JT_EQ(entry.term, term);
	JT_EQ(entry.n, strlen(text));
	JT_MEM(entry.data, text, entry.n);
}

static void reopen(struct wal *wal, const struct tmpdir *dir)
{
	struct jaco_err err = JACO_ERR_INIT;

	wal_close(wal);
	JT_OK(wal_open(wal, dir->path, &err), &err);
}

JT_CASE(flushed_entries_are_there_after_a_restart_and_unflushed_are_not)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	struct jaco_err err = JACO_ERR_INIT;

	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	append(&wal, 1, 1, "one");
	append(&wal, 2, 1, "");
	flush(&wal);
	JT_EQ(wal.n_flushes, 1);
	append(&wal, 3, 1, "three");
	expect(&wal, 3, 1, "three");
	JT_EQ(wal.flushed, 2);
	reopen(&wal, &dir);
	JT_EQ(wal.last_index, 2);
	expect(&wal, 1, 1, "one");
	expect(&wal, 2, 1, "");
	JT_EQ(wal_term(&wal, 3), 0);
}

JT_CASE(an_entry_at_a_lower_index_replaces_everything_from_there)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	struct jaco_err err = JACO_ERR_INIT;

	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	for (uint64_t i = 1; i <= 5; i++)
		append(&wal, i, 1, "old");
	flush(&wal);
	append(&wal, 3, 2, "new");
	flush(&wal);
	reopen(&wal, &dir);
	JT_EQ(wal.last_index, 3);
	expect(&wal, 2, 1, "old");
	expect(&wal, 3, 2, "new");
}

JT_CASE(segments_follow_each_other_and_whole_ones_are_compacted)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	jaco_auto(jaco_ptr) char *text = jaco_alloc(100001);
	struct jaco_err err = JACO_ERR_INIT;

	memset(text, 'x', 100000);
	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	for (uint64_t i = 1; i <= 120; i++) {
		append(&wal, i, 1, text);
		flush(&wal);
		wal_prepare(&wal);
	}
	JT_EQ(wal.n_segments, 3);
	JT_OK(wal_compact(&wal, 100, &err), &err);
	JT_EQ(wal.n_segments, 1);
	JT_TRUE(wal.base_index > 60 && wal.base_index <= 100);
	JT_EQ(wal_term(&wal, wal.base_index), 1);
	reopen(&wal, &dir);
	JT_EQ(wal.last_index, 120);
	expect(&wal, 120, 1, text);
	expect(&wal, wal.base_index + 1, 1, text);
}

JT_CASE(a_missing_or_damaged_older_file_is_refused_by_name)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	jaco_auto(jaco_ptr) char *text = jaco_alloc(1000001);
	struct jaco_err err = JACO_ERR_INIT;
	char path[128];
	int fd;

	memset(text, 'x', 1000000);
	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	for (uint64_t i = 1; i <= 12; i++) {
		append(&wal, i, 1, text);
		flush(&wal);
	}
	JT_EQ(wal.n_segments, 3);
	wal_close(&wal);
	snprintf(path, sizeof(path), "%s/00000000000000000002.log", dir.path);
	fd = open(path, O_WRONLY);
	JT_EQ(pwrite(fd, "damage", 6, 3500000), 6);
	close(fd);
	JT_FAILS_WITH(wal_open(&wal, dir.path, &err), INTERNAL, "00000000000000000002.log", &err);
	unlink(path);
	JT_FAILS_WITH(wal_open(&wal, dir.path, &err), INTERNAL, "entries are missing", &err);
}

JT_CASE(after_a_reset_only_what_follows_the_snapshot_counts)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	struct jaco_err err = JACO_ERR_INIT;

	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	append(&wal, 1, 1, "old");
	flush(&wal);
	JT_OK(wal_reset(&wal, 500, 7, &err), &err);
	append(&wal, 501, 7, "new");
	flush(&wal);
	reopen(&wal, &dir);
	JT_EQ(wal.base_index, 500);
	JT_EQ(wal.base_term, 7);
	JT_EQ(wal.last_index, 501);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	JT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	JT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What the disk has left may go to somebody else between the two. */
JT_CASE(a_reset_that_was_prepared_needs_no_more_room)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	struct jaco_err err = JACO_ERR_INIT;

	signal(SIGXFSZ, SIG_IGN);
	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	append(&wal, 1, 1, "old");
	flush(&wal);
	limit_files(WAL_SEGMENT_LEAST / 2);
	JT_FAILS_WITH(wal_prepare_reset(&wal, &err), UNAVAILABLE, "to begin the log anew", &err);
	expect(&wal, 1, 1, "old");
	limit_files(RLIM_INFINITY);
	jaco_err_clear(&err);
	JT_OK(wal_prepare_reset(&wal, &err), &err);
	expect(&wal, 1, 1, "old");
	limit_files(WAL_SEGMENT_LEAST / 2);
	JT_OK(wal_prepare_reset(&wal, &err), &err);
	JT_OK(wal_reset(&wal, 500, 7, &err), &err);
	append(&wal, 501, 7, "new");
	flush(&wal);
	limit_files(RLIM_INFINITY);
	reopen(&wal, &dir);
	JT_EQ(wal.base_index, 500);
	JT_EQ(wal.last_index, 501);
}

JT_CASE(a_segment_takes_a_small_part_of_its_disk)
{
	JT_EQ(wal_segment_bytes(0), WAL_SEGMENT_LEAST);
	JT_EQ(wal_segment_bytes(16 << 20), 256 << 10);
	JT_EQ(wal_segment_bytes((64 << 20) - 1), 512 << 10);
	JT_EQ(wal_segment_bytes(64 << 20), 1 << 20);
	JT_EQ(wal_segment_bytes(256 << 20), SEGMENT_BYTES);
	JT_EQ(wal_segment_bytes(UINT64_MAX), SEGMENT_BYTES);
}

JT_CASE(an_entry_larger_than_a_small_segment_gets_one_of_its_size)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	jaco_auto(jaco_ptr) char *large = jaco_alloc(SEGMENT_DATA_MAX + 1);
	struct jaco_err err = JACO_ERR_INIT;

	memset(large, 'x', SEGMENT_DATA_MAX);
	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	wal.segment_bytes = WAL_SEGMENT_LEAST;
	JT_OK(wal_reset(&wal, 10, 1, &err), &err);
	append(&wal, 11, 1, "small");
	flush(&wal);
	JT_EQ(wal_bytes(&wal), WAL_SEGMENT_LEAST);
	JT_OK(wal_make_room(&wal, 1000, &err), &err);
	JT_EQ(wal_bytes(&wal), WAL_SEGMENT_LEAST);
	JT_OK(wal_make_room(&wal, 300000, &err), &err); /* not enough for what comes */
	JT_EQ(wal_bytes(&wal), 3 * WAL_SEGMENT_LEAST);
	append(&wal, 12, 1, large);
	append(&wal, 13, 1, "small");
	append(&wal, 14, 1, large);
	flush(&wal);
	JT_EQ(wal.n_segments, 3);
	JT_EQ(wal_bytes(&wal), WAL_SEGMENT_LEAST + 2 * (SEGMENT_DATA_MAX + WAL_SEGMENT_LEAST));
	reopen(&wal, &dir);
	JT_EQ(wal.last_index, 14);
	expect(&wal, 11, 1, "small");
	expect(&wal, 13, 1, "small");
	expect(&wal, 14, 1, large);
}

JT_CASE(the_log_does_not_take_what_saving_the_state_needs)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	jaco_auto(jaco_ptr) char *large = jaco_alloc(SEGMENT_DATA_MAX + 1);
	struct jaco_err err = JACO_ERR_INIT;

	memset(large, 'x', SEGMENT_DATA_MAX);
	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	append(&wal, 1, 1, large);
	flush(&wal);
	wal_leave_room(&wal, UINT64_C(1) << 60, 1);
	JT_OK(wal_make_room(&wal, 1000, &err), &err); /* in the segment there is */
	wal_prepare(&wal);
	JT_FAILS_WITH(wal_make_room(&wal, SEGMENT_DATA_MAX, &err), UNAVAILABLE, "to save the state",
		      &err);
	JT_EQ(wal_bytes(&wal), wal.segments[0].bytes);
	wal_leave_room(&wal, 0, 1);
	JT_OK(wal_make_room(&wal, SEGMENT_DATA_MAX, &err), &err);
}

JT_CASE(whole_files_are_kept_by_their_bytes)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal;
	jaco_auto(jaco_ptr) char *text = jaco_alloc(200001);
	struct jaco_err err = JACO_ERR_INIT;

	memset(text, 'x', 200000);
	tmpdir_init(&dir);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	wal.segment_bytes = WAL_SEGMENT_LEAST;
	JT_OK(wal_reset(&wal, 0, 0, &err), &err);
	for (uint64_t i = 1; i <= 10; i++) /* one in each */
		append(&wal, i, 1, text);
	flush(&wal);
	JT_EQ(wal.n_segments, 10);
	JT_EQ(wal_compactable(&wal, 10, 0), 9);
	JT_EQ(wal_compactable(&wal, 5, 0), 5);
	JT_EQ(wal_compactable(&wal, 10, 3 * WAL_SEGMENT_LEAST), 6);
	JT_EQ(wal_compactable(&wal, 10, 4 * WAL_SEGMENT_LEAST - 1), 6);
	JT_EQ(wal_compactable(&wal, 10, 9 * WAL_SEGMENT_LEAST), 0);
}

static const char *self; /* this program, also under valgrind */

/* The writer that is going to die: tells each index on @fd once it is flushed. */
static int crash_writer(const char *path, int fd)
{
	static char text[300001];
	struct jaco_err err = JACO_ERR_INIT;
	struct wal wal;

	memset(text, 'y', sizeof(text) - 1);
	if (wal_open(&wal, path, &err) < 0)
		return 1;
	for (uint64_t i = 1; i <= 60; i++) {
		struct wal_entry entry = {.index = i, .term = 1, .data = text, .n = 300000};

		if (wal_append(&wal, &entry, &err) < 0 || wal_flush(&wal, &err) < 0 ||
		    write(fd, &i, sizeof(i)) != sizeof(i) ||
		    (i % 20 == 0 && wal_compact(&wal, i - 1, &err) < 0))
			return 2;
	}
	return 0;
}

/* Run the writer in a process of its own (fault points are read once per process) and check that
 * what it said was flushed is there. */
static void crash_at(const char *fault)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	jaco_auto(wal) struct wal wal = {.spare_fd = -1, .dir_fd = -1};
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t promised = 0, next;
	int fds[2], status;
	char fd_text[16];
	pid_t pid;

	tmpdir_init(&dir);
	JT_EQ(pipe(fds), 0);
	snprintf(fd_text, sizeof(fd_text), "%d", fds[1]);
	pid = fork();
	if (pid == 0) {
		setenv("JACO_FAULT", fault, 1);
		execl(self, self, dir.path, fd_text, NULL);
		_exit(3);
	}
	close(fds[1]);
	while (read(fds[0], &next, sizeof(next)) == sizeof(next))
		promised = next;
	close(fds[0]);
	JT_EQ(waitpid(pid, &status, 0), pid);
	JT_EQ(WEXITSTATUS(status), 99);
	JT_OK(wal_open(&wal, dir.path, &err), &err);
	JT_TRUE(wal.last_index >= promised);
	JT_TRUE(wal.last_index <= promised + 1);
}

JT_CASE(a_crash_at_any_point_keeps_what_was_promised)
{
#ifdef JACO_FAULTS
	static const char *const points[] = {"log_append", "log_flush", "rename", "compaction"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(points); i++) {
		for (unsigned pass = 1; pass <= 4; pass++) {
			char fault[64];

			snprintf(fault, sizeof(fault), "exit:%s*%u", points[i], pass);
			crash_at(fault);
		}
	}
#else
	skip();
#endif
}

int main(int argc, char **argv)
{
	const struct CMUnitTest cases[] = {
		JT_RUN(flushed_entries_are_there_after_a_restart_and_unflushed_are_not),
		JT_RUN(an_entry_at_a_lower_index_replaces_everything_from_there),
		JT_RUN(segments_follow_each_other_and_whole_ones_are_compacted),
		JT_RUN(a_missing_or_damaged_older_file_is_refused_by_name),
		JT_RUN(after_a_reset_only_what_follows_the_snapshot_counts),
		JT_RUN(a_reset_that_was_prepared_needs_no_more_room),
		JT_RUN(a_segment_takes_a_small_part_of_its_disk),
		JT_RUN(an_entry_larger_than_a_small_segment_gets_one_of_its_size),
		JT_RUN(the_log_does_not_take_what_saving_the_state_needs),
		JT_RUN(whole_files_are_kept_by_their_bytes),
		JT_RUN(a_crash_at_any_point_keeps_what_was_promised),
	};

	self = argv[0];
	if (argc == 3)
		return crash_writer(argv[1], (int)strtol(argv[2], NULL, 10));
	return cmocka_run_group_tests(cases, NULL, NULL);
}
