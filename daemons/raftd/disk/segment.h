/* SPDX-License-Identifier: Apache-2.0
 *
 * segment.h - the bytes of one file of the raft log, and what a crash may have left in them.
 *
 * Pure: works on memory, so that the reader can be fuzzed.
 *
 *   header  "JACOLOG1" u32 crc, u32 flags, u64 base index, u64 base term, u64 salt, zero to 64
 *   record  u32 crc, u32 data bytes, u64 index, u64 term, u32 batch, u8 type, 3 zero; data; pad to
 *   8
 *
 * The crc of a record starts from the salt, so that bytes of an older file never pass.  `batch` is
 * the offset at which the write that carried the record began: all before it had been flushed then.
 * So an unreadable record is the torn end of the last write unless a readable one behind it began
 * its batch later - then flushed data is damaged, and nothing may be cut.
 *
 * A record whose index is not above the last one replaces everything from that index on: truncation
 * needs no write of its own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"
#include "libjaco/base/limits.h"

#define SEGMENT_BYTES        (4u * 1024 * 1024) /* the most; any multiple of 8 is read */
#define SEGMENT_HEADER_BYTES 64
#define SEGMENT_RECORD_BYTES 32
#define SEGMENT_DATA_MAX     ((unsigned)JACO_TXN_BYTES_MAX)

#define SEGMENT_RESET 1u /* flag: everything before this file is void (a snapshot replaced it) */

struct segment_header {
	uint32_t flags;
	uint64_t base_index; /* last entry before this file */
	uint64_t base_term;
	uint64_t salt;
};

struct segment_record {
	uint64_t index;
	uint64_t term;
	uint32_t batch;
	uint8_t type;
	uint32_t offset; /* of the data in the file */
	uint32_t n;
};

void segment_header_pack(const struct segment_header *header,
			 uint8_t out[static SEGMENT_HEADER_BYTES]);

/* False when it is not a header (torn, foreign). */
bool segment_header_unpack(const uint8_t *data, size_t n, struct segment_header *out_header);

/* Append one record to @buf, which begins at @batch in the file. */
void segment_record_pack(struct jaco_buf *buf, const struct segment_header *header,
			 const struct segment_record *record, const void *data);

/* Bytes a record of @n data bytes takes. */
size_t segment_record_size(size_t n);

typedef void segment_on_record(void *ctx, const struct segment_record *record);

/*
 * Read all records of a file of @n bytes and tell each to @on_record.
 *
 * @out_end    where the next record goes
 * @out_torn   bytes of an unfinished write were found there (clear them before writing)
 *
 * Errors: INTERNAL - flushed data is damaged; the text says where.
 */
int segment_scan(const uint8_t *data, size_t n, const struct segment_header *header,
		 segment_on_record *on_record, void *ctx, size_t *out_end, bool *out_torn,
		 struct jaco_err *err);
