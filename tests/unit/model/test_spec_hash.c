/* SPDX-License-Identifier: Apache-2.0
 *
 * Property: equivalent rewrites of a service keep its hash, real changes change it.  A service is
 * drawn from a seed as a list of facts; each fact can be written in several equivalent ways, and in
 * one way that a container would feel. */
#include "libjaco/model/manifest/manifest.h"

#include "tests/lib/test.h"

#define SPELLINGS 3

struct fact {
	const char *same[SPELLINGS]; /* equivalent spellings; unused ones NULL */
	const char *other;           /* a container would feel this */
};

static const struct fact facts[] = {
	{{"environment: [A=1, B=two]", "environment: {B: two, A: \"1\"}",
	  "environment:\n      B: 'two' # comment\n      A: 1"},
	 "environment: [A=1, B=three]"},
	{{"command: run --fast 'a b'", "command: [run, --fast, a b]",
	  "command:\n      - run\n      - \"--fast\"\n      - a b"},
	 "command: run --fast a b"},
	{{"ports: [\"8080:80\"]", "ports: [{target: 80, published: 8080}]",
	  "ports:\n      - target: 80\n        published: \"8080\"\n        protocol: tcp"},
	 "ports: [\"8080:81\"]"},
	{{"volumes: [\"data:/d:ro\"]",
	  "volumes: [{type: volume, source: data, target: /d, read_only: true}]",
	  "volumes: [\"data:/d/:ro\"]"},
	 "volumes: [\"data:/d\"]"},
	{{"labels: [a=b, c=d]", "labels: {c: d, a: b}", "labels: {\"a\": 'b', c: d}"},
	 "labels: [a=b]"},
	{{"mem_limit: 1g", "deploy: {resources: {limits: {memory: 1024m}}}",
	  "mem_limit: 1073741824"},
	 "mem_limit: 2g"},
	{{"cap_add: [NET_ADMIN, SYS_TIME]", "cap_add: [SYS_TIME, NET_ADMIN]",
	  "cap_add: [SYS_TIME, NET_ADMIN, SYS_TIME]"},
	 "cap_add: [NET_ADMIN]"},
	{{"stop_grace_period: 90s", "stop_grace_period: 1m30s", "stop_grace_period: 1.5m"},
	 "stop_grace_period: 91s"},
	{{"healthcheck: {test: curl x, interval: 60s}",
	  "healthcheck: {interval: 1m, test: [CMD-SHELL, curl x]}", NULL},
	 "healthcheck: {test: [CMD, curl, x], interval: 60s}"},
	{{"networks: [b, a]", "networks: {a: , b: }", "networks: [a, b]"}, "networks: [a]"},
	{{"extra_hosts: [\"h:10.0.0.1\", \"g:10.0.0.2\"]",
	  "extra_hosts: {g: 10.0.0.2, h: 10.0.0.1}",
	  "extra_hosts: [\"g=10.0.0.2\", \"h=10.0.0.1\"]"},
	 "extra_hosts: {g: 10.0.0.2, h: 10.0.0.3}"},
	{{"ulimits: {nofile: 10}", "ulimits: {nofile: {soft: 10, hard: 10}}", NULL},
	 "ulimits: {nofile: {soft: 10, hard: 20}}"},
	{{"tmpfs: /run", "tmpfs: [/run]", "tmpfs: [/run/]"}, "tmpfs: /tmp"},
	{{"dns_search: x.test", "dns_search: [x.test]", NULL}, "dns_search: [x.test, y.test]"},
	{{"sysctls: [a.b=1]", "sysctls: {a.b: 1}", NULL}, "sysctls: {a.b: 2}"},
	{{"user: \"1000\"", "user: 1000", NULL}, "user: 1001"},
	{{"read_only: true", "read_only: yes", "read_only: \"true\""}, "read_only: false"},
	{{"init: true", "init: on", NULL}, "init: false"},
	{{"logging: {driver: json-file, options: {a: 1, b: 2}}",
	  "logging: {options: {b: \"2\", a: '1'}, driver: json-file}", NULL},
	 "logging: {driver: json-file, options: {a: 1}}"},
	{{"devices: [\"/dev/x\"]", "devices: [\"/dev/x:/dev/x:rwm\"]",
	  "devices: [\"/dev/x:/dev/x\"]"},
	 "devices: [\"/dev/x:/dev/y\"]"},
};

