/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/manifest/interpolate.h"

#include "tests/lib/test.h"

/* A=1 EMPTY= B="two words" DOLLAR=$A _u=under CAMEL=c; everything else is unset. */
static void fill(struct jaco_vars *vars)
{
	jaco_vars_set(vars, "A", "1");
	jaco_vars_set(vars, "EMPTY", "");
	jaco_vars_set(vars, "B", "two words");
	jaco_vars_set(vars, "DOLLAR", "$A");
	jaco_vars_set(vars, "_u", "under");
	jaco_vars_set(vars, "camelCase", "c");
}

#define REQ "required variable "
#define BAD "invalid template"

static const struct {
	const char *in;
	const char *out;   /* NULL: fails */
	const char *error; /* part of the message, or "unset" names seen */
} cases[] = {
	{"plain", "plain", ""},
	{"", "", ""},
	{"$A", "1", ""},
	{"${A}", "1", ""},
	{"x$A", "x1", ""},
	{"$A$A", "11", ""},
	{"${A}${A}", "11", ""},
	{"$A.b", "1.b", ""},
	{"$A-b", "1-b", ""},
	{"$A/b", "1/b", ""},
	{"$AB", "", "AB"},
	{"${A}B", "1B", ""},
	{"$_u", "under", ""},
	{"${_u}x", "underx", ""},
	{"$camelCase", "c", ""},
	{"$B", "two words", ""},
	{"$DOLLAR", "$A", ""},
	{"${DOLLAR}", "$A", ""},
	{"$X", "", "X"},
	{"${X}", "", "X"},
	{"a${X}b", "ab", "X"},
	{"$X $Y $X", "  ", "X Y X"},
	{"$EMPTY", "", ""},
	{"${EMPTY}", "", ""},
	{"$$", "$", ""},
	{"$$A", "$A", ""},
	{"$$$A", "$1", ""},
	{"$$$$", "$$", ""},
	{"$${A}", "${A}", ""},
	{"a$$b", "a$b", ""},
	{"$$(cmd)", "$(cmd)", ""},
	{"${X:-d}", "d", ""},
	{"${X-d}", "d", ""},
	{"${A:-d}", "1", ""},
	{"${A-d}", "1", ""},
	{"${EMPTY:-d}", "d", ""},
	{"${EMPTY-d}", "", ""},
	{"${X:-}", "", ""},
	{"${X-}", "", ""},
	{"${X:-a b}", "a b", ""},
	{"${X:-a:b}", "a:b", ""},
	{"${X:-/a/b}", "/a/b", ""},
	{"${X:--1}", "-1", ""},
	{"${X:-http://h:80/?a=b}", "http://h:80/?a=b", ""},
	{"${X:-$A}", "1", ""},
	{"${X:-${A}}", "1", ""},
	{"${X:-${Y:-z}}", "z", ""},
	{"${X:-${Y:-${Z:-deep}}}", "deep", ""},
	{"${X:-a${Y:-b}c}", "abc", ""},
	{"${X:-${A}${A}}", "11", ""},
	{"${X:-${Y}}", "", "Y"},
	{"${A:-${Y}}", "1", ""},
	{"${X:-$$}", "$", ""},
	{"${X:-a}}", "a}", ""},
	{"${X:-{}", "{", ""},
	{"${X:-\"q\"}", "\"q\"", ""},
	{"${A:+yes}", "yes", ""},
	{"${A+yes}", "yes", ""},
	{"${X:+yes}", "", ""},
	{"${X+yes}", "", ""},
	{"${EMPTY:+yes}", "", ""},
	{"${EMPTY+yes}", "yes", ""},
	{"${A:+${B}}", "two words", ""},
	{"${A:+$A$A}", "11", ""},
	{"${A:?m}", "1", ""},
	{"${A?m}", "1", ""},
	{"${EMPTY?m}", "", ""},
	{"${X:?}", NULL, REQ "X is missing a value: "},
	{"${X:?say why}", NULL, REQ "X is missing a value: say why"},
	{"${X?say why}", NULL, REQ "X is missing a value: say why"},
	{"${EMPTY:?say why}", NULL, REQ "EMPTY is missing a value: say why"},
	{"${X:?$A is set}", NULL, REQ "X is missing a value: 1 is set"},
	{"${X:-${Y:?inner}}", NULL, REQ "Y is missing a value: inner"},
	{"$", NULL, BAD},
	{"a$", NULL, BAD},
	{"$ A", NULL, BAD},
	{"$1", NULL, BAD},
	{"$-", NULL, BAD},
	{"${", NULL, BAD},
	{"${}", NULL, BAD},
	{"${A", NULL, BAD},
	{"${1}", NULL, BAD},
	{"${A b}", NULL, BAD},
	{"${A:}", NULL, BAD},
	{"${A:x}", NULL, BAD},
	{"${A!x}", NULL, BAD},
	{"${ A}", NULL, BAD},
	{"${X:-$}", NULL, BAD},
	{"^x$", NULL, BAD},
	{"$(cmd)", NULL, BAD},
};

