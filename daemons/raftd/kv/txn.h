/* SPDX-License-Identifier: Apache-2.0
 *
 * txn.h - one transaction: the only command the replicated log carries (architecture.md 2.1).
 *
 * Pure.  pack() and unpack() are the form inside a log entry: fixed little-endian, length-prefixed,
 * first byte a version.  It is not a message - nothing but raftd ever sees it, and it is replayed
 * at every restart, so it is read without a schema and without copying. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/raftd/kv/space.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

#define TXN_REQUEST_BYTES 16

enum txn_compare_kind {
	TXN_AT_REVISION,  /* the key exists and was last changed at that revision; 0 = absent */
	TXN_PREFIX_EMPTY, /* no key begins with it */
};

enum txn_op_kind { TXN_DELETE, TXN_DELETE_PREFIX, TXN_PUT };

struct txn_compare {
	enum txn_compare_kind kind;
	struct kv_bytes key;
	uint64_t revision;
};

struct txn_op {
	enum txn_op_kind kind;
	struct kv_bytes key;
	struct kv_bytes value; /* TXN_PUT only */
};

/* Operations are applied in the order given: a later one wins. */
struct txn {
	bool has_request; /* a retry with the same id gets the first outcome again */
	uint8_t request[TXN_REQUEST_BYTES];
	struct txn_compare *compares;
	size_t n_compares;
	struct txn_op *ops;
	size_t n_ops;
	struct kv_bytes audit; /* stored at /audit/<revision> when not empty */
};

/* Bounds, key syntax ("/a/b", printable, no empty segment except a prefix's end) and counts.
 * Errors: VALIDATION_FAILED - names the key; LIMIT_EXCEEDED - too many operations. */
int txn_check(const struct txn *txn, struct jaco_err *err);

/* Append the packed form to @buf. */
void txn_pack(const struct txn *txn, struct jaco_buf *buf);

/* Arrays come from @arena, keys and values are borrowed from @data.
 * Errors: INTERNAL - truncated, over-long or unknown version. */
int txn_unpack(struct kv_bytes data, struct jaco_arena *arena, struct txn *out_txn,
	       struct jaco_err *err);
