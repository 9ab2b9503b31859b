/* SPDX-License-Identifier: Apache-2.0
 *
 * memspace.c - sorted arrays with binary search; insertion moves the tail, which is fine for the
 * sizes tests use. */
#include "daemons/raftd/kv/memspace.h"

#include <string.h>

#include "libjaco/base/mem.h"

struct memspace_pair {
	char *key;
	size_t key_n;
	char *value;
	size_t value_n;
};

static int compare(const struct memspace_pair *pair, struct kv_bytes key)
{
	size_t n = JACO_MIN(pair->key_n, key.n);
	int rc = n ? memcmp(pair->key, key.data, n) : 0;

	if (rc != 0)
		return rc;
	return pair->key_n < key.n ? -1 : pair->key_n > key.n;
}

/* Index of the first pair >= @key. */
static size_t lower_bound(const struct memspace_table *table, struct kv_bytes key)
{
	size_t low = 0, high = table->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(&table->pairs[mid], key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct memspace_pair *find(struct memspace_table *table, struct kv_bytes key)
{
	size_t at = lower_bound(table, key);

	return at < table->n && compare(&table->pairs[at], key) == 0 ? &table->pairs[at] : NULL;
}

static struct memspace_table *table_of(struct kv_space *space, enum kv_table table)
{
	return &((struct memspace *)space)->tables[table];
}

static int mem_get(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		   struct kv_bytes *out_value, struct jaco_err *err)
{
	struct memspace_pair *pair = find(table_of(space, table), key);

	(void)err;
	if (!pair)
		return 0;
	*out_value = (struct kv_bytes){.data = pair->value, .n = pair->value_n};
	return 1;
}

static int mem_put(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		   struct kv_bytes value, struct jaco_err *err)
{
	struct memspace_table *t = table_of(space, table);
	struct memspace_pair *pair = find(t, key);
	char *copy = jaco_memdup(value.data ? value.data : "", value.n);

	(void)err;
	if (!pair) {
		size_t at = lower_bound(t, key);

		t->pairs = jaco_grow(t->pairs, &t->cap, t->n + 1, sizeof(*t->pairs));
		memmove(&t->pairs[at + 1], &t->pairs[at], (t->n - at) * sizeof(*t->pairs));
		t->n++;
		pair = &t->pairs[at];
		*pair = (struct memspace_pair){.key = jaco_memdup(key.data, key.n), .key_n = key.n};
	}
	jaco_free(pair->value);
	pair->value = copy;
	pair->value_n = value.n;
	return 1;
}

static int mem_del(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		   struct jaco_err *err)
{
	struct memspace_table *t = table_of(space, table);
	struct memspace_pair *pair = find(t, key);

	(void)err;
	if (!pair)
		return 0;
	jaco_free(pair->key);
	jaco_free(pair->value);
	t->n--;
	memmove(pair, pair + 1, (size_t)(&t->pairs[t->n] - pair) * sizeof(*pair));
	return 1;
}

static int mem_seek(struct kv_space *space, enum kv_table table, struct kv_bytes key, int is_after,
		    struct kv_bytes *out_key, struct kv_bytes *out_value, struct jaco_err *err)
{
	struct memspace_table *t = table_of(space, table);
	size_t at = lower_bound(t, key);

	(void)err;
	if (is_after && at < t->n && compare(&t->pairs[at], key) == 0)
		at++;
	if (at >= t->n)
		return 0;
	*out_key = (struct kv_bytes){.data = t->pairs[at].key, .n = t->pairs[at].key_n};
	*out_value = (struct kv_bytes){.data = t->pairs[at].value, .n = t->pairs[at].value_n};
	return 1;
}

static const struct kv_space_ops mem_ops = {
	.get = mem_get, .put = mem_put, .del = mem_del, .seek = mem_seek};

void memspace_init(struct memspace *mem)
{
	*mem = (struct memspace){.space = {.ops = &mem_ops}};
}

void memspace_fini(struct memspace *mem)
{
	for (size_t t = 0; t < KV_TABLE_END; t++) {
		for (size_t i = 0; i < mem->tables[t].n; i++) {
			jaco_free(mem->tables[t].pairs[i].key);
			jaco_free(mem->tables[t].pairs[i].value);
		}
		jaco_free(mem->tables[t].pairs);
		mem->tables[t] = (struct memspace_table){.n = 0};
	}
}
