/* SPDX-License-Identifier: Apache-2.0
 *
 * segment.c - packing and reading the log's files. */
#include "daemons/raftd/disk/segment.h"

#include <string.h>

#include "daemons/raftd/disk/crc32c.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/le.h"

static const char magic[8] = "JACOLOG1";

void segment_header_pack(const struct segment_header *header,
			 uint8_t out[static SEGMENT_HEADER_BYTES])
{
	memset(out, 0, SEGMENT_HEADER_BYTES);
	memcpy(out, magic, sizeof(magic));
	jaco_le_put(out + 12, header->flags, 4);
	jaco_le_put(out + 16, header->base_index, 8);
	jaco_le_put(out + 24, header->base_term, 8);
	jaco_le_put(out + 32, header->salt, 8);
	jaco_le_put(out + 8, crc32c(0, out + 12, SEGMENT_HEADER_BYTES - 12), 4);
}

bool segment_header_unpack(const uint8_t *data, size_t n, struct segment_header *out_header)
{
	if (n < SEGMENT_HEADER_BYTES || memcmp(data, magic, sizeof(magic)) != 0 ||
	    jaco_le_get(data + 8, 4) != crc32c(0, data + 12, SEGMENT_HEADER_BYTES - 12))
		return false;
	*out_header = (struct segment_header){.flags = (uint32_t)jaco_le_get(data + 12, 4),
					      .base_index = jaco_le_get(data + 16, 8),
					      .base_term = jaco_le_get(data + 24, 8),
					      .salt = jaco_le_get(data + 32, 8)};
	return true;
}

size_t segment_record_size(size_t n)
{
	return SEGMENT_RECORD_BYTES + (n + 7) / 8 * 8;
}

static uint32_t record_crc(const struct segment_header *header, const uint8_t *record, size_t n)
{
	uint8_t salt[8];

	jaco_le_put(salt, header->salt, 8);
	return crc32c(crc32c(0, salt, sizeof(salt)), record + 4, n - 4);
}

void segment_record_pack(struct jaco_buf *buf, const struct segment_header *header,
			 const struct segment_record *record, const void *data)
{
	size_t n = segment_record_size(record->n);
	uint8_t *at = (uint8_t *)jaco_buf_reserve(buf, n);

	JACO_ASSERT(at && record->n <= SEGMENT_DATA_MAX && record->index > 0);
	memset(at, 0, SEGMENT_RECORD_BYTES);
	jaco_le_put(at + 4, record->n, 4);
	jaco_le_put(at + 8, record->index, 8);
	jaco_le_put(at + 16, record->term, 8);
	jaco_le_put(at + 24, record->batch, 4);
	at[28] = record->type;
	if (record->n)
		memcpy(at + SEGMENT_RECORD_BYTES, data, record->n);
	memset(at + SEGMENT_RECORD_BYTES + record->n, 0, n - SEGMENT_RECORD_BYTES - record->n);
	jaco_le_put(at, record_crc(header, at, n), 4);
	buf->n += n;
}

/* A whole, undamaged record stands at @at. */
static bool read_record(const uint8_t *data, size_t n, size_t at,
			const struct segment_header *header, struct segment_record *out_record)
{
	const uint8_t *record = data + at;
	size_t data_n, size;

	if (n - at < SEGMENT_RECORD_BYTES)
		return false;
	data_n = jaco_le_get(record + 4, 4);
	size = segment_record_size(data_n);
	if (data_n > SEGMENT_DATA_MAX || size > n - at || jaco_le_get(record + 8, 8) == 0 ||
	    jaco_le_get(record, 4) != record_crc(header, record, size))
		return false;
	*out_record = (struct segment_record){.index = jaco_le_get(record + 8, 8),
					      .term = jaco_le_get(record + 16, 8),
					      .batch = (uint32_t)jaco_le_get(record + 24, 4),
					      .type = record[28],
					      .offset = (uint32_t)(at + SEGMENT_RECORD_BYTES),
					      .n = (uint32_t)data_n};
	return true;
}

static bool is_zero(const uint8_t *data, size_t n)
{
	return n == 0 || (data[0] == 0 && memcmp(data, data + 1, n - 1) == 0);
}

/* A readable record behind @end whose batch began after it: what stood at @end had been flushed. */
static bool is_damage(const uint8_t *data, size_t n, size_t end,
		      const struct segment_header *header, struct segment_record *out_witness)
{
	for (size_t at = end + 8; at + SEGMENT_RECORD_BYTES <= n; at += 8) {
		/* cheap test first: a batch offset that could accuse */
		if (jaco_le_get(data + at + 24, 4) <= end || jaco_le_get(data + at + 24, 4) > at)
			continue;
		if (read_record(data, n, at, header, out_witness))
			return true;
	}
	return false;
}

int segment_scan(const uint8_t *data, size_t n, const struct segment_header *header,
		 segment_on_record *on_record, void *ctx, size_t *out_end, bool *out_torn,
		 struct jaco_err *err)
{
	uint64_t last = header->base_index;
	size_t at = SEGMENT_HEADER_BYTES;
	struct segment_record record;

	while (at < n && read_record(data, n, at, header, &record)) {
		if (record.index > last + 1)
			return jaco_err_set(err, JACO_INTERNAL,
					    "damaged at byte %zu: entry %llu follows entry %llu",
					    at, (unsigned long long)record.index,
					    (unsigned long long)last);
		last = record.index;
		on_record(ctx, &record);
		at += segment_record_size(record.n);
	}
	if (at < n && is_damage(data, n, at, header, &record))
		return jaco_err_set(
			err, JACO_INTERNAL,
			"damaged at byte %zu: what follows entry %llu cannot be read, but "
			"entry %llu was written after it had been flushed",
			at, (unsigned long long)last, (unsigned long long)record.index);
	*out_end = at;
	*out_torn = at < n && !is_zero(data + at, n - at);
	return 0;
}
