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
	jaco_free(records->owners);
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

/* --- owners --- */

static struct records_owner *find_owner(const struct records *records, const char *host)
{
	for (size_t i = 0; i < records->n_owners; i++)
		if (strcmp(records->owners[i].owner, host) == 0)
			return &records->owners[i];
	return NULL;
}

static struct records_owner *get_owner(struct records *records, const char *host)
{
	struct records_owner *owner = find_owner(records, host);

	if (owner)
		return owner;
	records->owners = jaco_grow(records->owners, &records->owners_cap, records->n_owners + 1,
				    sizeof(*owner));
	owner = &records->owners[records->n_owners++];
	*owner = (struct records_owner){.incarnation = 0};
	(void)jaco_str_copy(owner->owner, sizeof(owner->owner), host);
	return owner;
}

/* Is there room for @value of @host in @record (NULL: a new one, under @key)? */
static int check_room(struct records *records, const struct record *record, const char *key,
		      const char *host, struct kv_bytes value, struct jaco_err *err)
{
	const struct records_owner *owner = get_owner(records, host);
	size_t before = record ? record->value.n : 0, more = value.n + (record ? 0 : strlen(key));

	if (!record && (records->n >= RECORDS_MAX || owner->n >= RECORDS_OWNER_MAX))
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED,
				    "there are %zu observed records, %zu of %s", records->n,
				    owner->n, host);
	if (more > before && owner->bytes - before + more > RECORDS_OWNER_BYTES)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED,
				    "the observed records of %s are %zu bytes", host, owner->bytes);
	return 0;
}

/* --- one record --- */

static struct record *insert(struct records *records, const char *key, const char *owner)
{
	size_t at = lower_bound(records, key);
	struct record *record = jaco_alloc(sizeof(*record));

	record->key = jaco_strdup(key);
	(void)jaco_str_copy(record->owner, sizeof(record->owner), owner);
	records->items = jaco_grow(records->items, &records->cap, records->n + 1,
				   sizeof(struct record *));
	memmove(&records->items[at + 1], &records->items[at],
		(records->n - at) * sizeof(struct record *));
	records->items[at] = record;
	records->n++;
	records->bytes += strlen(key);
	get_owner(records, owner)->n++;
	get_owner(records, owner)->bytes += strlen(key);
	return record;
}

/* The owner stays: it is in the key. */
static void set(struct records *records, struct record *record, uint64_t incarnation,
		uint64_t sequence, struct kv_bytes value)
{
	void *copy = value.data ? jaco_memdup(value.data, value.n) : NULL;

	records->bytes += value.n - record->value.n;
	get_owner(records, record->owner)->bytes += value.n - record->value.n;
	jaco_free((void *)(uintptr_t)record->value.data);
	record->value = (struct kv_bytes){.data = copy, .n = copy ? value.n : 0};
	record->incarnation = incarnation;
	record->sequence = sequence;
	record->withdrawn_ms = 0;
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
	if (check_room(records, record, key, records->host, value, err) < 0)
		return -(int)err->code;
	if (!record)
		record = insert(records, key, records->host);
	set(records, record, records->incarnation, ++records->sequence, value);
	*out_record = record;
	return 1;
}

static bool is_beyond(const struct record *incoming)
{
	return incoming->incarnation >= RECORDS_NUMBER_MAX ||
	       incoming->sequence >= RECORDS_NUMBER_MAX;
}

