/* SPDX-License-Identifier: Apache-2.0
 *
 * get.c - jaco get, jaco status: what is stored and what is seen. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/report.h"
#include "libjaco/base/str.h"
#include "libjaco/wire/print.h"

static const struct out_column replica_columns[] = {
	{"REPLICA", "id"},      {"STATE", "state"}, {"HEALTHY", "healthy"},   {"NODE", "node"},
	{"ADDRESS", "address"}, {"AGE", "since"},   {"RESTARTS", "restarts"}, {"GEN", "generation"},
	{"REASON", "message"},  {NULL, NULL},
};
static const struct out_column deployment_columns[] = {
	{"DEPLOYMENT", "name"},   {"STATUS", "status"}, {"REVISION", "revision"},
	{"SERVICES", "services"}, {"READY", "ready"},   {"WANTED", "wanted"},
	{"AGE", "updated"},       {"REASON", "reason"}, {NULL, NULL},
};
static const struct out_column route_columns[] = {
	{"DOMAIN", "domain"},   {"PATH", "path"},   {"DEPLOYMENT", "deployment"},
	{"SERVICE", "service"}, {"PORT", "port"},   {"TLS", "tls"},
	{"READY", "ready"},     {"TOTAL", "total"}, {NULL, NULL},
};
static const struct out_column port_columns[] = {
	{"PORT", "port"},             {"PROTOCOL", "protocol"}, {"ADDRESS", "address"},
	{"DEPLOYMENT", "deployment"}, {"SERVICE", "service"},   {"TARGET", "target_port"},
	{"READY", "ready"},           {"PROBLEM", "problem"},   {NULL, NULL},
};
static const struct out_column subnet_columns[] = {
	{"DEPLOYMENT", "deployment"},
	{"NETWORK", "network"},
	{"NODE", "host"},
	{"CIDR", "cidr"},
	{"GATEWAY", "gateway"},
	{"BRIDGE", "bridge"},
	{"SCOPE", "scope"},
	{"INTERNAL", "internal"},
	{NULL, NULL},
};
static const struct out_column rollout_columns[] = {
	{"DEPLOYMENT", "deployment"}, {"SERVICE", "service"}, {"STATE", "state"}, {"DONE", "done"},
	{"TOTAL", "total"},	      {"AGE", "started"},     {"REASON", "reason"}, {NULL, NULL},
};
static const struct out_column node_columns[] = {
	{"NODE", "host"},   {"STATE", "state"},	  {"VOTER", "voter"}, {"LEADER", "leader"},
	{"REPLICAS", "replicas"}, {"ENGINE", "engine"}, {"MESH", "mesh"}, {"VERSION", "version"},
	{"LABELS", "labels"}, {NULL, NULL},
};
static const struct out_column cert_columns[] = {
	{"DOMAIN", "domain"}, {"EXPIRES", "not_after"},
	{"ISSUED", "issued"}, {"ENVIRONMENT", "environment"},
	{NULL, NULL},
};

static int open_view(struct cli *cli, struct jaco_view *view, struct jaco_err *err)
{
	return cli_view(cli, view, report_prefixes, NULL, NULL, err);
}

/* The optional DEPLOYMENT[/SERVICE] argument @n. */
static int take_filter(struct cli *cli, size_t n, const char **out_deployment,
		       const char **out_service, struct jaco_err *err)
{
	*out_deployment = NULL;
	*out_service = NULL;
	return cli_arg(cli, n)
		       ? cli_split_ref(cli, cli_arg(cli, n), out_deployment, out_service, err)
		       : 0;
}

int get_deployments(struct cli *cli, struct jaco_err *err)
{
	struct jaco_view view;
	struct wire_deployment_row *rows;
	size_t n;

	if (open_view(cli, &view, err) < 0)
		return -(int)err->code;
	rows = report_deployments(&view, NULL, &cli->arena, &n);
	out_rows(cli, &wire_deployment_row_desc, rows, n, deployment_columns);
	jaco_view_close(&view);
	return 0;
}

