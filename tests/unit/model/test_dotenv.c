/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/manifest/dotenv.h"

#include "libjaco/base/buf.h"
#include "tests/lib/test.h"

static const struct {
	const char *text;
	const char *out; /* "K=V|K=V" sorted; NULL: fails */
	const char *error;
} cases[] = {
	{"", "", NULL},
	{"A=1", "A=1", NULL},
	{"A=1\n", "A=1", NULL},
	{"A=1\nB=2", "A=1|B=2", NULL},
	{"A=1\r\nB=2\r\n", "A=1|B=2", NULL},
	{"\xef\xbb\xbf"
	 "A=1",
	 "A=1", NULL},
	{"# c\nA=1", "A=1", NULL},
	{"  # c\nA=1", "A=1", NULL},
	{"\n\n \nA=1\n\n", "A=1", NULL},
	{"export A=1", "A=1", NULL},
	{"export\tA=1", "A=1", NULL},
	{"export=1", "export=1", NULL},
	{"  A=1", "A=1", NULL},
	{"A =1", "A=1", NULL},
	{"A= 1", "A=1", NULL},
	{"A = 1 ", "A=1", NULL},
	{"A=", "A=", NULL},
	{"A=\n", "A=", NULL},
	{"A=  ", "A=", NULL},
	{"A: 1", "A=1", NULL},
	{"A=1 2 3", "A=1 2 3", NULL},
	{"A=1 # c", "A=1", NULL},
	{"A=1 #c", "A=1", NULL},
	{"A=1\t# c", "A=1", NULL},
	{"A=1#2", "A=1#2", NULL},
	{"A=#2", "A=#2", NULL},
	{"A= # c", "A=", NULL},
	{"A=x=y", "A=x=y", NULL},
	{"A=a'b", "A=a'b", NULL},
	{"A=a\"b\"", "A=a\"b\"", NULL},
	{"A='1'", "A=1", NULL},
	{"A='a b'", "A=a b", NULL},
	{"A='a#b' # c", "A=a#b", NULL},
	{"A='$B'", "A=$B", NULL},
	{"A='${B}'", "A=${B}", NULL},
	{"A='a\\nb'", "A=a\\nb", NULL},
	{"A='a\nb'", "A=a\nb", NULL},
	{"A='a\r\nb'", "A=a\nb", NULL},
	{"A=''", "A=", NULL},
	{"A='a\"b'", "A=a\"b", NULL},
	{"A=\"1\"", "A=1", NULL},
	{"A=\"a b\" # c", "A=a b", NULL},
	{"A=\"\"", "A=", NULL},
	{"A=\"a#b\"", "A=a#b", NULL},
	{"A=\"a'b\"", "A=a'b", NULL},
	{"A=\"a\\nb\"", "A=a\nb", NULL},
	{"A=\"a\\tb\"", "A=a\tb", NULL},
	{"A=\"a\\\"b\"", "A=a\"b", NULL},
	{"A=\"a\\\\b\"", "A=a\\b", NULL},
	{"A=\"\\$B\"", "A=$B", NULL},
	{"A=\"a\\qb\"", "A=a\\qb", NULL},
	{"A=\"a\nb\nc\"", "A=a\nb\nc", NULL},
	{"A=\"a\nb\"\nB=2", "A=a\nb|B=2", NULL},
	{"A=1\nB=$A", "A=1|B=1", NULL},
	{"A=1\nB=${A}x", "A=1|B=1x", NULL},
	{"A=1\nB=\"${A} ${A}\"", "A=1|B=1 1", NULL},
	{"B=${A}\nA=1", "A=1|B=", NULL},
	{"B=${A:-d}", "B=d", NULL},
	{"B=${OUT}", "B=outer", NULL},
	{"OUT=inner\nB=$OUT", "B=outer|OUT=inner", NULL},
	{"OUT", "OUT=outer", NULL},
	{"NOTSET", "", NULL},
	{"NOTSET # c", "", NULL},
	{"export OUT", "OUT=outer", NULL},
	{"A=pa$$word", "A=pa$word", NULL},
	{"A=$2y$10$abc", "A=$2y$10", NULL},
	{"A=100%", "A=100%", NULL},
	{"A=cost $5", "A=cost $5", NULL},
	{"A=x$", "A=x$", NULL},
	{"A=1\nA=2", "A=2", NULL},
	{"a.b-c=1", "a.b-c=1", NULL},
	{"_A1=1", "_A1=1", NULL},
	{"1A=x", "1A=x", NULL},
	{"A=\xc3\xa4\xe2\x82\xac", "A=\xc3\xa4\xe2\x82\xac", NULL},
	{"A=https://h/?a=b&c=d#x", "A=https://h/?a=b&c=d#x", NULL},
	{"A=[1,2]", "A=[1,2]", NULL},
	{"A={\"a\":1}", "A={\"a\":1}", NULL},
	{"=1", NULL, "line 1: a line must be KEY=value"},
	{"A=1\n=2", NULL, "line 2: a line must be KEY=value"},
	{"A B=1", NULL, "line 1: a line must be KEY=value"},
	{"A!=1", NULL, "line 1: a line must be KEY=value"},
	{"A='1", NULL, "line 1: unterminated quoted value"},
	{"X=1\nA=\"1\n2\n", NULL, "line 2: unterminated quoted value"},
	{"A=\"1\"x", NULL, "line 1: text after the closing quote"},
	{"A='1' 2", NULL, "line 1: text after the closing quote"},
	{"A=${B:?why}", NULL, "required variable B is missing a value: why"},
};

