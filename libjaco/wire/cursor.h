/* SPDX-License-Identifier: Apache-2.0
 *
 * cursor.h - reads msgpack from untrusted bytes with a sticky error: many calls, one check.
 *
 * Nothing is allocated; strings and binaries are slices of the input.  A length that exceeds what
 * is left is an error before anything is done with it.  Format: the msgpack specification,
 * github.com/msgpack/msgpack/blob/master/spec.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jaco_cursor_state {
	JACO_CURSOR_OK,
	JACO_CURSOR_SHORT, /* the input ends inside an object */
	JACO_CURSOR_BAD,   /* not msgpack, not the wanted type, too deep */
};

enum jaco_cursor_type {
	JACO_CURSOR_NIL,
	JACO_CURSOR_BOOL,
	JACO_CURSOR_INT,
	JACO_CURSOR_FLOAT,
	JACO_CURSOR_STR,
	JACO_CURSOR_BIN,
	JACO_CURSOR_ARRAY,
	JACO_CURSOR_MAP,
	JACO_CURSOR_EXT,
	JACO_CURSOR_NONE, /* at the end, or after an error */
};

struct jaco_cursor {
	const uint8_t *at;
	const uint8_t *end;
	enum jaco_cursor_state state;
};

struct jaco_cursor jaco_cursor_over(const void *data, size_t n);

/* Type of the next object; does not move. */
enum jaco_cursor_type jaco_cursor_peek(const struct jaco_cursor *cursor);

/* Each returns zero or NULL after an error. */
bool jaco_cursor_bool(struct jaco_cursor *cursor);
uint64_t jaco_cursor_u64(struct jaco_cursor *cursor, uint64_t max);
int64_t jaco_cursor_i64(struct jaco_cursor *cursor);
double jaco_cursor_float(struct jaco_cursor *cursor);
const char *jaco_cursor_str(struct jaco_cursor *cursor, size_t *out_n);
const void *jaco_cursor_bin(struct jaco_cursor *cursor, size_t *out_n);

/* Number of elements (pairs); never more than the bytes that are left could hold. */
uint32_t jaco_cursor_array(struct jaco_cursor *cursor);
uint32_t jaco_cursor_map(struct jaco_cursor *cursor);
void jaco_cursor_nil(struct jaco_cursor *cursor);

/* Step over one object of any type, nested at most JACO_DEPTH_MAX deep. */
void jaco_cursor_skip(struct jaco_cursor *cursor);

/* Fail as BAD. */
void jaco_cursor_fail(struct jaco_cursor *cursor);