int get_replicas(struct cli *cli, struct jaco_err *err)
{
	const char *deployment;
	const char *service;
	struct jaco_view view;
	struct wire_replica_row *rows;
	size_t n;
	int rc = 0;

	if (take_filter(cli, 0, &deployment, &service, err) < 0 || open_view(cli, &view, err) < 0)
		return -(int)err->code;
	rows = report_replicas(&view, deployment, service, &cli->arena, &n);
	/* what is being deleted has replicas a little longer than a record */
	if (deployment && n == 0)
		rc = report_find(&view, deployment, service, err);
	if (rc >= 0)
		out_rows(cli, &wire_replica_row_desc, rows, n, replica_columns);
	jaco_view_close(&view);
	return rc;
}

int get_routes(struct cli *cli, struct jaco_err *err)
{
	struct jaco_view view;
	struct wire_route_row *rows;
	size_t n;

	if (open_view(cli, &view, err) < 0)
		return -(int)err->code;
	rows = report_routes(&view, NULL, &cli->arena, &n);
	out_rows(cli, &wire_route_row_desc, rows, n, route_columns);
	jaco_view_close(&view);
	return 0;
}

int get_ports(struct cli *cli, struct jaco_err *err)
{
	struct jaco_view view;
	struct wire_port_row *rows;
	size_t n;

	if (open_view(cli, &view, err) < 0)
		return -(int)err->code;
	rows = report_ports(&view, NULL, &cli->arena, &n);
	out_rows(cli, &wire_port_row_desc, rows, n, port_columns);
	jaco_view_close(&view);
	return 0;
}

/* Every record below a prefix, as it is stored. */
static int print_records(struct cli *cli, const char *prefix, const struct out_column *columns,
			 struct jaco_err *err)
{
	struct wire_range req = {.prefix = prefix};
	const struct jaco_desc *desc = jaco_keyspace_find(prefix)->desc;
	struct wire_ranged got = {.more = true};
	size_t n = 0, cap = 0;
	char *rows = NULL;

	while (got.more) {
		if (cli_call(cli, &wire_raftd_kv_range, &req, &got, err) < 0)
			return -(int)err->code;
		rows = jaco_arena_grow(&cli->arena, rows, &cap, n + got.entries.n, desc->size);
		for (size_t i = 0; i < got.entries.n; i++) {
			const struct wire_entry *entry = &got.entries.v[i];

			if (jaco_unpack(desc, entry->value.data, entry->value.n, &cli->arena,
					rows + n++ * desc->size, err) < 0)
				return -(int)err->code;
			req.after = entry->key;
		}
	}
	out_rows(cli, desc, rows, n, columns);
	return 0;
}

int get_subnets(struct cli *cli, struct jaco_err *err)
{
	return print_records(cli, "/subnet/", subnet_columns, err);
}

int get_rollouts(struct cli *cli, struct jaco_err *err)
{
	return print_records(cli, "/rollout/", rollout_columns, err);
}

int get_certs(struct cli *cli, struct jaco_err *err)
{
	return print_records(cli, "/cert/", cert_columns, err);
}

/* Also as data it is history then, and whoever reads that should hear it. */
static int read_members(struct cli *cli, struct wire_cluster_info *out_info, struct jaco_err *err)
{
	struct wire_nothing req = {0};

	if (cli_call(cli, &wire_raftd_cluster_status, &req, out_info, err) < 0)
		return -(int)err->code;
	if (out_info->removed)
		fprintf(stderr, "Warning: %s; this is what the node knew last\n",
			out_printable(&cli->arena, out_info->removed));
	else if (out_info->initialised && !out_info->quorum)
		fprintf(stderr, "Warning: no majority is reached; states of other nodes are as "
				"last known\n");
	return 0;
}

int get_nodes(struct cli *cli, struct jaco_err *err)
{
	struct wire_cluster_info info;

	if (read_members(cli, &info, err) < 0)
		return -(int)err->code;
	out_rows(cli, &wire_member_desc, info.members.v, info.members.n, node_columns);
	return 0;
}

