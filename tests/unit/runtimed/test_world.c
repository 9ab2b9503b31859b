/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/world.h"

#include "libjaco/base/str.h"
#include "tests/lib/test.h"

static struct jaco_view view;

static void put(const char *key, uint64_t revision, const struct jaco_desc *desc, const void *msg)
{
	struct jaco_buf raw = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_pack(&raw, desc, msg, &err), &err);
	JT_OK(jaco_view_put(&view, key, revision, raw.data, raw.n, &err), &err);
	jaco_buf_fini(&raw);
}

static void put_replica(const char *service, enum jaco_replica_state state, bool healthy,
			uint64_t started)
{
	struct wire_obs_gen gen = {.generation = 1, .state = state, .healthy = healthy,
				   .since = 1, .started = started};
	struct wire_obs_replica replica = {.deployment = "shop", .service = service, .host = "n2",
					   .generations = {&gen, 1}};
	char id[80], key[120];

	jaco_str_format(id, sizeof(id), "shop-%s-0", service);
	jaco_str_format(key, sizeof(key), "/obs/replica/%s@n2", id);
	replica.id = id;
	put(key, 1, &wire_obs_replica_desc, &replica);
}

static bool unmet(enum jaco_condition condition, bool required)
{
	struct jaco_dependency d = {.service = "db", .condition = condition, .required = required};
	struct jaco_service web = {.name = "web", .depends_on = &d, .n_depends_on = 1};
	char text[100];
	bool is_unmet = world_unmet(&view, "shop", &web, text, sizeof(text));

	if (is_unmet)
		JT_NOT_NULL(strstr(text, "db (service_"));
	return is_unmet;
}

JT_CASE(conditions_ask_for_what_they_say)
{
	view = (struct jaco_view){.loop = NULL};
	JT_TRUE(unmet(JACO_CONDITION_STARTED, true));
	put_replica("db", JACO_REPLICA_STARTING, false, 0);
	JT_TRUE(unmet(JACO_CONDITION_STARTED, true));
	put_replica("db", JACO_REPLICA_STARTING, false, 5);
	JT_FALSE(unmet(JACO_CONDITION_STARTED, true));
	JT_TRUE(unmet(JACO_CONDITION_HEALTHY, true));
	put_replica("db", JACO_REPLICA_RUNNING, true, 5);
	JT_FALSE(unmet(JACO_CONDITION_HEALTHY, true));
	JT_TRUE(unmet(JACO_CONDITION_COMPLETED, true));
	put_replica("db", JACO_REPLICA_COMPLETED, false, 0);
	JT_FALSE(unmet(JACO_CONDITION_COMPLETED, true));
	JT_FALSE(unmet(JACO_CONDITION_STARTED, true));
	jaco_view_close(&view);
}

JT_CASE(another_services_name_with_a_hyphen_is_not_mistaken)
{
	view = (struct jaco_view){.loop = NULL};
	put_replica("db-1", JACO_REPLICA_RUNNING, true,
		    5); /* "shop-db-1-0" begins with "shop-db-" */
	JT_TRUE(unmet(JACO_CONDITION_STARTED, true));
	jaco_view_close(&view);
}

JT_CASE(an_optional_dependency_that_nobody_wants_is_no_obstacle)
{
	struct wire_replica_gen gen = {.generation = 1, .host = "n2", .revision = 1,
				       .spec_hash = "h"};
	struct wire_replica replica = {.id = "shop-db-0", .deployment = "shop", .service = "db",
				       .generations = {&gen, 1}};

	view = (struct jaco_view){.loop = NULL};
	JT_FALSE(unmet(JACO_CONDITION_HEALTHY, false));
	put("/replica/shop/db/0", 1, &wire_replica_desc, &replica);
	JT_TRUE(unmet(JACO_CONDITION_HEALTHY, false));
	jaco_view_close(&view);
}

