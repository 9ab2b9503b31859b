/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.c - the history ring and the readers' places in it. */
#include "daemons/raftd/watch.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define BATCH_ENTRIES 2048

struct watch_change {
	uint64_t revision;
	bool is_observed;
	bool is_deleted;
	size_t value_n;
	size_t key_n;
	char bytes[]; /* key, NUL, value */
};

/* --- history --- */

static struct watch_change **slot(struct watch_hub *hub, uint64_t position)
{
	return &hub->ring[position % JACO_WATCH_HISTORY];
}

static void drop_first(struct watch_hub *hub)
{
	struct watch_change *change = *slot(hub, hub->first);

	hub->bytes -= change->key_n + change->value_n;
	if (!change->is_observed)
		hub->known_from = change->revision;
	jaco_free(change);
	*slot(hub, hub->first) = NULL;
	hub->first++;
}

static void note(struct watch_hub *hub, struct kv_bytes key, struct kv_bytes value,
		 uint64_t revision, bool is_observed)
{
	struct watch_change *change = jaco_alloc(sizeof(*change) + key.n + 1 + value.n);

	change->revision = revision;
	change->is_observed = is_observed;
	change->is_deleted = !value.data;
	change->key_n = key.n;
	change->value_n = value.n;
	memcpy(change->bytes, key.data, key.n);
	if (value.n)
		memcpy(change->bytes + key.n + 1, value.data, value.n);
	while (hub->next - hub->first >= JACO_WATCH_HISTORY ||
	       (hub->bytes + key.n + value.n > WATCH_HISTORY_BYTES && hub->next > hub->first))
		drop_first(hub);
	*slot(hub, hub->next) = change;
	hub->next++;
	hub->bytes += key.n + value.n;
}

void watch_note(void *ctx, const struct machine_change *change)
{
	note(ctx, change->key, change->value, change->revision, false);
}

void watch_note_record(struct watch_hub *hub, const struct record *record)
{
	note(hub, KV_TEXT(record->key), record->value, record->change, true);
}

/* --- readers --- */

static bool wants(const struct watch_reader *reader, const char *key)
{
	for (size_t i = 0; i < reader->n_prefixes; i++)
		if (jaco_str_starts(key, reader->prefixes[i]))
			return true;
	return false;
}

static bool is_observed_prefix(const char *prefix)
{
	return jaco_str_starts(prefix, "/obs/");
}

static bool is_full(const struct watch_reader *reader)
{
	return jaco_call_queued(reader->call) >= JACO_OUTPUT_HIGH_WATER / 2;
}

static bool send_event(struct watch_reader *reader, const struct wire_watch_event *event)
{
	struct jaco_err err = JACO_ERR_INIT;

	return jaco_call_event(reader->call, event, &err) >= 0;
}

static void begin_snapshot(struct watch_reader *reader)
{
	reader->is_snapshot = true;
	reader->is_synced = false;
	reader->at_prefix = 0;
	reader->after[0] = '\0';
	reader->next = reader->hub->next;
}

static void veil(struct watch_reader *reader, struct wire_entry *entry)
{
	if (reader->hub->veil && entry->value.data)
		reader->hub->veil(reader->call, entry, &reader->hub->arena);
}

static int next_observed(struct watch_reader *reader, const char *prefix,
			 struct wire_entry *out_entry)
{
	const struct record *record = records_next(reader->hub->records, prefix,
						   reader->after[0] ? reader->after : NULL);

	if (!record)
		return 0;
	*out_entry = (struct wire_entry){.key = record->key, .revision = record->change};
	JACO_SET(out_entry, entry, value,
		 ((struct wire_bin){record->value.data, record->value.n}));
	return 1;
}

static int next_desired(struct watch_reader *reader, const char *prefix,
			struct wire_entry *out_entry, struct jaco_err *err)
{
	struct watch_hub *hub = reader->hub;
	struct machine_change pair;
	int rc;

	if (!hub->machine->space)
		return 0;
	rc = machine_next(hub->machine, KV_TEXT(prefix), KV_TEXT(reader->after), &pair, err);
	if (rc <= 0)
		return rc;
	*out_entry = (struct wire_entry){
		.key = jaco_arena_strndup(&hub->arena, pair.key.data, pair.key.n),
		.revision = pair.revision};
	JACO_SET(out_entry, entry, value, ((struct wire_bin){pair.value.data, pair.value.n}));
	return 1;
}

