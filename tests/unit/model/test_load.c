/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/manifest/manifest.h"

#include "tests/lib/test.h"

static int load(struct jaco_arena *arena, const char *jaco, const char *compose,
		struct jaco_findings *findings, const struct jaco_manifest **out,
		struct jaco_err *err)
{
	struct jaco_document overlay = {.name = "jaco.yaml", .data = jaco, .n = strlen(jaco)};
	struct jaco_document doc = {.name = "compose.yaml", .data = compose, .n = strlen(compose)};

	*findings = JACO_FINDINGS_INIT(arena);
	return jaco_manifest_load(&overlay, &doc, findings, out, err);
}

JT_CASE(a_pair_of_files_becomes_typed_services)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_findings findings;
	const struct jaco_manifest *manifest = NULL;
	const struct jaco_service *web;

	JT_OK(load(&arena,
		   "deployment: shop\n"
		   "routes:\n"
		   "  - {domain: Shop.example.com, service: web, port: 8080, path: /api/}\n"
		   "services:\n"
		   "  - {name: web, replicas: 3, rollout: {parallel: 2}}\n",
		   "services:\n"
		   "  web:\n"
		   "    image: nginx:1.25\n"
		   "    command: sh -c 'echo \"a b\"'\n"
		   "    environment:\n"
		   "      - A=1\n"
		   "      - B\n"
		   "      - C=x=y\n"
		   "    ports: [\"8080:80\", \"5000-5001:6000-6001/udp\", 9000]\n"
		   "    volumes: [data:/var/lib/data, /srv/x:/x:ro]\n"
		   "    healthcheck: {test: curl -f http://localhost, interval: 1m30s}\n"
		   "    depends_on: [db]\n"
		   "    container_name: shop-web\n"
		   "    deploy: {resources: {limits: {cpus: '0.5', memory: 64M}}}\n"
		   "  db:\n"
		   "    image: postgres\n"
		   "    networks: {back: {aliases: [pg]}}\n"
		   "volumes:\n"
		   "  data:\n",
		   &findings, &manifest, &err),
	      &err);
	web = jaco_manifest_service(manifest, "web");
	JT_NOT_NULL(web);
	JT_NULL(jaco_manifest_service(manifest, "nobody"));
	JT_EQ(web->replicas, 3);
	JT_EQ(web->command.n, 3);
	JT_STR(web->command.items[2], "echo \"a b\"");
	JT_EQ(web->environment.n, 2);
	JT_STR(web->environment.items[1].value, "x=y");
	JT_EQ(web->n_ports, 4);
	JT_EQ(web->ports[0].target, 80);
	JT_EQ(web->ports[3].mode, JACO_PORT_EXPOSED);
	JT_STR(web->mounts[0].engine_name, "jaco_shop_data");
	JT_TRUE(web->mounts[1].read_only);
	JT_TRUE(web->is_stateful);
	JT_EQ(web->rollout.order, JACO_ORDER_STOP_FIRST);
	JT_EQ(web->healthcheck.interval_ms.value, 90000);
	JT_EQ(web->healthcheck.kind, JACO_HEALTHCHECK_SHELL);
	JT_EQ(web->resources.nano_cpus.value, 500000000);
	JT_EQ(web->resources.memory_bytes.value, 64 << 20);
	JT_STR(web->dns_names.items[0], "shop-web");
	JT_EQ(web->default_probe_port, 8080);
	JT_STR(web->attachments[0].network, "_default");
	JT_EQ(strlen(web->spec_hash), 64);
	JT_EQ(manifest->n_published, 3);
	JT_STR(manifest->routes[0].domain, "shop.example.com");
	JT_STR(manifest->routes[0].path, "/api");
	JT_EQ(manifest->n_networks, 2);
	JT_TRUE(findings.n_warnings >= 2);
}

JT_CASE(all_findings_of_both_files_come_at_once_and_sorted)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_findings findings;
	const struct jaco_manifest *manifest = NULL;

	JT_FAILS_WITH(load(&arena, "deployment: shop\nroute: []\n",
			   "services:\n  web:\n    image: x\n    prots: [\"80:80\"]\n"
			   "    mem_limit: lots\n",
			   &findings, &manifest, &err),
		      VALIDATION_FAILED, "did you mean \"routes\"", &err);
	JT_EQ(findings.n_errors, 3);
	JT_STR(findings.items[0].pos.file, "jaco.yaml");
	JT_EQ(findings.items[1].pos.line, 4);
	JT_EQ(findings.items[1].pos.column, 5);
	JT_STR(findings.items[1].path, "services.web.prots");
	JT_STR(findings.items[2].path, "services.web.mem_limit");
	JT_EQ(findings.items[2].pos.column, 16);
	JT_NULL(manifest);
}

JT_CASE(equal_containers_have_equal_hashes)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_findings findings;
	const struct jaco_manifest *a = NULL;
	const struct jaco_manifest *b = NULL;
	const struct jaco_manifest *c = NULL;

	JT_OK(load(&arena, "deployment: d\n",
		   "services:\n  s:\n    image: i\n    environment: [B=2, A=1]\n    ports: "
		   "['81:82']\n",
		   &findings, &a, &err),
	      &err);
	JT_OK(load(&arena, "deployment: d\n",
		   "# comment\nservices:\n  s:\n    ports: [{target: 82, published: 81}]\n"
		   "    environment:\n      A: 1\n      B: '2'\n    image: \"i\"\n",
		   &findings, &b, &err),
	      &err);
	JT_OK(load(&arena, "deployment: d\n",
		   "services:\n  s:\n    image: i\n    environment: [B=2, A=3]\n    ports: "
		   "['81:82']\n",
		   &findings, &c, &err),
	      &err);
	JT_STR(a->services[0].spec_hash, b->services[0].spec_hash);
	JT_TRUE(strcmp(a->services[0].spec_hash, c->services[0].spec_hash) != 0);
}

