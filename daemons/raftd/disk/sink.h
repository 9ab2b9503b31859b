/* SPDX-License-Identifier: Apache-2.0
 *
 * sink.h - bytes at the end of a zeroed file, durable when the call returns.
 *
 * Where the disk can, in one synchronous write past the page cache (O_DIRECT and O_DSYNC, open(2)):
 * that costs a third less time and processor than a write and a flush, and most of what one write
 * of a client waits for is this.  Such a write is of whole blocks: the block that the end is in is
 * kept and written again, with the same bytes before the end and zeros behind.  So a torn one
 * spoils nothing that was durable: a sector of it holds what it held, or that and more. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sink {
	int fd;          /* borrowed */
	uint8_t *blocks; /* what one such write writes; NULL: this disk has none */
	int direct_fd;   /* the same file, with blocks */
	size_t n_kept;   /* bytes of the file that they begin with */
};

/* Write on file @name below @dir_fd, which @fd is and which has to outlive the sink, from @end
 * on. */
void sink_open(struct sink *sink, int dir_fd, const char *name, int fd, size_t end);
void sink_close(struct sink *sink);

/* @end: where the last one ended, or the one of sink_open().  -1 with errno: it is not known what
 * of it is on the disk. */
int sink_write(struct sink *sink, const void *data, size_t n, size_t end);

/* pwrite(2), all of it.  -1 with errno. */
int sink_put(int fd, const void *data, size_t n, size_t offset);
