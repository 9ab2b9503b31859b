/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_wire.c - any bytes as any message of the registry: what unpacks must pack, and what was
 * packed must unpack and pack to the same bytes; its JSON must read back as the same message.
 *
 * The first two bytes choose the message, the rest is the map. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/wire/codec.h"
#include "libjaco/wire/print.h"
#include "libjaco/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be(bool holds)
{
	if (!holds)
		abort();
}

static void check_json(const struct jaco_desc *desc, const void *msg, struct jaco_arena *arena)
{
	json_t *json = jaco_json_from_msg(desc, msg);
	void *back = jaco_arena_alloc(arena, desc->size);
	struct jaco_err err = JACO_ERR_INIT;

	must_be(json != NULL);
	/* Numbers beyond 63 bits have no JSON here: refusing them is right, crashing is not. */
	(void)jaco_json_to_msg(desc, json, arena, back, &err);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf first = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf again = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	const struct jaco_desc *desc;
	void *msg;
	void *copy;

	if (size < 2)
		return 0;
	desc = jaco_messages[(data[0] | (size_t)data[1] << 8) % jaco_n_messages];
	msg = jaco_arena_alloc(&arena, desc->size);
	copy = jaco_arena_alloc(&arena, desc->size);
	if (jaco_unpack(desc, data + 2, size - 2, &arena, msg, &err) < 0) {
		must_be(err.code != JACO_OK && err.text[0]);
		return 0;
	}
	must_be(jaco_pack(&first, desc, msg, &err) >= 0);
	must_be(jaco_unpack(desc, first.data, first.n, &arena, copy, &err) >= 0);
	must_be(jaco_pack(&again, desc, copy, &err) >= 0);
	must_be(first.n == again.n && memcmp(first.data, again.data, first.n) == 0);
	check_json(desc, msg, &arena);
	return 0;
}
