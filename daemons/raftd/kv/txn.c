/* SPDX-License-Identifier: Apache-2.0
 *
 * txn.c - checking, packing and unpacking transactions.
 *
 *   u8 version, u8 flags (1 request, 2 audit), [16 request]
 *   u32 compares { u8 kind, u32 n, key, u64 revision }
 *   u32 ops      { u8 kind, u32 n, key, [u32 n, value] }
 *   [u32 n, audit] */
#include "daemons/raftd/kv/txn.h"

#include <string.h>

#include "libjaco/base/limits.h"

#define TXN_VERSION  1
#define FLAG_REQUEST 1
#define FLAG_AUDIT   2
#define FLAGS_KNOWN  3

/* An empty segment is legal: the route of path "/api" is /route/<domain>//api. */
static bool key_is_valid(struct kv_bytes key)
{
	const char *text = key.data;

	if (key.n < 2 || key.n > JACO_KEY_MAX || text[0] != '/')
		return false;
	for (size_t i = 0; i < key.n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

static int check_key(struct kv_bytes key, struct jaco_err *err)
{
	if (key_is_valid(key))
		return 0;
	return jaco_err_set(err, JACO_VALIDATION_FAILED,
			    "key \"%.*s\" is not a path of printable characters, 2 to %d bytes",
			    (int)JACO_MIN(key.n, (size_t)80), (const char *)key.data, JACO_KEY_MAX);
}

int txn_check(const struct txn *txn, struct jaco_err *err)
{
	int rc = 0;

	if (txn->n_compares > JACO_TXN_OPS_MAX || txn->n_ops > JACO_TXN_OPS_MAX)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED,
				    "a transaction has at most %d compares and %d operations",
				    JACO_TXN_OPS_MAX, JACO_TXN_OPS_MAX);
	for (size_t i = 0; rc == 0 && i < txn->n_compares; i++)
		rc = check_key(txn->compares[i].key, err);
	for (size_t i = 0; rc == 0 && i < txn->n_ops; i++) {
		const struct txn_op *op = &txn->ops[i];

		rc = check_key(op->key, err);
		if (rc == 0 && op->value.n > JACO_VALUE_MAX)
			rc = jaco_err_set(err, JACO_LIMIT_EXCEEDED,
					  "value of %.*s is over %d bytes", (int)op->key.n,
					  (const char *)op->key.data, JACO_VALUE_MAX);
	}
	return rc;
}

static void add_u32(struct jaco_buf *buf, uint32_t value)
{
	uint8_t bytes[4] = {value & 0xff, value >> 8 & 0xff, value >> 16 & 0xff, value >> 24};

	jaco_buf_add(buf, bytes, sizeof(bytes));
}

static void add_u64(struct jaco_buf *buf, uint64_t value)
{
	add_u32(buf, (uint32_t)value);
	add_u32(buf, (uint32_t)(value >> 32));
}

static void add_bytes(struct jaco_buf *buf, struct kv_bytes bytes)
{
	add_u32(buf, (uint32_t)bytes.n);
	jaco_buf_add(buf, bytes.data, bytes.n);
}

void txn_pack(const struct txn *txn, struct jaco_buf *buf)
{
	int flags = (txn->has_request ? FLAG_REQUEST : 0) | (txn->audit.n ? FLAG_AUDIT : 0);

	jaco_buf_add_char(buf, TXN_VERSION);
	jaco_buf_add_char(buf, (char)flags);
	if (txn->has_request)
		jaco_buf_add(buf, txn->request, sizeof(txn->request));
	add_u32(buf, (uint32_t)txn->n_compares);
	for (size_t i = 0; i < txn->n_compares; i++) {
		jaco_buf_add_char(buf, (char)txn->compares[i].kind);
		add_bytes(buf, txn->compares[i].key);
		add_u64(buf, txn->compares[i].revision);
	}
	add_u32(buf, (uint32_t)txn->n_ops);
	for (size_t i = 0; i < txn->n_ops; i++) {
		jaco_buf_add_char(buf, (char)txn->ops[i].kind);
		add_bytes(buf, txn->ops[i].key);
		if (txn->ops[i].kind == TXN_PUT)
			add_bytes(buf, txn->ops[i].value);
	}
	if (txn->audit.n)
		add_bytes(buf, txn->audit);
}

/* A sticky cursor: many reads, one check. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool is_bad;
};

static const uint8_t *take(struct cursor *cur, size_t n)
{
	const uint8_t *at = cur->at;

	if (cur->is_bad || n > cur->left) {
		cur->is_bad = true;
		return NULL;
	}
	cur->at += n;
	cur->left -= n;
	return at;
}

static uint8_t take_u8(struct cursor *cur)
{
	const uint8_t *at = take(cur, 1);

	return at ? *at : 0;
}

static uint32_t take_u32(struct cursor *cur)
{
	const uint8_t *at = take(cur, 4);

	return at ? (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
			    (uint32_t)at[3] << 24
		  : 0;
}

static uint64_t take_u64(struct cursor *cur)
{
	uint64_t low = take_u32(cur);

	return low | (uint64_t)take_u32(cur) << 32;
}

static struct kv_bytes take_bytes(struct cursor *cur)
{
	size_t n = take_u32(cur);
	const uint8_t *at = take(cur, n);

	return (struct kv_bytes){.data = at, .n = at ? n : 0};
}

static size_t take_count(struct cursor *cur)
{
	uint32_t n = take_u32(cur);

	if (n > JACO_TXN_OPS_MAX)
		cur->is_bad = true;
	return cur->is_bad ? 0 : n;
}

static void take_compares(struct cursor *cur, struct jaco_arena *arena, struct txn *txn)
{
	txn->n_compares = take_count(cur);
	txn->compares = jaco_arena_alloc_n(arena, txn->n_compares + 1, sizeof(*txn->compares));
	for (size_t i = 0; i < txn->n_compares && !cur->is_bad; i++) {
		uint8_t kind = take_u8(cur);

		txn->compares[i].kind =
			kind == TXN_PREFIX_EMPTY ? TXN_PREFIX_EMPTY : TXN_AT_REVISION;
		txn->compares[i].key = take_bytes(cur);
		txn->compares[i].revision = take_u64(cur);
		if (kind > TXN_PREFIX_EMPTY)
			cur->is_bad = true;
	}
}

static void take_ops(struct cursor *cur, struct jaco_arena *arena, struct txn *txn)
{
	txn->n_ops = take_count(cur);
	txn->ops = jaco_arena_alloc_n(arena, txn->n_ops + 1, sizeof(*txn->ops));
	for (size_t i = 0; i < txn->n_ops && !cur->is_bad; i++) {
		uint8_t kind = take_u8(cur);

		if (kind > TXN_PUT)
			cur->is_bad = true;
		else
			txn->ops[i].kind = (enum txn_op_kind)kind;
		txn->ops[i].key = take_bytes(cur);
		if (kind == TXN_PUT)
			txn->ops[i].value = take_bytes(cur);
	}
}

int txn_unpack(struct kv_bytes data, struct jaco_arena *arena, struct txn *out_txn,
	       struct jaco_err *err)
{
	struct cursor cur = {.at = data.data, .left = data.n};
	struct txn txn = {.n_ops = 0};
	uint8_t version = take_u8(&cur), flags = take_u8(&cur);
	const uint8_t *request;

	if (cur.is_bad || version != TXN_VERSION || (flags & ~FLAGS_KNOWN) != 0)
		return jaco_err_set(err, JACO_INTERNAL,
				    "a log entry was written by another version (%u, flags %u)",
				    version, flags);
	txn.has_request = (flags & FLAG_REQUEST) != 0;
	request = txn.has_request ? take(&cur, TXN_REQUEST_BYTES) : NULL;
	if (request)
		memcpy(txn.request, request, TXN_REQUEST_BYTES);
	take_compares(&cur, arena, &txn);
	take_ops(&cur, arena, &txn);
	if (flags & FLAG_AUDIT)
		txn.audit = take_bytes(&cur);
	if (cur.is_bad || cur.left != 0)
		return jaco_err_set(err, JACO_INTERNAL, "a log entry is not a whole transaction");
	*out_txn = txn;
	return 0;
}