/* What no container feels: may be added or left out anywhere. */
static const char *const indifferent[] = {
	"restart: always",
	"depends_on: [other]",
	"x-note: {a: b}",
	"container_name: c",
	"deploy: {placement: {constraints: [\"node.labels.a == b\"]}}",
	"# only a comment",
	"profiles: []",
	"pull_policy: always",
	"scale: 4",
};

static unsigned next(uint32_t *seed)
{
	/* Numerical Recipes' LCG: the run must repeat from its seed */
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* A document with the facts of @mask, each in some spelling; fact @changed in its other one. */
static void write_document(struct jaco_buf *out, uint32_t mask, size_t changed, uint32_t *seed)
{
	size_t start = next(seed) % JACO_ARRAY_SIZE(facts);
	bool has_deploy = false;

	jaco_buf_add_str(out, "services:\n  other: {image: o}\n  web:\n    image: i\n");
	for (size_t k = 0; k < JACO_ARRAY_SIZE(facts); k++) {
		size_t i = (start + k) % JACO_ARRAY_SIZE(facts);
		const char *text = facts[i].same[next(seed) % SPELLINGS];

		if (!(mask >> i & 1))
			continue;
		if (i == changed)
			text = facts[i].other;
		else if (!text)
			text = facts[i].same[0];
		has_deploy = has_deploy || strncmp(text, "deploy", 6) == 0;
		jaco_buf_printf(out, "    %s\n", text);
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(indifferent); i++)
		if (next(seed) % 2 && !(has_deploy && strncmp(indifferent[i], "deploy", 6) == 0))
			jaco_buf_printf(out, "    %s\n", indifferent[i]);
	jaco_buf_add_str(out, "volumes: {data: }\nnetworks: {a: , b: }\n");
}

static void hash_of(const struct jaco_buf *text, char out[static JACO_HASH_MAX + 1])
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct jaco_document jaco = {"jaco.yaml", "deployment: d\n", 14};
	struct jaco_document compose = {"c.yaml", text->data, text->n};
	const struct jaco_manifest *manifest = NULL;
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_manifest_load(&jaco, &compose, &findings, &manifest, &err) < 0)
		fail_msg("%s\n%s", err.text, jaco_buf_str(text));
	memcpy(out, jaco_manifest_service(manifest, "web")->spec_hash, JACO_HASH_MAX + 1);
}

JT_CASE(rewrites_keep_the_hash_and_changes_change_it)
{
	uint32_t seed = 20260101;

	for (unsigned round = 0; round < 400; round++) {
		jaco_auto(jaco_buf) struct jaco_buf first = JACO_BUF_INIT;
		jaco_auto(jaco_buf) struct jaco_buf second = JACO_BUF_INIT;
		jaco_auto(jaco_buf) struct jaco_buf third = JACO_BUF_INIT;
		char hashes[3][JACO_HASH_MAX + 1];
		size_t changed = next(&seed) % JACO_ARRAY_SIZE(facts);
		uint32_t mask = next(&seed) | 1u << changed;

		write_document(&first, mask, SIZE_MAX, &seed);
		write_document(&second, mask, SIZE_MAX, &seed);
		write_document(&third, mask, changed, &seed);
		hash_of(&first, hashes[0]);
		hash_of(&second, hashes[1]);
		hash_of(&third, hashes[2]);
		if (strcmp(hashes[0], hashes[1]) != 0)
			fail_msg("round %u: equivalent, but hashed apart:\n%s---\n%s", round,
				 jaco_buf_str(&first), jaco_buf_str(&second));
		if (strcmp(hashes[0], hashes[2]) == 0)
			fail_msg("round %u: fact %zu changed, but not the hash:\n%s---\n%s", round,
				 changed, jaco_buf_str(&first), jaco_buf_str(&third));
	}
}

JT_MAIN(JT_RUN(rewrites_keep_the_hash_and_changes_change_it))
