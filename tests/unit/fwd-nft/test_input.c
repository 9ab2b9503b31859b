/* SPDX-License-Identifier: Apache-2.0
 *
 * test_input.c - what the view means for the firewall. */
#include "daemons/fwd-nft/input.h"

#include <stdio.h>

#include "libjaco/daemon/config.h"
#include "libjaco/wire/wire.h"
#include "tests/unit/fwd-nft/cluster.h"

struct world {
	struct jaco_loop loop;
	struct jaco_client client;
	struct jaco_view view;
	struct jaco_config config;
	struct jaco_arena arena;
	struct input input;
};

static void put(struct world *world, const char *key, const struct jaco_desc *desc, const void *msg)
{
	jaco_auto(jaco_buf) struct jaco_buf raw = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_pack(&raw, desc, msg, &err), &err);
	JT_OK(jaco_view_put(&world->view, key, 1, raw.data, raw.n, &err), &err);
}

static void put_subnet(struct world *world, const char *network, const char *host, const char *cidr,
		       bool internal)
{
	struct wire_subnet subnet = {.deployment = "shop", .network = network, .host = host,
				     .cidr = cidr, .gateway = "10.210.0.1", .bridge = "jaco-x",
				     .scope = 1, .internal = internal};
	char key[128];

	snprintf(key, sizeof(key), "/subnet/shop/%s/%s", network, host);
	put(world, key, &wire_subnet_desc, &subnet);
}

static void begin(struct world *world)
{
	struct jaco_err err = JACO_ERR_INIT;

	*world = (struct world){.arena = JACO_ARENA_INIT};
	jaco_config_init(&world->config);
	strcpy(world->config.ipam_pool, "10.210.0.0/16");
	JT_OK(jaco_loop_open(&world->loop, NULL, &err), &err);
	jaco_view_open(&world->view, &world->loop, &world->client, input_topics, 20, "", NULL,
		       NULL);
}

static int collect(struct world *world, struct jaco_err *err)
{
	return input_collect(&world->input, &world->view, "n1", &world->config, &world->arena, err);
}

static void end(struct world *world)
{
	jaco_view_close(&world->view);
	jaco_loop_close(&world->loop);
	jaco_arena_fini(&world->arena);
}

JT_CASE(only_this_hosts_subnets_have_a_bridge)
{
	struct world world;
	struct jaco_err err = JACO_ERR_INIT;

	begin(&world);
	put_subnet(&world, "web", "n1", "10.210.0.0/24", false);
	put_subnet(&world, "web", "n2", "10.210.1.0/24", false);
	JT_OK(collect(&world, &err), &err);
	JT_EQ(world.input.ruleset.n_subnets, 2);
	JT_EQ(world.input.n_local, 1);
	JT_STR(world.input.ruleset.subnets[0].bridge, "jaco-x");
	JT_NULL(world.input.ruleset.subnets[1].bridge);
	JT_STR(input_find(&world.input.ruleset, 0x0ad20107)->host, "n2");
	JT_NULL(input_find(&world.input.ruleset, 0x0ad20207));
	end(&world);
}

JT_CASE(the_deployment_says_what_is_internal_now)
{
	struct wire_network networks[] = {{.name = "open"}, {.name = "shut", .internal = true}};
	struct wire_deployment deployment = {.name = "shop", .revision = 2, .updated = 1,
					     .networks = {networks, 2}};
	struct world world;
	struct jaco_err err = JACO_ERR_INIT;

	begin(&world);
	put_subnet(&world, "gone", "n1", "10.210.0.0/24", true);
	put_subnet(&world, "open", "n1", "10.210.1.0/24", true);
	put_subnet(&world, "shut", "n1", "10.210.2.0/24", false);
	put(&world, "/deployment/shop", &wire_deployment_desc, &deployment);
	JT_OK(collect(&world, &err), &err);
	JT_TRUE(world.input.ruleset.subnets[0].is_internal); /* no word of it: as claimed */
	JT_FALSE(world.input.ruleset.subnets[1].is_internal);
	JT_TRUE(world.input.ruleset.subnets[2].is_internal);
	end(&world);
}

JT_CASE(members_count_when_their_mesh_address_is_in_the_pool)
{
	struct wire_node nodes[] = {
		{.host = "n1", .raft_id = 1, .mesh_addr = "10.210.255.1"},
		{.host = "n2", .raft_id = 2, .mesh_addr = "10.210.255.2/32"},
		{.host = "n3", .raft_id = 3, .mesh_addr = "192.0.2.3"},
		{.host = "n4", .raft_id = 4},
	};
	struct world world;
	struct jaco_err err = JACO_ERR_INIT;
	char key[32];

	begin(&world);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(nodes); i++) {
		snprintf(key, sizeof(key), "/node/%s", nodes[i].host);
		put(&world, key, &wire_node_desc, &nodes[i]);
	}
	JT_OK(collect(&world, &err), &err);
	JT_EQ(world.input.ruleset.n_nodes, 2);
	JT_EQ(world.input.ruleset.nodes[1], 0x0ad2ff02);
	end(&world);
}

JT_CASE(addresses_of_this_host_are_sorted_and_single)
{
	struct wire_replica_address addresses[] = {{.network = "a", .address = "10.210.0.9"},
						   {.network = "b", .address = "10.210.0.3"},
						   {.network = "c", .address = "10.210.0.9"}};
	struct wire_obs_gen gen = {.generation = 1, .since = 1, .addresses = {addresses, 3}};
	struct wire_obs_replica here = {.id = "r", .deployment = "shop", .service = "web",
					.host = "n1", .generations = {&gen, 1}};
	struct wire_obs_replica there = here;
	struct world world;
	struct jaco_err err = JACO_ERR_INIT;

	begin(&world);
	there.host = "n2";
	put(&world, "/obs/replica/r@n1", &wire_obs_replica_desc, &here);
	put(&world, "/obs/replica/r@n2", &wire_obs_replica_desc, &there);
	JT_OK(collect(&world, &err), &err);
	JT_EQ(world.input.n_addresses, 2);
	JT_EQ(world.input.addresses[0], 0x0ad20003);
	JT_EQ(world.input.addresses[1], 0x0ad20009);
	end(&world);
}

JT_CASE(refuses_a_subnet_it_cannot_read_and_names_its_key)
{
	struct world world;
	struct jaco_err err = JACO_ERR_INIT;

	begin(&world);
	put_subnet(&world, "web", "n1", "10.210.0.0/240", false);
	JT_FAILS_WITH(collect(&world, &err), VALIDATION_FAILED, "/subnet/shop/web/n1", &err);
	end(&world);
}

JT_CASE(what_left_is_what_is_no_longer_there)
{
	static const uint32_t before[] = {1, 3, 5, 7}, after[] = {2, 3, 7, 9};
	uint32_t lost[4];

	JT_EQ(input_lost(before, 4, after, 4, lost, 4), 2);
	JT_EQ(lost[0], 1);
	JT_EQ(lost[1], 5);
	JT_EQ(input_lost(before, 4, NULL, 0, lost, 3), 3);
	JT_EQ(input_lost(NULL, 0, after, 4, lost, 4), 0);
}

JT_MAIN(JT_RUN(only_this_hosts_subnets_have_a_bridge),
	JT_RUN(the_deployment_says_what_is_internal_now),
	JT_RUN(members_count_when_their_mesh_address_is_in_the_pool),
	JT_RUN(addresses_of_this_host_are_sorted_and_single),
	JT_RUN(refuses_a_subnet_it_cannot_read_and_names_its_key),
	JT_RUN(what_left_is_what_is_no_longer_there))
