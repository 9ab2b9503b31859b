/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/disk/sink.h"

#include <fcntl.h>
#include <unistd.h>

#include "libjaco/base/mem.h"
#include "tests/unit/raftd/tmpdir.h"

#define FILE_BYTES (1u << 20)

static int make(const struct tmpdir *dir)
{
	jaco_auto(jaco_ptr) char *zeros = jaco_alloc(FILE_BYTES);
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", dir->path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	JT_TRUE(fd >= 0);
	JT_EQ(sink_put(fd, zeros, FILE_BYTES, 0), 0);
	JT_EQ(fsync(fd), 0);
	return fd;
}

/* Pieces of every size up to more than one direct write takes, each checked through the page
 * cache. */
static void write_pieces(struct sink *sink, int fd, size_t end)
{
	static const size_t sizes[] = {1, 176,    3919,   4096, 1,    8191,
				       5, 262144, 300000, 7,    4089, 100};
	jaco_auto(jaco_ptr) uint8_t *want = jaco_alloc(FILE_BYTES), *got = jaco_alloc(FILE_BYTES);

	JT_EQ(pread(fd, want, end, 0), end);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(sizes); i++) {
		memset(want + end, 'a' + (int)i, sizes[i]);
		JT_EQ(sink_write(sink, want + end, sizes[i], end), 0);
		end += sizes[i];
		JT_EQ(pread(fd, got, FILE_BYTES, 0), FILE_BYTES);
		JT_MEM(got, want, FILE_BYTES); /* zeros behind it too */
	}
}

JT_CASE(pieces_of_any_size_follow_each_other)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct sink sink;
	int dir_fd, fd;

	tmpdir_init(&dir);
	fd = make(&dir);
	JT_EQ(sink_put(fd, "header", 6, 0), 0);
	dir_fd = open(dir.path, O_RDONLY | O_DIRECTORY);
	sink_open(&sink, dir_fd, "file", fd, 6);
	write_pieces(&sink, fd, 6);
	sink_close(&sink);
	sink_close(&sink);
	close(dir_fd);
	close(fd);
}

JT_CASE(where_the_disk_has_no_direct_writes_the_same_bytes_are_flushed)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct sink sink;
	int fd;

	tmpdir_init(&dir);
	fd = make(&dir);
	JT_EQ(sink_put(fd, "header", 6, 0), 0);
	sink_open(&sink, -1, "file", fd, 6); /* cannot be opened again */
	JT_NULL(sink.blocks);
	write_pieces(&sink, fd, 6);
	sink_close(&sink);
	close(fd);
}

JT_CASE(a_disk_that_wants_other_blocks_is_written_through_the_page_cache)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct sink sink;
	int dir_fd, fd, other;

	tmpdir_init(&dir);
	fd = make(&dir);
	dir_fd = open(dir.path, O_RDONLY | O_DIRECTORY);
	sink_open(&sink, dir_fd, "file", fd, 0);
	if (sink.blocks) {
		other = open("/proc/self/oom_score_adj", O_WRONLY); /* says EINVAL to such bytes */
		JT_EQ(dup2(other, sink.direct_fd), sink.direct_fd);
		close(other);
		write_pieces(&sink, fd, 0);
		JT_NULL(sink.blocks);
	}
	sink_close(&sink);
	close(dir_fd);
	close(fd);
}

JT_MAIN(JT_RUN(pieces_of_any_size_follow_each_other),
	JT_RUN(where_the_disk_has_no_direct_writes_the_same_bytes_are_flushed),
	JT_RUN(a_disk_that_wants_other_blocks_is_written_through_the_page_cache))