static void note(void *ctx, const char *name)
{
	struct jaco_buf *seen = ctx;

	if (seen->n)
		jaco_buf_add_char(seen, ' ');
	jaco_buf_add_str(seen, name);
}

JT_CASE(templates_are_read_as_compose_reads_them)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(&arena);

	fill(&vars);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(cases); i++) {
		jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;
		jaco_auto(jaco_buf) struct jaco_buf seen = JACO_BUF_INIT;
		struct jaco_err err = JACO_ERR_INIT;
		int rc = jaco_interpolate_text(&out, cases[i].in, &vars, false, note, &seen, &err);

		if (!cases[i].out) {
			if (rc == 0 || !strstr(err.text, cases[i].error))
				fail_msg("%s: wanted \"%s\", got %d \"%s\"", cases[i].in,
					 cases[i].error, rc, rc ? err.text : jaco_buf_str(&out));
			continue;
		}
		if (rc < 0 || strcmp(jaco_buf_str(&out), cases[i].out) != 0 ||
		    strcmp(jaco_buf_str(&seen), cases[i].error) != 0)
			fail_msg("%s: got %d \"%s\" unset \"%s\"", cases[i].in, rc,
				 rc ? err.text : jaco_buf_str(&out), jaco_buf_str(&seen));
	}
}

JT_CASE(deep_nesting_ends_at_a_bound)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(&arena);
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	for (unsigned i = 0; i < 5000; i++)
		jaco_buf_add_str(&text, "${X:-");
	for (unsigned i = 0; i < 5000; i++)
		jaco_buf_add_char(&text, '}');
	JT_FAILS_WITH(
		jaco_interpolate_text(&out, jaco_buf_str(&text), &vars, false, NULL, NULL, &err),
		VALIDATION_FAILED, "nest deeper", &err);
}

JT_CASE(every_unset_name_is_warned_about_once_with_its_place)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(&arena);
	jaco_auto(jaco_vars) struct jaco_vars warned = JACO_VARS_INIT(&arena);
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	static const char text[] = "a: $X\nb: [x, \"${X}$Y\"]\n$Z: c\nd: ${V:?no v}\n";
	struct jaco_yaml_node *root =
		jaco_yaml_parse("f.yaml", text, sizeof(text) - 1, &arena, &findings);

	JT_NOT_NULL(root);
	jaco_interpolate_tree(root, &vars, &warned, &findings);
	JT_EQ(findings.n_warnings, 2);
	JT_EQ(findings.items[1].pos.line, 2);
	JT_EQ(findings.n_errors, 1);
	JT_STR(findings.items[2].message,
	       "interpolate f.yaml: line 4 column 4: required variable V is missing a value: no v");
	JT_STR(root->entries[2].key, "$Z");
}

JT_MAIN(JT_RUN(templates_are_read_as_compose_reads_them), JT_RUN(deep_nesting_ends_at_a_bound),
	JT_RUN(every_unset_name_is_warned_about_once_with_its_place))
