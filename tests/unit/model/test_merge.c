/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/manifest/merge.h"

#include "tests/lib/test.h"

static const struct {
	const char *base, *over, *out; /* service bodies in flow style */
} cases[] = {
	{"{image: a}", "{image: b}", "{image: b}"},
	{"{image: a}", "{}", "{image: a}"},
	{"{}", "{image: b}", "{image: b}"},
	{"{image: a}", "{image: }", "{image: a}"},
	{"{command: a}", "{command: b c}", "{command: b c}"},
	{"{command: [a, b]}", "{command: [c]}", "{command: [c]}"},
	{"{command: [a]}", "{command: b}", "{command: b}"},
	{"{entrypoint: [a]}", "{entrypoint: [b]}", "{entrypoint: [b]}"},
	{"{healthcheck: {test: [CMD, a], retries: 1}}", "{healthcheck: {test: [CMD, b]}}",
	 "{healthcheck: {test: [CMD, b], retries: 1}}"},
	{"{environment: {A: 1, B: 2}}", "{environment: {B: 3}}", "{environment: {A: 1, B: 3}}"},
	{"{environment: [A=1]}", "{environment: {B: 3}}", "{environment: {A: \"1\", B: 3}}"},
	{"{environment: {A: 1}}", "{environment: [A=2, C]}", "{environment: {A: \"2\", C: }}"},
	{"{environment: [A=1, B=2]}", "{environment: [B=x=y]}",
	 "{environment: {A: \"1\", B: \"x=y\"}}"},
	{"{labels: [a=1]}", "{labels: [a=2]}", "{labels: {a: \"2\"}}"},
	{"{labels: {a: 1}}", "{labels: [b]}", "{labels: {a: 1, b: }}"},
	{"{ports: [\"1:1\"]}", "{ports: [\"2:2\"]}", "{ports: [\"1:1\", \"2:2\"]}"},
	{"{ports: [\"1:1\"]}", "{ports: [\"1:1\"]}", "{ports: [\"1:1\"]}"},
	{"{expose: [1]}", "{expose: [1, 2]}", "{expose: [1, 2]}"},
	{"{volumes: [a:/x]}", "{volumes: [b:/x]}", "{volumes: [b:/x]}"},
	{"{volumes: [a:/x]}", "{volumes: [b:/y]}", "{volumes: [a:/x, b:/y]}"},
	{"{volumes: [a:/x:ro]}", "{volumes: [b:/x]}", "{volumes: [b:/x]}"},
	{"{volumes: [a:/x]}", "{volumes: [{type: bind, source: /b, target: /x}]}",
	 "{volumes: [{type: bind, source: /b, target: /x}]}"},
	{"{volumes: [/x]}", "{volumes: [b:/x]}", "{volumes: [b:/x]}"},
	{"{devices: [/dev/a:/dev/x]}", "{devices: [/dev/b:/dev/x]}", "{devices: [/dev/b:/dev/x]}"},
	{"{secrets: [a]}", "{secrets: [a, b]}", "{secrets: [a, b]}"},
	{"{secrets: [a]}", "{secrets: [{source: a, mode: 0400}]}",
	 "{secrets: [{source: a, mode: 0400}]}"},
	{"{configs: [{source: a, target: /t}]}", "{configs: [{source: b, target: /t}]}",
	 "{configs: [{source: b, target: /t}]}"},
	{"{networks: [a]}", "{networks: [b]}", "{networks: {a: , b: }}"},
	{"{networks: [a]}", "{networks: {a: {aliases: [x]}}}", "{networks: {a: {aliases: [x]}}}"},
	{"{networks: {a: {aliases: [x]}}}", "{networks: {a: {aliases: [y]}}}",
	 "{networks: {a: {aliases: [x, y]}}}"},
	{"{depends_on: [a]}", "{depends_on: {b: {condition: service_healthy}}}",
	 "{depends_on: {a: , b: {condition: service_healthy}}}"},
	{"{depends_on: {a: {condition: service_started}}}",
	 "{depends_on: {a: {condition: service_healthy}}}",
	 "{depends_on: {a: {condition: service_healthy}}}"},
	{"{dns: 1.1.1.1}", "{dns: 8.8.8.8}", "{dns: [1.1.1.1, 8.8.8.8]}"},
	{"{dns: [1.1.1.1]}", "{dns: 1.1.1.1}", "{dns: [1.1.1.1]}"},
	{"{dns_search: a}", "{dns_search: [b]}", "{dns_search: [a, b]}"},
	{"{tmpfs: /a}", "{tmpfs: [/b]}", "{tmpfs: [/a, /b]}"},
	{"{env_file: a}", "{env_file: b}", "{env_file: [a, b]}"},
	{"{env_file: [a]}", "{env_file: [{path: b}]}", "{env_file: [a, {path: b}]}"},
	{"{build: .}", "{build: {target: t}}", "{build: {context: ., target: t}}"},
	{"{build: {context: ., args: [A=1]}}", "{build: {args: {B: 2}}}",
	 "{build: {context: ., args: {A: \"1\", B: 2}}}"},
	{"{build: {context: .}}", "{build: x}", "{build: {context: x}}"},
	{"{logging: {driver: json-file, options: {a: 1}}}", "{logging: {options: {b: 2}}}",
	 "{logging: {driver: json-file, options: {a: 1, b: 2}}}"},
	{"{logging: {driver: json-file, options: {a: 1}}}", "{logging: {driver: syslog}}",
	 "{logging: {driver: syslog}}"},
	{"{logging: {driver: syslog, options: {a: 1}}}",
	 "{logging: {driver: syslog, options: {a: 2}}}",
	 "{logging: {driver: syslog, options: {a: 2}}}"},
	{"{deploy: {replicas: 1, resources: {limits: {cpus: 1}}}}",
	 "{deploy: {resources: {limits: {memory: 1g}}}}",
	 "{deploy: {replicas: 1, resources: {limits: {cpus: 1, memory: 1g}}}}"},
	{"{deploy: {labels: [a=1]}}", "{deploy: {labels: {b: 2}}}",
	 "{deploy: {labels: {a: \"1\", b: 2}}}"},
	{"{ulimits: {nofile: 1}}", "{ulimits: {nofile: {soft: 2, hard: 3}}}",
	 "{ulimits: {nofile: {soft: 2, hard: 3}}}"},
	{"{ulimits: {a: 1}}", "{ulimits: {b: 2}}", "{ulimits: {a: 1, b: 2}}"},
	{"{sysctls: [a=1]}", "{sysctls: {a: 2}}", "{sysctls: {a: 2}}"},
	{"{cap_add: [A]}", "{cap_add: [B, A]}", "{cap_add: [A, B]}"},
	{"{extra_hosts: [\"a:1.1.1.1\"]}", "{extra_hosts: [\"b:2.2.2.2\"]}",
	 "{extra_hosts: [\"a:1.1.1.1\", \"b:2.2.2.2\"]}"},
	/* a list in one file and a mapping in the other: as compose, each address once */
	{"{extra_hosts: [\"a:1.1.1.1\"]}", "{extra_hosts: {b: 2.2.2.2}}",
	 "{extra_hosts: [\"a:1.1.1.1\", b=2.2.2.2]}"},
	{"{extra_hosts: {a: 1.1.1.1}}", "{extra_hosts: [\"b:2.2.2.2\"]}",
	 "{extra_hosts: [a=1.1.1.1, \"b:2.2.2.2\"]}"},
	{"{extra_hosts: {a: 1.1.1.1}}", "{extra_hosts: [\"a:1.1.1.1\", \"a:2.2.2.2\"]}",
	 "{extra_hosts: [a=1.1.1.1, \"a:2.2.2.2\"]}"},
	{"{extra_hosts: {a: 1.1.1.1}}", "{extra_hosts: {a: [2.2.2.2, 1.1.1.1], b: 3.3.3.3}}",
	 "{extra_hosts: [a=1.1.1.1, a=2.2.2.2, b=3.3.3.3]}"},
	{"{x-a: {b: 1}}", "{x-a: {c: 2}}", "{x-a: {b: 1, c: 2}}"},
	{"{ports: [\"1:1\"]}", "{ports: !reset []}", "{}"},
	{"{ports: [\"1:1\"], image: a}", "{ports: !reset null}", "{image: a}"},
	{"{ports: [\"1:1\"]}", "{ports: !override [\"2:2\"]}", "{ports: [\"2:2\"]}"},
	{"{environment: {A: 1}}", "{environment: !override {B: 2}}", "{environment: {B: 2}}"},
	{"{environment: {A: 1, B: 2}}", "{environment: {A: !reset null}}", "{environment: {B: 2}}"},
	{"{deploy: {replicas: 2}}", "{deploy: {replicas: !reset 0}}", "{deploy: {}}"},
	{"{image: a}", "{ports: !reset []}", "{image: a}"},
	{"{restart: always}", "{restart: \"no\"}", "{restart: \"no\"}"},
	{"{profiles: [a]}", "{profiles: [b]}", "{profiles: [a, b]}"},
	{"{user: root}", "{user: 1000}", "{user: 1000}"},
};

