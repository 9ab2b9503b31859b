/* SPDX-License-Identifier: Apache-2.0
 *
 * The voter table, one step at a time, growing and shrinking; join tokens that are not whole. */
#include "daemons/raftd/api/join_token.h"
#include "daemons/raftd/link/names.h"
#include "daemons/raftd/member_plan.h"

#include <string.h>

#include "tests/lib/test.h"

#define N 10

static const char *const names[N] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};

/* Carry out steps until there are none; returns how many.  At every step a voter is left. */
static size_t run(struct member_fact *facts, size_t n, uint64_t *self)
{
	size_t steps = 0;
	uint64_t id = 0;

	for (enum member_step step; (step = member_plan(facts, n, *self, &id)) != MEMBER_NONE;
	     steps++) {
		size_t n_voters = 0, i = 0;

		assert_true(steps < 100);
		while (facts[i].raft_id != id)
			i++;
		if (step == MEMBER_HAND_OVER) {
			assert_true(facts[i].is_voter);
			*self = id;
			continue;
		}
		assert_true(id != *self || step == MEMBER_PROMOTE);
		facts[i].is_in = step != MEMBER_REMOVE;
		facts[i].is_voter = step == MEMBER_PROMOTE;
		for (size_t k = 0; k < n; k++)
			n_voters += facts[k].is_in && facts[k].is_voter;
		assert_true(n_voters > 0);
	}
	return steps;
}

static size_t voters(const struct member_fact *facts, size_t n)
{
	size_t n_voters = 0;

	for (size_t i = 0; i < n; i++)
		n_voters += facts[i].is_in && facts[i].is_voter;
	return n_voters;
}

static void test_grows_and_shrinks_by_the_table(void **state)
{
	static const size_t table[] = {0, 1, 1, 3, 3, 5, 5, 7, 7, 7, 7};
	struct member_fact facts[N];
	uint64_t self = 1;

	(void)state;
	for (size_t i = 0; i < N; i++)
		facts[i] = (struct member_fact){.host = names[i], .raft_id = i + 1,
						.is_caught_up = true, .is_reachable = true};
	facts[0].is_in = facts[0].is_voter = facts[0].is_wanted = true;
	for (size_t n = 2; n <= N; n++) {
		facts[n - 1].is_wanted = true;
		run(facts, N, &self);
		assert_int_equal(voters(facts, N), table[n]);
	}
	/* the leader is the one that goes, each time */
	for (size_t n = N - 1; n >= 1; n--) {
		facts[self - 1].is_wanted = false;
		run(facts, N, &self);
		assert_int_equal(voters(facts, N), table[n]);
		assert_true(facts[self - 1].is_wanted && facts[self - 1].is_voter);
	}
}

static void test_who_lags_or_is_silent_waits(void **state)
{
	struct member_fact facts[3] = {
		{.host = "a", .raft_id = 1, .is_wanted = true, .is_in = true, .is_voter = true},
		{.host = "b", .raft_id = 2, .is_wanted = true, .is_in = true, .is_caught_up = true},
		{.host = "c",
		 .raft_id = 3,
		 .is_wanted = true,
		 .is_in = true,
		 .is_reachable = true}};
	uint64_t id;

	(void)state;
	assert_int_equal(member_plan(facts, 3, 1, &id), MEMBER_NONE);
	facts[2].is_caught_up = true;
	assert_int_equal(member_plan(facts, 3, 1, &id), MEMBER_PROMOTE);
	assert_int_equal(id, 3);
}

/* Demoting the living first would leave a majority that needs the dead one. */
static void test_a_dead_voter_goes_before_the_living_are_demoted(void **state)
{
	struct member_fact facts[3] = {
		{.host = "a", .raft_id = 1, .is_wanted = true, .is_in = true, .is_voter = true},
		{.host = "b", .raft_id = 2, .is_wanted = true, .is_in = true, .is_voter = true,
		 .is_caught_up = true, .is_reachable = true},
		{.host = "", .raft_id = 3, .is_in = true, .is_voter = true}};
	uint64_t id;

	(void)state;
	assert_int_equal(member_plan(facts, 3, 1, &id), MEMBER_REMOVE);
	assert_int_equal(id, 3);
	assert_int_equal(member_plan(facts, 2, 1, &id), MEMBER_DEMOTE);
	assert_int_equal(id, 2);
}