static void print_one(struct cli *cli, const struct jaco_desc *desc, const void *msg)
{
	json_t *json = jaco_json_from_msg(desc, msg);

	if (cli->format == CLI_TABLE)
		cli->format = CLI_YAML; /* one object reads best as YAML */
	out_json(cli, json, false);
	json_decref(json);
}

/* A record and, under "literal", the documents it was made from. */
int get_deployment(struct cli *cli, struct jaco_err *err)
{
	const char *name = cli_arg(cli, 0);
	struct wire_get req = {.key = jaco_arena_printf(&cli->arena, "/deployment/%s", name)};
	struct wire_got got;
	struct wire_deployment record;
	struct wire_revision revision;
	json_t *json;

	if (cli_call(cli, &wire_raftd_kv_get, &req, &got, err) < 0)
		return -(int)err->code;
	if (!got.entry)
		return jaco_err_set(err, JACO_DEPLOYMENT_NOT_FOUND, "no deployment %s", name);
	if (jaco_unpack(&wire_deployment_desc, got.entry->value.data, got.entry->value.n,
			&cli->arena, &record, err) < 0)
		return -(int)err->code;
	json = jaco_json_from_msg(&wire_deployment_desc, &record);
	req.key = jaco_arena_printf(&cli->arena, "/revision/%s/%llu", name,
				    (unsigned long long)record.revision);
	if (cli_call(cli, &wire_raftd_kv_get, &req, &got, err) >= 0 && got.entry &&
	    jaco_unpack(&wire_revision_desc, got.entry->value.data, got.entry->value.n, &cli->arena,
			&revision, err) >= 0)
		json_object_set_new(json, "literal",
				    jaco_json_from_msg(&wire_revision_desc, &revision));
	if (cli->format == CLI_TABLE)
		cli->format = CLI_YAML;
	out_json(cli, json, false);
	json_decref(json);
	return 0;
}

int get_replica(struct cli *cli, struct jaco_err *err)
{
	const char *id = cli_arg(cli, 0);
	struct jaco_view view;
	struct wire_replica_row *rows;
	size_t n_found = 0;
	size_t n;

	if (open_view(cli, &view, err) < 0)
		return -(int)err->code;
	rows = report_replicas(&view, NULL, NULL, &cli->arena, &n);
	for (size_t i = 0; i < n; i++) {
		if (!jaco_str_eq(rows[i].id, id))
			continue;
		if (n_found++ && cli->format == CLI_YAML)
			puts("---"); /* two while one replaces the other */
		print_one(cli, &wire_replica_row_desc, &rows[i]);
	}
	jaco_view_close(&view);
	return n_found ? 0 : jaco_err_set(err, JACO_REPLICA_NOT_FOUND, "no replica %s", id);
}

int get_route(struct cli *cli, struct jaco_err *err)
{
	const char *domain = cli_arg(cli, 0);
	struct jaco_view view;
	struct wire_route_row *rows;
	struct wire_route_row *mine;
	size_t n_mine = 0;
	size_t n;

	if (open_view(cli, &view, err) < 0)
		return -(int)err->code;
	rows = report_routes(&view, NULL, &cli->arena, &n);
	mine = jaco_arena_alloc_n(&cli->arena, n, sizeof(*mine));
	for (size_t i = 0; i < n; i++)
		if (jaco_str_eq_nocase(rows[i].domain, domain))
			mine[n_mine++] = rows[i];
	if (n_mine)
		out_rows(cli, &wire_route_row_desc, mine, n_mine, route_columns);
	jaco_view_close(&view);
	return n_mine ? 0 : jaco_err_set(err, JACO_ROUTE_NOT_FOUND, "no route for %s", domain);
}

