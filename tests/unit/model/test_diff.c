/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/manifest/manifest.h"

#include "tests/lib/test.h"

static const struct jaco_manifest *load(struct jaco_arena *arena, const char *jaco,
					const char *compose)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(arena);
	struct jaco_document overlay = {"jaco.yaml", jaco, strlen(jaco)};
	struct jaco_document document = {"compose.yaml", compose, strlen(compose)};
	const struct jaco_manifest *manifest = NULL;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_manifest_load(&overlay, &document, &findings, &manifest, &err) < 0)
		fail_msg("%s", err.text);
	return manifest;
}

static const struct jaco_change_item *find(const struct jaco_diff *diff, const char *name)
{
	for (size_t i = 0; i < diff->n; i++)
		if (strcmp(diff->items[i].name, name) == 0)
			return &diff->items[i];
	fail_msg("nothing is said about %s", name);
	return NULL;
}

static const char compose_before[] =
	"services:\n  web: {image: a, environment: {SECRET: old}, ports: ['5000:80']}\n"
	"  api: {image: b}\n  gone: {image: c}\n";
static const char compose_after[] =
	"services:\n  web: {image: a, environment: {SECRET: new}, ports: ['5001:80']}\n"
	"  api: {image: b, networks: [back]}\n  more: {image: d, volumes: ['v:/v']}\n"
	"networks: {back: }\nvolumes: {v: }\n";

JT_CASE(a_diff_names_what_a_person_would_call_a_change)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct jaco_manifest *before =
		load(&arena,
		     "deployment: d\nroutes: [{domain: a.example.com, service: web, port: 80}]\n",
		     compose_before);
	const struct jaco_manifest *after =
		load(&arena,
		     "deployment: d\nroutes: [{domain: a.example.com, service: api, port: 80}]\n"
		     "services: [{name: api, replicas: 2}]\n",
		     compose_after);
	struct jaco_diff diff = jaco_manifest_diff(before, after, &arena);
	const struct jaco_change_item *web = find(&diff, "web");

	JT_EQ(web->change, JACO_CHANGE_CHANGED);
	JT_TRUE(web->recreates);
	JT_STR(web->fields[0].key, "environment.SECRET");
	JT_STR(web->fields[0].before, "(hidden)");
	JT_EQ(find(&diff, "gone")->change, JACO_CHANGE_REMOVED);
	JT_EQ(find(&diff, "more")->change, JACO_CHANGE_ADDED);
	JT_EQ(find(&diff, "a.example.com/")->kind, JACO_CHANGE_ROUTE);
	JT_STR(find(&diff, "a.example.com/")->fields[0].after, "api");
	JT_EQ(find(&diff, "5000/tcp")->change, JACO_CHANGE_REMOVED);
	JT_EQ(find(&diff, "5001/tcp")->change, JACO_CHANGE_ADDED);
	JT_EQ(find(&diff, "back")->kind, JACO_CHANGE_NETWORK);
	JT_EQ(find(&diff, "v")->kind, JACO_CHANGE_VOLUME);
}

JT_CASE(nothing_differs_from_itself_and_scaling_recreates_nothing)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct jaco_manifest *one = load(&arena, "deployment: d\n", compose_before);
	const struct jaco_manifest *two = load(
		&arena, "deployment: d\nservices: [{name: web, replicas: 9}]\n", compose_before);
	char hash_one[JACO_HASH_MAX + 1];
	char hash_two[JACO_HASH_MAX + 1];
	struct jaco_diff diff;

	JT_EQ(jaco_manifest_diff(one, one, &arena).n, 0);
	diff = jaco_manifest_diff(one, two, &arena);
	JT_EQ(diff.n, 1);
	JT_FALSE(diff.items[0].recreates);
	JT_STR(diff.items[0].fields[0].key, "replicas");
	jaco_plan_hash(one, 4, hash_one);
	jaco_plan_hash(one, 5, hash_two);
	JT_TRUE(strcmp(hash_one, hash_two) != 0);
	jaco_plan_hash(two, 4, hash_two);
	JT_TRUE(strcmp(hash_one, hash_two) != 0);
	diff = jaco_manifest_diff(NULL, one, &arena);
	JT_EQ(find(&diff, "web")->change, JACO_CHANGE_ADDED);
}

static const char *route_owner(void *ctx, const char *domain, const char *path)
{
	(void)ctx;
	return strcmp(domain, "a.example.com") == 0 && strcmp(path, "/") == 0 ? "other" : NULL;
}

static const enum jaco_tls_mode *domain_tls(void *ctx, const char *domain)
{
	static const enum jaco_tls_mode off = JACO_TLS_OFF;

	(void)ctx;
	(void)domain;
	return &off;
}

JT_CASE(admission_names_the_owner_of_a_route)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct jaco_manifest *manifest =
		load(&arena,
		     "deployment: d\nroutes: [{domain: a.example.com, service: web, port: 80}]\n",
		     compose_before);
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct jaco_cluster_facts facts = {.route_owner = route_owner};
	static const uint16_t reserved[] = {5000};
	struct jaco_err err = JACO_ERR_INIT;

	JT_FAILS_WITH(jaco_manifest_admit(manifest, &facts, &findings, &err), ROUTE_CONFLICT,
		      "is routed already by deployment \"other\"", &err);
	JT_STR(jaco_err_get_detail(&err, "owner"), "other");
	findings = JACO_FINDINGS_INIT(&arena);
	facts = (struct jaco_cluster_facts){.domain_tls = domain_tls};
	JT_FAILS_WITH(jaco_manifest_admit(manifest, &facts, &findings, &err), ROUTE_TLS_MIXED,
		      "tls off in another deployment, auto here", &err);
	findings = JACO_FINDINGS_INIT(&arena);
	facts = (struct jaco_cluster_facts){.reserved_ports = reserved, .n_reserved_ports = 1};
	JT_FAILS_WITH(jaco_manifest_admit(manifest, &facts, &findings, &err), RESERVED_PORT,
		      "port 5000 belongs to JACO itself", &err);
	findings = JACO_FINDINGS_INIT(&arena);
	facts = (struct jaco_cluster_facts){.other_services = 498, .other_replicas = 1};
	JT_FAILS_WITH(jaco_manifest_admit(manifest, &facts, &findings, &err), LIMIT_EXCEEDED,
		      "would have 501 services", &err);
	findings = JACO_FINDINGS_INIT(&arena);
	facts = (struct jaco_cluster_facts){.other_replicas = 9999};
	JT_FAILS_WITH(jaco_manifest_admit(manifest, &facts, &findings, &err), LIMIT_EXCEEDED,
		      "would have 10002 replicas", &err);
}

JT_MAIN(JT_RUN(a_diff_names_what_a_person_would_call_a_change),
	JT_RUN(nothing_differs_from_itself_and_scaling_recreates_nothing),
	JT_RUN(admission_names_the_owner_of_a_route))
