/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/proxyd/config.h"

#include "tests/lib/test.h"

static uint64_t id_of(enum config_kind kind, const char *address)
{
	return kind * 1000u + strlen(address);
}

static int parse(const char *text, struct config *out, struct jaco_err *err)
{
	return config_parse(text, strlen(text), 7, id_of, out, err);
}

JT_CASE(a_full_document_becomes_tables)
{
	const char *text =
		"{\"listeners\": [{\"kind\": \"http\", \"address\": \"127.0.0.1:80\"},"
		" {\"kind\": \"tcp\", \"address\": \"[::]:6379\", \"service\": \"s/db\", \"port\": "
		"6379,"
		"  \"idle\": \"1m\", \"send_proxy\": true}],"
		"\"services\": {\"s/web\": {\"replicas\": ["
		" {\"id\": \"a\", \"address\": \"10.0.0.1\", \"state\": \"running\"},"
		" {\"id\": \"b\", \"address\": \"10.0.0.2\", \"port\": 81},"
		" {\"id\": \"c\", \"address\": \"10.0.0.3\", \"state\": \"draining\"},"
		" {\"id\": \"d\", \"address\": \"10.0.0.4\", \"healthy\": false}]},"
		" \"s/db\": {\"replicas\": [{\"address\": \"10.0.0.9\"}]}},"
		"\"routes\": [{\"domain\": \"a.test\", \"path\": \"/x\", \"service\": \"s/web\", "
		"\"port\": 8080,"
		"  \"tls\": \"off\", \"strip_path\": true, \"max_body\": \"64k\", \"balance\": "
		"\"hash(X-Key)\","
		"  \"timeouts\": {\"connect\": \"1s\"}, \"sticky\": {\"cookie\": \"J\", \"ttl\": "
		"\"1m\"},"
		"  \"headers\": {\"request\": {\"set\": {\"A\": \"b\"}, \"remove\": [\"C\"]}},"
		"  \"allow\": [\"10.0.0.0/8\"], \"basic_auth\": [{\"user\": \"u\", "
		"\"password_hash\": \"h\"}],"
		"  \"maintenance\": true},"
		" {\"domain\": \"b.test\", \"redirect\": {\"to\": \"https://c.test\", \"code\": "
		"302}}],"
		"\"trusted_proxies\": [\"192.0.2.0/24\"], \"workers\": 2,"
		"\"timeouts\": {\"head\": \"5s\"}}";
	jaco_auto(config) struct config config = CONFIG_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	const struct route *r;
	const struct route_l4 *l4;

	JT_OK(parse(text, &config, &err), &err);
	JT_EQ(config.n_listeners, 2);
	JT_EQ(config.workers, 2);
	JT_EQ(config.limits.head_ms, 5000);
	JT_EQ(config.table->generation, 7);
	JT_EQ(config.table->n_routes, 2);
	JT_EQ(config.table->n_trusted, 1);
	r = config.table->routes[0];
	JT_EQ(r->n_targets, 2);
	JT_EQ(config.table->endpoints[r->targets[0]].port, 8080);
	JT_EQ(config.table->endpoints[r->targets[1]].port, 81);
	JT_TRUE(r->strip_path);
	JT_EQ(r->tls, ROUTE_TLS_OFF);
	JT_EQ(r->max_body, 65536);
	JT_EQ(r->balance, BALANCE_HASH);
	JT_STR(r->hash_header, "X-Key");
	JT_EQ(r->connect_ms, 1000);
	JT_EQ(r->response_ms, 60000);
	JT_EQ(r->sticky_ttl_s, 60);
	JT_EQ(r->request.n_set, 1);
	JT_STR(r->request.remove[0].name, "C");
	JT_EQ(r->n_allow, 1);
	JT_NOT_NULL(r->maintenance);
	JT_EQ(config.table->routes[1]->redirect_code, 302);
	l4 = route_table_l4(config.table, id_of(CONFIG_TCP, "[::]:6379"));
	JT_NOT_NULL(l4);
	JT_EQ(l4->idle_ms, 60000);
	JT_TRUE(l4->send_proxy);
	JT_NULL(route_table_l4(config.table, 12345));
}

JT_CASE(mistakes_are_located)
{
	static const struct {
		const char *text;
		enum jaco_code code;
		const char *part;
	} bad[] = {
		{"{", JACO_PARSE_FAILED, "line 1"},
		{"[]", JACO_VALIDATION_FAILED, "must be an object"},
		{"{\"route\": []}", JACO_VALIDATION_FAILED, "did you mean \"routes\""},
		{"{\"routes\": {}}", JACO_VALIDATION_FAILED, "routes: must be an array"},
		{"{\"routes\": [{}]}", JACO_VALIDATION_FAILED, "routes[0].domain: is missing"},
		{"{\"routes\": [{\"domain\": \"a\"}]}", JACO_VALIDATION_FAILED,
		 "needs either service or redirect"},
		{"{\"routes\": [{\"domain\": \"a\", \"service\": \"x\"}]}", JACO_VALIDATION_FAILED,
		 "is not among the services"},
		{"{\"routes\": [{\"domain\": \"a\", \"balance\": \"best\", "
		 "\"redirect\": {\"to\": \"b\"}}]}",
		 JACO_VALIDATION_FAILED, "balance \"best\""},
		{"{\"routes\": [{\"domain\": \"a\", \"redirect\": {\"to\": \"b\", \"code\": "
		 "305}}]}",
		 JACO_VALIDATION_FAILED, "redirect.code"},
		{"{\"services\": {\"s\": {\"replicas\": [{\"address\": \"x\"}]}}}",
		 JACO_VALIDATION_FAILED, "services.s.replicas[0].address"},
		{"{\"listeners\": [{\"kind\": \"tcp\", \"address\": \"1.2.3.4:5\"}]}",
		 JACO_VALIDATION_FAILED, "listeners[0].service"},
		{"{\"timeouts\": {\"head\": \"soon\"}}", JACO_VALIDATION_FAILED, "timeouts.head"},
		{"{\"workers\": -1}", JACO_VALIDATION_FAILED, "workers"},
		{"{\"trusted_proxies\": [\"x\"]}", JACO_VALIDATION_FAILED, "trusted_proxies"},
		{"{\"routes\": [{\"domain\": \"a\", \"redirect\": {\"to\": \"b\"}}, "
		 "{\"domain\": \"A\", \"redirect\": {\"to\": \"b\"}}]}",
		 JACO_ROUTE_CONFLICT, "routes[1]"},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++) {
		struct config config = CONFIG_INIT;
		struct jaco_err err = JACO_ERR_INIT;

		JT_EQ(parse(bad[i].text, &config, &err), -(int)bad[i].code);
		if (!strstr(err.text, bad[i].part))
			fail_msg("wanted \"%s\" in \"%s\"", bad[i].part, err.text);
	}
}

JT_MAIN(JT_RUN(a_full_document_becomes_tables), JT_RUN(mistakes_are_located))
