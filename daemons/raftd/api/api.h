/* SPDX-License-Identifier: Apache-2.0
 *
 * api.h - what the answering files share: reading records, building transactions, committing them
 * and answering the caller.
 *
 * A handler reads the local state, builds one transaction whose compares name everything it read,
 * and hands it to api_commit().  When a compare fails the state had moved on: the handler runs
 * again on the new state, a few times, before the caller sees `conflict`. */
#pragma once

#include "daemons/raftd/raftd.h"

#define API_TRIES 5

struct api_txn {
	struct raftd *raftd;
	struct jaco_arena *arena;
	struct txn txn;
	size_t compares_cap;
	size_t ops_cap;
	struct jaco_err err; /* sticky: what went wrong while building */
};

struct api_txn api_begin(struct raftd *raftd, struct jaco_call *call);

/* Conditions and changes; a failure is remembered and reported by api_commit(). */
void api_compare(struct api_txn *txn, const char *key, uint64_t revision);
void api_compare_empty(struct api_txn *txn, const char *prefix);
void api_put(struct api_txn *txn, const char *key, const struct jaco_desc *desc, const void *msg);
void api_put_raw(struct api_txn *txn, const char *key, struct kv_bytes value);
void api_delete(struct api_txn *txn, const char *key);
void api_delete_prefix(struct api_txn *txn, const char *prefix);

/* The audit record of the change: @pairs is key, value, key, value ..., NULL. */
void api_audit(struct api_txn *txn, enum jaco_audit_type type, const char *identity,
	       const char *const *pairs);
void api_audit_raw(struct api_txn *txn, const struct wire_audit *audit);

/* A retry with the same id by the same identity, of a daemon on the same node, is answered as the
 * first try was; what others call alike is something else.  NULL or "": none. */
void api_request_id(struct api_txn *txn, const struct jaco_call *call, const char *request_id);

/* Answers the call when the transaction is committed. */
typedef void api_committed_fn(struct raftd *raftd, struct jaco_call *call, uint64_t revision,
			      void *ctx);

/*
 * Propose and, later, answer.  @again is run when a compare fails (NULL: `conflict` at once).
 * Returns as a handler does.
 */
int api_commit(struct api_txn *txn, struct jaco_call *call, jaco_handler *again, const void *req,
	       api_committed_fn *on_committed, void *ctx, struct jaco_err *err);

/* on_committed for methods that answer {revision}. */
void api_reply_changed(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx);

/* Read and decode one record into @out_msg.  1, 0 absent.  Memory from @arena. */
int api_get(struct raftd *raftd, const char *key, const struct jaco_desc *desc,
	    struct jaco_arena *arena, void *out_msg, uint64_t *out_revision, struct jaco_err *err);

/* Iterate: @key (JACO_KEY_MAX + 1, "" to begin) moves to the next key below @prefix. */
int api_next(struct raftd *raftd, const char *prefix, char *key, const struct jaco_desc *desc,
	     struct jaco_arena *arena, void *out_msg, uint64_t *out_revision, struct jaco_err *err);

/* Replicas that are wanted on @host: every record names its host once per generation; the newest
 * counts. */
uint32_t api_count_replicas(struct raftd *raftd, struct jaco_arena *arena, const char *host);

/* A machine name of uname(2) as container platforms spell it. */
const char *api_arch_name(const char *machine);

/* Role, term or leader changed. */
void api_tell_leadership(struct raftd *raftd);

/* The handlers, one per METHOD row: raftd_on_<method>(). */
#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, n, in, out, r, f)                                                             \
	int d##_on_##m(struct raftd *raftd, struct jaco_call *call, const struct wire_##in *req,   \
		       struct jaco_err *err);
#include "libjaco/wire/def/raftd.def"
#include "libjaco/wire/pass_end.h"

/* Every method and relayed call passes here first. */
int api_authorize(void *ctx, struct jaco_call *call, struct jaco_err *err);
