/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/dnsd/resolvers.h"

#include "tests/lib/test.h"

static const char *const one[] = {"9.9.9.9"};
static const char *const two[] = {"9.9.9.9", "2001:db8::1"};
static const char *const swapped[] = {"2001:db8::1", "9.9.9.9"};

#define LIST(texts)                                                                                \
	{                                                                                          \
		texts, JACO_ARRAY_SIZE(texts)                                                      \
	}

JT_CASE(without_servers_there_is_no_table)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct resolver_spec specs[] = {{{NULL, 0}, 1}, {{NULL, 0}, 2}};
	struct resolvers resolvers = {.slots = NULL};

	JT_EQ(resolvers_find(&resolvers, 1), 0);
	resolvers_build(&resolvers, &arena, specs, 2);
	JT_NULL(resolvers.slots);
	JT_EQ(resolvers_find(&resolvers, 1), 0);
}

JT_CASE(equal_lists_are_one_and_their_order_counts)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct resolver_spec specs[] = {
		{LIST(one), 1}, {LIST(two), 2}, {{NULL, 0}, 3}, {LIST(swapped), 4}, {LIST(two), 5}};
	struct resolvers resolvers;

	resolvers_build(&resolvers, &arena, specs, JACO_ARRAY_SIZE(specs));
	JT_EQ(resolvers.n_lists, 3);
	JT_EQ(resolvers_find(&resolvers, 1), 1);
	JT_EQ(resolvers_find(&resolvers, 2), 2);
	JT_EQ(resolvers_find(&resolvers, 3), 0);
	JT_EQ(resolvers_find(&resolvers, 4), 3);
	JT_EQ(resolvers_find(&resolvers, 5), 2);
	JT_EQ(resolvers_find(&resolvers, 6), 0);
	JT_EQ(resolvers_find(&resolvers, 0), 0);
	JT_STR(resolvers.lists[1].servers[1], "2001:db8::1");
}

JT_CASE(an_address_of_two_services_has_no_servers)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const struct resolver_spec specs[] = {{LIST(one), 1}, {LIST(two), 1}, {{NULL, 0}, 2},
					      {LIST(one), 2}, {LIST(one), 3}, {LIST(one), 3},
					      {{NULL, 0}, 4}};
	struct resolvers resolvers;

	resolvers_build(&resolvers, &arena, specs, JACO_ARRAY_SIZE(specs));
	JT_EQ(resolvers_find(&resolvers, 1), RESOLVERS_NONE);
	JT_EQ(resolvers_find(&resolvers, 2), RESOLVERS_NONE);
	JT_EQ(resolvers_find(&resolvers, 3), 1);
	JT_EQ(resolvers_find(&resolvers, 4), 0);
}

JT_CASE(a_thousand_addresses_are_found)
{
	static struct resolver_spec specs[1000];
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct resolvers resolvers;

	for (uint32_t i = 0; i < JACO_ARRAY_SIZE(specs); i++)
		specs[i] = (struct resolver_spec){{i % 2 ? one : two, i % 2 ? 1 : 2},
						  0x0af40000 + i + 1};
	resolvers_build(&resolvers, &arena, specs, JACO_ARRAY_SIZE(specs));
	for (uint32_t i = 0; i < JACO_ARRAY_SIZE(specs); i++)
		JT_EQ(resolvers_find(&resolvers, specs[i].addr), i % 2 ? 2 : 1);
}

JT_MAIN(JT_RUN(without_servers_there_is_no_table),
	JT_RUN(equal_lists_are_one_and_their_order_counts),
	JT_RUN(an_address_of_two_services_has_no_servers), JT_RUN(a_thousand_addresses_are_found))