JT_CASE(the_gate_is_the_newest_subnet_of_this_host)
{
	struct jaco_attachment nets[] = {{.network = "front"}, {.network = "back"}};
	struct jaco_service web = {.name = "web", .attachments = nets, .n_attachments = 2};
	struct wire_subnet subnet = {.deployment = "shop", .network = "front", .host = "n1",
				     .cidr = "10.0.0.0/24", .gateway = "10.0.0.1", .bridge = "b",
				     .scope = 1};

	view = (struct jaco_view){.loop = NULL};
	JT_EQ(world_gate_revision(&view, "shop", &web, "n1"), 0);
	put("/subnet/shop/front/n1", 7, &wire_subnet_desc, &subnet);
	put("/subnet/shop/back/n1", 5, &wire_subnet_desc, &subnet);
	put("/subnet/shop/back/n2", 9, &wire_subnet_desc, &subnet);
	JT_EQ(world_gate_revision(&view, "shop", &web, "n1"), 7);
	jaco_view_close(&view);
}

static void put_ingress(const char *host, struct wire_drain_ack *serving,
			struct wire_drain_ack *draining)
{
	struct wire_obs_ingress ingress = {.generation = 1};
	char key[80];

	ingress.serving.v = serving;
	ingress.serving.n = serving != NULL;
	ingress.draining.v = draining;
	ingress.draining.n = draining != NULL;
	jaco_str_format(key, sizeof(key), "/obs/node/%s/ingress", host);
	put(key, 1, &wire_obs_ingress_desc, &ingress);
}

JT_CASE(drained_means_every_live_node_has_let_go)
{
	struct wire_node n1 = {.host = "n1", .raft_id = 1}, n2 = {.host = "n2", .raft_id = 2};
	struct wire_obs_liveness gone = {.state = JACO_LIVENESS_UNREACHABLE};
	struct wire_drain_ack mine = {.replica = "shop-web-0", .generation = 1, .in_flight = 1};
	struct wire_obs_dns dns = {.generation = 1, .listeners = 1};

	view = (struct jaco_view){.loop = NULL};
	put("/node/n1", 1, &wire_node_desc, &n1);
	put("/node/n2", 1, &wire_node_desc, &n2);
	JT_TRUE(world_is_drained(&view, "shop-web-0", 1)); /* nobody serves anything */
	put_ingress("n1", &mine, NULL);
	JT_FALSE(world_is_drained(&view, "shop-web-0", 1));
	JT_TRUE(world_is_drained(&view, "shop-web-0", 2));
	put_ingress("n1", NULL, &mine);
	JT_FALSE(world_is_drained(&view, "shop-web-0", 1)); /* a request is in flight */
	mine.in_flight = 0;
	put_ingress("n1", NULL, &mine);
	JT_TRUE(world_is_drained(&view, "shop-web-0", 1));
	mine.in_flight = 3;
	put_ingress("n2", NULL, &mine);
	JT_FALSE(world_is_drained(&view, "shop-web-0", 1));
	put("/obs/node/n2/liveness", 1, &wire_obs_liveness_desc, &gone);
	JT_TRUE(world_is_drained(&view, "shop-web-0", 1)); /* a dead node holds nothing up */
	put("/obs/node/n1/dns", 1, &wire_obs_dns_desc, &dns);
	JT_FALSE(world_is_drained(&view, "shop-web-0", 1));
	dns.draining.v = &mine;
	dns.draining.n = 1;
	put("/obs/node/n1/dns", 1, &wire_obs_dns_desc, &dns);
	JT_TRUE(world_is_drained(&view, "shop-web-0", 1));
	jaco_view_close(&view);
}

JT_MAIN(JT_RUN(conditions_ask_for_what_they_say),
	JT_RUN(another_services_name_with_a_hyphen_is_not_mistaken),
	JT_RUN(an_optional_dependency_that_nobody_wants_is_no_obstacle),
	JT_RUN(the_gate_is_the_newest_subnet_of_this_host),
	JT_RUN(drained_means_every_live_node_has_let_go))
