/* SPDX-License-Identifier: Apache-2.0
 *
 * The last lines of a container, cut to what fits a reason. */
#include "daemons/runtimed/words.h"

#include <string.h>

#include "libjaco/base/str.h"
#include "tests/lib/test.h"

static void add(char words[static WORDS_BYTES], const char *line)
{
	words_add(words, line, strlen(line));
}

JT_CASE(lines_are_joined_and_empty_ones_left_out)
{
	char words[WORDS_BYTES] = "";

	add(words, "reading config");
	add(words, "");
	add(words, "no such table");
	JT_STR(words, "reading config | no such table");
}

JT_CASE(the_newest_lines_stay)
{
	char words[WORDS_BYTES] = "", line[WORDS_BYTES * 2];

	for (int i = 0; i < 100; i++) {
		jaco_str_format(line, sizeof(line), "line number %d", i);
		add(words, line);
		JT_TRUE(strlen(words) < WORDS_BYTES);
	}
	JT_STR(words + strlen(words) - 14, "line number 99");
	JT_TRUE(strncmp(words, "line number ", 12) == 0);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	add(words, line);
	add(words, line);
	JT_TRUE(strlen(words) < WORDS_BYTES);
	JT_EQ(words[0], 'x');
}

JT_CASE(what_a_terminal_would_obey_is_taken_out)
{
	char words[WORDS_BYTES] = "";

	add(words, "\x1b[2Jred\x07");
	JT_STR(words, " [2Jred ");
	words[0] = '\0';
	add(words, "caf\xe9");
	JT_STR(words, "caf?");
	words[0] = '\0';
	add(words, "caf\xc3\xa9");
	JT_STR(words, "caf\xc3\xa9");
}

JT_MAIN(JT_RUN(lines_are_joined_and_empty_ones_left_out), JT_RUN(the_newest_lines_stay),
	JT_RUN(what_a_terminal_would_obey_is_taken_out))
