/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c - ring of entries. */
#include "daemons/raftd/core/log.h"

#include "daemons/raftd/core/core.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

enum { LOG_CAP_MIN = 64 };

static struct log_slot *slot(const struct log *log, uint64_t index)
{
	return &log->slots[(log->head + (size_t)(index - log->base_index - 1)) & (log->cap - 1)];
}

void log_init(struct log *log, uint64_t base_index, uint64_t base_term)
{
	*log = (struct log){
		.base_index = base_index, .base_term = base_term, .durable = base_index};
}

void log_fini(struct log *log)
{
	log_truncate(log, log->base_index + 1);
	jaco_free(log->slots);
	log->slots = NULL;
	log->cap = 0;
}

uint64_t log_last(const struct log *log)
{
	return log->base_index + log->n;
}

uint64_t log_last_term(const struct log *log)
{
	return log->n ? slot(log, log_last(log))->entry->term : log->base_term;
}

struct core_entry *log_at(const struct log *log, uint64_t index)
{
	if (index <= log->base_index || index > log_last(log))
		return NULL;
	return slot(log, index)->entry;
}

bool log_term(const struct log *log, uint64_t index, uint64_t *out_term)
{
	if (index < log->base_index || index > log_last(log))
		return false;
	*out_term = index == log->base_index ? log->base_term : slot(log, index)->entry->term;
	return true;
}

/* Terms never fall along a log, so the answer is found by halving. */
uint64_t log_at_most(const struct log *log, uint64_t index, uint64_t term)
{
	uint64_t low = log->base_index;
	uint64_t high = index < log_last(log) ? index : log_last(log);

	while (low < high) {
		uint64_t mid = low + (high - low + 1) / 2;

		if (slot(log, mid)->entry->term <= term)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static void grow(struct log *log)
{
	size_t cap = log->cap ? log->cap * 2 : LOG_CAP_MIN;
	struct log_slot *slots = jaco_alloc_n(cap, sizeof(*slots));

	for (size_t i = 0; i < log->n; i++)
		slots[i] = log->slots[(log->head + i) & (log->cap - 1)];
	jaco_free(log->slots);
	log->slots = slots;
	log->cap = cap;
	log->head = 0;
}

void log_append(struct log *log, struct core_entry *take_entry, uint64_t seq)
{
	JACO_ASSERT(take_entry->index == log_last(log) + 1);
	JACO_ASSERT(take_entry->term >= log_last_term(log));
	if (log->n == log->cap)
		grow(log);
	log->n++;
	log->bytes += take_entry->bytes;
	*slot(log, take_entry->index) = (struct log_slot){.entry = take_entry, .seq = seq};
}

void log_truncate(struct log *log, uint64_t from)
{
	JACO_ASSERT(from > log->base_index);
	while (log_last(log) >= from) {
		struct core_entry *entry = slot(log, log_last(log))->entry;

		log->bytes -= entry->bytes;
		log->n--;
		core_entry_unref(entry);
	}
	if (log->durable >= from)
		log->durable = from - 1;
}

void log_compact(struct log *log, uint64_t index)
{
	JACO_ASSERT(index >= log->base_index && index <= log_last(log));
	while (log->base_index < index) {
		struct core_entry *entry = log->slots[log->head].entry;

		log->base_index++;
		log->base_term = entry->term;
		log->bytes -= entry->bytes;
		log->head = (log->head + 1) & (log->cap - 1);
		log->n--;
		core_entry_unref(entry);
	}
}

void log_reset(struct log *log, uint64_t base_index, uint64_t base_term, uint64_t seq)
{
	log_truncate(log, log->base_index + 1);
	log->head = 0;
	log->base_index = base_index;
	log->base_term = base_term;
	log->base_seq = seq;
}

void log_flushed(struct log *log, uint64_t seq)
{
	if (log->durable < log->base_index) {
		if (log->base_seq > seq)
			return;
		log->durable = log->base_index;
	}
	while (log->durable < log_last(log) && slot(log, log->durable + 1)->seq <= seq)
		log->durable++;
}
