/* SPDX-License-Identifier: Apache-2.0
 *
 * codec.c - walks descriptors; msgpack-c writes, cursor.c reads. */
#include "libjaco/wire/codec.h"

#include <msgpack.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/limits.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/wire/wire.h"

#define ITEM_TEXT_MAX 32768 /* one element of a list of strings or a dictionary */

struct any_list {
	void *v;
	size_t n;
};

static const void *member(const struct jaco_field *field, const void *msg)
{
	return (const char *)msg + field->offset;
}

bool jaco_field_is_set(const struct jaco_desc *desc, size_t i, const void *msg)
{
	const struct jaco_field *field = &desc->fields[i];
	const void *at = member(field, msg);

	if (field->is_required || *(const uint64_t *)msg >> i & 1)
		return true;
	switch (field->kind) {
	case JACO_KIND_STR:
	case JACO_KIND_SUB:
		return *(const void *const *)at != NULL;
	case JACO_KIND_BIN:
		return ((const struct wire_bin *)at)->data != NULL;
	case JACO_KIND_U32:
		return *(const uint32_t *)at != 0;
	case JACO_KIND_U64:
	case JACO_KIND_TIME:
		return *(const uint64_t *)at != 0;
	case JACO_KIND_I64:
		return *(const int64_t *)at != 0;
	case JACO_KIND_BOOL:
		return *(const bool *)at;
	case JACO_KIND_ENUM:
		return *(const int *)at != 0;
	case JACO_KIND_STRS:
	case JACO_KIND_DICT:
	case JACO_KIND_LIST:
		return ((const struct any_list *)at)->n != 0;
	}
	return false;
}

/* --- packing --- */

static int to_buf(void *data, const char *bytes, size_t n)
{
	jaco_buf_add(data, bytes, n);
	return 0;
}

static msgpack_packer packer_for(struct jaco_buf *out)
{
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, to_buf);
	return packer;
}

void jaco_pack_str(struct jaco_buf *out, const char *text)
{
	msgpack_packer packer = packer_for(out);
	size_t n = strlen(text);

	msgpack_pack_str(&packer, n);
	msgpack_pack_str_body(&packer, text, n);
}

void jaco_pack_u64(struct jaco_buf *out, uint64_t value)
{
	msgpack_packer packer = packer_for(out);

	msgpack_pack_uint64(&packer, value);
}

void jaco_pack_array(struct jaco_buf *out, size_t n)
{
	msgpack_packer packer = packer_for(out);

	msgpack_pack_array(&packer, n);
}

void jaco_pack_map(struct jaco_buf *out, size_t n)
{
	msgpack_packer packer = packer_for(out);

	msgpack_pack_map(&packer, n);
}

void jaco_pack_nil(struct jaco_buf *out)
{
	msgpack_packer packer = packer_for(out);

	msgpack_pack_nil(&packer);
}

/* Sentences of ours quote foreign input and are cut where their room ends, perhaps inside a
 * character; who reads them refuses what is not UTF-8, and all that came with it. */
static void pack_clean(struct jaco_buf *out, const char *text)
{
	jaco_auto(jaco_ptr) char *copy = NULL;

	if (!jaco_str_is_utf8(text, strlen(text))) {
		copy = jaco_strdup(text);
		jaco_str_make_utf8(copy);
		text = copy;
	}
	jaco_pack_str(out, text);
}

static int too_long(const struct jaco_desc *desc, const struct jaco_field *field, size_t n,
		    struct jaco_err *err)
{
	bool is_text = field->kind == JACO_KIND_STR || field->kind == JACO_KIND_BIN;

	return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s.%s has %zu %s, at most %llu fit",
			    desc->name, field->name, n, is_text ? "bytes" : "entries",
			    (unsigned long long)field->max);
}

static int pack_msg(struct jaco_buf *out, const struct jaco_desc *desc, const void *msg,
		    unsigned depth, struct jaco_err *err);

static int pack_list(struct jaco_buf *out, const struct jaco_desc *desc,
		     const struct jaco_field *field, const struct any_list *list, unsigned depth,
		     struct jaco_err *err)
{
	if (list->n > field->max)
		return too_long(desc, field, list->n, err);
	jaco_pack_array(out, list->n);
	for (size_t i = 0; i < list->n; i++)
		if (pack_msg(out, field->item, (const char *)list->v + i * field->item->size, depth,
			     err) < 0)
			return -(int)err->code;
	return 0;
}

static int pack_strs(struct jaco_buf *out, const struct jaco_desc *desc,
		     const struct jaco_field *field, const struct wire_strs *strs,
		     struct jaco_err *err)
{
	if (strs->n > field->max)
		return too_long(desc, field, strs->n, err);
	jaco_pack_array(out, strs->n);
	for (size_t i = 0; i < strs->n; i++)
		pack_clean(out, strs->v[i]);
	return 0;
}

