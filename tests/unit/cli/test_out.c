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

JT_CASE(a_number_is_shown_in_the_unit_its_field_is_named_after)
{
	jaco_auto(jaco_buf) struct jaco_buf table = JACO_BUF_INIT;
	static const struct out_column columns[] = {
		{"RTT", "rtt_us"}, {"LOSS", "loss_permille"}, {"MTU", "mtu"}, {NULL, NULL}};
	static const struct out_column memory[] = {
		{"CPU", "cpu_ms"}, {"RSS", "rss_bytes"}, {NULL, NULL}};
	struct wire_mesh_row paths[] = {
		{.from = "a", .to = "b", .verdict = "ok", .rtt_us = 700, .mtu = 1420},
		{.from = "b", .to = "a", .verdict = "ok", .rtt_us = 1500000, .loss_permille = 55},
	};
	struct wire_daemon_status daemons[] = {
		{.name = "a", .cpu_ms = 999, .rss_bytes = 1023},
		{.name = "b", .cpu_ms = 90061, .rss_bytes = 11411456},
		{.name = "c", .rss_bytes = 3ull << 40},
	};
	struct cli cli = {.format = CLI_TABLE};

	out_table(&table, &cli, &wire_mesh_row_desc, paths, 2, columns);
	JT_STR(table.data, "RTT    LOSS  MTU\n"
			   "700us  0.0%  1420\n"
			   "1.5s   5.5%  0\n");
	jaco_buf_reset(&table);
	out_table(&table, &cli, &wire_daemon_status_desc, daemons, 3, memory);
	JT_STR(table.data, "CPU    RSS\n"
			   "999ms  1023B\n"
			   "90.1s  10.9MiB\n"
			   "0ms    3072.0GiB\n");
}

JT_MAIN(JT_RUN(control_characters_lose_their_power), JT_RUN(letters_of_all_languages_stay),
	JT_RUN(a_message_of_several_lines_stays_in_its_row),
	JT_RUN(a_state_has_a_color_and_a_title_none),
	JT_RUN(a_number_is_shown_in_the_unit_its_field_is_named_after))
