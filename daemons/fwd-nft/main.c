/* SPDX-License-Identifier: Apache-2.0
 *
 * jaco-fwd-nft - who may talk to whom on this host.
 *
 *   asks     raftd: subnets, members, deployments (watch); audit (txn)
 *   answers  cli, runtimed on /run/jaco/fwd-nft/fwd-nft.sock
 *   touches  nftables: table inet jaco, two rules in Docker's own chains, one in Podman's;
 *   conntrack and
 *            neighbours of released addresses        needs CAP_NET_ADMIN
 *   keeps    nothing; the kernel's table outlives it and is adopted
 *   decides  in ruleset.c and rules.c                start reading there
 */
#include <malloc.h>

#include "daemons/fwd-nft/fwd.h"
#include "libjaco/daemon/daemon.h"

static const struct jaco_option fwd_options[] = {
	{"selftest", "WHAT",
	 "packets: two of them must show the table at work before a container starts; table: as "
	 "ever"},
	{"remove", NULL, "take table inet jaco and our rules in engine chains away, then end"},
	{NULL, NULL, NULL},
};

static const struct jaco_daemon_spec fwd_spec = {
	.name = "fwd-nft",
	.summary = "Isolates the networks of deployments from each other by nftables.",
	.role = ROLE_FWD,
	.methods = fwd_methods,
	.topics = input_topics,
	.debounce_ms = 20,
	.caps = JACO_CAP_NET_ADMIN,
	.sandbox = JACO_SANDBOX_PLAIN,
	.options = fwd_options,
	.metrics = fwd_metrics,
	.facts = fwd_facts,
};

static int fwd_main(struct jaco_daemon *daemon, struct fwd *fwd, struct jaco_err *err)
{
	if (jaco_daemon_option(daemon, "remove"))
		return fwd_remove(fwd, err);
	if (jaco_daemon_subscribe(daemon, fwd_on_view, fwd, err) < 0 ||
	    jaco_daemon_serve(daemon, fwd, err) < 0 || jaco_daemon_confine(daemon, err) < 0 ||
	    jaco_daemon_ready(daemon, err) < 0 || jaco_loop_run(&daemon->loop, err) < 0)
		return -(int)err->code;
	return 0;
}

int main(int argc, char **argv)
{
	jaco_auto(jaco_daemon) struct jaco_daemon daemon = JACO_DAEMON_INIT(fwd_spec);
	jaco_auto(fwd) struct fwd fwd = FWD_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	/* memory of one pass serves the next without page faults (nft.h) */
	(void)mallopt(M_MMAP_THRESHOLD, NFT_KEEP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, NFT_KEEP_BYTES);
	if (jaco_daemon_begin(&daemon, argc, argv, &err) < 0 || fwd_open(&fwd, &daemon, &err) < 0 ||
	    fwd_main(&daemon, &fwd, &err) < 0)
		return jaco_daemon_exit(&daemon, &err);
	return jaco_daemon_exit(&daemon, NULL);
}
