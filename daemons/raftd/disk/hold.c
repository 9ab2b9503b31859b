/* SPDX-License-Identifier: Apache-2.0
 *
 * hold.c - a list in the order of the core's sequence; entries are shared by count. */
#include "daemons/raftd/disk/hold.h"

#include "libjaco/base/mem.h"

struct held {
	TAILQ_ENTRY(held) link;
	uint64_t seq;
	size_t n;    /* entries */
	size_t next; /* the first that is not in the log */
	struct core_entry *entries[];
};

void hold_init(struct hold *hold)
{
	TAILQ_INIT(&hold->writes);
}

static void drop_first(struct hold *hold)
{
	struct held *held = TAILQ_FIRST(&hold->writes);

	TAILQ_REMOVE(&hold->writes, held, link);
	for (size_t i = 0; i < held->n; i++)
		core_entry_unref(held->entries[i]);
	jaco_free(held);
}

void hold_clear(struct hold *hold)
{
	while (!hold_is_empty(hold))
		drop_first(hold);
}

bool hold_is_empty(const struct hold *hold)
{
	return TAILQ_EMPTY(&hold->writes);
}

static void keep(struct hold *hold, const struct core_write *write, size_t from)
{
	struct held *held = jaco_alloc(sizeof(*held) + (write->n_entries - from) * sizeof(void *));

	*held = (struct held){.seq = write->seq, .n = write->n_entries - from};
	for (size_t i = 0; i < held->n; i++)
		held->entries[i] = core_entry_ref(write->entries[from + i]);
	TAILQ_INSERT_TAIL(&hold->writes, held, link);
}

/* The number of entries that found room and are gathered in the log. */
static int append(struct wal *wal, struct core_entry *const *entries, size_t n, size_t *out_n,
		  struct jaco_err *err)
{
	struct jaco_err full = JACO_ERR_INIT;

	for (*out_n = 0; *out_n < n; (*out_n)++) {
		const struct core_entry *entry = entries[*out_n];
		struct wal_entry record = {.index = entry->index,
					   .term = entry->term,
					   .type = (uint8_t)entry->kind,
					   .data = entry->data,
					   .n = entry->bytes};

		if (wal_make_room(wal, entry->bytes, &full) < 0 && full.code == JACO_UNAVAILABLE)
			return 0;
		if (wal_append(wal, &record, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

int hold_write(struct hold *hold, struct wal *wal, const struct core_write *write,
	       struct jaco_err *err)
{
	size_t n = 0;

	if (hold_is_empty(hold)) {
		if (append(wal, write->entries, write->n_entries, &n, err) < 0 ||
		    wal_flush(wal, err) < 0)
			return -(int)err->code;
		if (n == write->n_entries)
			return 1;
	}
	keep(hold, write, n);
	return 0;
}

int hold_pour(struct hold *hold, struct wal *wal, uint64_t *out_seq, struct jaco_err *err)
{
	struct held *held;

	*out_seq = 0;
	while ((held = TAILQ_FIRST(&hold->writes))) {
		size_t n;

		if (append(wal, held->entries + held->next, held->n - held->next, &n, err) < 0)
			return -(int)err->code;
		held->next += n;
		if (held->next < held->n)
			break;
		*out_seq = held->seq;
		drop_first(hold);
	}
	return wal_flush(wal, err);
}
