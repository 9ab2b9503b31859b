/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/core/log.h"

#include "daemons/raftd/core/core.h"
#include "tests/lib/test.h"

static void add(struct log *log, uint64_t term, uint64_t seq)
{
	log_append(log, core_entry_load(CORE_ENTRY_DATA, log_last(log) + 1, term, "abc", 3), seq);
}

JT_CASE(an_empty_log_ends_at_its_base)
{
	struct log log;
	uint64_t term;

	log_init(&log, 7, 3);
	JT_EQ(log_last(&log), 7);
	JT_EQ(log_last_term(&log), 3);
	JT_TRUE(log_term(&log, 7, &term));
	JT_EQ(term, 3);
	JT_FALSE(log_term(&log, 6, &term));
	JT_FALSE(log_term(&log, 8, &term));
	JT_NULL(log_at(&log, 7));
	log_fini(&log);
}

JT_CASE(the_ring_keeps_its_order_while_both_ends_move)
{
	struct log log;

	log_init(&log, 0, 0);
	for (uint64_t i = 1; i <= 5000; i++) {
		add(&log, i / 100, i);
		if (i % 3 == 0)
			log_compact(&log, i - 2);
	}
	JT_EQ(log_last(&log), 5000);
	JT_TRUE(log.cap <= 64);
	for (uint64_t i = log.base_index + 1; i <= 5000; i++)
		JT_EQ(log_at(&log, i)->index, i);
	JT_EQ(log.bytes, 3 * log.n);
	log_fini(&log);
}

JT_CASE(durable_follows_the_writes_not_the_indexes)
{
	struct log log;

	log_init(&log, 0, 0);
	add(&log, 1, 1);
	add(&log, 1, 1);
	add(&log, 1, 2);
	log_flushed(&log, 1);
	JT_EQ(log.durable, 2);
	/* 2 and 3 are replaced while write 2 is still under way. */
	log_truncate(&log, 2);
	JT_EQ(log.durable, 1);
	add(&log, 2, 3);
	log_flushed(&log, 2);
	JT_EQ(log.durable, 1);
	log_flushed(&log, 3);
	JT_EQ(log.durable, 2);
	log_fini(&log);
}

JT_CASE(a_new_base_is_durable_with_its_own_write)
{
	struct log log;

	log_init(&log, 0, 0);
	add(&log, 1, 1);
	log_flushed(&log, 1);
	log_reset(&log, 10, 4, 5);
	JT_EQ(log_last(&log), 10);
	add(&log, 4, 6);
	log_flushed(&log, 4);
	JT_TRUE(log.durable < 10);
	log_flushed(&log, 5);
	JT_EQ(log.durable, 10);
	log_flushed(&log, 6);
	JT_EQ(log.durable, 11);
	log_fini(&log);
}

JT_CASE(at_most_finds_the_last_of_a_term)
{
	const uint64_t terms[] = {1, 1, 1, 4, 4, 5, 9};
	struct log log;

	log_init(&log, 0, 0);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(terms); i++)
		add(&log, terms[i], 1);
	JT_EQ(log_at_most(&log, 7, 9), 7);
	JT_EQ(log_at_most(&log, 7, 8), 6);
	JT_EQ(log_at_most(&log, 7, 3), 3);
	JT_EQ(log_at_most(&log, 4, 9), 4);
	JT_EQ(log_at_most(&log, 7, 0), 0);
	JT_EQ(log_at_most(&log, 900, 4), 5);
	log_fini(&log);
}

JT_MAIN(JT_RUN(an_empty_log_ends_at_its_base),
	JT_RUN(the_ring_keeps_its_order_while_both_ends_move),
	JT_RUN(durable_follows_the_writes_not_the_indexes),
	JT_RUN(a_new_base_is_durable_with_its_own_write), JT_RUN(at_most_finds_the_last_of_a_term))
