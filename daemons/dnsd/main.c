/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco-dnsd - what a name means inside one network.
 *
 *   asks     raftd: subnets, deployments, replicas, what nodes observe (watch); the host's
 *   resolvers answers  containers, on UDP and TCP 53 of every bridge's gateway address; `status` on
 *            /run/jaco/dnsd/dnsd.sock
 *   touches  nothing but its sockets            needs CAP_NET_BIND_SERVICE
 *   keeps    nothing; works from its saved view without raftd; systemd keeps its sockets
 *   trusts   no byte of any query or reply
 *   decides  in answer.c and zone.c             start reading there */
#include "daemons/dnsd/alone.h"
#include "daemons/dnsd/live.h"
#include "libjaco/daemon/daemon.h"

static const char *const dnsd_topics[] = {"/cluster/meta", "/subnet/", "/deployment/", "/replica/",
					  "/obs/node/", "/obs/replica/", NULL};

static const struct jaco_option dnsd_options[] = {
	{"check", NULL, "with --standalone: read the file, say what is wrong, end"},
	{"port", "PORT", "serve on another port than 53"},
	{NULL, NULL, NULL},
};

static const struct jaco_daemon_spec dnsd_spec = {
	.name = "dnsd",
	.summary = "Answers names inside each network and forwards all others.",
	.role = ROLE_DNSD,
	.topics = dnsd_topics,
	.debounce_ms = 20,
	.caps = JACO_CAP_NET_BIND_SERVICE,
	.sandbox = JACO_SANDBOX_PLAIN,
	.has_standalone = true,
	.is_data_path = true,
	.options = dnsd_options,
	.metrics = live_metrics,
	.reloaded = live_reloaded,
	.facts = live_facts,
};

static int open_live(struct live *live, struct jaco_daemon *daemon, struct jaco_err *err)
{
	if (live_open(live, daemon, err) < 0 ||
	    jaco_daemon_subscribe(daemon, live_on_view, live, err) < 0)
		return -(int)err->code;
	return jaco_daemon_serve(daemon, live, err);
}

int main(int argc, char **argv)
{
	jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(dnsd_spec);
	jaco_auto(alone) struct alone alone = ALONE_INIT;
	jaco_auto(live) struct live live = LIVE_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	if (*daemon.standalone && jaco_daemon_option(&daemon, "check"))
		return jaco_daemon_exit(&daemon,
					alone_check(daemon.standalone, &err) < 0 ? &err : NULL);
	if ((*daemon.standalone ? alone_open(&alone, &daemon.loop, daemon.standalone, &err)
				: open_live(&live, &daemon, &err)) < 0 ||
	    jaco_daemon_confine(&daemon, &err) < 0 ||
	    jaco_daemon_ready(&daemon, &err) < 0 ||
	    jaco_loop_run(&daemon.loop, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	return jaco_daemon_exit(&daemon, NULL);
}
