/* SPDX-License-Identifier: Apache-2.0
 *
 * What people see: nothing a container wrote may command their terminal. */
#include "cli/out.h"

#include "tests/lib/test.h"

const struct cli_command cli_commands[] = {{.words = NULL}};
const struct cli_option cli_global_options[] = {{.name = NULL}};

JT_CASE(control_characters_lose_their_power)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;

	JT_STR(out_printable(&arena, "a\033[2Jb\007\177"), "a?[2Jb??");
	JT_STR(out_printable(&arena, "c1: \xc2\x9b" "31m"), "c1: ??31m");
	JT_STR(out_printable(&arena, "two\nlines\tand\r"), "two lines and ");
}

JT_CASE(letters_of_all_languages_stay)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	static const char text[] = "Gr\xc3\xbc\xc3\x9f\x65 \xe2\x82\xac \xc2\xa9 \xf0\x9f\x98\x80";

	JT_STR(out_printable(&arena, text), text);
}

JT_CASE(a_message_of_several_lines_stays_in_its_row)
{
	jaco_auto(jaco_buf) struct jaco_buf table = JACO_BUF_INIT;
	static const struct out_column columns[] = {
		{"CHECK", "check"}, {"FOUND", "message"}, {NULL, NULL}};
	struct wire_doctor_row row = {.check = "x", .result = "ok", .message = "one\ntwo\033[31m"};
	struct cli cli = {.format = CLI_TABLE};

	out_table(&table, &cli, &wire_doctor_row_desc, &row, 1, columns);
	JT_STR(table.data, "CHECK  FOUND\nx      one two?[31m\n");
}

JT_CASE(a_state_has_a_color_and_a_title_none)
{
	jaco_auto(jaco_buf) struct jaco_buf table = JACO_BUF_INIT;
	static const struct out_column columns[] = {{"READY", "result"}, {NULL, NULL}};
	struct wire_doctor_row row = {.check = "x", .result = "READY", .message = "m"};
	struct cli cli = {.format = CLI_TABLE, .has_color = true};

	out_table(&table, &cli, &wire_doctor_row_desc, &row, 1, columns);
	JT_STR(table.data, "READY\n\033[32mREADY\033[0m\n");
}

JT_MAIN(JT_RUN(control_characters_lose_their_power), JT_RUN(letters_of_all_languages_stay),
	JT_RUN(a_message_of_several_lines_stays_in_its_row),
	JT_RUN(a_state_has_a_color_and_a_title_none))
