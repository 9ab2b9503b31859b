/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/manifest/compose.h"

#include <stdio.h>

#include "tests/lib/test.h"

JT_CASE(rows_are_sorted_and_every_one_says_what_happens)
{
	const struct jaco_key_row *rows = jaco_compose_service_rows();

	for (size_t i = 0; rows[i].key; i++) {
		if (i > 0 && strcmp(rows[i - 1].key, rows[i].key) >= 0)
			fail_msg("%s stands after %s", rows[i].key, rows[i - 1].key);
		if (rows[i].outcome <= JACO_DIFFERENCE)
			JT_NOT_NULL(rows[i].fill);
		if (rows[i].outcome != JACO_HONOURED && rows[i].outcome != JACO_SILENT)
			JT_NOT_NULL(rows[i].text);
	}
}

JT_CASE(the_manual_names_every_key)
{
	FILE *page = fopen(JACO_MAN_PAGE, "re");
	static char text[65536];
	const struct jaco_key_row *rows = jaco_compose_service_rows();

	JT_NOT_NULL(page);
	text[fread(text, 1, sizeof(text) - 1, page)] = '\0';
	(void)fclose(page);
	for (size_t i = 0; rows[i].key; i++)
		if (!strstr(text, rows[i].key))
			fail_msg("jaco.yaml(5) does not name %s", rows[i].key);
}

JT_CASE(paths_are_cleaned)
{
	static const char *const same[][2] = {
		{"/", "/"},        {"/a//b/", "/a/b"}, {"/a/./b", "/a/b"},
		{"/a/../b", "/b"}, {"/../..", "/"},    {"a/b", "/a/b"},
		{"/a/b/..", "/a"}, {"", "/"},          {"/...", "/..."},
	};
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(same); i++)
		JT_STR(jaco_compose_clean_path(&arena, same[i][0]), same[i][1]);
}

JT_CASE(durations_and_sizes_are_read_as_compose_reads_them)
{
	static const struct {
		const char *text;
		int64_t value;
	} durations[] = {{"30s", 30000},           {"1m30s", 90000}, {"1.5h", 5400000},
			 {"100ms", 100},           {"20", 20000},    {"0", 0},
			 {"1h5m30s20ms", 3930020}, {"2us", 0},       {"1d", 86400000}},
	  sizes[] = {{"1b", 1},           {"2k", 2048},
		     {"2kb", 2048},       {"300m", 314572800},
		     {"1gb", 1 << 30},    {"1.5g", 1610612736},
		     {"64MiB", 64 << 20}, {"100", 100},
		     {"1 G", 1 << 30},    {"0", 0}};
	static const char *const bad[] = {"", "s", "1x", "-1s", "1s2", "soon", "1..5s"};
	int64_t value = 0;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(durations); i++)
		if (!jaco_read_parse_duration(durations[i].text, true, &value) ||
		    value != durations[i].value)
			fail_msg("%s: %lld", durations[i].text, (long long)value);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(sizes); i++)
		if (!jaco_read_parse_size(sizes[i].text, &value) || value != sizes[i].value)
			fail_msg("%s: %lld", sizes[i].text, (long long)value);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		if (jaco_read_parse_duration(bad[i], true, &value))
			fail_msg("%s was read as a duration", bad[i]);
	JT_FALSE(jaco_read_parse_size("lots", &value));
	JT_FALSE(jaco_read_parse_size("1x", &value));
	JT_FALSE(jaco_read_parse_size("-1", &value));
}

JT_CASE(command_lines_are_split_like_a_shell)
{
	static const struct {
		const char *text;
		size_t n;
		const char *last;
	} cases[] = {{"a b c", 3, "c"},
		     {"  a  ", 1, "a"},
		     {"", 0, NULL},
		     {"a 'b c'", 2, "b c"},
		     {"a \"b 'c\"", 2, "b 'c"},
		     {"a\\ b", 1, "a b"},
		     {"a''b", 1, "ab"},
		     {"''", 1, ""},
		     {"\"a\\\"b\"", 1, "a\"b"},
		     {"\"a\\nb\"", 1, "a\\nb"},
		     {"a # b", 3, "b"},
		     {"a\nb", 2, "b"},
		     {"a \\\n b", 2, "b"},
		     {"$A `b`", 2, "`b`"},
		     {"a && b", 3, "b"}};
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_strings words = {0};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(cases); i++) {
		JT_TRUE(jaco_read_split_words(&arena, cases[i].text, &words));
		if (words.n != cases[i].n ||
		    (words.n && strcmp(words.items[words.n - 1], cases[i].last)))
			fail_msg("%s: %zu words, last %s", cases[i].text, words.n,
				 words.n ? words.items[words.n - 1] : "");
	}
	JT_FALSE(jaco_read_split_words(&arena, "a 'b", &words));
	JT_FALSE(jaco_read_split_words(&arena, "a \\", &words));
}

JT_MAIN(JT_RUN(rows_are_sorted_and_every_one_says_what_happens), JT_RUN(the_manual_names_every_key),
	JT_RUN(paths_are_cleaned), JT_RUN(durations_and_sizes_are_read_as_compose_reads_them),
	JT_RUN(command_lines_are_split_like_a_shell))
