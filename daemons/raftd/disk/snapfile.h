/* SPDX-License-Identifier: Apache-2.0
 *
 * snapfile.h - a whole state in one file: what a leader streams to a member that is behind its log.
 *
 * "JSN1", then per pair table (1), key size (2), value size (4), key and value, then an end mark
 * (table 255) and the CRC-32C of everything before it; little endian.  Keys of one node only (where
 * its log begins) are not in it. */
#pragma once

#include <stdint.h>

#include "daemons/raftd/disk/state.h"
#include "libjaco/base/buf.h"

/* The file piece by piece, of the state committed when it was opened; writes go on meanwhile. */
struct snapfile_source {
	struct state_snapshot snapshot;
	uint32_t crc;
	bool is_begun;
	bool is_over;
};

int snapfile_source_open(struct snapfile_source *source, struct state *state, struct jaco_err *err);

/* Append about @about bytes (one pair may exceed them).  1, 0 these were the last. */
int snapfile_next(struct snapfile_source *source, struct jaco_buf *out, size_t about,
		  struct jaco_err *err);
void snapfile_source_close(struct snapfile_source *source); /* a zeroed one is fine */

/* Write the last committed state of @state to @path; not flushed: a lost one is made again. */
int snapfile_write(struct state *state, const char *path, uint64_t *out_bytes,
		   struct jaco_err *err);

/* Is @path followed by @tail (its last @n bytes, may be 0) whole?  Errors: VALIDATION_FAILED. */
int snapfile_verify(const char *path, const void *tail, size_t n, struct jaco_err *err);

/* Replace what is in @state by @path, which was verified; takes effect with the next commit. */
int snapfile_load(const char *path, struct state *state, struct jaco_err *err);
