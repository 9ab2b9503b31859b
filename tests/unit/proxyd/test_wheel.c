/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/proxyd/wheel.h"

#include "tests/lib/test.h"

static struct wheel wheel;
static int fired;
static struct wheel_entry *victim;

static void on_fire(struct wheel_entry *entry)
{
	(void)entry;
	fired++;
}

static void on_cancel_other(struct wheel_entry *entry)
{
	(void)entry;
	fired++;
	wheel_cancel(&wheel, victim);
}

static void run_to(int64_t from, int64_t to)
{
	for (int64_t t = from; t <= to; t += 10)
		wheel_run(&wheel, t);
}

JT_CASE(fires_once_not_early_and_soon_after)
{
	for (int64_t at = 1; at < 100000; at = at * 3 + 7) {
		struct wheel_entry e = {.fn = on_fire};

		wheel_init(&wheel, 0);
		fired = 0;
		wheel_set(&wheel, &e, at);
		run_to(0, at - 1);
		JT_EQ(fired, 0);
		run_to(at, at + 2 * WHEEL_TICK_MS);
		JT_EQ(fired, 1);
		JT_EQ(wheel.n, 0);
	}
}

JT_CASE(a_deadline_pushed_away_is_kept)
{
	struct wheel_entry e = {.fn = on_fire};

	wheel_init(&wheel, 0);
	fired = 0;
	wheel_set(&wheel, &e, 1000);
	wheel_set(&wheel, &e, 5000);
	run_to(0, 4990);
	JT_EQ(fired, 0);
	run_to(5000, 5200);
	JT_EQ(fired, 1);
}

JT_CASE(a_deadline_pulled_near_is_kept)
{
	struct wheel_entry e = {.fn = on_fire};

	wheel_init(&wheel, 0);
	fired = 0;
	wheel_set(&wheel, &e, 60000);
	wheel_set(&wheel, &e, 500);
	run_to(0, 700);
	JT_EQ(fired, 1);
}

JT_CASE(callbacks_may_cancel_others_of_the_same_slot)
{
	struct wheel_entry a = {.fn = on_cancel_other}, b = {.fn = on_fire};

	wheel_init(&wheel, 0);
	fired = 0;
	victim = &b;
	wheel_set(&wheel, &a, 100);
	wheel_set(&wheel, &b, 100);
	run_to(0, 1000);
	JT_EQ(fired, 1);
	JT_EQ(wheel.n, 0);
}

JT_CASE(a_long_sleep_loses_nothing)
{
	struct wheel_entry e[50] = {0};

	wheel_init(&wheel, 0);
	fired = 0;
	for (int i = 0; i < 50; i++) {
		e[i].fn = on_fire;
		wheel_set(&wheel, &e[i], 1000 * i);
	}
	wheel_run(&wheel, 1000000);
	JT_EQ(fired, 50);
}

JT_MAIN(JT_RUN(fires_once_not_early_and_soon_after), JT_RUN(a_deadline_pushed_away_is_kept),
	JT_RUN(a_deadline_pulled_near_is_kept),
	JT_RUN(callbacks_may_cancel_others_of_the_same_slot), JT_RUN(a_long_sleep_loses_nothing))