JT_CASE(env_files_are_read_as_compose_reads_them)
{
	for (size_t i = 0; i < JACO_ARRAY_SIZE(cases); i++) {
		jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
		jaco_auto(jaco_vars) struct jaco_vars outer = JACO_VARS_INIT(&arena);
		jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(&arena);
		jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;
		struct jaco_err err = JACO_ERR_INIT;
		struct jaco_pairs pairs;
		int rc;

		jaco_vars_set(&outer, "OUT", "outer");
		vars.outer = &outer;
		rc = jaco_dotenv_parse(".env", cases[i].text, strlen(cases[i].text), &vars, &err);
		if (!cases[i].out) {
			if (rc == 0 || !strstr(err.text, cases[i].error) ||
			    !strstr(err.text, "load environment file .env: "))
				fail_msg("%s: wanted \"%s\", got %d \"%s\"", cases[i].text,
					 cases[i].error, rc, err.text);
			continue;
		}
		pairs = jaco_vars_list(&vars, &arena);
		for (size_t j = 0; j < pairs.n; j++)
			jaco_buf_printf(&out, "%s%s=%s", j ? "|" : "", pairs.items[j].key,
					pairs.items[j].value);
		if (rc < 0 || strcmp(jaco_buf_str(&out), cases[i].out) != 0)
			fail_msg("%s: wanted \"%s\", got %d \"%s\"", cases[i].text, cases[i].out,
				 rc, rc ? err.text : jaco_buf_str(&out));
	}
}

JT_CASE(raw_files_keep_quotes_and_dollars)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(&arena);
	struct jaco_err err = JACO_ERR_INIT;
	static const char text[] = "A='x'\r\n# c\nB=$A # y\nC\n";

	JT_OK(jaco_dotenv_parse_raw("f", text, sizeof(text) - 1, &vars, &err), &err);
	JT_STR(jaco_vars_get(&vars, "A"), "'x'");
	JT_STR(jaco_vars_get(&vars, "B"), "$A # y");
	JT_NULL(jaco_vars_get(&vars, "C"));
}

JT_CASE(a_binary_file_is_refused)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(&arena);
	struct jaco_err err = JACO_ERR_INIT;

	JT_FAILS_WITH(jaco_dotenv_parse("f", "A=1\0B=2", 8, &vars, &err), VALIDATION_FAILED,
		      "the file holds a NUL character", &err);
}

JT_MAIN(JT_RUN(env_files_are_read_as_compose_reads_them), JT_RUN(raw_files_keep_quotes_and_dollars),
	JT_RUN(a_binary_file_is_refused))
