/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h - the log since its base, in memory, and how much of it is on disk.
 *
 * A ring of entries; each slot remembers the write that carries it, so "durable up to" stays right
 * whatever is truncated and appended again while writes are under way. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core_entry;

struct log_slot {
	struct core_entry *entry;
	uint64_t seq; /* of the write it went into */
};

struct log {
	struct log_slot *slots;
	size_t cap; /* a power of two, or 0 */
	size_t head;
	size_t n;
	uint64_t base_index, base_term;
	uint64_t base_seq; /* write that makes the base durable */
	uint64_t durable;  /* last index on this disk */
	uint64_t bytes;    /* data of all entries held */
};

void log_init(struct log *log, uint64_t base_index, uint64_t base_term);
void log_fini(struct log *log);

uint64_t log_last(const struct log *log);
uint64_t log_last_term(const struct log *log);

/* NULL outside base + 1 .. last.  Borrowed. */
struct core_entry *log_at(const struct log *log, uint64_t index);

/* Term at base .. last; false outside. */
bool log_term(const struct log *log, uint64_t index, uint64_t *out_term);

/* Largest index in base .. @index whose term is at most @term, the base if there is none. */
uint64_t log_at_most(const struct log *log, uint64_t index, uint64_t term);

/* @take_entry follows the last one. */
void log_append(struct log *log, struct core_entry *take_entry, uint64_t seq);

/* Drop @from .. last. */
void log_truncate(struct log *log, uint64_t from);

/* Drop base + 1 .. @index; the base moves there. */
void log_compact(struct log *log, uint64_t index);

/* Empty, starting after another base that write @seq makes durable. */
void log_reset(struct log *log, uint64_t base_index, uint64_t base_term, uint64_t seq);

/* Writes up to @seq are on disk: move `durable`. */
void log_flushed(struct log *log, uint64_t seq);
