/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/engine_json.h"

#include "tests/lib/test.h"

static const char inspect[] =
	"{\"Id\":\"abc\",\"Name\":\"/"
	"shop-web-1\",\"Image\":\"sha256:1\",\"State\":{\"Status\":\"exited\","
	"\"ExitCode\":137,\"OOMKilled\":true,\"Error\":\"\",\"StartedAt\":\"2026-11-21T23:40:31."
	"5Z\","
	"\"FinishedAt\":\"2026-11-22T01:40:32.25+02:00\",\"Health\":{\"Status\":\"unhealthy\","
	"\"Log\":["
	"{\"Output\":\"first\"},{\"Output\":\"curl: "
	"(7)\\nno\\n\"}]}},\"Config\":{\"Image\":\"nginx\","
	"\"Labels\":{\"jaco.cluster_id\":\"c1\",\"jaco.replica_id\":\"shop-web-1\","
	"\"jaco.generation\":\"4\",\"jaco.revision\":\"12\",\"other\":\"x\"}},\"NetworkSettings\":"
	"{\"Networks\":{\"jaco_shop_front\":{\"IPAddress\":\"10.96.0.5\"},\"b\":{\"IPAddress\":"
	"\"\"}}},"
	"\"New\":[1,2]}";

JT_CASE(an_inspected_container_is_read_whole)
{
	struct engine_container c;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(engine_json_container(inspect, strlen(inspect), &c, &err), &err);
	JT_STR(c.id, "abc");
	JT_STR(c.name, "shop-web-1");
	JT_EQ(c.state, ENGINE_EXITED);
	JT_EQ(c.exit_code, 137);
	JT_TRUE(c.oom_killed && c.is_inspected);
	JT_EQ(c.health, ENGINE_HEALTH_BAD);
	JT_STR(c.health_output, "curl: (7) no");
	JT_EQ(c.finished_ms - c.started_ms, 750);
	JT_STR(c.labels.replica_id, "shop-web-1");
	JT_EQ(c.labels.generation, 4);
	JT_EQ(c.n_networks, 2);
	JT_EQ(c.networks[0].address, 0x0a600005);
	JT_EQ(c.networks[1].address, 0);
}

JT_CASE(every_truncation_is_an_error)
{
	struct engine_container c;
	struct jaco_err err = JACO_ERR_INIT;

	for (size_t n = 0; n < strlen(inspect); n++)
		JT_FAILS_WITH(engine_json_container(inspect, n, &c, &err), DOCKER_ERROR, "engine",
			      &err);
}

JT_CASE(wrong_types_are_named)
{
	static const struct {
		const char *json, *part;
	} cases[] = {
		{"[]", "not an object"},
		{"{\"Id\":7,\"State\":{\"Status\":\"running\"}}", "Id is not a string"},
		{"{\"Id\":\"a\",\"State\":[]}", "State is not an object"},
		{"{\"Id\":\"a\",\"State\":{\"Status\":\"flying\"}}", "no state we know"},
		{"{\"Id\":\"a\",\"State\":{\"Status\":\"running\",\"ExitCode\":\"1\"}}",
		 "State.ExitCode is not an integer"},
		{"{\"Id\":\"a\",\"State\":{\"Status\":\"running\",\"StartedAt\":\"soon\"}}",
		 "StartedAt is not a time"},
		{"{\"Id\":\"a\\u0000b\",\"State\":{\"Status\":\"running\"}}", "Id is too long"},
		{"{\"Id\":\"a\\nb\",\"State\":{\"Status\":\"running\"}}", "control character"},
		{"{\"State\":{\"Status\":\"running\"}}", "Id is missing"},
		{"{\"Id\":\"a\",\"State\":{\"Status\":\"running\"},\"Config\":{\"Labels\":"
		 "{\"jaco.generation\":\"-1\"}}}",
		 "jaco.generation is not a number"},
	};
	struct engine_container c;
	struct jaco_err err = JACO_ERR_INIT;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(cases); i++)
		JT_FAILS_WITH(engine_json_container(cases[i].json, strlen(cases[i].json), &c, &err),
			      DOCKER_ERROR, cases[i].part, &err);
}

static void count_container(void *ctx, const struct engine_container *c)
{
	int *n = ctx;

	JT_STR(c->name, "mine");
	(*n)++;
}

