/* SPDX-License-Identifier: Apache-2.0
 *
 * entry.c - log entries: shared by counting, never copied once made. */
#include "daemons/raftd/core/core.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

struct core_entry *core_entry_new(uint32_t bytes)
{
	struct core_entry *entry = jaco_alloc(sizeof(*entry) + bytes);

	entry->refs = 1;
	entry->bytes = bytes;
	return entry;
}

struct core_entry *core_entry_load(enum core_entry_kind kind, uint64_t index, uint64_t term,
				   const void *data, uint32_t bytes)
{
	struct core_entry *entry = core_entry_new(bytes);

	entry->kind = kind;
	entry->index = index;
	entry->term = term;
	if (bytes)
		memcpy(entry->data, data, bytes);
	return entry;
}

struct core_entry *core_entry_ref(struct core_entry *entry)
{
	JACO_ASSERT(entry->refs && entry->refs < UINT32_MAX);
	entry->refs++;
	return entry;
}

void core_entry_unref(struct core_entry *entry)
{
	if (!entry)
		return;
	JACO_ASSERT(entry->refs);
	if (--entry->refs == 0)
		jaco_free(entry);
}
