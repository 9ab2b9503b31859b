/* SPDX-License-Identifier: Apache-2.0
 *
 * The network as a person is told it: whose word counts for which direction, who is exposed. */
#include "cli/report_net.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/report.h"
#include "libjaco/base/time.h"
#include "tests/lib/test.h"
#include "tests/unit/cli/world.h"

static void put_node(struct world *world, const char *host, enum jaco_liveness liveness)
{
	struct wire_node node = {.host = host, .raft_id = 1, .peer_addr = "192.0.2.1:7001",
				 .api_addr = "192.0.2.1:7000"};
	struct wire_obs_liveness live = {.state = liveness};
	char key[64];

	snprintf(key, sizeof(key), "/node/%s", host);
	put(world, key, &wire_node_desc, &node);
	snprintf(key, sizeof(key), "/obs/node/%s/liveness", host);
	put(world, key, &wire_obs_liveness_desc, &live);
}

/* @host hears @other since or until @heard. */
static void put_mesh(struct world *world, const char *host, const char *other, bool hears,
		     uint64_t heard, uint32_t loss)
{
	struct wire_obs_peer peer = {.host = other,
				     .handshake_age_ms = 100,
				     .rtt_us = 700,
				     .loss_permille = loss,
				     .hears = hears,
				     .heard = heard,
				     .mtu = 1420};
	struct wire_obs_mesh mesh = {.state = "ready", .peers = {.v = &peer, .n = 1}};
	char key[64];

	snprintf(key, sizeof(key), "/obs/node/%s/mesh", host);
	put(world, key, &wire_obs_mesh_desc, &mesh);
}

JT_CASE(a_one_way_fault_names_its_direction)
{
	struct wire_mesh_row *rows;
	struct world world;
	size_t n;

	begin(&world);
	put_node(&world, "n2", JACO_LIVENESS_ALIVE);
	put_node(&world, "n5", JACO_LIVENESS_ALIVE);
	put_mesh(&world, "n2", "n5", false, 5000, 1000);
	put_mesh(&world, "n5", "n2", true, 9000, 1000);
	rows = report_mesh(&world.view, &world.arena, &n);
	JT_EQ(n, 2);
	JT_STR(rows[0].from, "n2");
	JT_STR(rows[0].to, "n5");
	JT_STR(rows[0].verdict, "ok"); /* n5 hears n2, though nothing comes back */
	JT_STR(rows[1].from, "n5");
	JT_STR(rows[1].verdict, "lost");
	JT_EQ(rows[1].since, 5000);
	JT_STR(rows[1].message, "n2 hears nothing from n5 any more");
	end(&world);
}

JT_CASE(loss_is_no_break_and_silence_is_no_verdict)
{
	struct wire_mesh_row *rows;
	struct world world;
	size_t n;

	begin(&world);
	put_node(&world, "n1", JACO_LIVENESS_ALIVE);
	put_node(&world, "n2", JACO_LIVENESS_ALIVE);
	put_mesh(&world, "n1", "n2", true, 5000, 150);
	put_mesh(&world, "n2", "n1", true, 5000, 49);
	rows = report_mesh(&world.view, &world.arena, &n);
	JT_STR(rows[0].verdict, "lossy");
	JT_STR(rows[0].message, "15.0 % lost there and back");
	JT_STR(rows[1].verdict, "ok");
	JT_EQ(rows[1].rtt_us, 700);
	put_node(&world, "n2", JACO_LIVENESS_UNREACHABLE);
	rows = report_mesh(&world.view, &world.arena, &n);
	JT_STR(rows[0].verdict, "unknown");
	JT_STR(rows[0].message, "n2 is unreachable");
	JT_STR(rows[1].verdict, "ok"); /* what n1 heard last still counts for it */
	end(&world);
}

static void put_subnet(struct world *world, const char *network, const char *host, const char *cidr,
		       bool internal, uint32_t scope)
{
	struct wire_subnet subnet = {.deployment = "shop", .network = network, .host = host,
				     .cidr = cidr, .gateway = "10.210.0.1", .bridge = "jaco-x",
				     .scope = scope, .internal = internal};
	char key[128];

	snprintf(key, sizeof(key), "/subnet/shop/%s/%s", network, host);
	put(world, key, &wire_subnet_desc, &subnet);
}

