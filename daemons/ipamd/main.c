/* SPDX-License-Identifier: Apache-2.0 */
/* jaco-ipamd - the subnets of this host and the address of every container.
 *
 *   asks     raftd: subnets, scopes, deployments, replicas, members (watch); claims (txn that
 *            compares "absent")
 *   answers  runtimed, cli on /run/jaco/ipamd/ipamd.sock
 *   touches  nothing; reads the host's routes (rtnetlink)   needs no capability
 *   keeps    its leases in LMDB: an address survives every restart
 *   decides  in pool.c and lease.c                          start reading there
 */
#include "daemons/ipamd/ipamd.h"

static const char *const ipamd_topics[] = {"/subnet/",	"/scope/", "/deployment/",
					   "/replica/", "/node/",  NULL};

static const struct jaco_daemon_spec ipamd_spec = {
	.name = "ipamd",
	.summary = "subnets and container addresses of this host",
	.role = ROLE_IPAMD,
	.methods = ipamd_methods,
	.topics = ipamd_topics,
	.debounce_ms = 2,
	.caps = JACO_CAP_NONE,
	.sandbox = JACO_SANDBOX_PLAIN,
	.metrics = ipamd_metrics,
	.facts = ipamd_facts,
};

int main(int argc, char **argv)
{
	jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(ipamd_spec);
	jaco_auto(ipamd) struct ipamd ipamd = IPAMD_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0 ||
	    ipamd_open(&ipamd, &daemon, &err) < 0 ||
	    jaco_daemon_subscribe(&daemon, ipamd_on_view, &ipamd, &err) < 0 ||
	    jaco_daemon_serve(&daemon, &ipamd, &err) < 0 ||
	    jaco_daemon_confine(&daemon, &err) < 0 ||
	    jaco_daemon_ready(&daemon, &err) < 0 ||
	    jaco_loop_run(&daemon.loop, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	return jaco_daemon_exit(&daemon, NULL);
}