static int pack_dict(struct jaco_buf *out, const struct jaco_desc *desc,
		     const struct jaco_field *field, const struct wire_dict *dict,
		     struct jaco_err *err)
{
	if (dict->n > field->max)
		return too_long(desc, field, dict->n, err);
	jaco_pack_map(out, dict->n);
	for (size_t i = 0; i < dict->n; i++) {
		pack_clean(out, dict->v[i].key);
		pack_clean(out, dict->v[i].value);
	}
	return 0;
}

static int pack_text(struct jaco_buf *out, const struct jaco_desc *desc,
		     const struct jaco_field *field, const char *text, struct jaco_err *err)
{
	if (!text)
		text = "";
	if (strlen(text) > field->max)
		return too_long(desc, field, strlen(text), err);
	pack_clean(out, text);
	return 0;
}

static int pack_field(struct jaco_buf *out, const struct jaco_desc *desc,
		      const struct jaco_field *field, const void *at, unsigned depth,
		      struct jaco_err *err)
{
	msgpack_packer packer = packer_for(out);
	const struct wire_bin *bin;

	switch (field->kind) {
	case JACO_KIND_STR:
		return pack_text(out, desc, field, *(const char *const *)at, err);
	case JACO_KIND_BIN:
		bin = at;
		if (bin->n > field->max)
			return too_long(desc, field, bin->n, err);
		msgpack_pack_bin(&packer, bin->n);
		msgpack_pack_bin_body(&packer, bin->data ? bin->data : "", bin->n);
		return 0;
	case JACO_KIND_U32:
		msgpack_pack_uint32(&packer, *(const uint32_t *)at);
		return 0;
	case JACO_KIND_U64:
	case JACO_KIND_TIME:
		msgpack_pack_uint64(&packer, *(const uint64_t *)at);
		return 0;
	case JACO_KIND_I64:
		msgpack_pack_int64(&packer, *(const int64_t *)at);
		return 0;
	case JACO_KIND_BOOL:
		if (*(const bool *)at)
			msgpack_pack_true(&packer);
		else
			msgpack_pack_false(&packer);
		return 0;
	case JACO_KIND_ENUM:
		jaco_pack_str(out, jaco_enum_word(field->words, *(const int *)at));
		return 0;
	case JACO_KIND_STRS:
		return pack_strs(out, desc, field, at, err);
	case JACO_KIND_DICT:
		return pack_dict(out, desc, field, at, err);
	case JACO_KIND_SUB:
		JACO_ASSERT(*(const void *const *)at);
		return pack_msg(out, field->item, *(const void *const *)at, depth, err);
	case JACO_KIND_LIST:
		return pack_list(out, desc, field, at, depth, err);
	}
	JACO_UNREACHABLE();
}