JT_CASE(a_scope_is_one_line_with_its_subnets)
{
	struct wire_scope_row *rows;
	struct world world;
	size_t n;

	begin(&world);
	put_subnet(&world, "back", "n1", "10.210.0.0/24", true, 2);
	put_subnet(&world, "back", "n2", "10.210.1.0/24", true, 2);
	put_subnet(&world, "front", "n1", "10.210.2.0/24", false, 1);
	rows = report_scopes(&world.view, &world.arena, &n);
	JT_EQ(n, 2);
	JT_STR(rows[0].network, "back");
	JT_TRUE(rows[0].internal);
	JT_EQ(rows[0].subnets.n, 2);
	JT_STR(rows[0].subnets.v[1].key, "n2");
	JT_STR(rows[0].subnets.v[1].value, "10.210.1.0/24");
	JT_TRUE(!rows[1].internal);
	end(&world);
}

JT_CASE(exposure_tells_who_can_reach_what_on_each_node)
{
	struct wire_route route = {
		.deployment = "shop",
		.domain = "shop.example",
		.path = "/",
		.service = "web",
		.port = 80,
		.tls = JACO_TLS_AUTO,
		.allow = {.v = (const char *[]){"10.0.0.0/8", "192.0.2.0/24"}, .n = 2}};
	struct wire_tcproute port = {.port = 53,
				     .protocol = JACO_PROTOCOL_UDP,
				     .deployment = "shop",
				     .service = "dns",
				     .target_port = 5353,
				     .host_mode = true};
	struct wire_obs_ingress ingress = {
		.generation = 1,
		.listeners = {.v = (const char *[]){"0.0.0.0:53", "0.0.0.0:80"}, .n = 2}};
	struct wire_exposure_row *rows;
	struct world world;
	size_t n;

	begin(&world);
	put_node(&world, "n1", JACO_LIVENESS_ALIVE);
	put(&world, "/obs/node/n1/ingress", &wire_obs_ingress_desc, &ingress);
	put(&world, "/route/shop.example/", &wire_route_desc, &route);
	put(&world, "/tcproute/53/udp", &wire_tcproute_desc,
	    &port); /* no replica on n1: not open there */
	put_subnet(&world, "back", "n1", "10.210.0.0/24", true, 2);
	rows = report_exposure(&world.view, &world.arena, &n);
	JT_EQ(n, 5);
	JT_STR(rows[0].what, "0.0.0.0:80/tcp");
	JT_STR(rows[1].kind, "route");
	JT_STR(rows[1].what, "https://shop.example/");
	JT_STR(rows[1].from, "10.0.0.0/8, 192.0.2.0/24");
	JT_STR(rows[2].kind, "bridge");
	JT_STR(rows[2].from, "its scope and the nodes");
	JT_STR(rows[3].what, "192.0.2.1:7001/tcp");
	JT_STR(rows[4].what, "192.0.2.1:7000/tcp");
	end(&world);
}

JT_CASE(a_name_stands_for_all_its_addresses)
{
	struct wire_replica_gen gen = {
		.generation = 1, .host = "n1", .revision = 1, .spec_hash = "x"};
	struct wire_replica replica = {.id = "shop-web-0", .deployment = "shop", .service = "web",
				       .generations = {.v = &gen, .n = 1}};
	struct wire_replica_address addresses[] = {{.network = "back", .address = "10.210.0.2"},
						   {.network = "front", .address = "10.210.2.2"}};
	struct wire_obs_gen seen_gen = {.generation = 1, .state = JACO_REPLICA_RUNNING,
					.addresses = {.v = addresses, .n = 2}};
	struct wire_obs_replica seen = {.id = "shop-web-0", .deployment = "shop", .service = "web",
					.host = "n1", .generations = {.v = &seen_gen, .n = 1}};
	struct jaco_err err = JACO_ERR_INIT;
	struct report_end *ends;
	struct world world;
	size_t n;

	begin(&world);
	put(&world, "/replica/shop/web/shop-web-0", &wire_replica_desc, &replica);
	put(&world, "/obs/replica/shop-web-0@n1", &wire_obs_replica_desc, &seen);
	JT_OK(report_ends(&world.view, "shop/web", &world.arena, &ends, &n, &err), &err);
	JT_EQ(n, 2);
	JT_STR(ends[1].name, "shop-web-0 10.210.2.2");
	JT_STR(ends[1].network, "front");
	JT_OK(report_ends(&world.view, "192.0.2.7", &world.arena, &ends, &n, &err), &err);
	JT_TRUE(n == 1 && !ends[0].network);
	JT_EQ(report_ends(&world.view, "shop/we", &world.arena, &ends, &n, &err),
	       -JACO_VALIDATION_FAILED);
	end(&world);
}

JT_MAIN(JT_RUN(a_one_way_fault_names_its_direction),
	JT_RUN(loss_is_no_break_and_silence_is_no_verdict),
	JT_RUN(a_scope_is_one_line_with_its_subnets),
	JT_RUN(exposure_tells_who_can_reach_what_on_each_node),
	JT_RUN(a_name_stands_for_all_its_addresses))
