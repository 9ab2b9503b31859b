/* SPDX-License-Identifier: Apache-2.0
 *
 * codec.h - one bounded engine that packs and unpacks every described message (style.md C.10).
 *
 * Maps are keyed by field name; unknown keys are skipped and counted against a bound; a missing
 * required field, a wrong type, a value past its bound or text that is not UTF-8 fails with the
 * field's path in the sentence. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"
#include "libjaco/model/enums.h"
#include "libjaco/wire/cursor.h"

enum jaco_kind {
	JACO_KIND_STR,
	JACO_KIND_BIN,
	JACO_KIND_U32,
	JACO_KIND_U64,
	JACO_KIND_TIME, /* U64, milliseconds since the epoch; RFC 3339 in JSON */
	JACO_KIND_I64,
	JACO_KIND_BOOL,
	JACO_KIND_ENUM,
	JACO_KIND_STRS,
	JACO_KIND_DICT,
	JACO_KIND_SUB,
	JACO_KIND_LIST,
};

struct jaco_desc;

struct jaco_field {
	const char *name;
	size_t offset;
	enum jaco_kind kind;
	bool is_required;
	uint64_t max; /* bytes of a string, elements of a list, value of a number */
	const struct jaco_desc *item;   /* of SUB and LIST */
	const struct jaco_enum *words;  /* of ENUM */
	const char *doc;
};

struct jaco_desc {
	const char *name;
	const char *doc;
	size_t size; /* of the C struct; its first member is `uint64_t has` */
	const struct jaco_field *fields;
	size_t n_fields;
};

/* Append @msg as one msgpack map.  Errors: MESSAGE_TOO_LARGE - @out has a bound and it is reached;
 * VALIDATION_FAILED - a value of ours breaks its own bound. */
int jaco_pack(struct jaco_buf *out, const struct jaco_desc *desc, const void *msg,
	      struct jaco_err *err);

/* Fill @out_msg (desc->size bytes) from exactly @n bytes.  Everything it points to is in @arena:
 * nothing refers to @data afterwards.  Errors: VALIDATION_FAILED. */
int jaco_unpack(const struct jaco_desc *desc, const void *data, size_t n, struct jaco_arena *arena,
		void *out_msg, struct jaco_err *err);

/* The same from a cursor that stands before the map; the cursor moves past it. */
int jaco_unpack_at(const struct jaco_desc *desc, struct jaco_cursor *cursor,
		   struct jaco_arena *arena, void *out_msg, struct jaco_err *err);

/* Is the field present (required ones always are)? */
bool jaco_field_is_set(const struct jaco_desc *desc, size_t field, const void *msg);

/* Low-level writers shared with the framing. */
void jaco_pack_str(struct jaco_buf *out, const char *text);
void jaco_pack_u64(struct jaco_buf *out, uint64_t value);
void jaco_pack_array(struct jaco_buf *out, size_t n);
void jaco_pack_map(struct jaco_buf *out, size_t n);
void jaco_pack_nil(struct jaco_buf *out);