static int pack_msg(struct jaco_buf *out, const struct jaco_desc *desc, const void *msg,
		    unsigned depth, struct jaco_err *err)
{
	size_t n = 0;

	JACO_ASSERT(depth < JACO_DEPTH_MAX);
	for (size_t i = 0; i < desc->n_fields; i++)
		n += jaco_field_is_set(desc, i, msg);
	jaco_pack_map(out, n);
	for (size_t i = 0; i < desc->n_fields; i++) {
		const struct jaco_field *field = &desc->fields[i];

		if (!jaco_field_is_set(desc, i, msg))
			continue;
		jaco_pack_str(out, field->name);
		if (pack_field(out, desc, field, member(field, msg), depth + 1, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

int jaco_pack(struct jaco_buf *out, const struct jaco_desc *desc, const void *msg,
	      struct jaco_err *err)
{
	struct jaco_err local = JACO_ERR_INIT;

	if (!err)
		err = &local;
	if (pack_msg(out, desc, msg, 0, err) < 0)
		return -(int)err->code;
	if (out->overflow)
		return jaco_err_set(err, JACO_MESSAGE_TOO_LARGE, "%s is larger than %zu bytes",
				    desc->name, out->max);
	return 0;
}

/* --- unpacking --- */

static int bad(const struct jaco_desc *desc, const struct jaco_field *field, const char *what,
	       struct jaco_err *err)
{
	int rc = jaco_err_set(err, JACO_VALIDATION_FAILED, "%s.%s: %s", desc->name, field->name,
			      what);

	jaco_err_detail(err, "field", "%s.%s", desc->name, field->name);
	return rc;
}

/* A NUL-terminated copy of text without NULs inside; NULL when it is not acceptable. */
static const char *read_text(struct jaco_cursor *cursor, size_t max, struct jaco_arena *arena)
{
	size_t n;
	const char *text = jaco_cursor_str(cursor, &n);
	char *copy;

	if (cursor->state != JACO_CURSOR_OK || n > max || memchr(text, 0, n) ||
	    !jaco_str_is_utf8(text, n)) {
		jaco_cursor_fail(cursor);
		return NULL;
	}
	copy = jaco_arena_alloc(arena, n + 1);
	memcpy(copy, text, n);
	return copy;
}

static void read_strs(struct jaco_cursor *cursor, uint64_t max, struct jaco_arena *arena,
		      struct wire_strs *out)
{
	uint32_t n = jaco_cursor_array(cursor);

	if (n > max) {
		jaco_cursor_fail(cursor);
		return;
	}
	out->v = jaco_arena_alloc_n(arena, n, sizeof(*out->v));
	for (out->n = 0; out->n < n && cursor->state == JACO_CURSOR_OK; out->n++)
		out->v[out->n] = read_text(cursor, ITEM_TEXT_MAX, arena);
}

static void read_dict(struct jaco_cursor *cursor, uint64_t max, struct jaco_arena *arena,
		      struct wire_dict *out)
{
	uint32_t n = jaco_cursor_map(cursor);

	if (n > max) {
		jaco_cursor_fail(cursor);
		return;
	}
	out->v = jaco_arena_alloc_n(arena, n, sizeof(*out->v));
	for (out->n = 0; out->n < n && cursor->state == JACO_CURSOR_OK; out->n++) {
		out->v[out->n].key = read_text(cursor, ITEM_TEXT_MAX, arena);
		out->v[out->n].value = read_text(cursor, ITEM_TEXT_MAX, arena);
	}
}

static void read_bin(struct jaco_cursor *cursor, uint64_t max, struct jaco_arena *arena,
		     struct wire_bin *out)
{
	/* Scripts in languages without a bytes type send text: accept both. */
	bool is_text = jaco_cursor_peek(cursor) == JACO_CURSOR_STR;
	size_t n;
	const void *data = is_text ? jaco_cursor_str(cursor, &n) : jaco_cursor_bin(cursor, &n);

	if (cursor->state != JACO_CURSOR_OK || n > max) {
		jaco_cursor_fail(cursor);
		return;
	}
	out->data = jaco_arena_memdup(arena, data, n);
	out->n = n;
}

static int read_enum(struct jaco_cursor *cursor, const struct jaco_field *field)
{
	size_t n;
	const char *text = jaco_cursor_str(cursor, &n);

	for (size_t i = 0; cursor->state == JACO_CURSOR_OK && i < field->words->n; i++)
		if (strlen(field->words->words[i]) == n &&
		    memcmp(field->words->words[i], text, n) == 0)
			return (int)i;
	jaco_cursor_fail(cursor);
	return 0;
}

static int unpack_msg(const struct jaco_desc *desc, struct jaco_cursor *cursor,
		      struct jaco_arena *arena, void *out_msg, unsigned depth,
		      struct jaco_err *err);

static int read_list(const struct jaco_desc *desc, const struct jaco_field *field,
		     struct jaco_cursor *cursor, struct jaco_arena *arena, struct any_list *out,
		     unsigned depth, struct jaco_err *err)
{
	uint32_t n = jaco_cursor_array(cursor);

	if (cursor->state != JACO_CURSOR_OK)
		return bad(desc, field, "not a list", err);
	if (n > field->max)
		return bad(desc, field, "too many elements", err);
	out->v = jaco_arena_alloc_n(arena, n, field->item->size);
	for (out->n = 0; out->n < n; out->n++)
		if (unpack_msg(field->item, cursor, arena,
			       (char *)out->v + out->n * field->item->size, depth, err) < 0)
			return jaco_err_wrap(err, "%s.%s[%zu]", desc->name, field->name, out->n);
	return 0;
}

static int read_sub(const struct jaco_desc *desc, const struct jaco_field *field,
		    struct jaco_cursor *cursor, struct jaco_arena *arena, void **out,
		    unsigned depth, struct jaco_err *err)
{
	*out = jaco_arena_alloc(arena, field->item->size);
	if (unpack_msg(field->item, cursor, arena, *out, depth, err) < 0)
		return jaco_err_wrap(err, "%s.%s", desc->name, field->name);
	return 0;
}

static int unpack_field(const struct jaco_desc *desc, const struct jaco_field *field,
			struct jaco_cursor *cursor, struct jaco_arena *arena, void *at,
			unsigned depth, struct jaco_err *err)
{
	switch (field->kind) {
	case JACO_KIND_STR:
		*(const char **)at = read_text(cursor, (size_t)field->max, arena);
		break;
	case JACO_KIND_BIN:
		read_bin(cursor, field->max, arena, at);
		break;
	case JACO_KIND_U32:
		*(uint32_t *)at = (uint32_t)jaco_cursor_u64(cursor, field->max);
		break;
	case JACO_KIND_U64:
	case JACO_KIND_TIME:
		*(uint64_t *)at = jaco_cursor_u64(cursor, field->max);
		break;
	case JACO_KIND_I64:
		*(int64_t *)at = jaco_cursor_i64(cursor);
		break;
	case JACO_KIND_BOOL:
		*(bool *)at = jaco_cursor_bool(cursor);
		break;
	case JACO_KIND_ENUM:
		*(int *)at = read_enum(cursor, field);
		break;
	case JACO_KIND_STRS:
		read_strs(cursor, field->max, arena, at);
		break;
	case JACO_KIND_DICT:
		read_dict(cursor, field->max, arena, at);
		break;
	case JACO_KIND_SUB:
		return read_sub(desc, field, cursor, arena, at, depth, err);
	case JACO_KIND_LIST:
		return read_list(desc, field, cursor, arena, at, depth, err);
	}
	if (cursor->state == JACO_CURSOR_SHORT)
		return bad(desc, field, "the message ends inside it", err);
	if (cursor->state != JACO_CURSOR_OK)
		return bad(desc, field, "wrong type or out of bounds", err);
	return 0;
}

static size_t find_field(const struct jaco_desc *desc, const char *name, size_t n, size_t hint)
{
	/* Writers keep the order of the descriptor, so the next field is usually the next row. */
	for (size_t k = 0; k < desc->n_fields; k++) {
		size_t i = (hint + k) % desc->n_fields;

		if (strlen(desc->fields[i].name) == n && memcmp(desc->fields[i].name, name, n) == 0)
			return i;
	}
	return desc->n_fields;
}

static int check_required(const struct jaco_desc *desc, uint64_t has, struct jaco_err *err)
{
	for (size_t i = 0; i < desc->n_fields; i++)
		if (desc->fields[i].is_required && !(has >> i & 1))
			return bad(desc, &desc->fields[i], "required and missing", err);
	return 0;
}

static int unpack_msg(const struct jaco_desc *desc, struct jaco_cursor *cursor,
		      struct jaco_arena *arena, void *out_msg, unsigned depth, struct jaco_err *err)
{
	uint32_t n = jaco_cursor_map(cursor);
	uint64_t *has = out_msg;
	size_t unknown = 0;
	size_t hint = 0;

	memset(out_msg, 0, desc->size);
	if (cursor->state != JACO_CURSOR_OK || depth >= JACO_DEPTH_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: not a map", desc->name);
	for (uint32_t k = 0; k < n; k++) {
		size_t name_bytes;
		const char *name = jaco_cursor_str(cursor, &name_bytes);
		size_t i;

		if (cursor->state != JACO_CURSOR_OK)
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "%s: a key is not a string", desc->name);
		i = find_field(desc, name, name_bytes, hint);
		if (i == desc->n_fields || jaco_cursor_peek(cursor) == JACO_CURSOR_NIL) {
			jaco_cursor_skip(cursor);
			if (cursor->state != JACO_CURSOR_OK || ++unknown > JACO_UNKNOWN_FIELDS_MAX)
				return jaco_err_set(err, JACO_VALIDATION_FAILED,
						    "%s: malformed or too many unknown fields",
						    desc->name);
			continue;
		}
		if (*has >> i & 1)
			return bad(desc, &desc->fields[i], "given twice", err);
		if (unpack_field(desc, &desc->fields[i], cursor, arena,
				 (char *)out_msg + desc->fields[i].offset, depth + 1, err) < 0)
			return -(int)err->code;
		*has |= UINT64_C(1) << i;
		hint = i + 1;
	}
	return check_required(desc, *has, err);
}

int jaco_unpack_at(const struct jaco_desc *desc, struct jaco_cursor *cursor,
		   struct jaco_arena *arena, void *out_msg, struct jaco_err *err)
{
	struct jaco_err local = JACO_ERR_INIT;

	return unpack_msg(desc, cursor, arena, out_msg, 0, err ? err : &local);
}

int jaco_unpack(const struct jaco_desc *desc, const void *data, size_t n, struct jaco_arena *arena,
		void *out_msg, struct jaco_err *err)
{
	struct jaco_cursor cursor = jaco_cursor_over(data, n);
	int rc = jaco_unpack_at(desc, &cursor, arena, out_msg, err);

	if (rc < 0)
		return rc;
	if (cursor.at != cursor.end)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: %zu bytes too many",
				    desc->name, (size_t)(cursor.end - cursor.at));
	return 0;
}
