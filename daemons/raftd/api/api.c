/* SPDX-License-Identifier: Apache-2.0
 *
 * api.c - transactions on behalf of callers. */
#include "daemons/raftd/api/api.h"

#include <string.h>

#include "daemons/raftd/api/remote.h"

#include "libjaco/base/digest.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

static struct kv_bytes keep_key(struct api_txn *txn, const char *key)
{
	return KV_TEXT(jaco_arena_strdup(txn->arena, key));
}

static void add_compare(struct api_txn *txn, const struct txn_compare *compare)
{
	txn->txn.compares = jaco_arena_grow(txn->arena, txn->txn.compares, &txn->compares_cap,
					    txn->txn.n_compares + 1, sizeof(*compare));
	txn->txn.compares[txn->txn.n_compares++] = *compare;
}

void api_compare(struct api_txn *txn, const char *key, uint64_t revision)
{
	add_compare(txn, &(struct txn_compare){.kind = TXN_AT_REVISION,
					       .key = keep_key(txn, key),
					       .revision = revision});
}

void api_compare_empty(struct api_txn *txn, const char *prefix)
{
	add_compare(txn, &(struct txn_compare){.kind = TXN_PREFIX_EMPTY,
					       .key = keep_key(txn, prefix)});
}

static void add_op(struct api_txn *txn, const struct txn_op *op)
{
	txn->txn.ops = jaco_arena_grow(txn->arena, txn->txn.ops, &txn->ops_cap, txn->txn.n_ops + 1,
				       sizeof(*op));
	txn->txn.ops[txn->txn.n_ops++] = *op;
}

/* A write of a remote person depends on the token first of all: see remote.h. */
struct api_txn api_begin(struct raftd *raftd, struct jaco_call *call)
{
	struct api_txn txn = {.raftd = raftd, .arena = call->arena};

	if (call->is_remote)
		api_compare(&txn, jaco_arena_printf(call->arena, "/token/%s", call->identity),
			    remote_token_revision(raftd, call));
	return txn;
}

static struct kv_bytes pack(struct api_txn *txn, const struct jaco_desc *desc, const void *msg)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_BOUND(JACO_VALUE_MAX);
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_pack(&buf, desc, msg, &err) < 0) {
		if (txn->err.code == JACO_OK)
			txn->err = err;
		return (struct kv_bytes){.data = "", .n = 0};
	}
	return (struct kv_bytes){jaco_arena_memdup(txn->arena, buf.data, buf.n), buf.n};
}

void api_put(struct api_txn *txn, const char *key, const struct jaco_desc *desc, const void *msg)
{
	add_op(txn, &(struct txn_op){.kind = TXN_PUT,
				     .key = keep_key(txn, key),
				     .value = pack(txn, desc, msg)});
}

void api_put_raw(struct api_txn *txn, const char *key, struct kv_bytes value)
{
	add_op(txn, &(struct txn_op){.kind = TXN_PUT, .key = keep_key(txn, key), .value = value});
}

void api_delete(struct api_txn *txn, const char *key)
{
	add_op(txn, &(struct txn_op){.kind = TXN_DELETE, .key = keep_key(txn, key)});
}

void api_delete_prefix(struct api_txn *txn, const char *prefix)
{
	add_op(txn, &(struct txn_op){.kind = TXN_DELETE_PREFIX, .key = keep_key(txn, prefix)});
}

void api_audit(struct api_txn *txn, enum jaco_audit_type type, const char *identity,
	       const char *const *pairs)
{
	struct wire_audit audit = {.type = type,
				   .identity = identity,
				   .time = (uint64_t)jaco_time_wall_ms()};
	size_t n = 0;

	while (pairs && pairs[2 * n])
		n++;
	audit.payload.v = jaco_arena_alloc_n(txn->arena, n + 1, sizeof(*audit.payload.v));
	for (size_t i = 0; i < n; i++)
		audit.payload.v[audit.payload.n++] =
			(struct wire_pair){.key = pairs[2 * i],
					   .value = pairs[2 * i + 1] ? pairs[2 * i + 1] : ""};
	txn->txn.audit = pack(txn, &wire_audit_desc, &audit);
}

void api_audit_raw(struct api_txn *txn, const struct wire_audit *audit)
{
	txn->txn.audit = pack(txn, &wire_audit_desc, audit);
}

void api_request_id(struct api_txn *txn, const struct jaco_call *call, const char *request_id)
{
	uint8_t hash[JACO_SHA256_BYTES];
	const char *whole;

	if (!request_id || !*request_id)
		return;
	/* neither a host nor an identity has a newline in it */
	whole = jaco_arena_printf(txn->arena, "%s\n%s\n%s", call->identity,
				  call->role == ROLE_ADMIN ? "" : txn->raftd->host, request_id);
	jaco_sha256(whole, strlen(whole), hash);
	memcpy(txn->txn.request, hash, sizeof(txn->txn.request));
	txn->txn.has_request = true;
}

/* --- committing --- */

struct commit {
	struct raftd *raftd;
	struct jaco_call *call;
	jaco_handler *again;
	const void *req;
	api_committed_fn *on_committed;
	void *ctx;
	const struct txn *txn;
	unsigned tries;
};

