/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/uapi.h"

#include <stdio.h>

#include "tests/lib/test.h"

#define HEX_A "6161616161616161616161616161616161616161616161616161616161616161"
#define HEX_B "6262626262626262626262626262626262626262626262626262626262626262"

static int parse(const char *text, struct jaco_arena *arena, struct mesh_device *out,
		 struct jaco_err *err)
{
	return uapi_parse(text, strlen(text), arena, out, err);
}

JT_CASE(an_answer_with_peers_is_understood)
{
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct mesh_device device;

	JT_OK(parse("private_key=" HEX_A "\nlisten_port=51820\nfwmark=0\n"
		    "public_key=" HEX_B "\npreshared_key=" HEX_A "\nprotocol_version=1\n"
		    "endpoint=192.0.2.1:51820\nlast_handshake_time_sec=1700000000\n"
		    "last_handshake_time_nsec=250000000\ntx_bytes=7\nrx_bytes=8\n"
		    "persistent_keepalive_interval=25\nallowed_ip=10.244.1.0/24\n"
		    "allowed_ip=fd00::/64\nallowed_ip=10.244.255.2/32\n"
		    "public_key=" HEX_A "\nerrno=0\n\n",
		    &arena, &device, &err),
	      &err);
	JT_EQ(device.port, 51820);
	JT_EQ(device.private_key[0], 'a');
	JT_EQ(device.n_peers, 2);
	JT_EQ(device.peers[0].key[31], 'b');
	JT_STR(device.peers[0].endpoint, "192.0.2.1:51820");
	JT_EQ(device.peers[0].handshake_ms, 1700000000250);
	JT_EQ(device.peers[0].n_allowed, 2);
	JT_EQ(device.peers[0].keepalive_s, 25);
	JT_EQ(device.peers[0].rx_bytes, 8);
	JT_EQ(device.peers[1].n_allowed, 0);
	jaco_arena_fini(&arena);
}

JT_CASE(odd_answers_are_refused)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{"private_key=12\nerrno=0\n\n", "private_key"},
		{"listen_port=65536\nerrno=0\n\n", "listen_port"},
		{"public_key=zz\nerrno=0\n\n", "public_key"},
		{"nonsense\nerrno=0\n\n", "key=value"},
		{"public_key=" HEX_A "\nallowed_ip=10.0.0.0/33\nerrno=0\n\n", "allowed_ip"},
		{"public_key=" HEX_A "\nlast_handshake_time_sec=9223372036854775807\n\n",
		 "last_handshake"},
		{"public_key=" HEX_A
		 "\nendpoint="
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\n",
		 "endpoint"},
	};
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct mesh_device device;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(rows); i++)
		JT_FAILS_WITH(parse(rows[i].text, &arena, &device, &err), PARSE_FAILED,
			      rows[i].part, &err);
	JT_FAILS_WITH(parse("errno=-22\n\n", &arena, &device, &err), INTERNAL, "refuses get", &err);
	JT_FAILS_WITH(uapi_parse_result("errno=22\n\n", 10, &err), INTERNAL, "errno 22", &err);
	JT_FAILS_WITH(uapi_parse_result("\n", 1, &err), INTERNAL, "refuses the change", &err);
	JT_OK(uapi_parse_result("errno=0\n\n", 9, &err), &err);
	jaco_arena_fini(&arena);
}

JT_CASE(an_answer_is_complete_at_its_empty_line)
{
	JT_EQ(uapi_complete("errno=0\n", 8), 0);
	JT_EQ(uapi_complete("errno=0\n\nrest", 13), 9);
}

JT_CASE(the_device_comes_before_the_peers)
{
	struct jaco_cidr cidr = {.addr = 0x0af40100, .bits = 24};
	struct mesh_peer peer = {.keepalive_s = 25, .endpoint = "192.0.2.1:1", .allowed = &cidr,
				 .n_allowed = 1};
	struct mesh_device desired = {.port = 7, .peers = &peer, .n_peers = 1};
	struct mesh_device observed = {.n_peers = 0};
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_buf buf = JACO_BUF_INIT;
	struct mesh_plan plan;

	memset(desired.private_key, 'a', sizeof(desired.private_key));
	memset(peer.key, 'b', sizeof(peer.key));
	plan_peers(&plan, &desired, &observed, &arena);
	uapi_render(&buf, &plan, &desired);
	JT_STR(jaco_buf_str(&buf), "set=1\nprivate_key=" HEX_A "\nlisten_port=7\npublic_key=" HEX_B
				   "\nendpoint=192.0.2.1:1\npersistent_keepalive_interval=25\n"
				   "replace_allowed_ips=true\nallowed_ip=10.244.1.0/24\n\n");
	jaco_buf_fini(&buf);
	jaco_arena_fini(&arena);
}

JT_MAIN(JT_RUN(an_answer_with_peers_is_understood), JT_RUN(odd_answers_are_refused),
	JT_RUN(an_answer_is_complete_at_its_empty_line), JT_RUN(the_device_comes_before_the_peers))
