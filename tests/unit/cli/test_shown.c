/* SPDX-License-Identifier: Apache-2.0
 *
 * Only news is told. */
#include "cli/shown.h"

#include "cli/cli.h"
#include "tests/lib/test.h"

const struct cli_command cli_commands[] = {{.words = NULL}};
const struct cli_option cli_global_options[] = {{.name = NULL}};

JT_CASE(the_same_of_the_same_thing_is_no_news)
{
	struct shown *shown = NULL;

	JT_FALSE(shown_has(shown, "a"));
	JT_TRUE(shown_is_news(&shown, "a", "starting"));
	JT_FALSE(shown_is_news(&shown, "a", "starting"));
	JT_TRUE(shown_is_news(&shown, "b", "starting"));
	JT_TRUE(shown_is_news(&shown, "a", "running"));
	JT_TRUE(shown_is_news(&shown, "a", "starting"));
	JT_TRUE(shown_has(shown, "a"));
	shown_fini(&shown);
	JT_FALSE(shown_has(shown, "a"));
}

JT_CASE(what_was_dropped_is_news_again)
{
	struct shown *shown = NULL;

	JT_TRUE(shown_is_news(&shown, "a", "running"));
	shown_drop(&shown, "a");
	shown_drop(&shown, "never told");
	JT_FALSE(shown_has(shown, "a"));
	JT_TRUE(shown_is_news(&shown, "a", "running"));
	shown_fini(&shown);
}

JT_MAIN(JT_RUN(the_same_of_the_same_thing_is_no_news), JT_RUN(what_was_dropped_is_news_again))
