/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/probe.h"

#include "tests/lib/test.h"

JT_CASE(loss_counts_the_window_without_the_probe_under_way)
{
	struct probe_path path = {.sent = 0};

	JT_EQ(probe_loss(&path), 0);
	path = (struct probe_path){.sent = 1, .answered = 0};
	JT_EQ(probe_loss(&path), 0);
	path = (struct probe_path){.sent = 1, .answered = 1};
	JT_EQ(probe_loss(&path), 0);
	path = (struct probe_path){.sent = 2, .answered = 0};
	JT_EQ(probe_loss(&path), 1000);
	path = (struct probe_path){.sent = 5, .answered = 0x1a}; /* 3 of the 4 that are due */
	JT_EQ(probe_loss(&path), 250);
	path = (struct probe_path){.sent = 1000, .answered = 0xffffffff};
	JT_EQ(probe_loss(&path), 0);
	path = (struct probe_path){.sent = 1000, .answered = 0};
	JT_EQ(probe_loss(&path), 1000);
}

JT_CASE(probes_come_back_over_a_real_socket)
{
	struct mesh_peer peer = {.mesh_addr = 0x7f000001};
	struct mesh_device device = {.peers = &peer, .n_peers = 1};
	struct probe probe = PROBE_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_loop loop;

	JT_OK(jaco_loop_open(&loop, NULL, &err), &err);
	JT_OK(probe_bind(&probe, &loop, 0x7f000001, &err), &err);
	probe_send(&probe, &device); /* to ourselves: the answer comes from us, too */
	for (int i = 0; i < 50 && !probe_find(&probe, 0x7f000001)->rtt_us; i++)
		jaco_loop_once(&loop, 100);
	JT_NE(probe_find(&probe, 0x7f000001)->rtt_us, 0);
	JT_EQ(probe_loss(probe_find(&probe, 0x7f000001)), 0);
	device.n_peers = 0;
	probe_send(&probe, &device);
	JT_NULL(probe_find(&probe, 0x7f000001));
	probe_close(&probe);
	jaco_loop_close(&loop);
}

JT_MAIN(JT_RUN(loss_counts_the_window_without_the_probe_under_way),
	JT_RUN(probes_come_back_over_a_real_socket))
