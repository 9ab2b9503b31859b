/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c - a sorted array of records; newer wins. */
#include "daemons/raftd/gossip/record.h"

#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

void records_init(struct records *records, const char *host, uint64_t incarnation)
{
	*records = (struct records){.incarnation = incarnation};
	(void)jaco_str_copy(records->host, sizeof(records->host), host);
}

static void record_free(struct record *record)
{
	jaco_free((void *)(uintptr_t)record->value.data);
	jaco_free((void *)(uintptr_t)record->key);
	jaco_free(record);
}

void records_fini(struct records *records)
{
	for (size_t i = 0; i < records->n; i++)
		record_free(records->items[i]);
	jaco_free(records->items);
	*records = (struct records){.n = 0};
}

static size_t lower_bound(const struct records *records, const char *key)
{
	size_t low = 0, high = records->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(records->items[mid]->key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct record *find_any(const struct records *records, const char *key)
{
	size_t at = lower_bound(records, key);

	return at < records->n && strcmp(records->items[at]->key, key) == 0 ? records->items[at]
									    : NULL;
}

static int insert(struct records *records, const char *key, struct record **out_record,
		  struct jaco_err *err)
{
	size_t at = lower_bound(records, key);
	struct record *record;

	if (records->n >= RECORDS_MAX)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "there are %zu observed records",
				    records->n);
	record = jaco_alloc(sizeof(*record));
	record->key = jaco_strdup(key);
	records->items = jaco_grow(records->items, &records->cap, records->n + 1,
				   sizeof(struct record *));
	memmove(&records->items[at + 1], &records->items[at],
		(records->n - at) * sizeof(struct record *));
	records->items[at] = record;
	records->n++;
	records->bytes += strlen(key);
	*out_record = record;
	return 0;
}

static void set(struct records *records, struct record *record, const char *owner,
		uint64_t incarnation, uint64_t sequence, struct kv_bytes value)
{
	void *copy = value.data ? jaco_memdup(value.data, value.n) : NULL;

	records->bytes += value.n - record->value.n;
	jaco_free((void *)(uintptr_t)record->value.data);
	record->value = (struct kv_bytes){.data = copy, .n = copy ? value.n : 0};
	(void)jaco_str_copy(record->owner, sizeof(record->owner), owner);
	record->incarnation = incarnation;
	record->sequence = sequence;
	record->change = ++records->changes;
}

static bool is_same(const struct record *record, struct kv_bytes value)
{
	if (!record->value.data || !value.data)
		return record->value.data == value.data;
	return record->value.n == value.n && memcmp(record->value.data, value.data, value.n) == 0;
}

int records_publish(struct records *records, const char *key, struct kv_bytes value,
		    const struct record **out_record, struct jaco_err *err)
{
	struct record *record = find_any(records, key);

	if (record && strcmp(record->owner, records->host) != 0 && record->value.data)
		return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s belongs to node %s", key,
				    record->owner);
	if (record && record->incarnation == records->incarnation && is_same(record, value))
		return 0;
	if (!record && !value.data)
		return 0;
	if (!record && insert(records, key, &record, err) < 0)
		return -(int)err->code;
	set(records, record, records->host, records->incarnation, ++records->sequence, value);
	*out_record = record;
	return 1;
}

int records_merge(struct records *records, const struct record *incoming,
		  const struct record **out_record, struct jaco_err *err)
{
	struct record *record = find_any(records, incoming->key);

	if (record && (incoming->incarnation < record->incarnation ||
		       (incoming->incarnation == record->incarnation &&
			incoming->sequence <= record->sequence)))
		return 0;
	if (!record && insert(records, incoming->key, &record, err) < 0)
		return -(int)err->code;
	set(records, record, incoming->owner, incoming->incarnation, incoming->sequence,
	    incoming->value);
	*out_record = record;
	return 1;
}

const struct record *records_find(const struct records *records, const char *key)
{
	const struct record *record = find_any(records, key);

	return record && record->value.data ? record : NULL;
}

const struct record *records_next(const struct records *records, const char *prefix,
				  const char *after)
{
	bool is_after = after && strcmp(after, prefix) >= 0;
	size_t at = lower_bound(records, is_after ? after : prefix);

	if (is_after && at < records->n && strcmp(records->items[at]->key, after) == 0)
		at++;
	for (; at < records->n && jaco_str_starts(records->items[at]->key, prefix); at++)
		if (records->items[at]->value.data)
			return records->items[at];
	return NULL;
}

size_t records_drop_owner(struct records *records, const char *owner)
{
	size_t n = 0;

	for (size_t i = 0; i < records->n; i++) {
		struct record *record = records->items[i];

		if (strcmp(record->owner, owner) != 0 || !record->value.data)
			continue;
		set(records, record, owner, record->incarnation, record->sequence + 1,
		    (struct kv_bytes){.data = NULL});
		n++;
	}
	return n;
}