int get_node(struct cli *cli, struct jaco_err *err)
{
	const char *host = cli_arg(cli, 0);
	struct wire_cluster_info info;

	if (read_members(cli, &info, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < info.members.n; i++) {
		if (jaco_str_eq(info.members.v[i].host, host)) {
			print_one(cli, &wire_member_desc, &info.members.v[i]);
			return 0;
		}
	}
	return jaco_err_set(err, JACO_NODE_NOT_FOUND, "no node %s", host);
}

/* --- status --- */

struct status_watch {
	struct cli *cli;
	const char *deployment;
	const char *service;
	struct wire_strs alarms; /* when it began */
};

static void add_section(struct jaco_buf *out, const struct cli *cli, const struct jaco_desc *desc,
			const void *rows, size_t n, const struct out_column *columns)
{
	if (n == 0)
		return;
	jaco_buf_add_char(out, '\n');
	out_table(out, cli, desc, rows, n, columns);
}

static void print_status(struct status_watch *watch, struct jaco_view *view, bool again)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;
	const struct cli *cli = watch->cli;
	struct wire_status_report report =
		report_status(view, watch->deployment, watch->service, watch->alarms, &arena);

	if (cli->format == CLI_JSON || cli->format == CLI_YAML) {
		json_t *json = jaco_json_from_msg(&wire_status_report_desc, &report);

		out_json(cli, json, again);
		json_decref(json);
		return;
	}
	if (again && cli->is_tty)
		jaco_buf_add_str(&out, "\033[H\033[J");
	for (size_t i = 0; i < report.alarms.n; i++)
		jaco_buf_printf(&out, "ALARM: %s\n", out_printable(&arena, report.alarms.v[i]));
	jaco_buf_printf(&out, "%s\n", report.summary);
	add_section(&out, cli, &wire_deployment_row_desc, report.deployments.v,
		    report.deployments.n, deployment_columns);
	add_section(&out, cli, &wire_replica_row_desc, report.replicas.v, report.replicas.n,
		    replica_columns);
	add_section(&out, cli, &wire_route_row_desc, report.routes.v, report.routes.n,
		    route_columns);
	add_section(&out, cli, &wire_port_row_desc, report.ports.v, report.ports.n, port_columns);
	if (again && !cli->is_tty)
		jaco_buf_add_str(&out, "\n");
	fwrite(out.data, 1, out.n, stdout);
	fflush(stdout);
}

static void on_status_change(struct jaco_view *view, void *ctx)
{
	print_status(ctx, view, true);
}

/* Those of cluster status, and that this node is no member: what it would tell is history. */
static int read_alarms(struct cli *cli, struct wire_strs *out_alarms, struct jaco_err *err)
{
	struct wire_nothing nothing = {.has = 0};
	struct wire_cluster_info info;

	if (cli_call(cli, &wire_raftd_cluster_status, &nothing, &info, err) < 0)
		return -(int)err->code;
	*out_alarms = info.alarms;
	if (!info.removed)
		return 0;
	out_alarms->v = jaco_arena_alloc_n(&cli->arena, 1, sizeof(*out_alarms->v));
	out_alarms->v[0] = info.removed;
	out_alarms->n = 1;
	return 0;
}

int get_status(struct cli *cli, struct jaco_err *err)
{
	struct status_watch watch = {.cli = cli};
	bool follow = cli_opt(cli, "watch") != NULL;
	struct jaco_view view;

	if (take_filter(cli, 0, &watch.deployment, &watch.service, err) < 0 ||
	    read_alarms(cli, &watch.alarms, err) < 0)
		return -(int)err->code;
	if (cli_view(cli, &view, report_prefixes, follow ? on_status_change : NULL, &watch, err) <
	    0)
		return -(int)err->code;
	if (watch.deployment && report_find(&view, watch.deployment, watch.service, err) < 0) {
		jaco_view_close(&view);
		return -(int)err->code;
	}
	print_status(&watch, &view, follow);
	while (follow && cli->client.is_up)
		jaco_loop_once(&cli->loop, 1000);
	jaco_view_close(&view);
	return 0;
}
