/* SPDX-License-Identifier: Apache-2.0
 *
 * events.c - jaco events: every change of the state, from the watch.
 *
 * A table gets one sentence where the meaning of a record changes; JSON and YAML get each change
 * of each record, whole. */
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/report_event.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/print.h"

/* What was said last of a key. */
struct said {
	char *key;
	char *what;
	UT_hash_handle hh;
};

struct events {
	struct cli *cli;
	struct said *said;
};

static const char *const event_prefixes[] = {"/deployment/", "/replica/", "/rollout/", "/node/",
					     "/route/",	     "/tcproute/", "/subnet/", "/obs/"};

static void forget(struct events *events, struct said *said)
{
	HASH_DEL(events->said, said);
	jaco_free(said->key);
	jaco_free(said->what);
	jaco_free(said);
}

/* True when @what is news of @key; a record that is gone takes no memory. */
static bool is_news(struct events *events, const char *key, const char *what, bool is_gone)
{
	struct said *said;

	HASH_FIND_STR(events->said, key, said);
	if (said && jaco_str_eq(said->what, what))
		return false;
	if (said)
		forget(events, said);
	if (is_gone)
		return true;
	said = jaco_alloc(sizeof(*said));
	said->key = jaco_strdup(key);
	said->what = jaco_strdup(what);
	HASH_ADD_KEYPTR(hh, events->said, said->key, strlen(said->key), said);
	return true;
}

static void print_record(const struct cli *cli, const struct wire_entry *entry,
			 const struct jaco_desc *desc, const void *msg)
{
	json_t *json = json_pack("{s:s, s:I, s:o}", "key", entry->key, "revision",
				 (json_int_t)entry->revision, "value",
				 msg ? jaco_json_from_msg(desc, msg) : json_null());

	out_json(cli, json, true);
	json_decref(json);
}

/* @is_past: what the snapshot tells is known, and is not told again. */
static void take_change(struct events *events, const struct wire_entry *entry, bool is_past)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct jaco_keyspace *space = jaco_keyspace_find(entry->key);
	const struct cli *cli = events->cli;
	struct report_event event;
	void *msg = NULL;
	char when[JACO_RFC3339_BYTES];

	if (!space)
		return;
	if (entry->value.data) {
		msg = jaco_arena_alloc(&arena, space->desc->size);
		if (jaco_unpack(space->desc, entry->value.data, entry->value.n, &arena, msg,
				NULL) < 0)
			return; /* of a newer JACO */
	}
	if (cli->format == CLI_JSON || cli->format == CLI_YAML) {
		if (!is_past)
			print_record(cli, entry, space->desc, msg);
		return;
	}
	if (!report_event(entry->key, space->desc, msg, &arena, &event) ||
	    !is_news(events, entry->key, event.what, !msg) || is_past)
		return;
	jaco_rfc3339_render(when, jaco_time_wall_ms());
	printf("%s  %-28s  %s\n", when, out_printable(&arena, event.object),
	       out_printable(&arena, event.what));
	fflush(stdout);
}

static void on_watch_event(void *ctx, const void *msg)
{
	const struct wire_watch_event *event = msg;

	for (size_t i = 0; i < event->entries.n; i++)
		take_change(ctx, &event->entries.v[i], event->kind != JACO_WATCH_CHANGE);
}

int events_follow(struct cli *cli, struct jaco_err *err)
{
	struct wire_watch req = {
		.prefixes = {(const char **)event_prefixes, JACO_ARRAY_SIZE(event_prefixes)}};
	struct events events = {.cli = cli};
	struct said *said, *next;
	int rc = cli_stream(cli, &wire_raftd_kv_watch, &req, on_watch_event, &events, err);

	HASH_ITER(hh, events.said, said, next)
		forget(&events, said);
	return rc;
}
