/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco-raftd - what the cluster has agreed on, what each node sees, and who may ask for what.
 *
 *   asks     nobody; relays calls of the control socket to the daemon that has the method
 *   answers  every daemon on <run>/raftd/<daemon>.sock, people on <run>/jaco.sock
 *            other members on cluster_addr over mutual TLS (link/)
 *   touches  its own disk, TCP 7001                needs no capability
 *   keeps    the raft log (disk/wal.c) and the state in LMDB (disk/state.c): acknowledged = durable
 *   decides  in core/ (consensus), kv/machine.c (transactions), api/deploy.c (admission)
 */
#include "daemons/raftd/raftd.h"
#include "daemons/raftd/restore.h"

static const struct jaco_option raftd_options[] = {
	{"restore", "FILE", "no service: make a backup the state of this node (jaco restore)"},
	{"verify", "FILE", "no service: prove a backup by loading it (jaco backup verify)"},
	{"passphrase-file", "FILE", "that the backup was sealed with"},
	{"name", "HOST", "with --restore: what this node is called"},
	{"data-dir", "DIR", "with --restore: instead of data_dir"},
	{NULL, NULL, NULL}};

static const struct jaco_daemon_spec raftd_spec = {
	.name = "raftd",
	.summary = "Consensus, the cluster's state, and the sockets everybody asks.",
	.role = ROLE_RAFTD,
	.methods = raftd_methods,
	.options = raftd_options,
	.caps = JACO_CAP_NONE,
	.sandbox = JACO_SANDBOX_PLAIN,
	.metrics = raftd_metrics,
	.facts = raftd_facts,
};

int main(int argc, char **argv)
{
	jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(raftd_spec);
	jaco_auto(raftd) struct raftd raftd = RAFTD_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	int status;

	if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	if (restore_was_asked(&daemon, &status))
		return status;
	if (raftd_open(&raftd, &daemon, &err) < 0 ||
	    jaco_daemon_serve(&daemon, &raftd, &err) < 0 || raftd_listen(&raftd, &err) < 0 ||
	    jaco_daemon_confine(&daemon, &err) < 0 || jaco_daemon_ready(&daemon, &err) < 0 ||
	    jaco_loop_run(&daemon.loop, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	return jaco_daemon_exit(&daemon, NULL);
}
