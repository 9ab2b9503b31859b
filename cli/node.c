/* SPDX-License-Identifier: Apache-2.0
 *
 * node.c - jaco node ...: members. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"

#define CA_BYTES_MAX 8191

static int change(struct cli *cli, const struct jaco_method *method, const char *what,
		  struct jaco_err *err)
{
	struct wire_node_ref req = {.host = cli_arg(cli, 0),
				    .force = cli_opt(cli, "force") != NULL};
	struct wire_changed got;

	if (cli_call_print(cli, method, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s %s", req.host, what);
	return 0;
}

int node_cordon(struct cli *cli, struct jaco_err *err)
{
	return change(cli, &wire_raftd_node_cordon, "cordoned: it gets nothing new", err);
}

int node_uncordon(struct cli *cli, struct jaco_err *err)
{
	return change(cli, &wire_raftd_node_uncordon, "uncordoned", err);
}

int node_rotate_key(struct cli *cli, struct jaco_err *err)
{
	return change(cli, &wire_raftd_node_rotate_key, "makes itself another mesh key", err);
}

int node_issue_join_token(struct cli *cli, struct jaco_err *err)
{
	const char *ttl = cli_opt(cli, "ttl");
	struct wire_join_token_issue req = {.ttl_ms = 0};
	struct wire_join_token_issued got;
	int64_t ms = 0;

	if (ttl && (!jaco_duration_parse(ttl, &ms) || ms <= 0))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--ttl %s: a duration like 24h",
				    ttl);
	req.ttl_ms = (uint64_t)ms;
	if (cli_call(cli, &wire_raftd_node_issue_join_token, &req, &got, err) < 0)
		return -(int)err->code;
	if (out_msg(cli, &wire_join_token_issued_desc, &got))
		return 0;
	if (cli->format == CLI_NAME)
		puts(got.token);
	else
		printf("on the new machine, once:\nsudo jaco node join %s\n", got.token);
	return 0;
}

int node_join(struct cli *cli, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf ca = JACO_BUF_INIT;
	struct wire_node_join req = {.token = cli_arg(cli, 0),
				     .peer = cli_opt(cli, "peer"),
				     .secret = cli_opt(cli, "token")};
	struct wire_node_joined got;

	if (cli_opt(cli, "ca-cert")) {
		if (jaco_fs_read(cli_opt(cli, "ca-cert"), CA_BYTES_MAX, &ca, err) < 0)
			return -(int)err->code;
		req.ca_cert = jaco_buf_str(&ca);
	}
	if (cluster_preflight(cli, err) < 0)
		return -(int)err->code;
	if (cli_call(cli, &wire_raftd_node_join, &req, &got, err) < 0)
		return -(int)err->code;
	cluster_enable_at_boot(cli);
	if (out_msg(cli, &wire_node_joined_desc, &got))
		return 0;
	out_say(cli, "%s is a member of cluster %s (%s)", got.host, got.name, got.cluster_id);
	return 0;
}

/* k=v sets, k- removes. */
int node_label(struct cli *cli, struct jaco_err *err)
{
	struct wire_node_label req = {.host = cli_arg(cli, 0)};
	struct wire_changed got;

	req.set.v = jaco_arena_alloc_n(&cli->arena, cli->n_args, sizeof(*req.set.v));
	req.remove.v = jaco_arena_alloc_n(&cli->arena, cli->n_args, sizeof(*req.remove.v));
	for (size_t i = 1; i < cli->n_args; i++) {
		const char *word = cli->args[i];
		const char *equals = strchr(word, '=');
		size_t n = strlen(word);

		if (equals && equals != word) {
			req.set.v[req.set.n].key =
				jaco_arena_strndup(&cli->arena, word, (size_t)(equals - word));
			req.set.v[req.set.n++].value = equals + 1;
		} else if (!equals && n > 1 && word[n - 1] == '-') {
			req.remove.v[req.remove.n++] = jaco_arena_strndup(&cli->arena, word, n - 1);
		} else {
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "\"%s\" is neither k=v nor k-", word);
		}
	}
	if (cli_call_print(cli, &wire_raftd_node_label, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s labelled", req.host);
	return 0;
}
