/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the state as sentences: what they say, and what they leave out. */
#include "cli/report_event.h"

#include "cli/cli.h"
#include "tests/lib/test.h"

const struct cli_command cli_commands[] = {{.words = NULL}};
const struct cli_option cli_global_options[] = {{.name = NULL}};

#define SAYS(key_, type, object_, what_, ...)                                                      \
	do {                                                                                       \
		jaco_auto(jaco_arena) struct jaco_arena arena_ = JACO_ARENA_INIT;                  \
		struct wire_##type msg_ = {__VA_ARGS__};                                           \
		struct report_event event_;                                                        \
	\
		JT_TRUE(report_event(key_, &wire_##type##_desc, &msg_, &arena_, &event_));         \
		JT_STR(event_.object, object_);                                                    \
		JT_STR(event_.what, what_);                                                        \
	} while (0)

JT_CASE(a_deployment_says_its_revision_and_how_many_of_each)
{
	struct wire_service services[] = {{.name = "web", .replicas = 3},
					  {.name = "agent", .placement = JACO_PLACE_GLOBAL}};

	SAYS("/deployment/shop", deployment, "deployment shop",
	     "revision 7: web 3, agent on every node", .name = "shop", .revision = 7,
	     .services = {.v = services, .n = 2});
	SAYS("/deployment/shop", deployment, "deployment shop", "being removed", .name = "shop",
	     .deleting = true);
}

JT_CASE(a_replica_is_named_alike_wanted_and_seen)
{
	struct wire_replica_gen wanted[] = {
		{.generation = 1, .host = "n1", .intent = JACO_INTENT_DRAIN},
		{.generation = 2, .host = "n2", .intent = JACO_INTENT_RUN}};
	struct wire_obs_gen seen[] = {
		{.generation = 1, .state = JACO_REPLICA_RUNNING, .healthy = true},
		{.generation = 2, .state = JACO_REPLICA_STARTING, .waits_for = "db"},
	};

	SAYS("/replica/shop/web/0", replica, "replica shop-web-0",
	     "generation 1 is to drain on n1, generation 2 is to run on n2",
	     .generations = {.v = wanted, .n = 2});
	SAYS("/replica/shop/web/0", replica, "replica shop-web-0", "pending: no node has room",
	     .message = "no node has room");
	SAYS("/obs/replica/shop-web-0@n1", obs_replica, "replica shop-web-0@n1",
	     "running; starting: waits for db", .generations = {.v = seen, .n = 2});
}

JT_CASE(a_rollout_gives_the_sentence_of_its_reason_without_the_log)
{
	SAYS("/rollout/shop/web", rollout, "rollout shop/web",
	     "paused, 1 of 3: shop-web-1 was not healthy in 60s", .state = JACO_ROLLOUT_PAUSED,
	     .done = 1, .total = 3,
	     .reason = "shop-web-1 was not healthy in 60s\nlog: out of memory");
}

JT_CASE(the_parts_of_a_node_say_whether_they_work)
{
	struct wire_port_problem taken = {.port = 5432,
					  .protocol = JACO_PROTOCOL_TCP,
					  .code = "port_in_use",
					  .message = "in use"};
	struct wire_obs_peer deaf[] = {{.host = "n2", .hears = true}, {.host = "n3"}};

	SAYS("/obs/node/n1/firewall", obs_firewall, "node n1 firewall", "ready", .ready = true,
	     .generation = 9);
	SAYS("/obs/node/n1/firewall", obs_firewall, "node n1 firewall", "not ready: no nf_tables",
	     .message = "no nf_tables");
	SAYS("/obs/node/n1/ingress", obs_ingress, "node n1 ingress",
	     "serves 0 replicas, not port 5432/tcp: in use", .problems = {.v = &taken, .n = 1});
	SAYS("/obs/node/n1/mesh", obs_mesh, "node n1 mesh",
	     "ready, WireGuard of the kernel, hears nothing of n3", .state = "ready",
	     .backend = "kernel", .peers = {.v = deaf, .n = 2});
	SAYS("/obs/node/n1/engine", obs_engine, "node n1 engine", "ready, docker 20.10",
	     .state = "ready", .kind = "docker", .version = "20.10");
	SAYS("/obs/node/n1/liveness", obs_liveness, "node n1 liveness", "suspect",
	     .state = JACO_LIVENESS_SUSPECT);
}

JT_CASE(what_is_published_again_with_the_same_meaning_says_the_same)
{
	SAYS("/obs/node/n1/dns", obs_dns, "node n1 dns", "serves 2 gateways", .generation = 7,
	     .listeners = 2);
	SAYS("/obs/node/n1/dns", obs_dns, "node n1 dns", "serves 2 gateways", .generation = 8,
	     .listeners = 2);
}

JT_CASE(a_route_keeps_its_slashes_and_what_was_deleted_is_gone)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct report_event event;

	SAYS("/route/shop.example.com/api", route, "route shop.example.com/api", "to shop/api:8080",
	     .deployment = "shop", .service = "api", .port = 8080);
	SAYS("/route/old.example.com/", route, "route old.example.com/", "redirects to https://x/",
	     .redirect_to = "https://x/");
	JT_TRUE(report_event("/node/n3", &wire_node_desc, NULL, &arena, &event));
	JT_STR(event.object, "node n3");
	JT_STR(event.what, "gone");
}

JT_CASE(what_only_machines_read_is_left_out)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_obs_pressure load = {.cpu_milli = 12};
	struct report_event event;

	JT_FALSE(report_event("/obs/node/n1/pressure", &wire_obs_pressure_desc, &load, &arena,
			      &event));
}

JT_MAIN(JT_RUN(a_deployment_says_its_revision_and_how_many_of_each),
	JT_RUN(a_replica_is_named_alike_wanted_and_seen),
	JT_RUN(a_rollout_gives_the_sentence_of_its_reason_without_the_log),
	JT_RUN(the_parts_of_a_node_say_whether_they_work),
	JT_RUN(what_is_published_again_with_the_same_meaning_says_the_same),
	JT_RUN(a_route_keeps_its_slashes_and_what_was_deleted_is_gone),
	JT_RUN(what_only_machines_read_is_left_out))
