/* SPDX-License-Identifier: Apache-2.0
 *
 * kv.c - the store itself, for daemons: transactions, reads, watches and the observed plane.
 *
 * A daemon's rights are its socket's (kv/access.c); every value is checked against its schema
 * before it can reach the log. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/scope.h"
#include "daemons/raftd/kv/access.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define REPLY_BYTES_MAX (JACO_MESSAGE_MAX - 65536)

/* --- transactions --- */

/* meshd may change the WireGuard fields of its own node and nothing else in it. */
static int check_mesh_fields(struct raftd *raftd, struct jaco_call *call,
			     const struct wire_put *put, struct jaco_err *err)
{
	static const char prefix[] = "/node/";
	jaco_auto(jaco_buf) struct jaco_buf before = JACO_BUF_INIT, after = JACO_BUF_INIT;
	struct wire_node nodes[2];
	int rc;

	if (!jaco_str_starts(put->key, prefix) || call->role != ROLE_MESHD)
		return 0;
	if (strcmp(put->key + sizeof(prefix) - 1, raftd->host) != 0)
		return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s is not this node", put->key);
	rc = api_get(raftd, put->key, &wire_node_desc, call->arena, &nodes[0], NULL, err);
	if (rc == 0)
		return jaco_err_set(err, JACO_NODE_NOT_FOUND, "%s is no member", raftd->host);
	if (rc < 0 || jaco_unpack(&wire_node_desc, put->value.data, put->value.n, call->arena,
				  &nodes[1], err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < 2; i++) {
		nodes[i].wg_public_key = nodes[i].mesh_addr = NULL;
		nodes[i].wg_endpoints = (struct wire_strs){.n = 0};
		nodes[i].wg_rotated = 0;
		nodes[i].has &= ~(UINT64_C(1) << wire_node_wg_public_key_ |
				  UINT64_C(1) << wire_node_wg_endpoints_ |
				  UINT64_C(1) << wire_node_mesh_addr_ |
				  UINT64_C(1) << wire_node_wg_rotated_);
		if (jaco_pack(i == 0 ? &before : &after, &wire_node_desc, &nodes[i], err) < 0)
			return -(int)err->code;
	}
	if (before.n != after.n || memcmp(before.data, after.data, after.n) != 0)
		return jaco_err_set(err, JACO_PERMISSION_DENIED,
				    "meshd may change only the WireGuard fields of %s", put->key);
	return 0;
}

static int build_txn(struct raftd *raftd, struct jaco_call *call, const struct wire_txn *req,
		     struct api_txn *txn, struct jaco_err *err)
{
	for (size_t i = 0; i < req->compares.n; i++) {
		if (access_compare(call->role, req->compares.v[i].key, err) < 0)
			return -(int)err->code;
		api_compare(txn, req->compares.v[i].key, req->compares.v[i].revision);
	}
	for (size_t i = 0; i < req->delete_prefixes.n; i++) {
		const char *prefix = req->delete_prefixes.v[i];

		if (!jaco_str_ends(prefix, "/"))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "delete_prefixes: %s does not end in /", prefix);
		if (access_write(call->role, prefix, err) < 0)
			return -(int)err->code;
		api_delete_prefix(txn, prefix);
	}
	for (size_t i = 0; i < req->deletes.n; i++) {
		if (access_write(call->role, req->deletes.v[i], err) < 0)
			return -(int)err->code;
		api_delete(txn, req->deletes.v[i]);
	}
	for (size_t i = 0; i < req->puts.n; i++) {
		const struct wire_put *put = &req->puts.v[i];

		if (jaco_str_starts(put->key, "/obs/"))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "%s is on the observed plane: use obs.put", put->key);
		if (access_write(call->role, put->key, err) < 0 ||
		    access_check_value(put->key, put->value.data, put->value.n, call->arena, err) <
			    0 ||
		    check_mesh_fields(raftd, call, put, err) < 0)
			return -(int)err->code;
		api_put_raw(txn, put->key, (struct kv_bytes){put->value.data, put->value.n});
	}
	return 0;
}

struct txn_call {
	struct raftd *raftd;
	struct jaco_call *call;
	const struct wire_txn *req;
};

static void on_txn_cancel(struct jaco_call *call, void *ctx)
{
	struct txn_call *txn_call = ctx;

	(void)call;
	submit_forget(txn_call->raftd, ctx);
}

/* A failed compare is an answer here, not an error. */
static void on_txn_done(void *ctx, const struct machine_result *result, const struct jaco_err *err)
{
	struct txn_call *txn_call = ctx;
	struct wire_txn_result answer;

	jaco_call_on_cancel(txn_call->call, NULL, NULL);
	if (!result) {
		jaco_call_fail(txn_call->call, err);
		return;
	}
	answer = (struct wire_txn_result){.succeeded = result->is_committed,
					  .revision = result->revision};
	if (!result->is_committed && result->failed_compare < txn_call->req->compares.n)
		answer.failed_key = txn_call->req->compares.v[result->failed_compare].key;
	txn_call->raftd->n_writes += result->is_committed;
	jaco_call_reply(txn_call->call, &answer);
}

