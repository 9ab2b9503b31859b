/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco - the command line.
 *
 *   asks     raftd on the control socket; daemons' own sockets for `jaco daemons`
 *   reads    manifests and env files of the person who runs it
 *   decides  nothing: it prints what the cluster says and exits with the code of cluster.md 4
 *
 * The table below is the whole surface; one file per noun holds the commands. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/out.h"

/* An option or a command is a row. */
/* clang-format off */
const struct cli_option cli_global_options[] = {
	{"output", 'o', "FORMAT", "table, json, yaml or name"},
	{"quiet", 'q', NULL, "say less"},
	{"socket", 0, "PATH", "control socket (JACO_SOCKET; default /run/jaco/jaco.sock)"},
	{"root", 0, "DIR", "of `jaco supervise --root DIR` (JACO_ROOT)"},
	{"server", 0, "HOST:PORT", "a cluster far away, repeatable"},
	{"context", 0, "NAME", "a cluster far away by name (JACO_CONTEXT)"},
	{"token", 0, "TOKEN", "who we are there (JACO_TOKEN)"},
	{"token-file", 0, "FILE", "the same, from a file"},
	{"ca-cert", 0, "FILE", "CA of that cluster, PEM (JACO_CA_CERT)"},
	{"help", 'h', NULL, "this text"},
	{"version", 0, NULL, "print the version"},
	{NULL, 0, NULL, NULL},
};

#define MANIFEST_OPTIONS                                                                           \
	{"jaco", 0, "FILE", "the overlay, instead of the argument"},                               \
	{"compose", 'f', "FILE", "compose file, repeatable, - for standard input"},                \
	{"env-file", 0, "FILE", "more variables, repeatable"},                                     \
	{"set", 0, "K=V", "one variable, repeatable"},                                             \
	{"host-env", 0, NULL, "the caller's environment too"},                                     \
	{"profile", 0, "NAME", "enable a profile, repeatable"},                                    \
	{"strict", 0, NULL, "warnings are errors"}

#define WAIT_OPTIONS                                                                               \
	{"wait", 0, NULL, "until all replicas run (default on a terminal)"},                       \
	{"no-wait", 0, NULL, "return at once"},                                                    \
	{"timeout", 0, "DURATION", "of the wait (default 5m)"}