/* The pair after the reader's place.  1, 0 at the end of the prefix. */
static int next_pair(struct watch_reader *reader, struct wire_entry *out_entry,
		     struct jaco_err *err)
{
	const char *prefix = reader->prefixes[reader->at_prefix];
	int rc = is_observed_prefix(prefix) ? next_observed(reader, prefix, out_entry)
					    : next_desired(reader, prefix, out_entry, err);

	if (rc > 0)
		(void)jaco_str_copy(reader->after, sizeof(reader->after), out_entry->key);
	return rc;
}

/* One batch of the snapshot.  1 sent, 0 the socket took no more; negative: the state cannot be
 * read, and what was sent of it must not pass for the whole. */
static int send_snapshot(struct watch_reader *reader, struct jaco_err *err)
{
	struct watch_hub *hub = reader->hub;
	struct wire_entry *entries =
		jaco_arena_alloc_n(&hub->arena, BATCH_ENTRIES, sizeof(*entries));
	struct wire_watch_event event = {.kind = JACO_WATCH_SNAPSHOT,
					 .revision = hub->machine->applied};
	size_t n = 0, bytes = 0;

	while (reader->at_prefix < reader->n_prefixes && n < BATCH_ENTRIES &&
	       bytes < JACO_SNAPSHOT_BATCH_MAX / 2) {
		int rc = next_pair(reader, &entries[n], err);

		if (rc < 0)
			return rc;
		if (rc == 0) {
			reader->at_prefix++;
			reader->after[0] = '\0';
			continue;
		}
		veil(reader, &entries[n]);
		bytes += strlen(entries[n].key) + entries[n].value.n + 16;
		n++;
	}
	if (reader->at_prefix == reader->n_prefixes)
		reader->is_snapshot = false;
	if (n == 0)
		return 1;
	event.entries.v = entries;
	event.entries.n = n;
	return send_event(reader, &event);
}

/* A batch of changes, cut between revisions where it can be. */
static bool send_changes(struct watch_reader *reader)
{
	struct watch_hub *hub = reader->hub;
	struct wire_entry *entries =
		jaco_arena_alloc_n(&hub->arena, BATCH_ENTRIES, sizeof(*entries));
	struct wire_watch_event event = {.kind = reader->is_synced ? JACO_WATCH_CHANGE
								   : JACO_WATCH_SNAPSHOT,
					 .revision = hub->machine->applied};
	size_t n = 0, bytes = 0;

	for (; reader->next < hub->next && n < BATCH_ENTRIES && bytes < JACO_SNAPSHOT_BATCH_MAX / 2;
	     reader->next++) {
		const struct watch_change *change = *slot(hub, reader->next);
		struct wire_entry *entry = &entries[n];

		if (!wants(reader, change->bytes))
			continue;
		*entry = (struct wire_entry){.key = change->bytes, .revision = change->revision};
		if (!change->is_deleted)
			JACO_SET(entry, entry, value,
				 ((struct wire_bin){change->bytes + change->key_n + 1,
						    change->value_n}));
		veil(reader, entry);
		bytes += change->key_n + change->value_n + 16;
		n++;
	}
	if (reader->next < hub->next && !(*slot(hub, reader->next))->is_observed)
		event.revision = (*slot(hub, reader->next))->revision - 1;
	if (n == 0)
		return true;
	event.entries.v = entries;
	event.entries.n = n;
	return send_event(reader, &event);
}

static bool send_mark(struct watch_reader *reader, enum jaco_watch_kind kind)
{
	struct watch_hub *hub = reader->hub;
	struct wire_watch_event event = {.kind = kind, .revision = hub->machine->applied};
	int64_t age = jaco_time_diff_ms(jaco_loop_now(hub->loop), hub->began);

	if (kind == JACO_WATCH_SYNCED && age < WATCH_OLD_RUN_MS)
		JACO_SET(&event, watch_event, young_ms, (uint64_t)(WATCH_OLD_RUN_MS - age));
	return send_event(reader, &event);
}

/* Send until the reader is caught up, or the socket is full, which is 0. */
static int pump(struct watch_reader *reader, struct jaco_err *err)
{
	struct watch_hub *hub = reader->hub;

	for (;;) {
		int is_sent = 1;

		if (is_full(reader))
			return 0;
		if (reader->next < hub->first) {
			is_sent = send_mark(reader, JACO_WATCH_RESYNC);
			begin_snapshot(reader);
			hub->n_resyncs++;
		} else if (reader->is_snapshot) {
			is_sent = send_snapshot(reader, err);
		} else if (reader->next < hub->next) {
			is_sent = send_changes(reader);
		} else if (!reader->is_synced) {
			is_sent = send_mark(reader, JACO_WATCH_SYNCED);
			reader->is_synced = is_sent;
		} else {
			return 1;
		}
		jaco_arena_reset(&hub->arena);
		if (is_sent < 0)
			return is_sent;
		/* what could not be queued is lost to this reader: it starts over */
		if (!is_sent) {
			begin_snapshot(reader);
			return 0;
		}
	}
}

