/* SPDX-License-Identifier: Apache-2.0
 *
 * audit.c - who did what: reading and following /audit/, and keeping it within its bounds. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/audit.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define LIMIT_DEFAULT   1000
#define LIMIT_MAX       4096
#define BATCH           256
#define PREFIX          "/audit/"
#define PRUNE_BATCH     1000
#define RETENTION_MS    60000

/* A following reader, or the query of one that does not follow. */
struct audit_reader {
	TAILQ_ENTRY(audit_reader) link;
	struct raftd *raftd;
	struct jaco_call *call;
	uint64_t since;
	bool has_types;
	bool types[JACO_AUDIT_END];
	char identity[JACO_IDENTITY_MAX];
	char after[JACO_KEY_MAX + 1];
};

static int read_types(struct audit_reader *reader, const struct wire_strs *types,
		      struct jaco_err *err)
{
	for (size_t i = 0; i < types->n; i++) {
		int type = jaco_enum_find(&jaco_audit_type_enum, types->v[i]);

		if (type < 0) {
			jaco_auto(jaco_buf) struct jaco_buf known = JACO_BUF_BOUND(480);

			for (int k = 0; k < JACO_AUDIT_END; k++)
				jaco_buf_printf(&known, " %s",
						jaco_enum_word(&jaco_audit_type_enum, k));
			jaco_err_set(err, JACO_VALIDATION_FAILED,
				     "types: \"%.64s\" is unknown; there are%.400s", types->v[i],
				     jaco_buf_str(&known));
			jaco_err_detail(err, "field", "types");
			return -(int)err->code;
		}
		reader->types[type] = true;
		reader->has_types = true;
	}
	return 0;
}

static bool matches(const struct audit_reader *reader, const struct wire_audit *audit)
{
	if (audit->time < reader->since)
		return false;
	if (reader->has_types && !reader->types[audit->type])
		return false;
	return reader->identity[0] == '\0' || strcmp(reader->identity, audit->identity) == 0;
}

/* api_next() over events of which this version knows the type: a newer member may have written
 * others. */
static int next_known(struct raftd *raftd, char *key, struct jaco_arena *arena,
		      struct wire_audit *out_audit, struct jaco_err *err)
{
	char before[JACO_KEY_MAX + 1];
	int rc;

	do {
		(void)jaco_str_copy(before, sizeof(before), key);
		rc = api_next(raftd, PREFIX, key, &wire_audit_desc, arena, out_audit, NULL, err);
	} while (rc < 0 && strcmp(before, key) != 0);
	return rc;
}

/* The next matching event after the reader's place.  1, 0 none. */
static int next_event(struct audit_reader *reader, struct jaco_arena *arena,
		      struct wire_audit_event *out_event, struct jaco_err *err)
{
	struct wire_audit *audit = jaco_arena_alloc(arena, sizeof(*audit));
	int rc;

	while ((rc = next_known(reader->raftd, reader->after, arena, audit, err)) > 0) {
		uint64_t revision = 0;

		if (!matches(reader, audit))
			continue;
		(void)jaco_str_to_u64(reader->after + sizeof(PREFIX) - 1, UINT64_MAX, &revision);
		*out_event = (struct wire_audit_event){.revision = revision, .event = audit};
		return 1;
	}
	return rc;
}

/* Send what is there, oldest first, as batches. */
static void pump_reader(struct audit_reader *reader)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	int rc = 1;

	while (rc > 0 && jaco_call_queued(reader->call) < JACO_OUTPUT_HIGH_WATER / 2) {
		struct wire_audit_list list = {.has = 0};

		jaco_arena_reset(&arena);
		list.events.v = jaco_arena_alloc_n(&arena, BATCH, sizeof(*list.events.v));
		while (list.events.n < BATCH &&
		       (rc = next_event(reader, &arena, &list.events.v[list.events.n], &err)) > 0)
			list.events.n++;
		if (list.events.n > 0 && jaco_call_event(reader->call, &list, &err) < 0)
			return;
	}
}

static void reader_free(struct audit_reader *reader)
{
	jaco_free(reader);
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	struct audit_reader *reader = ctx;

	(void)call;
	TAILQ_REMOVE(&reader->raftd->audit_readers, reader, link);
	reader_free(reader);
}

void audit_pump(struct raftd *raftd)
{
	struct audit_reader *reader;

	TAILQ_FOREACH (reader, &raftd->audit_readers, link)
		pump_reader(reader);
}

