/* SPDX-License-Identifier: Apache-2.0
 *
 * machine.c - applying transactions.
 *
 * A stored value is the revision of its last change (8 bytes little-endian), then the value.
 * The request table holds two rows per remembered request: 'i' + id -> outcome, and 'r' + revision
 * (big-endian, so that they sort) -> id, from whose front the old ones are forgotten. */
#include "daemons/raftd/kv/machine.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/le.h"
#include "libjaco/base/limits.h"
#include "libjaco/base/str.h"

#define REVISION_BYTES 8
#define META_BYTES     (8 + 8 + DIGEST_BYTES)
#define OUTCOME_BYTES  (8 + 1 + 4 + 8)
#define AUDIT_KEY_MAX  40

bool kv_bytes_start(struct kv_bytes bytes, struct kv_bytes prefix)
{
	return bytes.n >= prefix.n && memcmp(bytes.data, prefix.data, prefix.n) == 0;
}

int kv_bytes_compare(struct kv_bytes a, struct kv_bytes b)
{
	size_t n = JACO_MIN(a.n, b.n);
	int rc = n ? memcmp(a.data, b.data, n) : 0;

	return rc != 0 ? rc : (a.n > b.n) - (a.n < b.n);
}

static struct kv_bytes meta_key(void)
{
	return KV_TEXT("machine");
}

bool machine_is_header(struct kv_bytes key)
{
	return kv_bytes_compare(key, meta_key()) == 0;
}

int machine_load(struct machine *machine, struct kv_bytes stored, struct jaco_err *err)
{
	const uint8_t *at = stored.data;

	if (stored.n != META_BYTES)
		return jaco_err_set(err, JACO_INTERNAL, "the state's header has %zu bytes, not %d",
				    stored.n, META_BYTES);
	machine->applied = jaco_le_get(at, 8);
	machine->n_keys = jaco_le_get(at + 8, 8);
	digest_unpack(&machine->digest, at + 16);
	return 0;
}

int machine_open(struct machine *machine, struct kv_space *space, struct jaco_err *err)
{
	struct kv_bytes meta;
	int rc = space->ops->get(space, KV_TABLE_META, meta_key(), &meta, err);

	if (rc < 0)
		return jaco_err_wrap(err, "reading the state's header");
	machine->space = space;
	machine->applied = machine->n_keys = machine->oldest_request = 0;
	machine->digest = (struct digest){.lanes = {0}};
	if (rc > 0 && machine_load(machine, meta, err) < 0)
		return -(int)err->code;
	if (machine->trail)
		trail_reset(machine->trail, machine->applied, machine->digest.lanes[0]);
	return 0;
}

int machine_save(struct machine *machine, struct jaco_err *err)
{
	uint8_t meta[META_BYTES];

	jaco_le_put(meta, machine->applied, 8);
	jaco_le_put(meta + 8, machine->n_keys, 8);
	digest_pack(&machine->digest, meta + 16);
	return machine->space->ops->put(machine->space, KV_TABLE_META, meta_key(),
					(struct kv_bytes){.data = meta, .n = sizeof(meta)}, err);
}

void machine_fini(struct machine *machine)
{
	jaco_buf_fini(&machine->scratch);
	machine->space = NULL;
}

int machine_get(struct machine *machine, struct kv_bytes key, struct kv_bytes *out_value,
		uint64_t *out_revision, struct jaco_err *err)
{
	struct kv_bytes stored;
	int rc = machine->space->ops->get(machine->space, KV_TABLE_DATA, key, &stored, err);

	if (rc <= 0)
		return rc;
	if (stored.n < REVISION_BYTES)
		return jaco_err_set(err, JACO_INTERNAL, "the stored value of %.*s is cut short",
				    (int)key.n, (const char *)key.data);
	if (out_value)
		*out_value = (struct kv_bytes){.data = (const char *)stored.data + REVISION_BYTES,
					       .n = stored.n - REVISION_BYTES};
	if (out_revision)
		*out_revision = jaco_le_get(stored.data, 8);
	return 1;
}

int machine_next(struct machine *machine, struct kv_bytes prefix, struct kv_bytes after,
		 struct machine_change *out_pair, struct jaco_err *err)
{
	bool is_after = after.n > 0 && kv_bytes_compare(after, prefix) >= 0;
	struct kv_bytes key, stored;
	int rc = machine->space->ops->seek(machine->space, KV_TABLE_DATA, is_after ? after : prefix,
					   is_after, &key, &stored, err);

