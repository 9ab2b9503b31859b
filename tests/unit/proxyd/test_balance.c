/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/proxyd/balance.h"

#include "tests/lib/test.h"

#define N 4

static struct balance_peer peers[N];
static struct balance_peer *list[N];
static uint64_t prng;
static uint32_t turn;

static struct balance_ask ask_new(enum balance_kind kind)
{
	prng = 7;
	turn = 0;
	for (unsigned i = 0; i < N; i++) {
		peers[i] = (struct balance_peer){.id = i + 1, .since_ms = INT64_MIN};
		list[i] = &peers[i];
	}
	return (struct balance_ask){.kind = kind, .prng = &prng, .round = &turn, .now_ms = 100000};
}

static void count(const struct balance_ask *ask, unsigned picks, unsigned out[N])
{
	memset(out, 0, N * sizeof(*out));
	for (unsigned i = 0; i < picks; i++) {
		int at = balance_pick(ask, list, N);

		JT_TRUE(at >= 0 && at < N);
		out[at]++;
	}
}

JT_CASE(two_choices_leave_the_busiest_alone)
{
	struct balance_ask ask = ask_new(BALANCE_TWO);
	unsigned hits[N];

	peers[2].in_flight = 50;
	count(&ask, 4000, hits);
	JT_EQ(hits[2], 0); /* the other of any pair is better */
	for (unsigned i = 0; i < N; i++)
		if (i != 2)
			JT_TRUE(hits[i] > 1000);
}

JT_CASE(least_takes_the_idlest)
{
	struct balance_ask ask = ask_new(BALANCE_LEAST);

	for (unsigned i = 0; i < N; i++)
		peers[i].in_flight = 10 - i;
	JT_EQ(balance_pick(&ask, list, N), 3);
}

JT_CASE(round_takes_turns)
{
	struct balance_ask ask = ask_new(BALANCE_ROUND);
	unsigned hits[N];

	count(&ask, 400, hits);
	for (unsigned i = 0; i < N; i++)
		JT_EQ(hits[i], 100);
}

JT_CASE(hash_is_stable_and_moves_only_what_it_must)
{
	struct balance_ask ask = ask_new(BALANCE_HASH);
	unsigned moved = 0;

	for (uint64_t key = 1; key <= 1000; key++) {
		int before, after;

		ask.key = key;
		peers[1].ejected_until_ms = 0;
		before = balance_pick(&ask, list, N);
		JT_EQ(balance_pick(&ask, list, N), before);
		peers[1].ejected_until_ms = INT64_MAX;
		after = balance_pick(&ask, list, N);
		if (before != 1)
			JT_EQ(after, before);
		else
			moved++;
	}
	JT_TRUE(moved > 150 && moved < 350);
}

JT_CASE(sticky_wins_until_its_peer_is_ejected)
{
	struct balance_ask ask = ask_new(BALANCE_TWO);

	ask.sticky_id = 3;
	for (int i = 0; i < 50; i++)
		JT_EQ(balance_pick(&ask, list, N), 2);
	peers[2].ejected_until_ms = INT64_MAX;
	for (int i = 0; i < 50; i++)
		JT_NE(balance_pick(&ask, list, N), 2);
}

JT_CASE(tried_peers_are_not_taken_again)
{
	struct balance_ask ask = ask_new(BALANCE_TWO);

	ask.tried[0] = 1;
	ask.tried[1] = 3;
	ask.n_tried = 2;
	for (int i = 0; i < 100; i++) {
		int at = balance_pick(&ask, list, N);

		JT_TRUE(at == 1 || at == 3);
	}
	JT_EQ(balance_pick(&ask, list, 1), -1);
}

JT_CASE(ejection_doubles_to_its_bound_and_success_ends_it)
{
	int64_t now = 1000;
	int64_t want[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};

	(void)ask_new(BALANCE_TWO);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(want); i++) {
		JT_EQ(balance_refused(&peers[0], now, true), want[i]);
		JT_TRUE(balance_is_ejected(&peers[0], now + want[i] - 1));
		now += want[i];
		JT_FALSE(balance_is_ejected(&peers[0], now));
	}
	balance_succeeded(&peers[0]);
	JT_EQ(balance_refused(&peers[0], now, true), 1000);
}

JT_CASE(three_failures_in_a_row_eject)
{
	(void)ask_new(BALANCE_TWO);
	JT_EQ(balance_failed(&peers[0], 0), 0);
	JT_EQ(balance_failed(&peers[0], 0), 0);
	balance_succeeded(&peers[0]);
	JT_EQ(balance_failed(&peers[0], 0), 0);
	JT_EQ(balance_failed(&peers[0], 0), 0);
	JT_EQ(balance_failed(&peers[0], 0), 1000);
}

JT_CASE(when_all_are_ejected_only_refusing_ones_are_tried)
{
	struct balance_ask ask = ask_new(BALANCE_TWO);

	for (unsigned i = 0; i < N; i++)
		(void)balance_refused(&peers[i], ask.now_ms, i == 1);
	for (int i = 0; i < 20; i++)
		JT_EQ(balance_pick(&ask, list, N), 1);
	peers[1].is_refusing = false;
	JT_EQ(balance_pick(&ask, list, N), -1);
	JT_EQ(balance_pick(&ask, list, 0), -1);
}

JT_CASE(a_new_peer_gets_less_at_first)
{
	struct balance_ask ask = ask_new(BALANCE_LEAST);

	for (unsigned i = 0; i < N; i++)
		peers[i].in_flight = 4;
	peers[2].in_flight = 1;
	peers[2].since_ms = ask.now_ms; /* 2 * 20 against 5 */
	JT_NE(balance_pick(&ask, list, N), 2);
	ask.now_ms += BALANCE_SLOW_START_MS;
	JT_EQ(balance_pick(&ask, list, N), 2);
}

JT_MAIN(JT_RUN(two_choices_leave_the_busiest_alone), JT_RUN(least_takes_the_idlest),
	JT_RUN(round_takes_turns), JT_RUN(hash_is_stable_and_moves_only_what_it_must),
	JT_RUN(sticky_wins_until_its_peer_is_ejected), JT_RUN(tried_peers_are_not_taken_again),
	JT_RUN(ejection_doubles_to_its_bound_and_success_ends_it),
	JT_RUN(three_failures_in_a_row_eject),
	JT_RUN(when_all_are_ejected_only_refusing_ones_are_tried),
	JT_RUN(a_new_peer_gets_less_at_first))