/* Place the reader so that the newest @limit matching events follow. */
static int seek_newest(struct audit_reader *reader, uint32_t limit, struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	char (*keys)[32] = jaco_alloc_n(limit, sizeof(*keys));
	char before[32] = "";
	struct wire_audit_event event;
	uint64_t n = 0;
	int rc;

	for (;;) {
		(void)jaco_str_copy(before, sizeof(before), reader->after);
		rc = next_event(reader, &arena, &event, err);
		jaco_arena_reset(&arena);
		if (rc <= 0)
			break;
		(void)jaco_str_copy(keys[n++ % limit], sizeof(*keys), before);
	}
	/* the place before the oldest of them; every skipped key in between did not match */
	reader->after[0] = '\0';
	if (n > limit)
		(void)jaco_str_copy(reader->after, sizeof(reader->after), keys[n % limit]);
	jaco_free(keys);
	return rc;
}

int raftd_on_audit_list(struct raftd *raftd, struct jaco_call *call,
			const struct wire_audit_query *req, struct jaco_err *err)
{
	struct audit_reader *reader = jaco_alloc(sizeof(*reader));
	uint32_t limit = req->limit ? JACO_MIN(req->limit, (uint32_t)LIMIT_MAX) : LIMIT_DEFAULT;

	reader->raftd = raftd;
	reader->call = call;
	reader->since = req->since;
	(void)jaco_str_copy(reader->identity, sizeof(reader->identity),
			    req->identity ? req->identity : "");
	if (read_types(reader, &req->types, err) < 0 || seek_newest(reader, limit, err) < 0) {
		reader_free(reader);
		return -(int)err->code;
	}
	pump_reader(reader);
	if (!req->follow) {
		reader_free(reader);
		jaco_call_reply(call, NULL);
		return 0;
	}
	TAILQ_INSERT_TAIL(&raftd->audit_readers, reader, link);
	jaco_call_on_cancel(call, on_cancel, reader);
	return 0;
}

/* --- retention: the leader prunes --- */

static uint64_t count_events(struct raftd *raftd)
{
	struct machine_change pair = {.revision = 0};
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t n = 0;

	while (machine_next(&raftd->store.machine, KV_TEXT(PREFIX), pair.key, &pair, &err) > 0)
		n++;
	return n;
}

static void on_pruned(void *ctx, const struct machine_result *result, const struct jaco_err *err)
{
	(void)ctx;
	if (!result)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "old audit events not removed", err);
}

static void prune(struct raftd *raftd)
{
	const struct jaco_config *config = &raftd->daemon->config;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	uint64_t n = count_events(raftd),
		 oldest = (uint64_t)(jaco_time_wall_ms() - config->audit_max_age);
	struct txn_op *ops = jaco_arena_alloc_n(&arena, PRUNE_BATCH, sizeof(*ops));
	struct txn txn = {.ops = ops};
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_audit audit;
	struct jaco_err err = JACO_ERR_INIT;

	while (txn.n_ops < PRUNE_BATCH && n > 0 &&
	       next_known(raftd, key, &arena, &audit, &err) > 0) {
		if (n <= (uint64_t)config->audit_max_events && audit.time >= oldest)
			break;
		ops[txn.n_ops++] = (struct txn_op){
			.kind = TXN_DELETE, .key = KV_TEXT(jaco_arena_strdup(&arena, key))};
		n--;
	}
	if (txn.n_ops > 0 && store_propose(&raftd->store, &txn, on_pruned, raftd, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "old audit events not removed", &err);
}

static void on_retention(struct jaco_timer *timer, void *ctx)
{
	struct raftd *raftd = ctx;

	if (raftd->is_initialised && store_is_leader(&raftd->store))
		prune(raftd);
	jaco_timer_arm(timer, RETENTION_MS);
}

void audit_init(struct raftd *raftd)
{
	TAILQ_INIT(&raftd->audit_readers);
	jaco_timer_init(&raftd->daemon->loop, &raftd->retention, on_retention, raftd);
	jaco_timer_arm(&raftd->retention, RETENTION_MS);
}

void audit_fini(struct raftd *raftd)
{
	struct audit_reader *reader;

	jaco_timer_fini(&raftd->retention);
	while ((reader = TAILQ_FIRST(&raftd->audit_readers))) {
		TAILQ_REMOVE(&raftd->audit_readers, reader, link);
		jaco_call_on_cancel(reader->call, NULL, NULL);
		reader_free(reader);
	}
}
