/* SPDX-License-Identifier: Apache-2.0
 *
 * drain.c - jaco node drain, jaco node remove: replicas go elsewhere first. */
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/wait.h"
#include "libjaco/base/str.h"

static int take_limit(struct cli *cli, struct wire_node_ref *req, struct jaco_err *err)
{
	const char *text = cli_opt(cli, "drain-timeout");
	int64_t ms = 0;

	if (text && (!jaco_duration_parse(text, &ms) || ms <= 0))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "--drain-timeout %s: a duration like 5m", text);
	req->drain_limit_ms = (uint64_t)ms;
	return 0;
}

static int drain(struct cli *cli, const struct wire_node_ref *req, struct jaco_err *err)
{
	struct wire_changed got;

	if (cli_call(cli, &wire_raftd_node_drain, req, &got, err) < 0)
		return -(int)err->code;
	return wait_drained(cli, req->host, err);
}

int node_drain(struct cli *cli, struct jaco_err *err)
{
	struct wire_node_ref req = {.host = cli_arg(cli, 0),
				    .force = cli_opt(cli, "force") != NULL};
	struct wire_changed got;

	if (take_limit(cli, &req, err) < 0)
		return -(int)err->code;
	if (!cli_opt(cli, "no-wait"))
		return drain(cli, &req, err);
	if (cli_call_print(cli, &wire_raftd_node_drain, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s is draining; jaco get nodes shows how many replicas are left", req.host);
	return 0;
}

/* A member that is up and hosts something is drained first. */
static int must_drain(struct cli *cli, const char *host, bool *out_must, struct jaco_err *err)
{
	struct wire_nothing nothing = {.has = 0};
	struct wire_cluster_info info;

	*out_must = false;
	if (cli_call(cli, &wire_raftd_cluster_status, &nothing, &info, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < info.members.n; i++)
		if (jaco_str_eq(info.members.v[i].host, host))
			*out_must = info.members.n > 1 && info.members.v[i].replicas > 0 &&
				    info.members.v[i].state != JACO_NODE_UNREACHABLE;
	return 0;
}

int node_remove(struct cli *cli, struct jaco_err *err)
{
	struct wire_node_ref req = {.host = cli_arg(cli, 0),
				    .force = cli_opt(cli, "force") != NULL};
	struct wire_changed got;
	bool must;

	if (take_limit(cli, &req, err) < 0 || must_drain(cli, req.host, &must, err) < 0)
		return -(int)err->code;
	if (must && drain(cli, &req, err) < 0) {
		if (!req.force)
			return -(int)err->code;
		out_say(cli, "not all could be moved: %s", err->text);
		*err = JACO_ERR_INIT;
	}
	if (cli_call_print(cli, &wire_raftd_node_remove, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s is no member any more; its containers stop when it learns of it",
		req.host);
	return 0;
}
