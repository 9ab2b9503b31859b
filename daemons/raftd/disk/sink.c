/* SPDX-License-Identifier: Apache-2.0
 *
 * sink.c - whole blocks past the page cache, or a write and a flush.
 *
 * The file is read through the page cache all the same: the kernel drops the pages that such a
 * write goes past. */
#include "daemons/raftd/disk/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES 4096u /* no disk asks for larger ones */
#define BLOCKS_MAX  (256u * 1024) /* in one write; of more than that the page cache is no burden */

int sink_put(int fd, const void *data, size_t n, size_t offset)
{
	const uint8_t *at = data;

	while (n > 0) {
		ssize_t done = pwrite(fd, at, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		at += done;
		n -= (size_t)done;
		offset += (size_t)done;
	}
	return 0;
}

static void close_direct(struct sink *sink)
{
	if (!sink->blocks)
		return;
	if (sink->direct_fd >= 0)
		close(sink->direct_fd);
	munmap(sink->blocks, BLOCKS_MAX);
	sink->blocks = NULL;
}

/* The bytes before @end in its block. */
static int keep(struct sink *sink, size_t end)
{
	size_t n = end % BLOCK_BYTES;

	if (pread(sink->fd, sink->blocks, n, (off_t)(end - n)) != (ssize_t)n)
		return -1;
	sink->n_kept = n;
	return 0;
}

void sink_open(struct sink *sink, int dir_fd, const char *name, int fd, size_t end)
{
	struct stat st;
	void *blocks;

	*sink = (struct sink){.fd = fd};
	/* it must not make the file longer */
	if (fstat(fd, &st) < 0 || st.st_size % BLOCK_BYTES != 0)
		return;
	blocks = mmap(NULL, BLOCKS_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (blocks == MAP_FAILED)
		return;
	sink->blocks = blocks;
	sink->direct_fd = openat(dir_fd, name, O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC);
	if (sink->direct_fd < 0 || keep(sink, end) < 0)
		close_direct(sink);
}

void sink_close(struct sink *sink)
{
	close_direct(sink);
}

static int write_direct(struct sink *sink, const void *data, size_t n, size_t end)
{
	size_t used = sink->n_kept + n;
	size_t whole = (used + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;

	memcpy(sink->blocks + sink->n_kept, data, n);
	memset(sink->blocks + used, 0, whole - used);
	if (sink_put(sink->direct_fd, sink->blocks, whole, end - sink->n_kept) < 0)
		return -1;
	sink->n_kept = used % BLOCK_BYTES;
	memmove(sink->blocks, sink->blocks + used - sink->n_kept, sink->n_kept);
	return 0;
}

int sink_write(struct sink *sink, const void *data, size_t n, size_t end)
{
	if (sink->blocks && sink->n_kept + n <= BLOCKS_MAX) {
		if (write_direct(sink, data, n, end) == 0)
			return 0;
		if (errno != EINVAL)
			return -1;
		close_direct(sink); /* it wants larger blocks, or has changed its mind */
	}
	if (sink_put(sink->fd, data, n, end) < 0 || fdatasync(sink->fd) < 0)
		return -1;
	if (sink->blocks && keep(sink, end + n) < 0)
		close_direct(sink);
	return 0;
}
