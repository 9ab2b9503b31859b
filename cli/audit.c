/* SPDX-License-Identifier: Apache-2.0
 *
 * audit.c - jaco audit, jaco events: who did what, and what changes now. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/print.h"

static void print_event(const struct cli *cli, const struct wire_audit_event *event)
{
	const struct wire_audit *audit = event->event;
	char when[JACO_RFC3339_BYTES];

	if (cli->format == CLI_JSON || cli->format == CLI_YAML) {
		json_t *json = jaco_json_from_msg(&wire_audit_event_desc, event);

		out_json(cli, json, true);
		json_decref(json);
		return;
	}
	jaco_rfc3339_render(when, (int64_t)audit->time);
	printf("%s  %-8llu %-28s %-24s", when, (unsigned long long)event->revision,
	       jaco_enum_word(&jaco_audit_type_enum, (int)audit->type), audit->identity);
	for (size_t i = 0; i < audit->payload.n; i++)
		printf(" %s=%s", audit->payload.v[i].key, audit->payload.v[i].value);
	putchar('\n');
	fflush(stdout);
}

static void on_page(void *ctx, const void *msg)
{
	const struct wire_audit_list *page = msg;

	for (size_t i = 0; i < page->events.n; i++)
		print_event(ctx, &page->events.v[i]);
}

static int take_types(struct cli *cli, struct wire_strs *out, struct jaco_err *err)
{
	const char *given = cli_opt(cli, "type");
	char *copy = given ? jaco_arena_strdup(&cli->arena, given) : NULL;
	char *save = NULL;

	out->v = jaco_arena_alloc_n(&cli->arena, 64, sizeof(*out->v));
	for (char *at = copy ? strtok_r(copy, ",", &save) : NULL; at && out->n < 64;
	     at = strtok_r(NULL, ",", &save)) {
		if (jaco_enum_find(&jaco_audit_type_enum, at) < 0) {
			jaco_err_set(err, JACO_VALIDATION_FAILED,
				     "no audit type \"%s\"; known: ", at);
			for (size_t i = 0; i < jaco_audit_type_enum.n; i++) {
				size_t used = strlen(err->text);

				(void)jaco_str_format(err->text + used, sizeof(err->text) - used,
						      "%s%s", i ? " " : "",
						      jaco_audit_type_enum.words[i]);
			}
			return -JACO_VALIDATION_FAILED;
		}
		out->v[out->n++] = at;
	}
	return 0;
}

int audit_list(struct cli *cli, struct jaco_err *err)
{
	struct wire_audit_query req = {.identity = cli_opt(cli, "identity"),
				       .follow = cli_opt(cli, "follow") != NULL};
	const char *since = cli_opt(cli, "since");
	int64_t ms;

	if (since) {
		if (!jaco_duration_parse(since, &ms))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "--since %s is not a duration", since);
		req.since = (uint64_t)(jaco_time_wall_ms() - ms);
	}
	if (take_types(cli, &req.types, err) < 0)
		return -(int)err->code;
	return cli_stream(cli, &wire_raftd_audit_list, &req, on_page, cli, err);
}

/* --- events: every change of state, from the watch --- */

static const char *const event_prefixes[] = {"/deployment/", "/replica/", "/rollout/", "/node/",
					     "/route/",	     "/tcproute/", "/subnet/", "/obs/"};

static void print_change(const struct cli *cli, const struct wire_entry *entry)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct jaco_keyspace *space = jaco_keyspace_find(entry->key);
	jaco_auto(jaco_buf) struct jaco_buf line = JACO_BUF_INIT;
	json_t *value = json_null();
	json_t *json;

	if (space && entry->value.data) {
		void *msg = jaco_arena_alloc(&arena, space->desc->size);

		if (jaco_unpack(space->desc, entry->value.data, entry->value.n, &arena, msg,
				NULL) >= 0)
			value = jaco_json_from_msg(space->desc, msg);
	}
	json = json_pack("{s:s, s:I, s:o}", "key", entry->key, "revision",
			 (json_int_t)entry->revision, "value", value);
	if (cli->format == CLI_YAML || cli->format == CLI_JSON) {
		out_json(cli, json, true);
	} else {
		jaco_json_print_compact(&line, value);
		printf("%s %s %s\n", entry->value.data ? "put" : "del", entry->key,
		       jaco_buf_str(&line));
		fflush(stdout);
	}
	json_decref(json);
}

static void on_watch_event(void *ctx, const void *msg)
{
	const struct wire_watch_event *event = msg;

	if (event->kind != JACO_WATCH_CHANGE)
		return; /* the snapshot is the past */
	for (size_t i = 0; i < event->entries.n; i++)
		print_change(ctx, &event->entries.v[i]);
}

int events_follow(struct cli *cli, struct jaco_err *err)
{
	struct wire_watch req = {
		.prefixes = {(const char **)event_prefixes, JACO_ARRAY_SIZE(event_prefixes)}};

	return cli_stream(cli, &wire_raftd_kv_watch, &req, on_watch_event, cli, err);
}