/* What "ports" of service s makes of a manifest with @routes: 0, or a code. */
static int with_ports(struct jaco_arena *arena, const char *routes, const char *ports,
		      const struct jaco_manifest **out)
{
	struct jaco_findings findings;
	struct jaco_err err = JACO_ERR_INIT;

	*out = NULL;
	return load(arena, jaco_arena_printf(arena, "deployment: d\nroutes: [%s]\n", routes),
		    jaco_arena_printf(
			    arena, "services: {s: {image: i, ports: [%s]}, t: {image: i}}\n",
			    ports),
		    &findings, out, &err);
}

JT_CASE(a_port_of_the_ingress_is_left_to_a_route_to_it)
{
#define TO(service, port) "{domain: a.example, service: " service ", port: " port "}"
	static const struct {
		const char *routes, *ports;
		bool is_accepted;
		size_t n_published;
	} table[] = {
		{"", "'80:80'", false, 0},
		{TO("s", "80"), "'80:80'", true, 0},
		{TO("t", "80"), "'80:80'", false, 0},
		{TO("s", "8080"), "'80:80'", false, 0},
		{TO("s", "8080"), "'80:8080'", true, 0},
		{TO("s", "80"), "'80:8080'", false, 0},
		{TO("s", "443"), "'443:443'", true, 0},
		{TO("s", "80"), "'443:443'", false, 0},
		{TO("s", "80"), "'80:80', '443:443'", true, 0},
		{TO("s", "443"), "'80:80', '443:443'", true, 0},
		{TO("s", "80"), "'80:80', '443:443', '443:443/udp'", true, 0},
		{TO("s", "80"), "'80:80', '443:443', '443:51820/udp'", true, 1},
		{"", "'443:443/udp'", true, 1},
		{TO("s", "80"), "'80:80', '80:80/udp'", true, 1},
		{TO("s", "80"), "'80:80', '8080:80'", true, 1},
		{TO("s", "80"), "'127.0.0.1:80:80'", true, 0},
		{TO("s", "80"), "'80:80', '127.0.0.1:80:81'", false, 0},
		{TO("s", "80"), "'79-81:79-81'", true, 2},
		{TO("s", "81"), "'79-81:79-81'", false, 0},
		{TO("s", "80"), "'80-90:80'", true, 1},
		{TO("s", "80"), "{target: 80, published: 80, mode: host}", true, 0},
		{"{domain: a.example, redirect: {to: 'https://b.example'}}", "'80:80'", false, 0},
	};
#undef TO

	for (size_t i = 0; i < JACO_ARRAY_SIZE(table); i++) {
		jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
		const struct jaco_manifest *manifest;
		int rc = with_ports(&arena, table[i].routes, table[i].ports, &manifest);

		if (rc != (table[i].is_accepted ? 0 : -JACO_RESERVED_PORT))
			fail_msg("%s with routes %s: %d", table[i].ports, table[i].routes, rc);
		if (manifest && manifest->n_published != table[i].n_published)
			fail_msg("%s publishes %zu", table[i].ports, manifest->n_published);
	}
}

JT_CASE(a_port_left_to_the_ingress_recreates_no_container)
{
	static const char *const spelt[] = {"'80'", "'8080:80'", "'80:80'", "'127.0.0.1:80:80'"};
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct jaco_manifest *first = NULL;
	const struct jaco_manifest *manifest;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(spelt); i++) {
		JT_EQ(with_ports(&arena, "{domain: a.example, service: s, port: 80}", spelt[i],
				 &manifest),
		      0);
		first = first ? first : manifest;
		JT_STR(first->services[0].spec_hash, manifest->services[0].spec_hash);
	}
	JT_EQ(with_ports(&arena, "{domain: b.example, service: s, port: 80, tls: off}", "'80:80'",
			 &manifest),
	      0);
	JT_STR(first->services[0].spec_hash, manifest->services[0].spec_hash);
}

/* dnsd asks these servers for the containers; only those outside its networks have them. */
JT_CASE(servers_of_a_service_recreate_only_containers_that_have_them)
{
	static const struct {
		const char *more;
		bool is_same;
	} table[] = {{"", true}, {", network_mode: none", false}, {", network_mode: host", false}};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(table); i++) {
		jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
		struct jaco_findings findings;
		struct jaco_err err = JACO_ERR_INIT;
		const struct jaco_manifest *m[2] = {NULL, NULL};

		for (size_t k = 0; k < 2; k++)
			JT_OK(load(&arena, "deployment: d\n",
				   jaco_arena_printf(&arena,
						     "services: {s: {image: i, dns: %s%s}}\n",
						     k ? "[1.1.1.1, '2001:db8::1']" : "1.1.1.1",
						     table[i].more),
				   &findings, &m[k], &err),
			      &err);
		JT_EQ(m[1]->services[0].dns.n, 2);
		JT_EQ(strcmp(m[0]->services[0].spec_hash, m[1]->services[0].spec_hash) == 0,
		      table[i].is_same);
		JT_EQ(jaco_manifest_diff(m[0], m[1], &arena).n, 1);
	}
}

JT_MAIN(JT_RUN(a_pair_of_files_becomes_typed_services),
	JT_RUN(all_findings_of_both_files_come_at_once_and_sorted),
	JT_RUN(equal_containers_have_equal_hashes),
	JT_RUN(a_port_of_the_ingress_is_left_to_a_route_to_it),
	JT_RUN(a_port_left_to_the_ingress_recreates_no_container),
	JT_RUN(servers_of_a_service_recreate_only_containers_that_have_them))