	if (rc <= 0)
		return rc;
	if (!kv_bytes_start(key, prefix))
		return 0;
	if (stored.n < REVISION_BYTES)
		return jaco_err_set(err, JACO_INTERNAL, "the stored value of %.*s is cut short",
				    (int)key.n, (const char *)key.data);
	*out_pair = (struct machine_change){
		.key = key,
		.value = {.data = (const char *)stored.data + REVISION_BYTES,
			  .n = stored.n - REVISION_BYTES},
		.revision = jaco_le_get(stored.data, 8)};
	return 1;
}

static void tell(struct machine *machine, struct kv_bytes key, struct kv_bytes value,
		 uint64_t revision)
{
	struct machine_change change = {.key = key, .value = value, .revision = revision};

	if (machine->on_change)
		machine->on_change(machine->on_change_ctx, &change);
}

static int put_one(struct machine *machine, struct kv_bytes key, struct kv_bytes value,
		   uint64_t revision, struct jaco_err *err)
{
	struct kv_space *space = machine->space;
	uint8_t head[REVISION_BYTES];
	struct kv_bytes stored;
	int rc = space->ops->get(space, KV_TABLE_DATA, key, &stored, err);

	if (rc < 0)
		return rc;
	if (rc > 0)
		digest_remove(&machine->digest, key, stored);
	else
		machine->n_keys++;
	jaco_le_put(head, revision, sizeof(head));
	jaco_buf_reset(&machine->scratch);
	jaco_buf_add(&machine->scratch, head, sizeof(head));
	jaco_buf_add(&machine->scratch, value.data, value.n);
	if (CHAOS_FAIL(apply_other) && value.n > 0) /* what the others do not */
		machine->scratch.data[machine->scratch.n - 1] ^= 1;
	stored = (struct kv_bytes){.data = machine->scratch.data, .n = machine->scratch.n};
	digest_add(&machine->digest, key, stored);
	rc = space->ops->put(space, KV_TABLE_DATA, key, stored, err);
	if (rc < 0)
		return rc;
	tell(machine, key, value.data ? value : KV_TEXT(""), revision);
	return 0;
}

static int delete_one(struct machine *machine, struct kv_bytes key, uint64_t revision,
		      struct jaco_err *err)
{
	struct kv_space *space = machine->space;
	struct kv_bytes stored;
	int rc = space->ops->get(space, KV_TABLE_DATA, key, &stored, err);

	if (rc <= 0)
		return rc;
	digest_remove(&machine->digest, key, stored);
	machine->n_keys--;
	rc = space->ops->del(space, KV_TABLE_DATA, key, err);
	if (rc < 0)
		return rc;
	tell(machine, key, (struct kv_bytes){.data = NULL}, revision);
	return 0;
}

static int delete_prefix(struct machine *machine, struct kv_bytes prefix, uint64_t revision,
			 struct jaco_err *err)
{
	char copy[JACO_KEY_MAX];
	struct kv_bytes last = {.data = copy, .n = 0};

	for (;;) {
		struct machine_change pair;
		/* from the last one on: a space may have to step over what it has just removed */
		int rc = machine_next(machine, prefix, last, &pair, err);

		if (rc <= 0)
			return rc;
		/* the found key is borrowed from the space and dies with the delete */
		JACO_ASSERT(pair.key.n <= sizeof(copy));
		memcpy(copy, pair.key.data, pair.key.n);
		last.n = pair.key.n;
		rc = delete_one(machine, last, revision, err);
		if (rc < 0)
			return rc;
	}
}

/* 1 it holds, 0 it does not, <0 storage. */
static int compare_holds(struct machine *machine, const struct txn_compare *compare,
			 uint64_t *out_actual, struct jaco_err *err)
{
	uint64_t revision = 0;
	struct machine_change pair;
	int rc;

	if (compare->kind == TXN_PREFIX_EMPTY) {
		rc = machine_next(machine, compare->key, (struct kv_bytes){.n = 0}, &pair, err);
		if (rc < 0)
			return rc;
		*out_actual = rc > 0 ? pair.revision : 0;
		return rc == 0;
	}
	rc = machine_get(machine, compare->key, NULL, &revision, err);
	if (rc < 0)
		return rc;
	*out_actual = rc > 0 ? revision : 0;
	return *out_actual == compare->revision;
}

