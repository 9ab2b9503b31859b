/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco-runtimed - how a desired replica becomes a running container, and when it is healthy.
 *
 *   asks     raftd: replicas, revisions (watch); ipamd: addresses; the engine, over its socket
 *   answers  raftd (logs, volumes), cli on /run/jaco/runtimed/runtimed.sock
 *   touches  containers and networks that carry this cluster's labels, nothing else of the engine
 *            configs and secrets that are bound: in memory, with their owners   needs CAP_CHOWN
 *   keeps    verdicts and restart counts in its cache: an adopted container stays in service
 *   decides  in plan.c, health.c and create.c      start reading there
 */
#include "daemons/runtimed/runtimed.h"

#define DEBOUNCE_MS 20

static const struct jaco_daemon_spec runtimed_spec = {
	.name = "runtimed",
	.summary = "containers of this node: start, health, restart, stop, logs",
	.role = ROLE_RUNTIMED,
	.methods = runtimed_methods,
	.topics = runtimed_topics,
	.debounce_ms = DEBOUNCE_MS,
	.caps = JACO_CAP_CHOWN,
	.sandbox = JACO_SANDBOX_PLAIN,
	.metrics = runtimed_metrics,
	.facts = runtimed_facts,
};

int main(int argc, char **argv)
{
	jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(runtimed_spec);
	jaco_auto(runtimed) struct runtimed runtimed = RUNTIMED_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0 ||
	    runtimed_open(&runtimed, &daemon, &err) < 0 ||
	    jaco_daemon_subscribe(&daemon, runtimed_on_view, &runtimed, &err) < 0 ||
	    jaco_daemon_serve(&daemon, &runtimed, &err) < 0 ||
	    jaco_daemon_confine(&daemon, &err) < 0 || jaco_daemon_ready(&daemon, &err) < 0 ||
	    jaco_loop_run(&daemon.loop, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	return jaco_daemon_exit(&daemon, NULL);
}