int raftd_on_kv_txn(struct raftd *raftd, struct jaco_call *call, const struct wire_txn *req,
		    struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct txn_call *txn_call = jaco_arena_alloc(call->arena, sizeof(*txn_call));

	if (build_txn(raftd, call, req, &txn, err) < 0)
		return -(int)err->code;
	if (req->audit) {
		struct wire_audit audit = *req->audit;

		audit.identity =
			jaco_arena_printf(call->arena, "%s@%s", call->identity, raftd->host);
		audit.time = (uint64_t)jaco_time_wall_ms();
		api_audit_raw(&txn, &audit);
	}
	api_request_id(&txn, call, req->request_id);
	if (txn.err.code != JACO_OK) {
		*err = txn.err;
		return -(int)err->code;
	}
	*txn_call = (struct txn_call){.raftd = raftd, .call = call, .req = req};
	if (submit_txn(raftd, &txn.txn, on_txn_done, txn_call, err) < 0)
		return -(int)err->code;
	jaco_call_on_cancel(call, on_txn_cancel, txn_call);
	return 0;
}

/* --- reading --- */

/* A read that waits until leadership is confirmed. */
struct read_call {
	struct raftd *raftd;
	struct jaco_call *call;
	const void *req;
	int (*answer)(struct raftd *raftd, struct jaco_call *call, const void *req,
		      struct jaco_err *err);
};

static void on_read_cancel(struct jaco_call *call, void *ctx)
{
	struct read_call *read_call = ctx;

	(void)call;
	submit_forget(read_call->raftd, ctx);
}

static void on_read(void *ctx, const struct jaco_err *err)
{
	struct read_call *read_call = ctx;
	struct jaco_err failed = *err;

	jaco_call_on_cancel(read_call->call, NULL, NULL);
	if (err->code != JACO_OK ||
	    read_call->answer(read_call->raftd, read_call->call, read_call->req, &failed) < 0)
		jaco_call_fail(read_call->call, &failed);
}

static int confirm(struct raftd *raftd, struct jaco_call *call, const void *req,
		   int (*answer)(struct raftd *raftd, struct jaco_call *call, const void *req,
				 struct jaco_err *err),
		   struct jaco_err *err)
{
	struct read_call *read_call = jaco_arena_alloc(call->arena, sizeof(*read_call));

	*read_call = (struct read_call){
		.raftd = raftd, .call = call, .req = req, .answer = answer};
	if (submit_read(raftd, on_read, read_call, err) < 0)
		return -(int)err->code;
	jaco_call_on_cancel(call, on_read_cancel, read_call);
	return 0;
}

static bool is_observed(const char *key)
{
	return jaco_str_starts(key, "/obs/");
}

static int answer_get(struct raftd *raftd, struct jaco_call *call, const void *request,
		      struct jaco_err *err)
{
	const struct wire_get *req = request;
	struct wire_entry entry = {.key = req->key};
	struct wire_got got = {.revision = raftd->store.machine.applied};
	struct kv_bytes value = {.data = NULL};
	int rc = 0;

	if (is_observed(req->key)) {
		const struct record *record = records_find(&raftd->records, req->key);

		if (record) {
			value = record->value;
			entry.revision = record->change;
			rc = 1;
		}
	} else {
		rc = machine_get(&raftd->store.machine, KV_TEXT(req->key), &value, &entry.revision,
				 err);
	}
	if (rc < 0)
		return rc;
	if (rc > 0) {
		JACO_SET(&entry, entry, value, ((struct wire_bin){value.data, value.n}));
		scope_veil(call, &entry, call->arena);
		got.entry = &entry;
	}
	jaco_call_reply(call, &got);
	return 0;
}

int raftd_on_kv_get(struct raftd *raftd, struct jaco_call *call, const struct wire_get *req,
		    struct jaco_err *err)
{
	if (access_read(call->role, req->key, err) < 0)
		return -(int)err->code;
	if (req->linearizable)
		return confirm(raftd, call, req, answer_get, err);
	return answer_get(raftd, call, req, err);
}

/* The next pair of either plane after @after. */
static int next_entry(struct raftd *raftd, const char *prefix, const char *after,
		      struct jaco_arena *arena, struct wire_entry *out_entry, struct jaco_err *err)
{
	struct machine_change pair;
	int rc;

	if (is_observed(prefix)) {
		const struct record *record =
			records_next(&raftd->records, prefix, *after ? after : NULL);

		if (!record)
			return 0;
		*out_entry = (struct wire_entry){.key = record->key, .revision = record->change};
		JACO_SET(out_entry, entry, value,
			 ((struct wire_bin){record->value.data, record->value.n}));
		return 1;
	}
	rc = machine_next(&raftd->store.machine, KV_TEXT(prefix), KV_TEXT(after), &pair, err);
	if (rc <= 0)
		return rc;
	*out_entry =
		(struct wire_entry){.key = jaco_arena_strndup(arena, pair.key.data, pair.key.n),
				    .revision = pair.revision};
	JACO_SET(out_entry, entry, value, ((struct wire_bin){pair.value.data, pair.value.n}));
	return 1;
}

