/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/base/time.h"
#include "libjaco/base/auto.h"

#include "tests/lib/test.h"

JT_CASE(durations_parse_as_compose_writes_them)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"500ms", 500}, {"30s", 30000}, {"1m30s", 90000}, {"7d", 604800000}, {"0s", 0}};
	static const char *const bad[] = {
		"", "30", "s", "1x", "-1s", "1m30", "99999999999999999999s"};
	int64_t ms = -1;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(good); i++) {
		JT_TRUE(jaco_duration_parse(good[i].text, &ms));
		JT_EQ(ms, good[i].ms);
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(bad); i++)
		JT_FALSE(jaco_duration_parse(bad[i], &ms));
}

JT_CASE(durations_render_short_and_exact)
{
	char text[JACO_DURATION_TEXT_BYTES];

	jaco_duration_render(text, 90500);
	JT_STR(text, "1m30s500ms");
	jaco_duration_render(text, 0);
	JT_STR(text, "0s");
}

JT_CASE(rfc3339_round_trips)
{
	char text[JACO_RFC3339_BYTES];
	int64_t ms = 0;

	jaco_rfc3339_render(text, 1700000000000);
	JT_STR(text, "2023-11-14T22:13:20Z");
	JT_TRUE(jaco_rfc3339_parse(text, &ms));
	JT_EQ(ms, 1700000000000);
	JT_FALSE(jaco_rfc3339_parse("yesterday", &ms));
}

JT_CASE(a_hostile_clock_is_far_away_and_overflows_nothing)
{
	JT_EQ(jaco_time_skew_ms(UINT64_MAX), INT64_MAX);
	JT_EQ(jaco_time_skew_ms((uint64_t)INT64_MAX + 1), INT64_MAX);
	JT_TRUE(jaco_time_skew_ms(INT64_MAX) > 0);
	JT_TRUE(jaco_time_skew_ms(0) < 0);
}

JT_MAIN(JT_RUN(a_hostile_clock_is_far_away_and_overflows_nothing),
	JT_RUN(durations_parse_as_compose_writes_them), JT_RUN(durations_render_short_and_exact),
	JT_RUN(rfc3339_round_trips))
