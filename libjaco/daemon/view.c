/* SPDX-License-Identifier: Apache-2.0
 *
 * view.c - a sorted array of decoded records, fed by kv.watch, saved beside. */
#include "libjaco/daemon/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"

#define SAFETY_MS      30000
#define SAVE_AFTER_MS  1000
#define RESUBSCRIBE_MS 500
#define CACHE_MAX      (256u * 1024 * 1024)
#define CARRY_MAX_MS   60000u
#define OBSERVED       "/obs/"

static const char cache_magic[] = "JACOVIEW1\n";

/* --- the table --- */

static void free_entry(struct jaco_view_entry *entry)
{
	struct jaco_arena arena;

	if (!entry)
		return;
	arena = entry->arena; /* the entry itself lives in it */
	jaco_arena_fini(&arena);
}

static void clear(struct jaco_view *view)
{
	for (size_t i = 0; i < view->n; i++)
		free_entry(view->v[i]);
	jaco_free(view->v);
	view->v = NULL;
	view->n = 0;
	view->cap = 0;
}

size_t jaco_view_lower(const struct jaco_view *view, const char *prefix)
{
	size_t low = 0;
	size_t high = view->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(view->v[mid]->key, prefix) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool jaco_view_below(const struct jaco_view *view, size_t i, const char *prefix)
{
	return i < view->n && jaco_str_starts(view->v[i]->key, prefix);
}

const struct jaco_view_entry *jaco_view_entry(const struct jaco_view *view, const char *key)
{
	size_t i = jaco_view_lower(view, key);

	return i < view->n && strcmp(view->v[i]->key, key) == 0 ? view->v[i] : NULL;
}

const void *jaco_view_get(const struct jaco_view *view, const char *key)
{
	const struct jaco_view_entry *entry = jaco_view_entry(view, key);

	return entry ? entry->msg : NULL;
}

const void *jaco_view_getf(const struct jaco_view *view, const char *fmt, ...)
{
	char key[JACO_KEY_MAX + 1];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(key, sizeof(key), fmt, ap);
	va_end(ap);
	return n > 0 && (size_t)n < sizeof(key) ? jaco_view_get(view, key) : NULL;
}

static void remove_key(struct jaco_view *view, const char *key)
{
	size_t i = jaco_view_lower(view, key);

	if (i == view->n || strcmp(view->v[i]->key, key) != 0)
		return;
	free_entry(view->v[i]);
	memmove(view->v + i, view->v + i + 1, (view->n - i - 1) * sizeof(*view->v));
	view->n--;
}

static struct jaco_view_entry *decode(const char *key, uint64_t revision, const void *raw,
				      size_t raw_bytes, struct jaco_err *err)
{
	const struct jaco_keyspace *space = jaco_keyspace_find(key);
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_view_entry *entry;
	void *msg;

	if (!space) {
		jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: no such keyspace", key);
		return NULL;
	}
	entry = jaco_arena_alloc(&arena, sizeof(*entry));
	msg = jaco_arena_alloc(&arena, space->desc->size);
	if (jaco_unpack(space->desc, raw, raw_bytes, &arena, msg, err) < 0) {
		jaco_err_wrap(err, "%s", key);
		jaco_arena_fini(&arena);
		return NULL;
	}
	entry->key = jaco_arena_strdup(&arena, key);
	entry->revision = revision;
	entry->desc = space->desc;
	entry->msg = msg;
	entry->raw = jaco_arena_memdup(&arena, raw, raw_bytes);
	entry->raw_bytes = raw_bytes;
	entry->arena = arena;
	return entry;
}

static void insert(struct jaco_view *view, size_t i, struct jaco_view_entry *entry)
{
	view->v = jaco_grow(view->v, &view->cap, view->n + 1, sizeof(*view->v));
	memmove(view->v + i + 1, view->v + i, (view->n - i) * sizeof(*view->v));
	view->v[i] = entry;
	view->n++;
}

int jaco_view_put(struct jaco_view *view, const char *key, uint64_t revision, const void *raw,
		  size_t raw_bytes, struct jaco_err *err)
{
	struct jaco_view_entry *entry = decode(key, revision, raw, raw_bytes, err);
	size_t i = jaco_view_lower(view, key);

	if (!entry) {
		view->n_undecodable++;
		return -(int)err->code;
	}
	if (i < view->n && strcmp(view->v[i]->key, key) == 0) {
		free_entry(view->v[i]);
		view->v[i] = entry;
		return 0;
	}
	insert(view, i, entry);
	return 0;
}

/* --- the cache --- */

static void save_now(struct jaco_timer *timer, void *ctx)
{
	struct jaco_view *view = ctx;
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_BOUND(CACHE_MAX);
	struct jaco_err err = JACO_ERR_INIT;

	(void)timer;
	jaco_buf_add(&out, cache_magic, sizeof(cache_magic) - 1);
	jaco_pack_u64(&out, view->revision);
	jaco_pack_array(&out, view->n);
	for (size_t i = 0; i < view->n; i++) {
		struct wire_entry entry = {
			.key = view->v[i]->key,
			.value = {view->v[i]->raw, view->v[i]->raw_bytes},
			.revision = view->v[i]->revision,
		};
		(void)jaco_pack(&out, &wire_entry_desc, &entry, &err);
	}
	if (out.overflow ||
	    jaco_fs_replace_cache(view->cache_path, out.data, out.n, 0600, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "view not saved", &err,
				 KV_STR(path, view->cache_path));
}

static int load_entries(struct jaco_view *view, struct jaco_cursor *cursor, struct jaco_err *err)
{
	uint32_t n = jaco_cursor_array(cursor);

	for (uint32_t i = 0; i < n; i++) {
		jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
		struct wire_entry entry;

		if (jaco_unpack_at(&wire_entry_desc, cursor, &arena, &entry, err) < 0)
			return -(int)err->code;
		if (jaco_view_put(view, entry.key, entry.revision, entry.value.data, entry.value.n,
				  err) < 0)
			jaco_err_clear(err); /* of a newer version: served without it */
	}
	return cursor->state == JACO_CURSOR_OK
		       ? 0
		       : jaco_err_set(err, JACO_VALIDATION_FAILED, "the saved view is malformed");
}

static void load_cache(struct jaco_view *view)
{
	jaco_auto(jaco_buf) struct jaco_buf data = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_cursor cursor;
	size_t head = sizeof(cache_magic) - 1;

	if (!view->cache_path[0] || !jaco_fs_exists(view->cache_path))
		return;
	if (jaco_fs_read(view->cache_path, CACHE_MAX, &data, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "saved view not readable", &err);
		return;
	}
	if (data.n < head || memcmp(data.data, cache_magic, head) != 0)
		return; /* of another version */
	cursor = jaco_cursor_over(data.data + head, data.n - head);
	view->revision = jaco_cursor_u64(&cursor, UINT64_MAX);
	if (load_entries(view, &cursor, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "saved view ignored", &err);
		clear(view);
		view->revision = 0;
		return;
	}
	view->is_loaded = true;
	jaco_timer_arm(&view->debounce, 0);
}

/* --- the watch --- */

static void touched(struct jaco_view *view)
{
	jaco_timer_arm_if_idle(&view->debounce, view->debounce_ms);
	if (view->cache_path[0])
		jaco_timer_arm_if_idle(&view->save, SAVE_AFTER_MS);
}

static void begin_snapshot(struct jaco_view *view)
{
	if (!view->next)
		view->next = jaco_alloc(sizeof(*view->next));
	clear(view->next);
}

static void take_entries(struct jaco_view *table, const struct wire_watch_event *event)
{
	for (size_t i = 0; i < event->entries.n; i++) {
		const struct wire_entry *entry = &event->entries.v[i];
		struct jaco_err err = JACO_ERR_INIT;

		if (!entry->value.data)
			remove_key(table, entry->key);
		else if (jaco_view_put(table, entry->key, entry->revision, entry->value.data,
				       entry->value.n, &err) < 0)
			JACO_LOG_FAILURE(JACO_LOG_WARNING, "record not understood", &err);
	}
}

/* Into @next goes what @view has of the observed plane and @next has not. */
static void carry_observed(struct jaco_view *view, struct jaco_view *next)
{
	for (size_t i = jaco_view_lower(view, OBSERVED); jaco_view_below(view, i, OBSERVED); i++) {
		struct jaco_view_entry *entry = view->v[i];
		size_t at = jaco_view_lower(next, entry->key);

		if (at < next->n && strcmp(next->v[at]->key, entry->key) == 0)
			continue;
		insert(next, at, entry);
		entry->is_carried = true;
		view->v[i] = NULL;
	}
}

static void uncarry(struct jaco_timer *timer, void *ctx)
{
	struct jaco_view *view = ctx;
	size_t n = 0;

	(void)timer;
	for (size_t i = 0; i < view->n; i++)
		if (view->v[i]->is_carried)
			free_entry(view->v[i]);
		else
			view->v[n++] = view->v[i];
	if (n == view->n)
		return;
	view->n = n;
	touched(view);
}

static void adopt_snapshot(struct jaco_view *view, const struct wire_watch_event *synced)
{
	struct jaco_view *next = view->next;

	/* A view that was only saved may be older than the last start of the machine. */
	if (view->is_current && synced->young_ms > 0) {
		carry_observed(view, next);
		jaco_timer_arm(&view->uncarry, (int64_t)JACO_MIN(synced->young_ms, CARRY_MAX_MS));
	}
	clear(view);
	view->v = next->v;
	view->n = next->n;
	view->cap = next->cap;
	jaco_free(next);
	view->next = NULL;
	view->is_current = true;
	view->is_live = true;
	view->is_loaded = true;
}

static void on_event(void *ctx, const void *msg)
{
	struct jaco_view *view = ctx;
	const struct wire_watch_event *event = msg;

	/* A part of a snapshot nobody announced (another version of raftd) begins one. */
	if (!view->next && (event->kind == JACO_WATCH_SNAPSHOT || event->kind == JACO_WATCH_SYNCED))
		begin_snapshot(view);
	switch (event->kind) {
	case JACO_WATCH_SNAPSHOT:
		take_entries(view->next, event);
		return;
	case JACO_WATCH_SYNCED:
		take_entries(view->next, event);
		adopt_snapshot(view, event);
		break;
	case JACO_WATCH_CHANGE:
		take_entries(view, event);
		break;
	case JACO_WATCH_RESYNC:
		begin_snapshot(view);
		return;
	case JACO_WATCH_END:
		return;
	}
	if (event->revision > view->revision)
		view->revision = event->revision;
	touched(view);
}

static void on_ended(void *ctx, const void *out, const struct jaco_err *err)
{
	struct jaco_view *view = ctx;

	(void)out;
	if (err)
		jaco_log_debug("watch ended", KV_STR(error, err->text));
	view->watch = NULL;
	view->is_live = false;
	jaco_timer_arm(&view->resubscribe, RESUBSCRIBE_MS);
}

static void subscribe(struct jaco_timer *timer, void *ctx)
{
	struct jaco_view *view = ctx;
	struct wire_watch req = {0};
	const char *prefixes[32];

	(void)timer;
	if (view->watch || !view->client->is_up)
		return;
	while (view->prefixes[req.prefixes.n] && req.prefixes.n < JACO_ARRAY_SIZE(prefixes)) {
		prefixes[req.prefixes.n] = view->prefixes[req.prefixes.n];
		req.prefixes.n++;
	}
	req.prefixes.v = prefixes;
	begin_snapshot(view);
	view->watch = jaco_client_stream(view->client, &wire_raftd_kv_watch, &req, on_event,
					 on_ended, view);
}

void jaco_view_connected(struct jaco_view *view, bool is_up)
{
	view->is_live = view->is_live && is_up;
	if (is_up)
		jaco_timer_arm(&view->resubscribe, 0);
}

/* --- passes --- */

static void run_pass(struct jaco_timer *timer, void *ctx)
{
	struct jaco_view *view = ctx;

	(void)timer;
	jaco_timer_arm(&view->safety, SAFETY_MS);
	if (view->is_loaded)
		view->on_change(view, view->ctx);
}

void jaco_view_poke(struct jaco_view *view)
{
	jaco_timer_arm_if_idle(&view->debounce, view->debounce_ms);
}

void jaco_view_open(struct jaco_view *view, struct jaco_loop *loop, struct jaco_client *client,
		    const char *const *prefixes, int64_t debounce_ms, const char *cache_path,
		    jaco_view_fn *on_change, void *ctx)
{
	*view = (struct jaco_view){.loop = loop,
				   .client = client,
				   .prefixes = prefixes,
				   .debounce_ms = debounce_ms,
				   .on_change = on_change,
				   .ctx = ctx};
	(void)jaco_str_copy(view->cache_path, sizeof(view->cache_path),
			    cache_path ? cache_path : "");
	jaco_timer_init(loop, &view->debounce, run_pass, view);
	jaco_timer_init(loop, &view->safety, run_pass, view);
	jaco_timer_init(loop, &view->save, save_now, view);
	jaco_timer_init(loop, &view->resubscribe, subscribe, view);
	jaco_timer_init(loop, &view->uncarry, uncarry, view);
	jaco_timer_arm(&view->safety, SAFETY_MS);
	load_cache(view);
	jaco_view_connected(view, client->is_up);
}

void jaco_view_close(struct jaco_view *view)
{
	if (view->watch)
		jaco_client_cancel(view->watch);
	view->watch = NULL;
	if (view->save.is_armed)
		save_now(&view->save, view);
	jaco_timer_fini(&view->debounce);
	jaco_timer_fini(&view->safety);
	jaco_timer_fini(&view->save);
	jaco_timer_fini(&view->resubscribe);
	jaco_timer_fini(&view->uncarry);
	if (view->next) {
		clear(view->next);
		jaco_free(view->next);
		view->next = NULL;
	}
	clear(view);
}