static int answer_range(struct raftd *raftd, struct jaco_call *call, const void *request,
			struct jaco_err *err)
{
	const struct wire_range *req = request;
	uint32_t limit = req->limit ? JACO_MIN(req->limit, (uint32_t)JACO_RANGE_PAGE_MAX)
				    : JACO_RANGE_PAGE_MAX;
	struct wire_ranged ranged = {.revision = raftd->store.machine.applied};
	const char *after = req->after ? req->after : "";
	size_t bytes = 0;
	int rc;

	ranged.entries.v = jaco_arena_alloc_n(call->arena, (size_t)limit + 1,
					      sizeof(*ranged.entries.v));
	for (;;) {
		struct wire_entry *entry = &ranged.entries.v[ranged.entries.n];

		rc = next_entry(raftd, req->prefix, after, call->arena, entry, err);
		if (rc <= 0)
			break;
		scope_veil(call, entry, call->arena);
		bytes += strlen(entry->key) + entry->value.n + 64;
		if (ranged.entries.n >= limit ||
		    (bytes > REPLY_BYTES_MAX && ranged.entries.n > 0)) {
			ranged.more = true;
			break;
		}
		after = entry->key;
		ranged.entries.n++;
	}
	if (rc < 0)
		return rc;
	jaco_call_reply(call, &ranged);
	return 0;
}

int raftd_on_kv_range(struct raftd *raftd, struct jaco_call *call, const struct wire_range *req,
		      struct jaco_err *err)
{
	if (access_read(call->role, req->prefix, err) < 0)
		return -(int)err->code;
	if (req->linearizable)
		return confirm(raftd, call, req, answer_range, err);
	return answer_range(raftd, call, req, err);
}

int raftd_on_kv_watch(struct raftd *raftd, struct jaco_call *call, const struct wire_watch *req,
		      struct jaco_err *err)
{
	if (req->prefixes.n == 0 || req->prefixes.n > WATCH_PREFIXES_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "prefixes: 1 to %d are wanted",
				    WATCH_PREFIXES_MAX);
	for (size_t i = 0; i < req->prefixes.n; i++)
		if (access_read(call->role, req->prefixes.v[i], err) < 0)
			return -(int)err->code;
	watch_serve(&raftd->hub, call, req);
	return 0;
}

/* --- the observed plane --- */

int raftd_on_obs_put(struct raftd *raftd, struct jaco_call *call, const struct wire_obs_put *req,
		     struct jaco_err *err)
{
	const struct record *record = NULL;
	struct kv_bytes value = {.data = NULL};
	struct wire_nothing nothing = {.has = 0};
	int rc;

	if (!is_observed(req->key))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s is not below /obs/", req->key);
	if (access_write(call->role, req->key, err) < 0 ||
	    access_owner(req->key, raftd->host, err) < 0)
		return -(int)err->code;
	if (JACO_HAS(req, obs_put, value) || req->value.n > 0) {
		value = (struct kv_bytes){req->value.data, req->value.n};
		if (access_check_value(req->key, value.data, value.n, call->arena, err) < 0)
			return -(int)err->code;
	}
	rc = records_publish(&raftd->records, req->key, value, &record, err);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		watch_note_record(&raftd->hub, record);
		watch_pump(&raftd->hub);
		gossip_published(&raftd->gossip);
	}
	jaco_call_reply(call, &nothing);
	return 0;
}

/* --- leadership --- */

static void reader_free(struct raftd_leader_reader *reader)
{
	TAILQ_REMOVE(&reader->raftd->leader_readers, reader, link);
	jaco_free(reader);
}

static void on_leader_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	reader_free(ctx);
}

static void tell_leader(struct raftd_leader_reader *reader)
{
	struct raftd *raftd = reader->raftd;
	struct wire_leadership leadership = {.is_leader = store_is_leader(&raftd->store)};
	struct jaco_err err = JACO_ERR_INIT;

	if (raftd->store.is_open)
		leadership.term = store_status(&raftd->store).term;
	if (leadership.is_leader) {
		leadership.leader = raftd->host;
	} else if (raftd->store.is_open) {
		struct link_peer *peer =
			link_find_id(&raftd->link, store_status(&raftd->store).leader);

		leadership.leader = peer ? peer->host : NULL;
	}
	/* a reader too slow for one event per election gets the next one */
	(void)jaco_call_event(reader->call, &leadership, &err);
}

void api_tell_leadership(struct raftd *raftd)
{
	struct raftd_leader_reader *reader;

	TAILQ_FOREACH (reader, &raftd->leader_readers, link)
		tell_leader(reader);
}

int raftd_on_leader_watch(struct raftd *raftd, struct jaco_call *call,
			  const struct wire_nothing *req, struct jaco_err *err)
{
	struct raftd_leader_reader *reader = jaco_alloc(sizeof(*reader));

	(void)req;
	(void)err;
	*reader = (struct raftd_leader_reader){.raftd = raftd, .call = call};
	TAILQ_INSERT_TAIL(&raftd->leader_readers, reader, link);
	jaco_call_on_cancel(call, on_leader_cancel, reader);
	tell_leader(reader);
	return 0;
}
