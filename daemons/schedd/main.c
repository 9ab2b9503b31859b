/* SPDX-License-Identifier: Apache-2.0 */
/* jaco-schedd - which replica belongs on which node, and how it gets replaced.
 *
 *   asks     raftd: deployments, members, replicas, the observed plane (watch); who leads; writes
 *            its plan as one txn that compares what it was made from; rollbacks
 *   answers  cli on /run/jaco/schedd/schedd.sock
 *   touches  nothing but raftd                               needs no capability
 *   keeps    nothing: where a replica stands is in its record
 *   decides  in plan.c, placement.c and rollout.c            start reading there
 */
#include "daemons/schedd/fill.h"
#include "daemons/schedd/schedd.h"

static const struct jaco_daemon_spec schedd_spec = {
	.name = "schedd",
	.summary = "placement, rollouts and rescheduling, on the leader's node",
	.role = ROLE_SCHEDD,
	.methods = schedd_methods,
	.topics = fill_prefixes,
	.debounce_ms = 50,
	.caps = JACO_CAP_NONE,
	.sandbox = JACO_SANDBOX_PLAIN,
	.metrics = schedd_metrics,
	.facts = schedd_facts,
};

int main(int argc, char **argv)
{
	jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(schedd_spec);
	jaco_auto(schedd) struct schedd schedd = SCHEDD_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0 ||
	    schedd_open(&schedd, &daemon, &err) < 0 ||
	    jaco_daemon_subscribe(&daemon, schedd_on_view, &schedd, &err) < 0 ||
	    schedd_follow_leader(&schedd, &err) < 0 ||
	    jaco_daemon_serve(&daemon, &schedd, &err) < 0 ||
	    jaco_daemon_confine(&daemon, &err) < 0 ||
	    jaco_daemon_ready(&daemon, &err) < 0 ||
	    jaco_loop_run(&daemon.loop, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	return jaco_daemon_exit(&daemon, NULL);
}
