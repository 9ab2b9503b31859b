/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/base/arena.h"

#include "tests/lib/test.h"

JT_CASE(memory_is_zero_also_after_a_reset)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;

	for (int round = 0; round < 3; round++) {
		unsigned char *p = jaco_arena_alloc(&arena, 100);

		for (int i = 0; i < 100; i++)
			JT_EQ(p[i], 0);
		memset(p, 0xff, 100);
		jaco_arena_reset(&arena);
	}
}

JT_CASE(a_big_object_does_not_waste_the_current_block)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	char *a = jaco_arena_alloc(&arena, 16);
	char *big = jaco_arena_alloc(&arena, 100000);
	char *b = jaco_arena_alloc(&arena, 16);

	JT_EQ(b - a, 16);
	memset(big, 1, 100000);
	JT_EQ(arena.used_bytes, 100032);
}

JT_CASE(growing_keeps_what_was_there)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	int *v = NULL;
	size_t cap = 0;

	for (int i = 0; i < 1000; i++) {
		v = jaco_arena_grow(&arena, v, &cap, (size_t)i + 1, sizeof(*v));
		v[i] = i;
	}
	for (int i = 0; i < 1000; i++)
		JT_EQ(v[i], i);
	JT_STR(jaco_arena_printf(&arena, "%s-%d", "web", 7), "web-7");
}

JT_MAIN(JT_RUN(memory_is_zero_also_after_a_reset),
	JT_RUN(a_big_object_does_not_waste_the_current_block), JT_RUN(growing_keeps_what_was_there))
