/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/manifest/merge.h"
#include "libjaco/model/manifest/yaml.h"

#include "tests/lib/test.h"

static struct jaco_yaml_node *parse(struct jaco_arena *arena, const char *text,
				    struct jaco_findings *findings)
{
	*findings = JACO_FINDINGS_INIT(arena);
	return jaco_yaml_parse("f.yaml", text, strlen(text), arena, findings);
}

static const struct {
	const char *text;
	unsigned line, column;
	const char *message;
} broken[] = {
	{"a: [1, 2", 2, 1, "did not find expected ',' or ']'"},
	{"a: 1\n b: 2", 2, 3, "mapping values are not allowed"},
	{"a: 1\na: 2", 2, 1, "key \"a\" appears twice"},
	{"a: {b: 1, b: 2}", 1, 11, "key \"b\" appears twice"},
	{"a: *x", 1, 4, "alias *x has no anchor"},
	{"a: &x [*x]", 1, 8, "alias *x refers to itself"},
	{"a: 1\n---\nb: 2", 2, 1, "several documents"},
	{"? [a]\n: b", 1, 3, "a key must be a scalar"},
	{"a: \"x\\0y\"", 1, 4, "NUL"},
	{"a: !vault x", 1, 4, "tag \"!vault\""},
	{"a: \"\xff\"", 1, 5, "invalid leading UTF-8 octet"},
	{"a:\n  <<: 3", 2, 3, "needs a mapping"},
	{"\ta: 1", 1, 1, "cannot start any token"},
	{"a: 'x", 1, 6, "unexpected end of stream"},
	{"a: @x", 1, 4, "cannot start any token"},
};

JT_CASE(what_is_broken_is_said_with_its_place)
{
	for (size_t i = 0; i < JACO_ARRAY_SIZE(broken); i++) {
		jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
		struct jaco_findings findings;

		JT_NULL(parse(&arena, broken[i].text, &findings));
		JT_TRUE(findings.n_errors >= 1);
		if (findings.items[0].pos.line != broken[i].line ||
		    findings.items[0].pos.column != broken[i].column ||
		    !strstr(findings.items[0].message, broken[i].message))
			fail_msg("%s: got %u:%u %s", broken[i].text, findings.items[0].pos.line,
				 findings.items[0].pos.column, findings.items[0].message);
		JT_EQ(findings.items[0].code, JACO_PARSE_FAILED);
	}
}

JT_CASE(merge_keys_give_what_is_missing)
{
	static const char *const same[][2] = {
		{"b: &b {x: 1, y: 2}\na: {<<: *b, x: 3}", "{b: {x: 1, y: 2}, a: {x: 3, y: 2}}"},
		{"p: &p {x: 1}\nq: &q {x: 2, z: 3}\na: {<<: [*p, *q]}",
		 "{p: {x: 1}, q: {x: 2, z: 3}, a: {x: 1, z: 3}}"},
		{"a: &a {x: &v [1]}\nb: *a\nc: *v", "{a: {x: [1]}, b: {x: [1]}, c: [1]}"},
		{"p: &p {x: {k: 1}}\nq: &q {<<: *p, y: 1}\na: {<<: *q}",
		 "{p: {x: {k: 1}}, q: {y: 1, x: {k: 1}}, a: {y: 1, x: {k: 1}}}"},
		{"a: {\"<<\": 1}", "{a: {\"<<\": 1}}"},
		{"a: &x 1\nb: &x 2\nc: *x", "{a: 1, b: 2, c: 2}"},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(same); i++) {
		jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
		struct jaco_findings findings;
		const struct jaco_yaml_node *left = parse(&arena, same[i][0], &findings);
		const struct jaco_yaml_node *right = parse(&arena, same[i][1], &findings);

		JT_NOT_NULL(left);
		JT_NOT_NULL(right);
		if (!jaco_merge_is_same(left, right))
			fail_msg("%s differs from %s", same[i][0], same[i][1]);
	}
}

JT_CASE(what_is_rendered_reads_back_the_same)
{
	static const char *const texts[] = {
		"a: 1\nb: [x, 'y z', \"1\", 'true', null, ~, '', yes, 1.10, 0644]\n",
		"a: {b: {c: [{d: e}, [f, [g]]]}}\nh: {}\ni: []\n",
		"a: |\n  two\n  lines\nb: >-\n  folded\n  text\n",
		"\"odd key: x\": \"t\\tq\\\"b\\\\ \\u00e9\\x07\\u2028\\u0085\"\n",
		"'123': v\n'': w\n'null': z\n'- a': b\n",
		"a: \"\xe2\x82\xac\xf0\x9f\x98\x80\"\nb: \" lead\"\nc: \"trail \"\nd: 'a: b'\ne: "
		"'a #b'\n",
		"just a scalar\n",
		"- a\n- - b\n  - c\n- {d: e}\n",
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(texts); i++) {
		jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
		jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;
		struct jaco_findings findings;
		const struct jaco_yaml_node *before = parse(&arena, texts[i], &findings);
		const struct jaco_yaml_node *after;

		JT_NOT_NULL(before);
		jaco_yaml_render(&out, before);
		after = parse(&arena, jaco_buf_str(&out), &findings);
		if (!after || !jaco_merge_is_same(before, after))
			fail_msg("%s became\n%s", texts[i], jaco_buf_str(&out));
	}
}

JT_CASE(bombs_and_towers_end_at_bounds)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_findings findings;

	jaco_buf_add_str(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (unsigned i = 1; i < 9; i++)
		jaco_buf_printf(&text, "a%u: &a%u [*a%u,*a%u,*a%u,*a%u,*a%u,*a%u,*a%u,*a%u]\n", i,
				i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	JT_NULL(parse(&arena, jaco_buf_str(&text), &findings));
	JT_NOT_NULL(strstr(findings.items[0].message, "100000 nodes"));
	JT_TRUE(arena.used_bytes < 64u << 20);
	jaco_buf_reset(&text);
	for (unsigned i = 0; i < 100000; i++)
		jaco_buf_add_char(&text, '[');
	JT_NULL(parse(&arena, jaco_buf_str(&text), &findings));
	JT_NOT_NULL(strstr(findings.items[0].message, "deeper than 64"));
}

JT_MAIN(JT_RUN(what_is_broken_is_said_with_its_place), JT_RUN(merge_keys_give_what_is_missing),
	JT_RUN(what_is_rendered_reads_back_the_same), JT_RUN(bombs_and_towers_end_at_bounds))
