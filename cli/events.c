/* SPDX-License-Identifier: Apache-2.0
 *
 * events.c - jaco events: every change of the state, from the watch.
 *
 * A table gets one sentence where the meaning of a record changes; JSON and YAML get each change
 * of each record, whole. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/report_event.h"
#include "cli/shown.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/print.h"

struct events {
	struct cli *cli;
	struct shown *shown; /* by key */
	bool is_synced;      /* what was there when we came has been told us */
};

static const char *const event_prefixes[] = {"/deployment/", "/replica/", "/rollout/", "/node/",
					     "/route/",	     "/tcproute/", "/subnet/", "/obs/"};

/* A record that is gone takes no memory. */
static bool is_news(struct events *events, const char *key, const char *what, bool is_gone)
{
	if (!shown_is_news(&events->shown, key, what))
		return false;
	if (is_gone)
		shown_drop(&events->shown, key);
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

/* Not @is_change: of a snapshot.  The first one is the past; a later one, after we fell behind, is
 * told as far as it is news, and not at all where each change counts. */
static void take_change(struct events *events, const struct wire_entry *entry, bool is_change)
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
		if (is_change)
			print_record(cli, entry, space->desc, msg);
		return;
	}
	if (!report_event(entry->key, space->desc, msg, &arena, &event) ||
	    !is_news(events, entry->key, event.what, !msg) || !events->is_synced)
		return;
	jaco_rfc3339_render(when, jaco_time_wall_ms());
	printf("%s  %-28s  %s\n", when, out_printable(&arena, event.object),
	       out_printable(&arena, event.what));
	fflush(stdout);
}

static void on_watch_event(void *ctx, const void *msg)
{
	const struct wire_watch_event *event = msg;
	struct events *events = ctx;

	for (size_t i = 0; i < event->entries.n; i++)
		take_change(events, &event->entries.v[i], event->kind == JACO_WATCH_CHANGE);
	events->is_synced |= event->kind == JACO_WATCH_SYNCED;
}

int events_follow(struct cli *cli, struct jaco_err *err)
{
	struct wire_watch req = {
		.prefixes = {(const char **)event_prefixes, JACO_ARRAY_SIZE(event_prefixes)}};
	struct events events = {.cli = cli};
	int rc = cli_stream(cli, &wire_raftd_kv_watch, &req, on_watch_event, &events, err);

	shown_fini(&events.shown);
	return rc;
}