static struct jaco_yaml_node *parse(struct jaco_arena *arena, const char *text)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(arena);
	struct jaco_yaml_node *root = jaco_yaml_parse("x", text, strlen(text), arena, &findings);

	if (!root)
		fail_msg("%s: %s", text, findings.items[0].message);
	return root;
}

JT_CASE(services_merge_by_the_rules_of_compose)
{
	for (size_t i = 0; i < JACO_ARRAY_SIZE(cases); i++) {
		jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
		jaco_auto(jaco_buf) struct jaco_buf got = JACO_BUF_INIT;
		struct jaco_yaml_node *merged = jaco_merge_services(
			&arena, parse(&arena, cases[i].base), parse(&arena, cases[i].over));

		jaco_merge_clean_tags(merged);
		jaco_yaml_render(&got, merged);
		if (!jaco_merge_is_same(merged, parse(&arena, cases[i].out)))
			fail_msg("%s + %s: wanted %s, got\n%s", cases[i].base, cases[i].over,
				 cases[i].out, jaco_buf_str(&got));
	}
}

JT_CASE(documents_merge_by_section_and_name)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_yaml_node *merged = jaco_merge_documents(
		&arena,
		parse(&arena,
		      "{services: {a: {image: x, command: [p]}}, volumes: {v: {driver: local}}}"),
		parse(&arena,
		      "{services: {a: {command: [q]}, b: {image: y}, c: !reset {image: z}}, "
		      "volumes: {w: , v: {name: n}}}"));

	JT_TRUE(jaco_merge_is_same(
		merged, parse(&arena, "{services: {a: {image: x, command: [q]}, b: {image: y}}, "
				      "volumes: {v: {driver: local, name: n}, w: }}")));
}

JT_CASE(a_service_can_be_reset)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_yaml_node *merged = jaco_merge_documents(
		&arena, parse(&arena, "{services: {a: {image: x}, b: {image: y}}}"),
		parse(&arena, "{services: {a: !reset null}}"));

	JT_TRUE(jaco_merge_is_same(merged, parse(&arena, "{services: {b: {image: y}}}")));
}

JT_MAIN(JT_RUN(services_merge_by_the_rules_of_compose), JT_RUN(documents_merge_by_section_and_name),
	JT_RUN(a_service_can_be_reset))