JT_CASE(a_listing_passes_by_what_is_not_ours)
{
	static const char list[] =
		"[{\"Id\":\"1\",\"Names\":[\"/theirs\"],\"State\":\"weird\",\"Labels\":{}},"
		"{\"Id\":9,\"Labels\":{\"jaco.cluster_id\":\"other\"}},"
		"{\"Id\":\"2\",\"Names\":[\"/mine\"],\"State\":\"running\",\"Image\":\"i\","
		"\"Labels\":{\"jaco.cluster_id\":\"c1\",\"jaco.replica_id\":\"r\"}}]";
	struct jaco_err err = JACO_ERR_INIT;
	int n = 0;

	JT_OK(engine_json_container_list(list, strlen(list), "c1", count_container, &n, &err),
	      &err);
	JT_EQ(n, 1);
	JT_FAILS_WITH(engine_json_container_list("{}", 2, "c1", count_container, &n, &err),
		      DOCKER_ERROR, "not a list", &err);
}

JT_CASE(events_are_told_apart)
{
	static const char die[] =
		"{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"abc\","
		"\"Attributes\":"
		"{\"exitCode\":\"9\",\"jaco.replica_id\":\"shop-web-1\"}},\"time\":1}";
	static const char sick[] = "{\"Type\":\"container\",\"Action\":\"health_status: "
				   "unhealthy\",\"Actor\":{\"ID\":\"abc\"}}";
	static const char net[] =
		"{\"Type\":\"network\",\"Action\":\"create\",\"Actor\":{\"ID\":\"abc\"}}";
	struct engine_event event;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(engine_json_event(die, strlen(die), &event, &err), &err);
	JT_EQ(event.what, ENGINE_EVENT_DIE);
	JT_EQ(event.exit_code, 9);
	JT_STR(event.replica_id, "shop-web-1");
	JT_OK(engine_json_event(sick, strlen(sick), &event, &err), &err);
	JT_EQ(event.what, ENGINE_EVENT_HEALTH);
	JT_EQ(event.health, ENGINE_HEALTH_BAD);
	JT_OK(engine_json_event(net, strlen(net), &event, &err), &err);
	JT_EQ(event.what, ENGINE_EVENT_OTHER);
}

JT_CASE(networks_show_what_we_compare)
{
	static const char net[] =
		"{\"Name\":\"jaco_shop_front\",\"Id\":\"n\",\"Driver\":\"bridge\",\"Internal\":"
		"false,"
		"\"IPAM\":{\"Config\":[{\"Subnet\":\"10.96.0.0/24\",\"Gateway\":\"10.96.0.1\"}]},"
		"\"Options\":{\"com.docker.network.bridge.name\":\"jaco-abcd-0123\","
		"\"com.docker.network.bridge.enable_ip_masquerade\":\"false\","
		"\"com.docker.network.driver.mtu\":\"1420\"},"
		"\"Labels\":{\"jaco.cluster_id\":\"c1\",\"jaco.network\":\"front\"},"
		"\"Containers\":{\"a\":{},\"b\":{}}}";
	struct engine_network n;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(engine_json_network(net, strlen(net), &n, &err), &err);
	JT_STR(n.subnet, "10.96.0.0/24");
	JT_STR(n.bridge, "jaco-abcd-0123");
	JT_FALSE(n.has_masquerade);
	JT_EQ(n.mtu, 1420);
	JT_EQ(n.n_containers, 2);
}

JT_CASE(podmans_networks_show_it_too)
{
	static const char net[] =
		"{\"Name\":\"jaco_shop_front\",\"Id\":\"n\",\"Driver\":\"bridge\",\"Internal\":"
		"false,"
		"\"IPAM\":{\"Config\":[{\"Subnet\":\"10.96.0.0/24\",\"Gateway\":\"10.96.0.1\"}]},"
		"\"Options\":{\"mtu\":\"1380\"},\"Containers\":{\"a\":{\"Name\":\"x\"}},"
		"\"Labels\":{\"jaco.cluster_id\":\"c1\",\"jaco.bridge\":\"jaco-abcd-0123\"}}";
	struct engine_network n;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(engine_json_network(net, strlen(net), &n, &err), &err);
	JT_STR(n.bridge, "jaco-abcd-0123");
	JT_FALSE(n.has_masquerade);
	JT_EQ(n.mtu, 1380);
	JT_EQ(n.n_containers, 1);
}

JT_CASE(refusals_are_quoted)
{
	char text[ENGINE_TEXT_BYTES];

	engine_json_message("{\"message\":\"no such image: x\\n\"}", 32, text);
	JT_STR(text, "no such image: x");
	engine_json_message("page not found\nmore", 19, text);
	JT_STR(text, "page not found");
	engine_json_message("", 0, text);
	JT_STR(text, "");
}

JT_MAIN(JT_RUN(an_inspected_container_is_read_whole), JT_RUN(every_truncation_is_an_error),
	JT_RUN(wrong_types_are_named), JT_RUN(a_listing_passes_by_what_is_not_ours),
	JT_RUN(events_are_told_apart), JT_RUN(networks_show_what_we_compare),
	JT_RUN(podmans_networks_show_it_too),
	JT_RUN(refusals_are_quoted))