static int compares_hold(struct machine *machine, const struct txn *txn,
			 struct machine_result *result, struct jaco_err *err)
{
	for (size_t i = 0; i < txn->n_compares; i++) {
		uint64_t actual = 0;
		int rc = compare_holds(machine, &txn->compares[i], &actual, err);

		if (rc < 0)
			return rc;
		if (rc == 0) {
			result->failed_compare = i;
			result->actual = actual;
			return 0;
		}
	}
	return 1;
}

static int apply_ops(struct machine *machine, const struct txn *txn, uint64_t index,
		     struct jaco_err *err)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < txn->n_ops; i++) {
		const struct txn_op *op = &txn->ops[i];

		switch (op->kind) {
		case TXN_PUT:
			rc = put_one(machine, op->key, op->value, index, err);
			break;
		case TXN_DELETE:
			rc = delete_one(machine, op->key, index, err);
			break;
		case TXN_DELETE_PREFIX:
			rc = delete_prefix(machine, op->key, index, err);
			break;
		}
	}
	if (rc >= 0 && txn->audit.n) {
		char key[AUDIT_KEY_MAX];

		(void)jaco_str_format(key, sizeof(key), "/audit/%020llu",
				      (unsigned long long)index);
		rc = put_one(machine, KV_TEXT(key), txn->audit, index, err);
	}
	return rc < 0 ? rc : 0;
}

static int recall(struct machine *machine, const struct txn *txn, struct machine_result *out_result,
		  struct jaco_err *err)
{
	uint8_t key[1 + TXN_REQUEST_BYTES] = {'i'};
	struct kv_bytes outcome;
	int rc;

	memcpy(key + 1, txn->request, TXN_REQUEST_BYTES);
	rc = machine->space->ops->get(machine->space, KV_TABLE_REQUEST,
				      (struct kv_bytes){.data = key, .n = sizeof(key)}, &outcome,
				      err);
	if (rc <= 0)
		return rc;
	if (outcome.n != OUTCOME_BYTES)
		return jaco_err_set(err, JACO_INTERNAL, "a remembered outcome has %zu bytes",
				    outcome.n);
	const uint8_t *at = outcome.data;

	*out_result = (struct machine_result){.revision = jaco_le_get(at, 8),
					      .is_committed = at[8] != 0,
					      .failed_compare = jaco_le_get(at + 9, 4),
					      .actual = jaco_le_get(at + 13, 8),
					      .is_repeat = true};
	return 1;
}

/* The key under which the request of @revision is found again in order of age. */
static void put_order(uint8_t out[static 9], uint64_t revision)
{
	out[0] = 'r';
	for (size_t i = 0; i < 8; i++)
		out[1 + i] = (uint8_t)(revision >> (8 * (7 - i)));
}

static int remember(struct machine *machine, const struct txn *txn,
		    const struct machine_result *result, struct jaco_err *err)
{
	struct kv_space *space = machine->space;
	uint8_t id[1 + TXN_REQUEST_BYTES] = {'i'}, order[1 + 8], outcome[OUTCOME_BYTES];
	int rc;

	memcpy(id + 1, txn->request, TXN_REQUEST_BYTES);
	put_order(order, result->revision);
	jaco_le_put(outcome, result->revision, 8);
	outcome[8] = result->is_committed;
	jaco_le_put(outcome + 9, result->failed_compare, 4);
	jaco_le_put(outcome + 13, result->actual, 8);
	rc = space->ops->put(space, KV_TABLE_REQUEST, (struct kv_bytes){id, sizeof(id)},
			     (struct kv_bytes){outcome, sizeof(outcome)}, err);
	if (rc < 0)
		return rc;
	return space->ops->put(space, KV_TABLE_REQUEST, (struct kv_bytes){order, sizeof(order)},
			       (struct kv_bytes){id, sizeof(id)}, err);
}