int records_merge(struct records *records, const struct record *incoming,
		  const struct record **out_record, struct jaco_err *err)
{
	struct record *record = find_any(records, incoming->key);

	if (is_beyond(incoming))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: no version", incoming->key);
	if (record && (incoming->incarnation < record->incarnation ||
		       (incoming->incarnation == record->incarnation &&
			incoming->sequence <= record->sequence)))
		return 0;
	if (check_room(records, record, incoming->key, incoming->owner, incoming->value, err) < 0)
		return -(int)err->code;
	if (!record)
		record = insert(records, incoming->key, incoming->owner);
	set(records, record, incoming->incarnation, incoming->sequence, incoming->value);
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

const struct record *records_disown(struct records *records, const char *key)
{
	struct record *record = find_any(records, key);

	if (!record || !record->value.data)
		return NULL;
	set(records, record, 0, 0, (struct kv_bytes){.data = NULL});
	return record;
}

/* --- what is left of tombstones --- */

static bool is_newer(uint64_t incarnation, uint64_t sequence, uint64_t than_incarnation,
		     uint64_t than_sequence)
{
	return incarnation > than_incarnation ||
	       (incarnation == than_incarnation && sequence > than_sequence);
}

const struct records_owner *records_floor_of(const struct records *records,
					     const struct record *incoming)
{
	const struct records_owner *floor = find_owner(records, incoming->owner);

	if (!floor || floor->incarnation == 0 || find_any(records, incoming->key) ||
	    is_newer(incoming->incarnation, incoming->sequence, floor->incarnation,
		     floor->sequence))
		return NULL;
	return floor;
}

static void raise_floor(struct records *records, const struct record *gone)
{
	struct records_owner *floor = get_owner(records, gone->owner);

	if (is_newer(gone->incarnation, gone->sequence, floor->incarnation, floor->sequence)) {
		floor->incarnation = gone->incarnation;
		floor->sequence = gone->sequence;
	}
}

size_t records_expire(struct records *records, int64_t now_ms, int64_t life_ms)
{
	size_t kept = 0, before = records->n;

	for (size_t i = 0; i < before; i++) {
		struct record *record = records->items[i];

		if (!record->value.data && record->withdrawn_ms == 0)
			record->withdrawn_ms = now_ms;
		if (record->value.data || now_ms - record->withdrawn_ms < life_ms) {
			records->items[kept++] = record;
			continue;
		}
		if (record->incarnation > 0)
			raise_floor(records, record);
		records->bytes -= strlen(record->key);
		get_owner(records, record->owner)->n--;
		get_owner(records, record->owner)->bytes -= strlen(record->key);
		record_free(record);
	}
	records->n = kept;
	return before - kept;
}

static void say_again(struct records *records, struct record *record)
{
	record->incarnation = records->incarnation;
	record->sequence = ++records->sequence;
	record->change = ++records->changes;
}

static size_t say_all_again(struct records *records)
{
	size_t n = 0;

	for (size_t i = 0; i < records->n; i++)
		if (strcmp(records->items[i]->owner, records->host) == 0) {
			say_again(records, records->items[i]);
			n++;
		}
	return n;
}

void records_begin_anew(struct records *records, uint64_t incarnation)
{
	records->incarnation = JACO_MAX(incarnation, records->incarnation + 1);
	(void)say_all_again(records);
}

size_t records_refute(struct records *records, const struct record *incoming)
{
	struct record *own = find_any(records, incoming->key);

	if (is_beyond(incoming))
		return 0;
	if (incoming->incarnation > records->incarnation) {
		records->incarnation = incoming->incarnation + 1;
		return say_all_again(records);
	}
	if (incoming->incarnation < records->incarnation)
		return 0; /* of an earlier run: others drop it when it was not said again in time */
	if (own && !is_newer(incoming->incarnation, incoming->sequence, own->incarnation,
			     own->sequence))
		return 0;
	records->sequence = JACO_MAX(records->sequence, incoming->sequence);
	if (!own) {
		struct jaco_err err = JACO_ERR_INIT;

		if (!incoming->value.data || check_room(records, NULL, incoming->key, records->host,
							(struct kv_bytes){.data = NULL}, &err) < 0)
			return 0;
		own = insert(records, incoming->key, records->host);
	}
	say_again(records, own);
	return 1;
}

/* --- digests --- */

/* A hash that does not depend on the order, so that nothing has to be sorted (splitmix64). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t hash_of(const struct record *record)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a, 64 bits */

	for (const char *at = record->key; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 1099511628211u;
	return mix(hash ^ mix(record->incarnation ^ mix(record->sequence)));
}

size_t records_summarise(const struct records *records, bool (*skip)(const char *key),
			 struct records_summary *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < records->n; i++) {
		const struct record *record = records->items[i];
		size_t at = 0;

		if (!record->value.data || (skip && skip(record->key)))
			continue;
		while (at < n && strcmp(out[at].owner, record->owner) != 0)
			at++;
		if (at == max)
			continue; /* more owners than a cluster has nodes: left to pushes */
		if (at == n)
			out[n++] = (struct records_summary){.owner = record->owner};
		out[at].count++;
		out[at].sum += hash_of(record);
	}
	return n;
}

uint64_t records_sum(const struct records *records, bool (*skip)(const char *key))
{
	uint64_t sum = 0;

	for (size_t i = 0; i < records->n; i++)
		if (records->items[i]->value.data && !(skip && skip(records->items[i]->key)))
			sum += hash_of(records->items[i]);
	return sum;
}