static void test_a_token_survives_the_trip(void **state)
{
	struct join_token token = {.n_addresses = 2}, back;
	char text[JOIN_TOKEN_MAX + 1];
	struct jaco_err err = JACO_ERR_INIT;

	(void)state;
	memset(token.ca_fingerprint, 'a', 64);
	memset(token.secret, 'b', 64);
	strncpy(token.addresses[0], "10.0.0.1:7001", JACO_ADDR_MAX);
	strncpy(token.addresses[1], "[fd00::1]:7001", JACO_ADDR_MAX);
	join_token_render(&token, text);
	JT_OK(join_token_parse(text, &back, &err), &err);
	assert_string_equal(back.secret, token.secret);
	assert_string_equal(back.addresses[1], token.addresses[1]);
	/* no beginning of it is one */
	for (size_t n = strlen(text) - 1; n > 0; n--) {
		text[n] = '\0';
		if (join_token_parse(text, &back, &err) >= 0)
			assert_true(back.n_addresses < 2 ||
				    strcmp(back.addresses[1], token.addresses[1]) != 0);
		else
			assert_int_equal(err.code, JACO_TOKEN_INVALID);
	}
}

static void test_a_token_by_parts_and_versions(void **state)
{
	char ca[65], secret[65];
	struct join_token token;
	struct jaco_err err = JACO_ERR_INIT;

	(void)state;
	memset(ca, 'a', 64);
	memset(secret, 'b', 64);
	ca[64] = secret[64] = '\0';
	JT_OK(join_token_compose(ca, secret, "10.0.0.1:7001", &token, &err), &err);
	assert_int_equal(token.n_addresses, 1);
	assert_string_equal(token.secret, secret);
	secret[63] = 'x';
	assert_true(join_token_compose(ca, secret, "10.0.0.1:7001", &token, &err) < 0);
	assert_false(join_version_is_older("0.1.0", "0.1.0"));
	assert_false(join_version_is_older("0.1.1-rc1", "0.1.0"));
	assert_false(join_version_is_older("1.0", "0.1.0"));
	assert_true(join_version_is_older("0.0.99", "0.1.0"));
	assert_true(join_version_is_older("0.1", "0.1.0"));
	assert_true(join_version_is_older("", "0.1.0"));
	assert_true(join_version_is_older("x", "0.1.0"));
}

static void test_a_hosts_file_says_where_a_name_is(void **state)
{
	static const char hosts[] =
		"127.0.0.1 localhost\n# 10.0.0.9 n2\n\n10.0.0.2\tn2.example N2 # n3\n"
		"junk n3\nfd00::3 n3\n10.0.0.4 n4";
	char text[JACO_ADDR_TEXT_BYTES];
	struct jaco_addr addr;

	(void)state;
	assert_true(names_find(hosts, "n2", 7001, &addr));
	jaco_addr_render(text, &addr);
	assert_string_equal(text, "10.0.0.2:7001");
	assert_true(names_find(hosts, "n3", 1, &addr));
	jaco_addr_render(text, &addr);
	assert_string_equal(text, "[fd00::3]:1");
	assert_true(names_find(hosts, "n4", 1, &addr));
	assert_false(names_find(hosts, "n5", 1, &addr));
	assert_false(names_find("", "n5", 1, &addr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_and_shrinks_by_the_table),
		cmocka_unit_test(test_who_lags_or_is_silent_waits),
		cmocka_unit_test(test_a_dead_voter_goes_before_the_living_are_demoted),
		cmocka_unit_test(test_a_token_survives_the_trip),
		cmocka_unit_test(test_a_token_by_parts_and_versions),
		cmocka_unit_test(test_a_hosts_file_says_where_a_name_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
