/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_raft_segment - a file of the raft log, whatever is in it: no crash, indexes without gaps,
 * and what the reader accepts it accepts again after its torn end was cleared.  The first byte
 * chooses how much of the rest is made into valid records, so that the deep paths are reached. */
#include <stdlib.h>
#include <string.h>

#include "daemons/raftd/disk/segment.h"
#include "daemons/raftd/kv/txn.h"
#include "libjaco/base/assert.h"

struct seen {
	uint64_t last;
	uint64_t n;
	size_t n_bytes;
};

static void on_record(void *ctx, const struct segment_record *record)
{
	struct seen *seen = ctx;

	JACO_ASSERT(record->index > 0 && record->index <= seen->last + 1);
	JACO_ASSERT((size_t)record->offset + record->n <= seen->n_bytes);
	seen->last = record->index;
	seen->n++;
}

/* Well-formed records from the input's bytes, then the input itself as what a crash left. */
static void build(struct jaco_buf *file, const struct segment_header *header, const uint8_t *data,
		  size_t n)
{
	uint8_t head[SEGMENT_HEADER_BYTES];
	size_t n_records = n ? data[0] % 8 : 0, used = 1;

	segment_header_pack(header, head);
	jaco_buf_add(file, head, sizeof(head));
	for (size_t i = 0; i < n_records && used < n; i++) {
		size_t bytes = data[used] % 64;
		struct segment_record record = {.index = header->base_index + 1 + i,
						.term = 1,
						.batch = (uint32_t)file->n};

		used++;
		record.n = (uint32_t)(used + bytes <= n ? bytes : n - used);
		segment_record_pack(file, header, &record, data + used);
		used += record.n;
	}
	if (used < n)
		jaco_buf_add(file, data + used, n - used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct segment_header header = {.base_index = 7, .base_term = 1, .salt = 0x5a17};
	jaco_auto(jaco_buf) struct jaco_buf file = JACO_BUF_INIT;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct segment_header read;
	struct jaco_err err = JACO_ERR_INIT;
	struct seen seen = {.last = header.base_index};
	struct txn txn;
	size_t end = 0, end_again = 0;
	bool is_torn = false;

	build(&file, &header, data, n);
	seen.n_bytes = file.n;
	(void)segment_header_unpack(data, n, &read);
	(void)txn_unpack((struct kv_bytes){data, n}, &arena, &txn, &err);
	if (segment_scan((uint8_t *)file.data, file.n, &header, on_record, &seen, &end, &is_torn,
			 &err) < 0)
		return 0;
	JACO_ASSERT(end <= file.n);
	memset(file.data + end, 0, file.n - end);
	seen.last = header.base_index;
	JACO_ASSERT(segment_scan((uint8_t *)file.data, file.n, &header, on_record, &seen,
				 &end_again, &is_torn, &err) >= 0);
	JACO_ASSERT(end_again == end && !is_torn);
	return 0;
}
