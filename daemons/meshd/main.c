/* SPDX-License-Identifier: Apache-2.0 */
/* jaco-meshd - the WireGuard mesh between the nodes.
 *
 *   asks     raftd: members and subnets (watch); its own fields of /node/<host> (txn)
 *   answers  cli on /run/jaco/meshd/meshd.sock; probes of other nodes through the tunnel, UDP 7004
 *   touches  one WireGuard device, its address, MTU and routes      needs CAP_NET_ADMIN
 *   keeps    the node's private key, 0600
 *   decides  in plan.c and endpoint.c                               start reading there
 */
#include "daemons/meshd/meshd.h"

static const char *const meshd_topics[] = {"/node/", "/subnet/", NULL};

static const struct jaco_option meshd_options[] = {
	{"down", NULL, "take the mesh interface away and end; otherwise it outlives the daemon"},
	{NULL, NULL, NULL},
};

static const struct jaco_daemon_spec meshd_spec = {
	.name = "meshd",
	.summary = "the WireGuard mesh between the nodes",
	.role = ROLE_MESHD,
	.methods = meshd_methods,
	.topics = meshd_topics,
	.debounce_ms = 20,
	.caps = JACO_CAP_NET_ADMIN,
	.sandbox = JACO_SANDBOX_EXEC,
	.options = meshd_options,
	.metrics = meshd_metrics,
	.facts = meshd_facts,
};

int main(int argc, char **argv)
{
	jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(meshd_spec);
	jaco_auto(meshd) struct meshd meshd = MESHD_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0 ||
	    meshd_open(&meshd, &daemon, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	if (meshd_down(&meshd))
		return jaco_daemon_exit(&daemon, NULL);
	if (jaco_daemon_subscribe(&daemon, meshd_on_view, &meshd, &err) < 0 ||
	    jaco_daemon_serve(&daemon, &meshd, &err) < 0 ||
	    jaco_daemon_confine(&daemon, &err) < 0 ||
	    jaco_daemon_ready(&daemon, &err) < 0 ||
	    jaco_loop_run(&daemon.loop, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	return jaco_daemon_exit(&daemon, NULL);
}
