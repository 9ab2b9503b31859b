/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.c - jaco cluster ...: the cluster as a whole. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "libjaco/base/str.h"
#include "libjaco/io/proc.h"

#define PREFLIGHT_MS 20000

static const struct out_column member_columns[] = {
	{"NODE", "host"}, {"STATE", "state"},    {"VOTER", "voter"},     {"LEADER", "leader"},
	{"LAG", "lag"},   {"SKEW", "skew_ms"},   {"VERSION", "version"}, {"ENGINE", "engine"},
	{"MESH", "mesh"}, {"REASON", "message"}, {NULL, NULL},
};

/* Best effort, as cluster.md 2 says: a machine without systemd has nothing to enable. */
void cluster_enable_at_boot(struct cli *cli)
{
	static const char *const argv[] = {"systemctl", "--quiet", "enable", "jaco.target", NULL};
	pid_t pid;

	if (cli_opt(cli, "no-systemd-enable") || access("/run/systemd/system", F_OK) != 0)
		return;
	pid = fork();
	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
}

/* Asked on its own socket: raftd relays nothing before the node belongs to a cluster.  An ipamd
 * that does not answer refuses nothing: it compares every five seconds once it runs, and its status
 * then says what overlaps. */
int cluster_preflight(struct cli *cli, struct jaco_err *err)
{
	struct jaco_err unheard = JACO_ERR_INIT;
	struct wire_preflight got = {.ok = true};
	struct jaco_client ipamd;
	char path[108];
	int rc;

	if (cli_connect(cli, err) < 0)
		return -(int)err->code;
	if (cli->is_remote)
		return 0;
	cli_daemon_socket(cli, "ipamd", path);
	jaco_client_open(&ipamd, &cli->loop, path, NULL, NULL);
	rc = !ipamd.is_up
		     ? -1
		     : jaco_client_sync(&ipamd, &wire_ipamd_preflight, &(struct wire_nothing){0},
					PREFLIGHT_MS, &cli->arena, &got, &unheard);
	jaco_client_close(&ipamd);
	if (rc < 0 || got.ok)
		return 0;
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s",
			    got.message ? got.message
					: "ipam_pool overlaps a network of this host");
}

int cluster_init(struct cli *cli, struct jaco_err *err)
{
	struct wire_cluster_init req = {.name = cli_opt(cli, "name")};
	struct wire_cluster_inited got;

	if (cluster_preflight(cli, err) < 0)
		return -(int)err->code;
	if (cli_call(cli, &wire_raftd_cluster_init, &req, &got, err) < 0)
		return -(int)err->code;
	cluster_enable_at_boot(cli);
	if (out_msg(cli, &wire_cluster_inited_desc, &got))
		return 0;
	if (cli->format == CLI_NAME) {
		puts(got.cluster_id);
		return 0;
	}
	printf("cluster %s (%s) initialised on %s\n", got.name, got.cluster_id, got.host);
	printf("operator token (identity %s), shown this once:\n%s\n", got.identity, got.token);
	return 0;
}

int cluster_leader_transfer(struct cli *cli, struct jaco_err *err)
{
	struct wire_leader_transfer req = {.to = cli_arg(cli, 0)};
	struct wire_leadership got;

	if (cli_call_print(cli, &wire_raftd_cluster_leader_transfer, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s leads now, term %llu", got.leader ? got.leader : "another node",
		(unsigned long long)got.term);
	return 0;
}

static const struct out_column recover_columns[] = {
	{"NODE", "host"},	    {"VOTER", "voter"},	      {"ANSWERS", "reachable"},
	{"LAST INDEX", "last_index"}, {"LAST TERM", "last_term"}, {"REVISION", "applied"},
	{"STATE HASH", "state_hash"}, {"REPLICAS", "replicas"}, {NULL, NULL},
};

int cluster_recover(struct cli *cli, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf table = JACO_BUF_INIT;
	struct wire_cluster_recover req = {.confirm = false};
	struct wire_cluster_recovery got;
	const char *question;
	int rc;

	if (cli_call(cli, &wire_raftd_cluster_recover, &req, &got, err) < 0)
		return -(int)err->code;
	if (cli->format == CLI_TABLE) {
		out_table(&table, cli, &wire_recover_member_desc, got.members.v, got.members.n,
			  recover_columns);
		fputs(jaco_buf_str(&table), stdout);
		putchar('\n');
		for (size_t i = 0; i < got.losses.n; i++)
			out_say(cli, "%s", got.losses.v[i]);
	}
	question = jaco_arena_printf(&cli->arena, "go on with %s alone, for good?", got.host);
	rc = cli_confirm(cli, question, "yes", err);
	if (rc <= 0)
		return rc < 0 ? rc : 1;
	req.confirm = true;
	if (cli_call_print(cli, &wire_raftd_cluster_recover, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s is the only member now, cluster epoch %llu; the others: jaco node join",
		got.host, (unsigned long long)got.cluster_epoch);
	return 0;
}

int cluster_status(struct cli *cli, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf table = JACO_BUF_INIT;
	struct wire_nothing req = {0};
	struct wire_cluster_info info;

	if (cli_call(cli, &wire_raftd_cluster_status, &req, &info, err) < 0)
		return -(int)err->code;
	if (out_msg(cli, &wire_cluster_info_desc, &info))
		return 0;
	if (!info.initialised) {
		printf("not initialised: %s runs jaco %s and belongs to no cluster\n", info.host,
		       info.version);
		puts(info.removed ? out_printable(&cli->arena, info.removed)
				  : "jaco cluster init makes it the first node");
		return 0;
	}
	if (info.removed)
		printf("NO MEMBER ANY MORE: %s\nwhat follows is what this node knew last\n\n",
		       out_printable(&cli->arena, info.removed));
	for (size_t i = 0; i < info.alarms.n; i++)
		printf("ALARM: %s\n", out_printable(&cli->arena, info.alarms.v[i]));
	printf("cluster %s (%s), epoch %llu\n", info.name, info.cluster_id,
	       (unsigned long long)info.cluster_epoch);
	printf("leader %s, term %llu, revision %llu, %s\n%s\n",
	       info.leader ? info.leader : "unknown", (unsigned long long)info.term,
	       (unsigned long long)info.revision, info.quorum ? "quorum" : "QUORUM LOST",
	       info.quorum ? "" : "states of other nodes are as last known\n");
	out_table(&table, cli, &wire_member_desc, info.members.v, info.members.n, member_columns);
	fputs(jaco_buf_str(&table), stdout);
	return 0;
}
