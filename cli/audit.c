/* SPDX-License-Identifier: Apache-2.0
 *
 * audit.c - jaco audit: who did what. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/print.h"

/* Widths of the longest type and of most names: lines are printed as they come. */
#define COLUMNS "%-20s  %-8s  %-28s  %-20s "

static void print_event(const struct cli *cli, const struct wire_audit_event *event)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct wire_audit *audit = event->event;
	char when[JACO_RFC3339_BYTES];

	if (cli->format == CLI_JSON || cli->format == CLI_YAML) {
		json_t *json = jaco_json_from_msg(&wire_audit_event_desc, event);

		out_json(cli, json, true);
		json_decref(json);
		return;
	}
	jaco_rfc3339_render(when, (int64_t)audit->time);
	printf(COLUMNS, when,
	       jaco_arena_printf(&arena, "%llu", (unsigned long long)event->revision),
	       jaco_enum_word(&jaco_audit_type_enum, (int)audit->type),
	       out_printable(&arena, audit->identity));
	for (size_t i = 0; i < audit->payload.n; i++)
		printf(" %s=%s", audit->payload.v[i].key,
		       out_printable(&arena, audit->payload.v[i].value));
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
	if (cli->format == CLI_TABLE)
		printf(COLUMNS " %s\n", "TIME", "REVISION", "TYPE", "IDENTITY", "DETAILS");
	return cli_stream(cli, &wire_raftd_audit_list, &req, on_page, cli, err);
}
