/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco-proxyd - which replica gets a request or a connection.
 *
 *   asks     raftd: routes, published ports, replicas and what nodes observe (watch)
 *   answers  the world, on TCP 80 and 443 and every published port; `status` on
 *            /run/jaco/proxyd/proxyd.sock
 *   touches  nothing but its sockets            needs CAP_NET_BIND_SERVICE
 *   keeps    nothing; works from its saved view without raftd
 *   trusts   no byte of any client or replica
 *   decides  in http1.c, route.c and balance.c  start reading there */
#include "daemons/proxyd/alone.h"
#include "daemons/proxyd/live.h"
#include "libjaco/daemon/daemon.h"

static const char *const proxyd_topics[] = {"/route/", "/tcproute/", "/replica/", "/cert/",
					    "/obs/node/", "/obs/replica/", NULL};

static const struct jaco_option proxyd_options[] = {
	{"check", NULL, "with --standalone: read the file, say what is wrong, end"},
	{NULL, NULL, NULL},
};

static const struct jaco_daemon_spec proxyd_spec = {
	.name = "proxyd",
	.summary = "Passes requests and connections to healthy replicas.",
	.role = ROLE_PROXYD,
	.topics = proxyd_topics,
	.debounce_ms = 20,
	.caps = JACO_CAP_NET_BIND_SERVICE,
	.sandbox = JACO_SANDBOX_PLAIN,
	.has_standalone = true,
	.options = proxyd_options,
	.metrics = live_metrics,
	.facts = live_facts,
};

static int run_alone(struct jaco_daemon *daemon, struct jaco_err *err)
{
	if (jaco_daemon_option(daemon, "check"))
		return alone_check(daemon->standalone, err);
	if (jaco_daemon_confine(daemon, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(daemon->signals); i++)
		jaco_signal_stop(&daemon->signals[i]); /* here they mean the file */
	return alone_run(&daemon->loop, daemon->standalone, err);
}

int main(int argc, char **argv)
{
	jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(proxyd_spec);
	jaco_auto(live) struct live live = LIVE_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	if (*daemon.standalone)
		return jaco_daemon_exit(&daemon, run_alone(&daemon, &err) < 0 ? &err : NULL);
	if (live_open(&live, &daemon, &err) < 0 ||
	    jaco_daemon_subscribe(&daemon, live_on_view, &live, &err) < 0 ||
	    jaco_daemon_serve(&daemon, &live, &err) < 0 ||
	    jaco_daemon_confine(&daemon, &err) < 0 ||
	    live_start(&live, &err) < 0 || /* its threads inherit the cage */
	    jaco_daemon_ready(&daemon, &err) < 0 ||
	    jaco_loop_run(&daemon.loop, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	return jaco_daemon_exit(&daemon, NULL);
}