static void on_cancel(struct jaco_call *call, void *ctx)
{
	struct commit *commit = ctx;

	(void)call;
	submit_forget(commit->raftd, commit);
}

static void on_done(void *ctx, const struct machine_result *result, const struct jaco_err *err)
{
	struct commit *commit = ctx;
	struct jaco_call *call = commit->call;
	struct jaco_err failed = JACO_ERR_INIT;

	jaco_call_on_cancel(call, NULL, NULL);
	if (!result) {
		commit->raftd->n_refused++;
		jaco_call_fail(call, err);
		return;
	}
	if (result->is_committed) {
		commit->raftd->n_writes++;
		commit->on_committed(commit->raftd, call, result->revision, commit->ctx);
		return;
	}
	if (call->is_remote && result->failed_compare == 0 &&
	    remote_authorize(commit->raftd, call, &failed) < 0) {
		jaco_call_fail(call, &failed);
		return;
	}
	if (commit->again && !result->is_repeat && commit->tries + 1 < API_TRIES) {
		struct raftd *raftd = commit->raftd;
		int rc;

		raftd->tries = commit->tries + 1;
		rc = commit->again(raftd, call, commit->req, &failed);
		raftd->tries = 0;
		if (rc < 0)
			jaco_call_fail(call, &failed);
		return;
	}
	jaco_err_set(&failed, JACO_CONFLICT, "%.*s changed meanwhile",
		     (int)commit->txn->compares[result->failed_compare].key.n,
		     (const char *)commit->txn->compares[result->failed_compare].key.data);
	jaco_call_fail(call, &failed);
}

int api_commit(struct api_txn *txn, struct jaco_call *call, jaco_handler *again, const void *req,
	       api_committed_fn *on_committed, void *ctx, struct jaco_err *err)
{
	struct commit *commit = jaco_arena_alloc(call->arena, sizeof(*commit));

	if (txn->err.code != JACO_OK) {
		*err = txn->err;
		return -(int)err->code;
	}
	*commit = (struct commit){
		.raftd = txn->raftd,
		.call = call,
		.again = again,
		.req = req,
		.on_committed = on_committed,
		.ctx = ctx,
		.txn = jaco_arena_memdup(call->arena, &txn->txn, sizeof(txn->txn)),
		.tries = txn->raftd->tries,
	};
	if (submit_txn(txn->raftd, &txn->txn, on_done, commit, err) < 0)
		return -(int)err->code;
	jaco_call_on_cancel(call, on_cancel, commit);
	return 0;
}

void api_reply_changed(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx)
{
	struct wire_changed changed = {.revision = revision};

	(void)raftd;
	(void)ctx;
	jaco_call_reply(call, &changed);
}

/* --- reading --- */

int api_get(struct raftd *raftd, const char *key, const struct jaco_desc *desc,
	    struct jaco_arena *arena, void *out_msg, uint64_t *out_revision, struct jaco_err *err)
{
	struct kv_bytes value;
	uint64_t revision = 0;
	int rc = machine_get(&raftd->store.machine, KV_TEXT(key), &value, &revision, err);

	if (out_revision)
		*out_revision = revision;
	if (rc <= 0)
		return rc;
	if (jaco_unpack(desc, value.data, value.n, arena, out_msg, err) < 0)
		return jaco_err_wrap(err, "%s", key);
	return 1;
}

int api_next(struct raftd *raftd, const char *prefix, char *key, const struct jaco_desc *desc,
	     struct jaco_arena *arena, void *out_msg, uint64_t *out_revision, struct jaco_err *err)
{
	struct machine_change pair;
	int rc = machine_next(&raftd->store.machine, KV_TEXT(prefix), KV_TEXT(key), &pair, err);

	if (rc <= 0)
		return rc;
	memcpy(key, pair.key.data, pair.key.n);
	key[pair.key.n] = '\0';
	if (out_revision)
		*out_revision = pair.revision;
	if (jaco_unpack(desc, pair.value.data, pair.value.n, arena, out_msg, err) < 0)
		return jaco_err_wrap(err, "%s", key);
	return 1;
}

int api_authorize(void *ctx, struct jaco_call *call, struct jaco_err *err)
{
	struct raftd *raftd = ctx;
	/* daemons publish what they see and ask who leads from their first second on */
	bool is_early = call->method && ((call->method->flags & METHOD_UNINIT) ||
					 call->method == &wire_raftd_obs_put ||
					 call->method == &wire_raftd_leader_watch);

	if (!raftd->is_initialised && !is_early)
		return jaco_err_set(err, JACO_CLUSTER_UNINITIALIZED,
				    "this node belongs to no cluster yet: jaco cluster init, or "
				    "jaco node join");
	if (raftd->removed[0] && !is_early &&
	    !(call->method && (call->method->flags & METHOD_READ)))
		return jaco_err_set(err, JACO_CLUSTER_UNINITIALIZED, "%s", raftd->removed);
	return call->is_remote ? remote_authorize(raftd, call, err) : 0;
}
