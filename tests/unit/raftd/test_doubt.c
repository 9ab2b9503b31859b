/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/doubt.h"

#include <string.h>

#include "tests/lib/test.h"

/* One letter per member, this node first: s same, d differs, ? unknown; upper case: damaged. */
static const char *judged(const char *members)
{
	static char out[16];
	struct doubt_fact facts[16] = {{.verdict = DOUBT_UNKNOWN}};
	size_t n = strlen(members);

	for (size_t i = 0; i < n; i++) {
		facts[i].is_damaged = members[i] == 'S' || members[i] == 'D' || members[i] == '!';
		facts[i].verdict = members[i] == 's' || members[i] == 'S' ? DOUBT_SAME
				   : members[i] == 'd' || members[i] == 'D' ? DOUBT_DIFFERS
									    : DOUBT_UNKNOWN;
	}
	doubt_judge(facts, n);
	for (size_t i = 0; i < n; i++)
		out[i] = facts[i].is_doubted ? 'x' : '.';
	out[n] = '\0';
	return out;
}

JT_CASE(who_is_with_fewer_is_doubted)
{
	JT_STR(judged("s"), ".");
	JT_STR(judged("s??"), "...");
	JT_STR(judged("sss"), "...");
	JT_STR(judged("ssd"), "..x");
	JT_STR(judged("sdd"), "x..");
	JT_STR(judged("sd"), "xx");
	JT_STR(judged("sd?"), "xx.");
	JT_STR(judged("ssdd?"), "xxxx.");
	JT_STR(judged("sssdd"), "...xx");
}

JT_CASE(who_found_its_own_damage_does_not_count)
{
	JT_STR(judged("Sss"), "x..");
	JT_STR(judged("sS"), ".x");
	JT_STR(judged("sD"), ".x");
	JT_STR(judged("sdD"), "xxx");
	JT_STR(judged("s!?"), ".x.");
}

JT_MAIN(JT_RUN(who_is_with_fewer_is_doubted), JT_RUN(who_found_its_own_damage_does_not_count))
