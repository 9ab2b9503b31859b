/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/disk/segment.h"

#include "daemons/raftd/disk/crc32c.h"
#include "tests/lib/test.h"

static const struct segment_header header = {.base_index = 10, .base_term = 2, .salt = 0x1234567};

struct seen {
	uint64_t last;
	unsigned n;
};

static void on_record(void *ctx, const struct segment_record *record)
{
	struct seen *seen = ctx;

	seen->last = record->index;
	seen->n++;
}

/* Three batches of two entries each. */
static void fill(struct jaco_buf *buf, size_t offsets[static 6])
{
	uint8_t head[SEGMENT_HEADER_BYTES];

	segment_header_pack(&header, head);
	jaco_buf_add(buf, head, sizeof(head));
	for (unsigned i = 0; i < 6; i++) {
		struct segment_record record = {.index = 11 + i, .term = 3, .n = 20 + i};

		offsets[i] = buf->n;
		record.batch = (uint32_t)offsets[i / 2 * 2];
		segment_record_pack(buf, &header, &record, "abcdefghijklmnopqrstuvwxyz0123456789");
	}
	for (unsigned i = 0; i < 4096 - buf->n % 4096; i++)
		jaco_buf_add_char(buf, 0);
}

static int scan(const struct jaco_buf *buf, struct seen *seen, size_t *end, bool *torn,
		struct jaco_err *err)
{
	*seen = (struct seen){.n = 0};
	return segment_scan((const uint8_t *)buf->data, buf->n, &header, on_record, seen, end, torn,
			    err);
}

JT_CASE(crc32c_matches_the_published_vector)
{
	JT_EQ(crc32c(0, "123456789", 9), 0xe3069283u); /* RFC 3720 B.4's check value */
	JT_EQ(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

JT_CASE(a_whole_file_is_read_to_its_end)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct segment_header back;
	size_t offsets[6], end;
	struct seen seen;
	bool torn;

	fill(&buf, offsets);
	JT_TRUE(segment_header_unpack((uint8_t *)buf.data, buf.n, &back));
	JT_EQ(back.salt, header.salt);
	JT_OK(scan(&buf, &seen, &end, &torn, &err), &err);
	JT_EQ(seen.n, 6);
	JT_EQ(seen.last, 16);
	JT_FALSE(torn);
	JT_EQ(end, offsets[5] + segment_record_size(25));
}

/* Whatever part of the last batch is missing, also when its second sector came first. */
JT_CASE(a_torn_last_batch_is_cut_and_nothing_else)
{
	struct jaco_err err = JACO_ERR_INIT;

	for (unsigned victim = 4; victim < 6; victim++) {
		for (size_t byte = 0; byte < 48; byte++) {
			jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
			size_t offsets[6], end;
			struct seen seen;
			bool torn;

			fill(&buf, offsets);
			buf.data[offsets[victim] + byte] ^= 0x5a;
			JT_OK(scan(&buf, &seen, &end, &torn, &err), &err);
			JT_EQ(seen.n, victim);
			JT_TRUE(torn);
			JT_EQ(end, offsets[victim]);
		}
	}
}

JT_CASE(damage_before_a_later_batch_is_refused_with_its_place)
{
	struct jaco_err err = JACO_ERR_INIT;

	for (unsigned victim = 0; victim < 4; victim++) {
		for (size_t byte = 0; byte < 48; byte++) {
			jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
			size_t offsets[6], end;
			struct seen seen;
			bool torn;

			fill(&buf, offsets);
			buf.data[offsets[victim] + byte] ^= 0x5a;
			JT_FAILS_WITH(scan(&buf, &seen, &end, &torn, &err), INTERNAL,
				      "after it had been flushed", &err);
		}
	}
}

JT_CASE(records_of_another_file_never_pass)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct segment_header other = header;
	struct jaco_err err = JACO_ERR_INIT;
	struct seen seen = {.n = 0};
	size_t offsets[6], end;
	bool torn;

	fill(&buf, offsets);
	other.salt++;
	JT_OK(segment_scan((uint8_t *)buf.data, buf.n, &other, on_record, &seen, &end, &torn, &err),
	      &err);
	JT_EQ(seen.n, 0);
	JT_TRUE(torn);
}

JT_MAIN(JT_RUN(crc32c_matches_the_published_vector), JT_RUN(a_whole_file_is_read_to_its_end),
	JT_RUN(a_torn_last_batch_is_cut_and_nothing_else),
	JT_RUN(damage_before_a_later_batch_is_refused_with_its_place),
	JT_RUN(records_of_another_file_never_pass))