static void reader_free(struct watch_reader *reader)
{
	TAILQ_REMOVE(&reader->hub->readers, reader, link);
	reader->hub->n_readers--;
	for (size_t i = 0; i < reader->n_prefixes; i++)
		jaco_free(reader->prefixes[i]);
	jaco_free(reader);
}

/* @reader is gone afterwards when the state cannot be read; who watches asks again, and keeps what
 * it has. */
static void pump_reader(struct watch_reader *reader)
{
	struct watch_hub *hub = reader->hub;
	struct jaco_call *call = reader->call;
	struct jaco_err err = JACO_ERR_INIT;
	int rc = pump(reader, &err);

	if (rc < 0) {
		JACO_LOG_FAILURE(JACO_LOG_ERR, "a watch is ended", &err,
				 KV_STR(identity, call->identity));
		jaco_call_on_cancel(call, NULL, NULL);
		reader_free(reader);
		jaco_call_fail(call, &err);
	} else if (rc == 0) {
		jaco_timer_arm_if_idle(&hub->lag, WATCH_LAG_MS);
	}
}

void watch_pump(struct watch_hub *hub)
{
	struct watch_reader *reader, *next;

	for (reader = TAILQ_FIRST(&hub->readers); reader; reader = next) {
		next = TAILQ_NEXT(reader, link);
		pump_reader(reader);
	}
}

static void on_lag(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	watch_pump(ctx);
}

void watch_reset(struct watch_hub *hub)
{
	struct watch_reader *reader;

	while (hub->first < hub->next)
		drop_first(hub);
	hub->known_from = hub->machine->applied;
	TAILQ_FOREACH (reader, &hub->readers, link) {
		(void)send_mark(reader, JACO_WATCH_RESYNC);
		begin_snapshot(reader);
	}
	watch_pump(hub);
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	reader_free(ctx);
}

/* The first position whose desired revision is above @revision. */
static uint64_t position_after(struct watch_hub *hub, uint64_t revision)
{
	uint64_t at = hub->next;

	while (at > hub->first) {
		const struct watch_change *before = *slot(hub, at - 1);

		if (!before->is_observed && before->revision <= revision)
			break;
		at--;
	}
	return at;
}

/* Only desired keys, and the history reaches back: no snapshot is needed. */
static bool can_resume(const struct watch_reader *reader, uint64_t revision)
{
	const struct watch_hub *hub = reader->hub;

	for (size_t i = 0; i < reader->n_prefixes; i++)
		if (is_observed_prefix(reader->prefixes[i]))
			return false;
	return revision >= hub->known_from && revision <= hub->machine->applied;
}

void watch_serve(struct watch_hub *hub, struct jaco_call *call, const struct wire_watch *req)
{
	struct watch_reader *reader = jaco_alloc(sizeof(*reader));

	JACO_ASSERT(req->prefixes.n <= WATCH_PREFIXES_MAX);
	reader->hub = hub;
	reader->call = call;
	for (size_t i = 0; i < req->prefixes.n; i++)
		reader->prefixes[reader->n_prefixes++] = jaco_strdup(req->prefixes.v[i]);
	TAILQ_INSERT_TAIL(&hub->readers, reader, link);
	hub->n_readers++;
	begin_snapshot(reader);
	if (JACO_HAS(req, watch, from_revision) && can_resume(reader, req->from_revision)) {
		reader->is_snapshot = false;
		reader->is_synced = true;
		reader->next = position_after(hub, req->from_revision);
	}
	jaco_call_on_cancel(call, on_cancel, reader);
	pump_reader(reader);
}

void watch_init(struct watch_hub *hub, struct jaco_loop *loop, struct machine *machine,
		struct records *records)
{
	*hub = (struct watch_hub){
		.loop = loop, .began = jaco_loop_now(loop), .machine = machine, .records = records};
	TAILQ_INIT(&hub->readers);
	jaco_timer_init(loop, &hub->lag, on_lag, hub);
}

void watch_fini(struct watch_hub *hub)
{
	struct watch_reader *reader;

	while ((reader = TAILQ_FIRST(&hub->readers)))
		reader_free(reader);
	while (hub->first < hub->next)
		drop_first(hub);
	jaco_timer_fini(&hub->lag);
	jaco_arena_fini(&hub->arena);
}