static const struct cli_option init_options[] = {
	{"name", 0, "NAME", "of the cluster (default: the host name)"},
	{"no-systemd-enable", 0, NULL, "do not enable jaco.target at boot"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option validate_options[] = {MANIFEST_OPTIONS, {NULL, 0, NULL, NULL}};
static const struct cli_option diff_options[] = {
	MANIFEST_OPTIONS, {"exit-code", 0, NULL, "exit 10 when something would change"}, {NULL, 0, NULL, NULL}};
static const struct cli_option apply_options[] = {
	MANIFEST_OPTIONS,
	WAIT_OPTIONS,
	{"dry-run", 0, NULL, "only say what would change"},
	{"exit-code", 0, NULL, "with --dry-run: exit 10 when something would change"},
	{"plan", 0, "HASH", "refuse unless the plan still has this hash"},
	{"message", 'm', "TEXT", "why, kept with the revision"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option scale_options[] = {
	WAIT_OPTIONS, {"reset", 0, NULL, "back to what the manifest says"}, {NULL, 0, NULL, NULL}};
static const struct cli_option rollback_options[] = {
	WAIT_OPTIONS, {"to", 0, "REVISION", "default: the previous one"}, {NULL, 0, NULL, NULL}};
static const struct cli_option delete_options[] = {
	{"volumes", 0, NULL, "the data in its volumes too"},
	{"yes", 'y', NULL, "do not ask"},
	{"wait", 0, NULL, "until nothing of it is left"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option recover_options[] = {
	{"yes", 'y', NULL, "do not ask"}, {NULL, 0, NULL, NULL}};
static const struct cli_option watch_options[] = {
	{"watch", 'w', NULL, "go on showing changes"}, {NULL, 0, NULL, NULL}};
static const struct cli_option logs_options[] = {
	{"follow", 'f', NULL, "go on"},
	{"since", 0, "DURATION", "not older"},
	{"tail", 'n', "LINES", "last lines of each replica"},
	{"timestamps", 't', NULL, "with the engine's time"},
	{"grep", 0, "RE", "only lines that match"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option remove_options[] = {
	{"force", 0, NULL, "although something is lost"},
	{"drain-timeout", 0, "DURATION", "per replica (default 5m)"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option drain_options[] = {
	{"force", 0, NULL, "what cannot move stays"},
	{"drain-timeout", 0, "DURATION", "per replica (default 5m)"},
	{"no-wait", 0, NULL, "return at once"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option join_token_options[] = {
	{"ttl", 0, "DURATION", "how long it may be used (default 24h)"}, {NULL, 0, NULL, NULL}};
static const struct cli_option join_options[] = {
	{"peer", 0, "HOST:PORT", "without TOKEN: a member's cluster_addr"},
	{"token", 0, "HEX", "without TOKEN: its secret"},
	{"ca-cert", 0, "FILE", "without TOKEN: the cluster's CA certificate"},
	{"no-systemd-enable", 0, NULL, "do not enable jaco.target at boot"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option token_options[] = {
	{"name", 0, "ID", "identity, unique"},
	{"allow-privileged", 0, NULL, "may deploy gated services"},
	{"read-only", 0, NULL, "may only read"},
	{"deployment", 0, "NAME", "only this one, repeatable"},
	{"ttl", 0, "DURATION", "default: for ever"},
	{"context", 0, NULL, "print the line that jaco context import takes"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option context_options[] = {
	{"force", 0, NULL, "replace the one of that name"}, {NULL, 0, NULL, NULL}};
static const struct cli_option import_options[] = {
	{"name", 0, "NAME", "call it so here"},
	{"force", 0, NULL, "replace the one of that name"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option login_options[] = {
	{"username", 'u', "NAME", "user"},
	{"password-stdin", 0, NULL, "read the password from standard input"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option audit_options[] = {
	{"since", 0, "DURATION", "not older"},
	{"type", 0, "A,B", "only these types"},
	{"identity", 0, "ID", "only by this one"},
	{"follow", 'f', NULL, "go on"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option events_options[] = {
	{"follow", 'f', NULL, "it always does"}, {NULL, 0, NULL, NULL}};
static const struct cli_option backup_options[] = {
	{"output", 0, "FILE", "where to"},
	{"passphrase-file", 0, "FILE", "seal it with what this file says"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option verify_options[] = {
	{"passphrase-file", 0, "FILE", "it was sealed with"},
	{"libexec", 0, "DIR", "where the daemons are"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option restore_options[] = {
	{"input", 0, "FILE", "the backup"},
	{"name", 0, "HOST", "what this node is called"},
	{"data-dir", 0, "DIR", "instead of data_dir"},
	{"passphrase-file", 0, "FILE", "it was sealed with"},
	{"config", 0, "FILE", "configuration of the node"},
	{"libexec", 0, "DIR", "where the daemons are"},
	{NULL, 0, NULL, NULL}};
static const struct cli_option rpc_options[] = {
	{"daemon", 0, "NAME", "ask this daemon's own socket"}, {NULL, 0, NULL, NULL}};
static const struct cli_option doctor_options[] = {
	{"config", 0, "FILE", "configuration to check against"}, {NULL, 0, NULL, NULL}};
static const struct cli_option supervise_options[] = {
	{"config", 0, "FILE", "configuration (default DIR/jacod.yaml)"},
	{"libexec", 0, "DIR", "where the daemons are"},
	{"log-level", 0, "LEVEL", "of the daemons"},
	{"foreground-logs", 0, NULL, "daemons' logs to standard error, not DIR/log"},
	{NULL, 0, NULL, NULL}};

const struct cli_command cli_commands[] = {
	{"apply", "[JACO.YAML]", 0, 1, "make a deployment what its files say", "apply jaco.yaml --wait",
	 apply_options, deploy_apply},
	{"diff", "[JACO.YAML]", 0, 1, "what an apply would change", "diff jaco.yaml --exit-code", diff_options,
	 deploy_diff},
	{"validate", "[JACO.YAML]", 0, 1, "check files without a cluster", "validate jaco.yaml", validate_options,
	 deploy_validate},
	{"config", "[JACO.YAML]", 0, 1, "the resolved compose document", "config jaco.yaml", validate_options,
	 deploy_config},
	{"status", "[DEPLOYMENT[/SERVICE]]", 0, 1, "deployments, replicas, routes, ports", "status -w",
	 watch_options, get_status},
	{"logs", "DEPLOYMENT[/SERVICE]|REPLICA", 1, 1, "output of replicas", "logs shop/web -f --tail 100",
	 logs_options, logs_stream},
	{"scale", "DEPLOYMENT/SERVICE [N]", 1, 2, "override the number of replicas", "scale shop/web 5",
	 scale_options, deploy_scale},
	{"restart", "DEPLOYMENT[/SERVICE]", 1, 1, "replace containers, one after the other", "restart shop/web",
	 NULL, deploy_restart},
	{"rollback", "DEPLOYMENT", 1, 1, "a new revision with old content", "rollback shop --to 3",
	 rollback_options, deploy_rollback},
	{"history", "DEPLOYMENT", 1, 1, "its revisions", "history shop", NULL, deploy_history},
	{"delete", "DEPLOYMENT", 1, 1, "remove a deployment", "delete shop --yes", delete_options,
	 deploy_delete},
	{"get deployments", "", 0, 0, "one line each", "get deployments -o json", NULL, get_deployments},
	{"get deployment", "NAME", 1, 1, "record and literal files", "get deployment shop -o yaml", NULL,
	 get_deployment},
	{"get replicas", "[DEPLOYMENT[/SERVICE]]", 0, 1, "one line each", "get replicas shop/web", NULL,
	 get_replicas},
	{"get replica", "ID", 1, 1, "all that is known of one", "get replica shop-web-0", NULL, get_replica},
	{"get routes", "", 0, 0, "HTTP routes", "get routes", NULL, get_routes},
	{"get route", "DOMAIN", 1, 1, "routes of a domain", "get route shop.example.com", NULL, get_route},
	{"get ports", "", 0, 0, "published ports", "get ports", NULL, get_ports},
	{"get nodes", "", 0, 0, "members", "get nodes", NULL, get_nodes},
	{"get node", "HOST", 1, 1, "one member", "get node n1", NULL, get_node},
	{"get subnets", "", 0, 0, "subnets of networks on hosts", "get subnets", NULL, get_subnets},
	{"get certs", "", 0, 0, "ingress certificates", "get certs", NULL, get_certs},
	{"get rollouts", "", 0, 0, "rollouts", "get rollouts", NULL, get_rollouts},
	{"cluster init", "", 0, 0, "make this node the first member", "cluster init --name prod", init_options,
	 cluster_init, true},
	{"cluster status", "", 0, 0, "leader, members, their state", "cluster status", NULL, cluster_status},
	{"cluster leader transfer", "[HOST]", 0, 1, "let another voter lead", "cluster leader transfer n2", NULL,
	 cluster_leader_transfer},
	{"cluster recover", "", 0, 0, "go on with this node alone, the majority being lost", "cluster recover",
	 recover_options, cluster_recover},
	{"node issue-join-token", "", 0, 0, "a permission to join, shown once", "node issue-join-token --ttl 1h",
	 join_token_options, node_issue_join_token},
	{"node join", "[TOKEN]", 0, 1, "make this machine a member", "node join jaco1.Zm9v", join_options, node_join,
	 true},
	{"node remove", "HOST", 1, 1, "drain and forget a member", "node remove n3", remove_options, node_remove},
	{"node list", "", 0, 0, "members", "node list", NULL, get_nodes},
	{"node cordon", "HOST", 1, 1, "nothing new goes there", "node cordon n2", NULL, node_cordon},
	{"node uncordon", "HOST", 1, 1, "take part again", "node uncordon n2", NULL, node_uncordon},
	{"node drain", "HOST", 1, 1, "move its replicas away, leave it cordoned", "node drain n2", drain_options, node_drain},
	{"node rotate-key", "HOST", 1, 1, "another WireGuard key for a node", "node rotate-key n2", NULL,
	 node_rotate_key},
	{"node label", "HOST K=V|K- ...", 2, 32, "labels for constraints", "node label n1 disk=ssd", NULL,
	 node_label},
	{"mesh", "", 0, 0, "paths between the nodes, each direction", "mesh", NULL, net_mesh},
	{"net", "", 0, 0, "scopes: which subnets reach each other", "net", NULL, net_scopes},
	{"net can", "FROM TO[:PORT]", 2, 2, "may a packet pass, by the kernel's rules",
	 "net can shop/web shop/api:8080", NULL, net_can},
	{"net exposure", "", 0, 0, "what is open to the outside, on every node", "net exposure", NULL,
	 net_exposure},
	{"token issue", "", 0, 0, "an operator token, shown once", "token issue --name ci --deployment shop",
	 token_options, token_issue},
	{"token revoke", "ID", 1, 1, "end a token", "token revoke ci", NULL, token_revoke},
	{"token list", "", 0, 0, "operator tokens", "token list", NULL, token_list},
	{"context add", "NAME", 1, 1, "know a cluster far away",
	 "context add prod --server 10.0.0.1:7000 --ca-cert ca.crt --token-file t", context_options, context_add,
	 true},
	{"context import", "[LINE]", 0, 1, "the same, from token issue --context", "context import jacoctx1.Zm9v",
	 import_options, context_import, true},
	{"context use", "NAME|local", 1, 1, "mean it from now on", "context use prod", NULL, context_use, true},
	{"context list", "", 0, 0, "clusters known here", "context list", NULL, context_list, true},
	{"context remove", "NAME", 1, 1, "forget one", "context remove prod", NULL, context_remove, true},
	{"registry login", "REGISTRY", 1, 1, "store a credential", "registry login ghcr.io -u me --password-stdin",
	 login_options, registry_login},
	{"registry logout", "REGISTRY", 1, 1, "forget a credential", "registry logout ghcr.io", NULL,
	 registry_logout},
	{"registry list", "", 0, 0, "stored credentials", "registry list", NULL, registry_list},
	{"audit", "", 0, 0, "who did what", "audit --since 1h --type apply,delete", audit_options, audit_list},
	{"events", "", 0, 0, "every change of state, as it happens", "events -o json", events_options,
	 events_follow},
	{"backup", "", 0, 0, "the whole state in one file", "backup --output jaco.bak --passphrase-file p",
	 backup_options, backup_take},
	{"backup verify", "FILE", 1, 1, "prove a backup by loading it", "backup verify jaco.bak", verify_options,
	 backup_verify, true},
	{"restore", "", 0, 0, "begin again from a backup, on an empty node", "restore --input jaco.bak --name n1",
	 restore_options, backup_restore, true},
	{"rpc", "METHOD [JSON]", 1, 2, "call any method", "rpc kv.get '{\"key\":\"/cluster/meta\"}'", rpc_options,
	 debug_rpc},
	{"daemons", "", 0, 0, "the eight daemons of this node", "daemons", NULL, debug_daemons},
	{"doctor", "", 0, 0, "would JACO work on this machine?", "doctor", doctor_options, doctor_run, true},
	{"supervise", "", 0, 0, "run all daemons in the foreground", "supervise --root /tmp/jaco",
	 supervise_options, supervise_run, true},
	{"completion", "bash|zsh|fish", 1, 1, "completion script", "completion bash", NULL, completion_print},
	{"complete", "[WORD...]", 0, CLI_ARGS_MAX, "words that may follow, for completion", "complete -- get", NULL,
	 completion_words},
	{"describe", "[wire|config]", 0, 1, "messages in mdoc, or jacod.yaml with its defaults",
	 "describe config", NULL, debug_describe},
	{"version", "", 0, 0, "print the version", "version -o json", NULL, version_print},
	{NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, false},
};
/* clang-format on */

int main(int argc, char **argv)
{
	struct cli cli = {.arena = JACO_ARENA_INIT};
	struct jaco_err err = JACO_ERR_INIT;
	int rc = cli_parse(&cli, argc, argv, &err);

	if (rc >= 0 && cli_opt(&cli, "version")) {
		puts(JACO_VERSION);
	} else if (rc >= 0 && (!cli.command || cli_opt(&cli, "help"))) {
		cli_print_help(&cli);
		rc = cli.command || cli_opt(&cli, "help") ? 0 : 64; /* EX_USAGE, sysexits(3) */
	} else if (rc >= 0) {
		rc = cli.command->run(&cli, &err);
	}
	if (rc < 0) {
		out_error(&cli, &err);
		rc = jaco_code_exit(err.code);
	}
	/* A full disk must not look like success to the script that redirected us. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && rc == 0) {
		jaco_err_errno(&err, "write to standard output");
		fprintf(stderr, "Error: %s: %s\n", jaco_code_name(err.code), err.text);
		rc = jaco_code_exit(err.code);
	}
	cli_fini(&cli);
	return rc;
}