/* At most two per entry, which is faster than one entry can add. */
static int forget_old(struct machine *machine, uint64_t index, struct jaco_err *err)
{
	struct kv_space *space = machine->space;

	for (int n = 0; n < 2; n++) {
		uint8_t order[1 + 8], id[1 + TXN_REQUEST_BYTES];
		uint64_t revision = 0;
		struct kv_bytes key, value;
		int rc;

		put_order(order, machine->oldest_request);
		rc = space->ops->seek(space, KV_TABLE_REQUEST,
				      (struct kv_bytes){order, sizeof(order)}, false, &key, &value,
				      err);

		if (rc <= 0)
			return rc;
		if (key.n != sizeof(order) || value.n != sizeof(id))
			return jaco_err_set(err, JACO_INTERNAL, "the request table is damaged");
		memcpy(order, key.data, sizeof(order));
		memcpy(id, value.data, sizeof(id));
		for (size_t i = 0; i < 8; i++)
			revision = revision << 8 | order[1 + i];
		machine->oldest_request = revision;
		if (revision + MACHINE_REQUEST_MEMORY > index)
			return 0;
		rc = space->ops->del(space, KV_TABLE_REQUEST,
				     (struct kv_bytes){order, sizeof(order)}, err);
		if (rc >= 0)
			rc = space->ops->del(space, KV_TABLE_REQUEST,
					     (struct kv_bytes){id, sizeof(id)}, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void step(struct machine *machine, uint64_t index)
{
	machine->applied = index;
	if (machine->trail)
		trail_note(machine->trail, index, machine->digest.lanes[0]);
}

void machine_skip(struct machine *machine, uint64_t index)
{
	JACO_ASSERT(index == machine->applied + 1);
	step(machine, index);
}

int machine_apply(struct machine *machine, uint64_t index, struct kv_bytes entry,
		  struct jaco_arena *arena, struct machine_result *out_result, struct jaco_err *err)
{
	struct machine_result result = {.revision = index};
	struct txn txn;
	int rc;

	JACO_ASSERT(index == machine->applied + 1);
	CHAOS(apply);
	if (txn_unpack(entry, arena, &txn, err) < 0)
		return jaco_err_wrap(err, "entry %llu", (unsigned long long)index);
	rc = txn.has_request ? recall(machine, &txn, &result, err) : 0;
	if (rc == 0) {
		rc = compares_hold(machine, &txn, &result, err);
		result.is_committed = rc > 0;
		if (rc > 0)
			rc = apply_ops(machine, &txn, index, err);
		if (rc >= 0 && txn.has_request)
			rc = remember(machine, &txn, &result, err);
		if (rc >= 0 && txn.has_request)
			rc = forget_old(machine, index, err);
	}
	if (rc < 0)
		return jaco_err_wrap(err, "applying entry %llu", (unsigned long long)index);
	step(machine, index);
	CHAOS(apply);
	*out_result = result;
	return 0;
}

int machine_load_pair(struct kv_space *space, enum kv_table table, struct kv_bytes key,
		      struct kv_bytes stored, struct jaco_err *err)
{
	if (key.n == 0 || key.n > JACO_KEY_MAX ||
	    stored.n > JACO_VALUE_MAX + REVISION_BYTES ||
	    (table == KV_TABLE_DATA && stored.n < REVISION_BYTES))
		return jaco_err_set(err, JACO_INTERNAL, "a stored pair has impossible sizes");
	return space->ops->put(space, table, key, stored, err);
}

int machine_verify(struct machine *machine, struct jaco_err *err)
{
	struct kv_space *space = machine->space;
	char last[JACO_KEY_MAX] = "";
	struct kv_bytes at = {.data = last, .n = 0}, key, stored;
	struct digest digest = {.lanes = {0}};
	uint64_t n_keys = 0;
	int rc;

	while ((rc = space->ops->seek(space, KV_TABLE_DATA, at, at.n > 0, &key, &stored, err)) >
	       0) {
		digest_add(&digest, key, stored);
		n_keys++;
		JACO_ASSERT(key.n <= sizeof(last));
		memcpy(last, key.data, key.n);
		at.n = key.n;
	}
	if (rc < 0)
		return rc;
	if (n_keys != machine->n_keys || memcmp(&digest, &machine->digest, sizeof(digest)) != 0)
		return jaco_err_set(err, JACO_INTERNAL,
				    "the state at revision %llu is not what its hash says",
				    (unsigned long long)machine->applied);
	return 0;
}
