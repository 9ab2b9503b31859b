/* SPDX-License-Identifier: Apache-2.0
 *
 * debug.c - jaco rpc, jaco daemons, jaco describe: the sockets themselves. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/target.h"
#include "libjaco/base/str.h"
#include "libjaco/daemon/config.h"
#include "libjaco/wire/print.h"

static const struct out_column daemon_columns[] = {
	{"DAEMON", "name"}, {"STATE", "state"},     {"REVISION", "revision"},
	{"STALE", "stale"}, {"CPU", "cpu_ms"},      {"RSS", "rss_bytes"},
	{"FDS", "fds"},     {"MESSAGE", "message"}, {NULL, NULL},
};

struct rpc {
	struct cli *cli;
	const struct jaco_method *method;
};

static void on_event(void *ctx, const void *event)
{
	const struct rpc *rpc = ctx;
	json_t *json = jaco_json_from_msg(rpc->method->out, event);

	out_json(rpc->cli, json, true);
	json_decref(json);
}

static int unknown_method(const char *name, struct jaco_err *err)
{
	const char *names[256];
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < jaco_n_methods && n + 1 < JACO_ARRAY_SIZE(names); i++)
		names[n++] = jaco_methods[i]->name;
	names[n] = NULL;
	near = jaco_str_nearest(name, names);
	return jaco_err_set(err, JACO_UNKNOWN_METHOD, "no method %s%s%s%s", name,
			    near ? "; did you mean \"" : "; see jaco-wire(7)", near ? near : "",
			    near ? "\"?" : "");
}

void cli_daemon_socket(const struct cli *cli, const char *name, char out[static 108])
{
	const char *slash = strrchr(cli->socket, '/');

	(void)jaco_str_format(out, 108, "%.*s/%s/%s.sock", (int)(slash ? slash - cli->socket : 0),
			      cli->socket, name, name);
}

/* A daemon of the node that answers, by way of its raftd. */
static int call_far(struct cli *cli, const char *daemon, const struct jaco_method *method,
		    const void *req, void *out_msg, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf params = JACO_BUF_BOUND(JACO_MESSAGE_MAX / 2);
	struct wire_daemon_call call = {.daemon = daemon, .method = method->name};
	struct wire_daemon_answer answer;

	if (strcmp(daemon, "raftd") == 0)
		return cli_call(cli, method, req, out_msg, err);
	if (jaco_pack(&params, method->in, req, err) < 0)
		return -(int)err->code;
	JACO_SET(&call, daemon_call, params, ((struct wire_bin){params.data, params.n}));
	if (cli_call(cli, &wire_raftd_daemon_call, &call, &answer, err) < 0)
		return -(int)err->code;
	return jaco_unpack(method->out, answer.result.data, answer.result.n, &cli->arena, out_msg,
			   err);
}

static int rpc_far(struct cli *cli, const char *daemon, const struct jaco_method *method,
		   const void *req, struct jaco_err *err)
{
	void *got = jaco_arena_alloc(&cli->arena, method->out->size);

	if (call_far(cli, daemon, method, req, got, err) < 0)
		return -(int)err->code;
	(void)out_msg(cli, method->out, got);
	return 0;
}

int debug_rpc(struct cli *cli, struct jaco_err *err)
{
	const char *daemon = cli_opt(cli, "daemon");
	const struct jaco_method *method = jaco_method_find(cli_arg(cli, 0));
	const char *text = cli_arg(cli, 1) ? cli_arg(cli, 1) : "{}";
	json_error_t where;
	json_t *json = json_loads(text, 0, &where);
	struct rpc rpc = {cli, method};
	void *req;
	void *got;
	int rc;

	if (!json)
		return jaco_err_set(err, JACO_PARSE_FAILED,
				    "argument is not JSON: line %d column %d: %s", where.line,
				    where.column, where.text);
	if (!method) {
		json_decref(json);
		return unknown_method(cli_arg(cli, 0), err);
	}
	if (target_choose(cli, err) < 0) {
		json_decref(json);
		return -(int)err->code;
	}
	if (daemon && !cli->is_remote) {
		char path[108];

		cli_daemon_socket(cli, daemon, path);
		(void)jaco_str_copy(cli->socket, sizeof(cli->socket), path);
	}
	if (cli->format == CLI_TABLE)
		cli->format = CLI_JSON;
	req = jaco_arena_alloc(&cli->arena, method->in->size);
	got = jaco_arena_alloc(&cli->arena, method->out->size);
	rc = jaco_json_to_msg(method->in, json, &cli->arena, req, err);
	json_decref(json);
	if (rc < 0)
		return rc;
	if (daemon && cli->is_remote && !(method->flags & METHOD_STREAM))
		return rpc_far(cli, daemon, method, req, err);
	if (method->flags & METHOD_STREAM)
		return cli_stream(cli, method, req, on_event, &rpc, err);
	return cli_call_print(cli, method, req, got, err);
}

static const char *const daemons[] = {"raftd", "schedd",  "ipamd",  "meshd",
				      "fwd-nft", "dnsd", "proxyd", "runtimed"};

static int ask_daemon(struct cli *cli, const char *name, struct wire_daemon_status *out)
{
	struct cli other = {.arena = JACO_ARENA_INIT, .is_chosen = true};
	struct wire_nothing req = {0};
	struct jaco_err err = JACO_ERR_INIT;
	int rc;

	if (cli->is_remote) {
		rc = call_far(cli, name, &wire_daemon_status, &req, out, &err);
		if (rc < 0)
			*out = (struct wire_daemon_status){
				.state = "away",
				.message = jaco_arena_strdup(&cli->arena, err.text)};
		out->name = name;
		out->facts = (struct wire_dict){0};
		return rc;
	}
	if (strcmp(name, "raftd") == 0)
		(void)jaco_str_copy(other.socket, sizeof(other.socket), cli->socket);
	else
		cli_daemon_socket(cli, name, other.socket);
	rc = cli_call(&other, &wire_daemon_status, &req, out, &err);
	if (rc >= 0) {
		out->message = out->message ? jaco_arena_strdup(&cli->arena, out->message) : NULL;
		out->state = jaco_arena_strdup(&cli->arena, out->state);
		out->facts = (struct wire_dict){0};
	} else {
		*out = (struct wire_daemon_status){
			.state = "away", .message = jaco_arena_strdup(&cli->arena, err.text)};
	}
	out->name = name;
	cli_fini(&other);
	return rc;
}

int debug_daemons(struct cli *cli, struct jaco_err *err)
{
	struct wire_daemon_status rows[JACO_ARRAY_SIZE(daemons)];
	size_t away = 0;

	if (target_choose(cli, err) < 0 || (cli->is_remote && cli_connect(cli, err) < 0))
		return -(int)err->code;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(daemons); i++)
		away += ask_daemon(cli, daemons[i], &rows[i]) < 0;
	out_rows(cli, &wire_daemon_status_desc, rows, JACO_ARRAY_SIZE(daemons), daemon_columns);
	return away ? jaco_err_set(err, JACO_UNAVAILABLE, "%zu of %zu daemons do not answer", away,
				   JACO_ARRAY_SIZE(daemons))
		    : 0;
}

int debug_describe(struct cli *cli, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	const char *what = cli_arg(cli, 0) ? cli_arg(cli, 0) : "wire";

	if (jaco_str_eq(what, "config"))
		jaco_config_template(&text);
	else if (jaco_str_eq(what, "wire"))
		jaco_describe_mdoc(&text);
	else
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "nothing to describe: \"%s\"; wire or config", what);
	fwrite(text.data, 1, text.n, stdout);
	return 0;
}
