/* SPDX-License-Identifier: Apache-2.0
 *
 * What each key becomes is in tests/golden/engine; here: that none is forgotten, and the
 * network. */
#include "daemons/runtimed/create.h"

#include "daemons/runtimed/engine.h"
#include "libjaco/base/str.h"
#include "tests/lib/test.h"

/* spec/manifests.md section 3.4, those that shape a container. */
JT_CASE(every_honoured_key_has_a_row)
{
	static const char *const keys[] = {"image",
					   "command",
					   "entrypoint",
					   "environment",
					   "volumes",
					   "ports",
					   "expose",
					   "healthcheck",
					   "labels",
					   "user",
					   "working_dir",
					   "tmpfs",
					   "cap_add",
					   "cap_drop",
					   "sysctls",
					   "ulimits",
					   "read_only",
					   "networks",
					   "logging",
					   "stop_signal",
					   "stop_grace_period",
					   "hostname",
					   "domainname",
					   "extra_hosts",
					   "dns",
					   "dns_search",
					   "dns_opt",
					   "init",
					   "shm_size",
					   "ipc",
					   "pid",
					   "uts",
					   "userns_mode",
					   "cgroup",
					   "cgroup_parent",
					   "privileged",
					   "security_opt",
					   "devices",
					   "device_cgroup_rules",
					   "gpus",
					   "runtime",
					   "group_add",
					   "tty",
					   "stdin_open",
					   "cpus",
					   "mem_limit",
					   "mem_reservation",
					   "memswap_limit",
					   "pids_limit",
					   "cpu_shares",
					   "cpuset",
					   "oom_score_adj",
					   "oom_kill_disable",
					   "annotations",
					   "mac_address",
					   "network_mode"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(keys); i++) {
		const char *const *row = create_keys();

		while (*row && !jaco_str_eq(*row, keys[i]))
			row++;
		if (!*row)
			fail_msg("no row for %s", keys[i]);
	}
}

static struct create_network_spec spec(void)
{
	return (struct create_network_spec){.cluster_id = "c1",
					    .bridge = "jaco-abcd-0123",
					    .subnet = {.addr = 0x0acb0000, .bits = 24},
					    .gateway = 0x0acb0001,
					    .mtu = 1420};
}

static struct engine_network same(void)
{
	return (struct engine_network){.cluster_id = "c1",
				       .bridge = "jaco-abcd-0123",
				       .subnet = "10.203.0.0/24",
				       .gateway = "10.203.0.1",
				       .mtu = 1420};
}

JT_CASE(a_network_that_differs_is_told_by_what)
{
	struct create_network_spec want = spec();
	struct engine_network have = same();
	const char *what;

	JT_TRUE(create_network_matches(&want, &have, &what));
	have.has_masquerade = true;
	JT_FALSE(create_network_matches(&want, &have, &what));
	JT_STR(what, "masquerading");
	have = same();
	jaco_str_copy(have.subnet, sizeof(have.subnet), "10.203.1.0/24");
	JT_FALSE(create_network_matches(&want, &have, &what));
	JT_STR(what, "subnet");
	have = same();
	jaco_str_copy(have.cluster_id, sizeof(have.cluster_id), "");
	JT_FALSE(create_network_matches(&want, &have, &what));
	JT_STR(what, "cluster");
	have = same();
	have.mtu = 1500;
	JT_FALSE(create_network_matches(&want, &have, &what));
	want.mtu = 0;
	JT_TRUE(create_network_matches(&want, &have, &what));
}

JT_CASE(an_image_without_tag_is_latest)
{
	static const struct {
		const char *image, *tagged;
	} cases[] = {
		{"nginx", "nginx:latest"},
		{"nginx:1.2", "nginx:1.2"},
		{"host:5000/a/b", "host:5000/a/b:latest"},
		{"host:5000/a/b:3", "host:5000/a/b:3"},
		{"a@sha256:00", "a@sha256:00"},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(cases); i++) {
		struct jaco_buf out = JACO_BUF_INIT;

		engine_image_tagged(cases[i].image, &out);
		JT_STR(jaco_buf_str(&out), cases[i].tagged);
		jaco_buf_fini(&out);
	}
}

JT_CASE(only_a_written_test_is_the_engines_to_run)
{
	struct jaco_service s = {.name = "web"};

	JT_FALSE(create_has_engine_health(&s));
	s.healthcheck = (struct jaco_healthcheck){.is_set = true, .kind = JACO_HEALTHCHECK_INHERIT};
	JT_FALSE(create_has_engine_health(&s));
	s.healthcheck.kind = JACO_HEALTHCHECK_SHELL;
	JT_TRUE(create_has_engine_health(&s));
	s.probe.kind = JACO_PROBE_HTTP;
	JT_FALSE(create_has_engine_health(&s));
	s.probe.kind = JACO_PROBE_CMD;
	JT_TRUE(create_has_engine_health(&s));
}

JT_MAIN(JT_RUN(every_honoured_key_has_a_row), JT_RUN(a_network_that_differs_is_told_by_what),
	JT_RUN(an_image_without_tag_is_latest), JT_RUN(only_a_written_test_is_the_engines_to_run))
