/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/backoff.h"

#include "tests/lib/test.h"

JT_CASE(waits_double_up_to_the_bound)
{
	struct backoff b = BACKOFF_INIT;
	static const int64_t waits[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(waits); i++) {
		backoff_fail(&b, 5000, BACKOFF_RESTART_MAX_MS);
		JT_EQ(b.next_ms, 5000 + waits[i]);
	}
	for (int i = 0; i < 100; i++)
		backoff_fail(&b, 0, BACKOFF_PULL_MAX_MS);
	JT_EQ(b.next_ms, BACKOFF_PULL_MAX_MS);
}

JT_CASE(is_due_only_when_the_wait_is_over)
{
	struct backoff b = BACKOFF_INIT;

	JT_TRUE(backoff_is_due(&b, 0));
	backoff_fail(&b, 100, BACKOFF_RESTART_MAX_MS);
	JT_FALSE(backoff_is_due(&b, 1099));
	JT_TRUE(backoff_is_due(&b, 1100));
}

JT_CASE(sixty_seconds_of_running_forgive_everything)
{
	struct backoff b = BACKOFF_INIT;

	backoff_fail(&b, 0, BACKOFF_RESTART_MAX_MS);
	backoff_fail(&b, 0, BACKOFF_RESTART_MAX_MS);
	JT_FALSE(backoff_forgive(&b, 1000, 60999));
	JT_EQ(b.count, 2);
	JT_TRUE(backoff_forgive(&b, 1000, 61000));
	JT_EQ(b.count, 0);
	JT_FALSE(backoff_forgive(&b, 1000, 99999));
}

JT_CASE(budget_allows_exactly_so_many_restarts)
{
	struct backoff b = BACKOFF_INIT;

	for (int i = 0; i < 3; i++) {
		backoff_fail(&b, 0, BACKOFF_RESTART_MAX_MS);
		JT_FALSE(backoff_is_exhausted(&b, 3));
	}
	backoff_fail(&b, 0, BACKOFF_RESTART_MAX_MS);
	JT_TRUE(backoff_is_exhausted(&b, 3));
	JT_FALSE(backoff_is_exhausted(&b, BACKOFF_NO_BUDGET));
}

JT_MAIN(JT_RUN(waits_double_up_to_the_bound), JT_RUN(is_due_only_when_the_wait_is_over),
	JT_RUN(sixty_seconds_of_running_forgive_everything),
	JT_RUN(budget_allows_exactly_so_many_restarts))
