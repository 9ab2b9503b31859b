/* SPDX-License-Identifier: Apache-2.0
 *
 * cursor.c - the msgpack reader. */
#include "libjaco/wire/cursor.h"

#include <string.h>

#include "libjaco/base/limits.h"

struct jaco_cursor jaco_cursor_over(const void *data, size_t n)
{
	return (struct jaco_cursor){.at = data, .end = (const uint8_t *)data + n};
}

void jaco_cursor_fail(struct jaco_cursor *cursor)
{
	if (cursor->state == JACO_CURSOR_OK)
		cursor->state = JACO_CURSOR_BAD;
}

static size_t left(const struct jaco_cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static uint64_t big_endian(struct jaco_cursor *cursor, size_t n)
{
	uint64_t value = 0;

	if (cursor->state != JACO_CURSOR_OK)
		return 0;
	if (left(cursor) < n) {
		cursor->state = JACO_CURSOR_SHORT;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		value = value << 8 | *cursor->at++;
	return value;
}

static const uint8_t *slice(struct jaco_cursor *cursor, uint64_t n)
{
	const uint8_t *at = cursor->at;

	if (cursor->state != JACO_CURSOR_OK)
		return NULL;
	if (left(cursor) < n) {
		cursor->state = JACO_CURSOR_SHORT;
		return NULL;
	}
	cursor->at += n;
	return at;
}

static enum jaco_cursor_type type_of(uint8_t tag)
{
	static const uint8_t high[32] = {
		/* c0 */ JACO_CURSOR_NIL, JACO_CURSOR_NONE, JACO_CURSOR_BOOL, JACO_CURSOR_BOOL,
		/* c4 */ JACO_CURSOR_BIN, JACO_CURSOR_BIN, JACO_CURSOR_BIN, JACO_CURSOR_EXT,
		/* c8 */ JACO_CURSOR_EXT, JACO_CURSOR_EXT, JACO_CURSOR_FLOAT, JACO_CURSOR_FLOAT,
		/* cc */ JACO_CURSOR_INT, JACO_CURSOR_INT, JACO_CURSOR_INT, JACO_CURSOR_INT,
		/* d0 */ JACO_CURSOR_INT, JACO_CURSOR_INT, JACO_CURSOR_INT, JACO_CURSOR_INT,
		/* d4 */ JACO_CURSOR_EXT, JACO_CURSOR_EXT, JACO_CURSOR_EXT, JACO_CURSOR_EXT,
		/* d8 */ JACO_CURSOR_EXT, JACO_CURSOR_STR, JACO_CURSOR_STR, JACO_CURSOR_STR,
		/* dc */ JACO_CURSOR_ARRAY, JACO_CURSOR_ARRAY, JACO_CURSOR_MAP, JACO_CURSOR_MAP,
	};

	if (tag < 0x80 || tag >= 0xe0)
		return JACO_CURSOR_INT;
	if (tag < 0x90)
		return JACO_CURSOR_MAP;
	if (tag < 0xa0)
		return JACO_CURSOR_ARRAY;
	if (tag < 0xc0)
		return JACO_CURSOR_STR;
	return high[tag - 0xc0];
}

enum jaco_cursor_type jaco_cursor_peek(const struct jaco_cursor *cursor)
{
	if (cursor->state != JACO_CURSOR_OK || cursor->at == cursor->end)
		return JACO_CURSOR_NONE;
	return type_of(*cursor->at);
}

/* The tag, when the next object has the wanted type; 0xc1 (never used by msgpack) otherwise. */
static uint8_t take_tag(struct jaco_cursor *cursor, enum jaco_cursor_type type)
{
	if (cursor->state != JACO_CURSOR_OK)
		return 0xc1;
	if (cursor->at == cursor->end) {
		cursor->state = JACO_CURSOR_SHORT;
		return 0xc1;
	}
	if (type_of(*cursor->at) != type) {
		cursor->state = JACO_CURSOR_BAD;
		return 0xc1;
	}
	return *cursor->at++;
}

void jaco_cursor_nil(struct jaco_cursor *cursor)
{
	(void)take_tag(cursor, JACO_CURSOR_NIL);
}

bool jaco_cursor_bool(struct jaco_cursor *cursor)
{
	return take_tag(cursor, JACO_CURSOR_BOOL) == 0xc3;
}

/* Sign and magnitude: msgpack writers may pick any width and signedness for a number. */
static uint64_t integer(struct jaco_cursor *cursor, bool *out_negative)
{
	uint8_t tag = take_tag(cursor, JACO_CURSOR_INT);
	uint64_t value;
	int64_t with_sign;

	*out_negative = false;
	if (cursor->state != JACO_CURSOR_OK)
		return 0;
	if (tag < 0x80)
		return tag;
	if (tag >= 0xe0) {
		*out_negative = true;
		return (uint64_t)(0x100 - tag);
	}
	value = big_endian(cursor, (size_t)1 << (tag & 3));
	if (tag < 0xd0)
		return value;
	switch (tag & 3) {
	case 0:
		with_sign = (int8_t)value;
		break;
	case 1:
		with_sign = (int16_t)value;
		break;
	case 2:
		with_sign = (int32_t)value;
		break;
	default:
		with_sign = (int64_t)value;
		break;
	}
	*out_negative = with_sign < 0;
	return with_sign < 0 ? -(uint64_t)with_sign : (uint64_t)with_sign;
}

uint64_t jaco_cursor_u64(struct jaco_cursor *cursor, uint64_t max)
{
	bool negative;
	uint64_t value = integer(cursor, &negative);

	if (negative || value > max) {
		jaco_cursor_fail(cursor);
		return 0;
	}
	return value;
}

int64_t jaco_cursor_i64(struct jaco_cursor *cursor)
{
	bool negative;
	uint64_t value = integer(cursor, &negative);

	if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
		jaco_cursor_fail(cursor);
		return 0;
	}
	return negative ? (int64_t)-value : (int64_t)value;
}

double jaco_cursor_float(struct jaco_cursor *cursor)
{
	uint8_t tag = take_tag(cursor, JACO_CURSOR_FLOAT);

	if (tag == 0xca) {
		uint32_t bits = (uint32_t)big_endian(cursor, 4);
		float value;

		memcpy(&value, &bits, sizeof(value));
		return value;
	} else {
		uint64_t bits = big_endian(cursor, 8);
		double value;

		memcpy(&value, &bits, sizeof(value));
		return value;
	}
}

const char *jaco_cursor_str(struct jaco_cursor *cursor, size_t *out_n)
{
	uint8_t tag = take_tag(cursor, JACO_CURSOR_STR);
	uint64_t n = tag < 0xc0 ? tag & 31u : big_endian(cursor, (size_t)1 << ((tag - 0xd9u) & 3));

	*out_n = (size_t)n;
	return (const char *)slice(cursor, n);
}

const void *jaco_cursor_bin(struct jaco_cursor *cursor, size_t *out_n)
{
	uint8_t tag = take_tag(cursor, JACO_CURSOR_BIN);
	uint64_t n = big_endian(cursor, (size_t)1 << ((tag - 0xc4u) & 3));

	*out_n = (size_t)n;
	return slice(cursor, n);
}

static uint32_t container(struct jaco_cursor *cursor, enum jaco_cursor_type type, uint8_t fix_mask,
			  uint8_t wide, size_t bytes_each)
{
	uint8_t tag = take_tag(cursor, type);
	uint64_t n;

	if (cursor->state != JACO_CURSOR_OK)
		return 0;
	n = tag < 0xc0 ? tag & fix_mask : big_endian(cursor, tag == wide ? 4 : 2);
	if (cursor->state == JACO_CURSOR_OK && n * bytes_each > left(cursor)) {
		cursor->state = JACO_CURSOR_SHORT;
		return 0;
	}
	return (uint32_t)n;
}

uint32_t jaco_cursor_array(struct jaco_cursor *cursor)
{
	return container(cursor, JACO_CURSOR_ARRAY, 15, 0xdd, 1);
}

uint32_t jaco_cursor_map(struct jaco_cursor *cursor)
{
	return container(cursor, JACO_CURSOR_MAP, 15, 0xdf, 2);
}

static void skip_ext(struct jaco_cursor *cursor)
{
	uint8_t tag = take_tag(cursor, JACO_CURSOR_EXT);
	uint64_t n;

	if (tag >= 0xd4)
		n = (uint64_t)1 << (tag - 0xd4);
	else
		n = big_endian(cursor, (size_t)1 << ((tag - 0xc7u) & 3));
	(void)slice(cursor, n + 1);
}

/* How many objects follow inside the one just entered. */
static uint64_t step(struct jaco_cursor *cursor)
{
	size_t n;
	bool negative;

	switch (jaco_cursor_peek(cursor)) {
	case JACO_CURSOR_NIL:
		jaco_cursor_nil(cursor);
		return 0;
	case JACO_CURSOR_BOOL:
		(void)jaco_cursor_bool(cursor);
		return 0;
	case JACO_CURSOR_INT:
		(void)integer(cursor, &negative);
		return 0;
	case JACO_CURSOR_FLOAT:
		(void)jaco_cursor_float(cursor);
		return 0;
	case JACO_CURSOR_STR:
		(void)jaco_cursor_str(cursor, &n);
		return 0;
	case JACO_CURSOR_BIN:
		(void)jaco_cursor_bin(cursor, &n);
		return 0;
	case JACO_CURSOR_ARRAY:
		return jaco_cursor_array(cursor);
	case JACO_CURSOR_MAP:
		return (uint64_t)jaco_cursor_map(cursor) * 2;
	case JACO_CURSOR_EXT:
		skip_ext(cursor);
		return 0;
	case JACO_CURSOR_NONE:
		if (cursor->state == JACO_CURSOR_OK)
			cursor->state = cursor->at == cursor->end ? JACO_CURSOR_SHORT
								  : JACO_CURSOR_BAD;
		return 0;
	}
	return 0;
}

void jaco_cursor_skip(struct jaco_cursor *cursor)
{
	uint64_t pending[JACO_DEPTH_MAX] = {1}; /* objects left at each level */
	size_t depth = 0;

	while (cursor->state == JACO_CURSOR_OK) {
		uint64_t inside;

		while (pending[depth] == 0) {
			if (depth == 0)
				return;
			depth--;
		}
		pending[depth]--;
		inside = step(cursor);
		if (inside == 0)
			continue;
		if (depth + 1 == JACO_DEPTH_MAX) {
			jaco_cursor_fail(cursor);
			return;
		}
		pending[++depth] = inside;
	}
}
