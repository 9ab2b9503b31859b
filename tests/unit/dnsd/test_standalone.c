/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON file: what it may say, and where an error is found. */
#include "daemons/dnsd/standalone.h"

#include "tests/lib/test.h"

#define MINIMAL "\"listeners\": [{\"address\": \"127.0.0.1:53\", \"scope\": \"shop\"}]"

static struct standalone file;

static int parse(const char *text, struct jaco_err *err)
{
	return standalone_parse(text, strlen(text), 1, &file, err);
}

static const struct zone_entry *find(const char *text)
{
	const struct zone *zone = zone_table_find(file.table, "shop", "default");
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];

	return zone_find(zone, name, packet_name_from_text(text, name));
}

JT_CASE(defaults_are_as_documented)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(parse("{" MINIMAL ", \"scopes\": [{\"deployment\": \"shop\"}]}", &err), &err);
	JT_EQ(file.n_listeners, 1);
	JT_STR(file.listeners[0].network, "default");
	JT_EQ(file.forwarder_timeout_ms, 2000);
	JT_EQ(file.tcp_idle_ms, 10000);
	JT_EQ(file.tcp_connections, 256);
	JT_EQ(file.cache_bytes, 10 * 1024 * 1024);
	JT_EQ(file.n_forwarders, 0);
	standalone_fini(&file);
}

JT_CASE(only_running_healthy_staying_replicas_on_living_nodes_count)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(parse("{" MINIMAL ", \"nodes\": {\"n9\": \"unreachable\", \"n8\": \"suspect\"},"
		    "\"scopes\": [{\"deployment\": \"shop\", \"services\": [{\"name\": \"web\","
		    "\"replicas\": ["
		    "{\"index\": 0, \"address\": \"10.0.0.1\"},"
		    "{\"index\": 1, \"address\": \"10.0.0.2\", \"state\": \"degraded\"},"
		    "{\"index\": 2, \"address\": \"10.0.0.3\", \"healthy\": false},"
		    "{\"index\": 3, \"address\": \"10.0.0.4\", \"draining\": true},"
		    "{\"index\": 4, \"address\": \"10.0.0.5\", \"host\": \"n9\"},"
		    "{\"index\": 5, \"address\": \"10.0.0.6\", \"host\": \"n8\"},"
		    "{\"index\": 6}]}]}]}",
		    &err),
	      &err);
	JT_EQ(find("web")->n_members, 2);
	JT_EQ(find("web")->members[1].addr, 0x0a000006);
	JT_EQ(find("3.web")->n_members, 0);
	JT_EQ(find("shop-web-0")->n_members, 1);
	standalone_fini(&file);
}

JT_CASE(errors_name_the_place)
{
	struct jaco_err err = JACO_ERR_INIT;
	static const struct {
		const char *text, *part;
	} bad[] = {
		{"{" MINIMAL ", \"scopes\": [{\"deployment\": \"shop\", \"service\": []}]}",
		 "scopes[0]: unknown key \"service\""},
		{"{" MINIMAL ", \"scopes\": [{}]}", "scopes[0].deployment: wants a text"},
		{"{" MINIMAL ", \"scopes\": [{\"deployment\": \"other\"}]}",
		 "listeners[0].scope: there is no scope shop/default"},
		{"{" MINIMAL
		 ", \"forwarder_timeout\": 2, \"scopes\": [{\"deployment\": \"shop\"}]}",
		 "file.forwarder_timeout"},
		{"{" MINIMAL ", \"scopes\": [{\"deployment\": \"shop\", \"services\": "
		 "[{\"name\": \"web\", \"replicas\": [{\"address\": \"10.0.0\"}]}]}]}",
		 "scopes[0].services[0].replicas[0].address"},
		{"{" MINIMAL ", \"pool\": [\"x\"], \"scopes\": [{\"deployment\": \"shop\"}]}",
		 "file.pool[0]"},
		{"{\"scopes\": []}", "file.listeners"},
		{"[]", "file: wants an object"},
		{"{" MINIMAL ", \"cache_bytes\": -1, \"scopes\": [{\"deployment\": \"shop\"}]}",
		 "file.cache_bytes"},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		JT_FAILS_WITH(parse(bad[i].text, &err), VALIDATION_FAILED, bad[i].part, &err);
	JT_FAILS_WITH(parse("{\"a\":\n 1,}", &err), PARSE_FAILED, "line 2", &err);
	JT_FAILS_WITH(parse("{\"a\": 1, \"a\": 2}", &err), PARSE_FAILED, "duplicate", &err);
}

JT_MAIN(JT_RUN(defaults_are_as_documented),
	JT_RUN(only_running_healthy_staying_replicas_on_living_nodes_count),
	JT_RUN(errors_name_the_place))
