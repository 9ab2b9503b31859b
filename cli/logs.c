/* SPDX-License-Identifier: Apache-2.0
 *
 * logs.c - jaco logs: lines of replicas, as "[<replica>@<node>] text". */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/report.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/print.h"

struct logs {
	struct cli *cli;
	bool has_filter;
	regex_t filter;
};

static void on_line(void *ctx, const void *msg)
{
	struct logs *logs = ctx;
	const struct wire_log_line *line = msg;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const char *text;

	if (logs->has_filter && regexec(&logs->filter, line->text, 0, NULL, 0) != 0)
		return;
	if (logs->cli->format == CLI_JSON || logs->cli->format == CLI_YAML) {
		json_t *json = jaco_json_from_msg(&wire_log_line_desc, line);

		out_json(logs->cli, json, true);
		json_decref(json);
		return;
	}
	/* A file or a pipe gets the bytes as they are; a terminal nothing that could command it. */
	text = logs->cli->is_tty ? out_printable(&arena, line->text) : line->text;
	printf("[%s@%s] %s%s%s\n", line->replica, line->host, line->time ? line->time : "",
	       line->time ? " " : "", text);
	fflush(stdout);
}

/* Whether there is such a thing; one word is a deployment or else a replica.  Of what was deleted
 * the last lines may be there still, while its replicas are. */
static int check_query(struct cli *cli, struct wire_logs_query *req, const char *ref,
		       struct jaco_err *err)
{
	struct wire_replica_row *rows;
	struct jaco_view view;
	bool is_known;
	size_t n;

	if (cli_view(cli, &view, report_prefixes, NULL, NULL, err) < 0)
		return -(int)err->code;
	rows = report_replicas(&view, req->deployment, req->service, &cli->arena, &n);
	is_known = n > 0 || report_find(&view, req->deployment, req->service, err) == 0;
	if (!is_known && !req->service) {
		rows = report_replicas(&view, NULL, NULL, &cli->arena, &n);
		for (size_t i = 0; i < n && !is_known; i++)
			is_known = jaco_str_eq(rows[i].id, ref);
		if (is_known)
			*req = (struct wire_logs_query){.replica = ref};
		else
			jaco_err_set(err,
				     strchr(ref, '-') ? JACO_REPLICA_NOT_FOUND
						      : JACO_DEPLOYMENT_NOT_FOUND,
				     "there is no deployment or replica %s", ref);
	}
	jaco_view_close(&view);
	return is_known ? 0 : -(int)err->code;
}

static int take_query(struct cli *cli, struct wire_logs_query *req, struct jaco_err *err)
{
	const char *since = cli_opt(cli, "since");
	const char *tail = cli_opt(cli, "tail");
	const char *ref = cli_arg(cli, 0);
	uint64_t n;
	int64_t ms;

	if (cli_split_ref(cli, ref, &req->deployment, &req->service, err) < 0 ||
	    check_query(cli, req, ref, err) < 0)
		return -(int)err->code;
	if (since && !jaco_duration_parse(since, &ms))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--since %s is not a duration",
				    since);
	if (since)
		req->since = (uint64_t)(jaco_time_wall_ms() - ms);
	if (tail && !jaco_str_to_u64(tail, 1000000, &n))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "--tail %s is not a number of lines", tail);
	if (tail)
		JACO_SET(req, logs_query, tail, (uint32_t)n);
	req->follow = cli_opt(cli, "follow") != NULL;
	req->timestamps = cli_opt(cli, "timestamps") != NULL;
	return 0;
}

int logs_stream(struct cli *cli, struct jaco_err *err)
{
	struct logs logs = {.cli = cli};
	struct wire_logs_query req = {0};
	const char *pattern = cli_opt(cli, "grep");
	int rc;

	if (take_query(cli, &req, err) < 0)
		return -(int)err->code;
	if (pattern && regcomp(&logs.filter, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "--grep %s is not a regular expression", pattern);
	logs.has_filter = pattern != NULL;
	rc = cli_stream(cli, &wire_runtimed_logs_stream, &req, on_line, &logs, err);
	if (logs.has_filter)
		regfree(&logs.filter);
	return rc;
}
