/* SPDX-License-Identifier: Apache-2.0
 *
 * print.c - walks descriptors to and from JSON; writes YAML. */
#include "libjaco/wire/print.h"

#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/wire.h"

struct any_list {
	char *v;
	size_t n;
};

static json_t *bin_to_json(const struct wire_bin *bin)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	char *at;

	if (jaco_str_is_utf8(bin->data ? bin->data : "", bin->n) &&
	    (!bin->n || !memchr(bin->data, 0, bin->n)))
		return json_stringn(bin->data ? bin->data : "", bin->n);
	at = jaco_buf_reserve(&text, JACO_BASE64_BYTES(bin->n));
	jaco_base64_encode(at, bin->data, bin->n);
	return json_pack("{s:s}", "base64", at);
}

static json_t *time_to_json(uint64_t ms)
{
	char text[JACO_RFC3339_BYTES];

	jaco_rfc3339_render(text, (int64_t)ms);
	return json_string(text);
}

static json_t *strs_to_json(const struct wire_strs *strs)
{
	json_t *array = json_array();

	for (size_t i = 0; i < strs->n; i++)
		json_array_append_new(array, json_string(strs->v[i]));
	return array;
}

static json_t *dict_to_json(const struct wire_dict *dict)
{
	json_t *object = json_object();

	for (size_t i = 0; i < dict->n; i++)
		json_object_set_new(object, dict->v[i].key, json_string(dict->v[i].value));
	return object;
}

static json_t *list_to_json(const struct jaco_field *field, const struct any_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(
			array, jaco_json_from_msg(field->item, list->v + i * field->item->size));
	return array;
}

static json_t *field_to_json(const struct jaco_field *field, const void *at)
{
	const char *text;

	switch (field->kind) {
	case JACO_KIND_STR:
		text = *(const char *const *)at;
		return json_string(text ? text : "");
	case JACO_KIND_BIN:
		return bin_to_json(at);
	case JACO_KIND_U32:
		return json_integer(*(const uint32_t *)at);
	case JACO_KIND_U64:
		return json_integer((json_int_t)*(const uint64_t *)at);
	case JACO_KIND_TIME:
		return time_to_json(*(const uint64_t *)at);
	case JACO_KIND_I64:
		return json_integer(*(const int64_t *)at);
	case JACO_KIND_BOOL:
		return json_boolean(*(const bool *)at);
	case JACO_KIND_ENUM:
		return json_string(jaco_enum_word(field->words, *(const int *)at));
	case JACO_KIND_STRS:
		return strs_to_json(at);
	case JACO_KIND_DICT:
		return dict_to_json(at);
	case JACO_KIND_SUB:
		return jaco_json_from_msg(field->item, *(const void *const *)at);
	case JACO_KIND_LIST:
		return list_to_json(field, at);
	}
	return json_null();
}

json_t *jaco_json_from_msg(const struct jaco_desc *desc, const void *msg)
{
	json_t *object = json_object();

	for (size_t i = 0; i < desc->n_fields; i++)
		if (jaco_field_is_set(desc, i, msg))
			json_object_set_new(
				object, desc->fields[i].name,
				field_to_json(&desc->fields[i],
					      (const char *)msg + desc->fields[i].offset));
	return object;
}

/* --- from JSON --- */

static int wrong(const struct jaco_desc *desc, const struct jaco_field *field, const char *want,
		 struct jaco_err *err)
{
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s.%s: %s is wanted", desc->name,
			    field->name, want);
}

static bool integer_fits(const json_t *json, uint64_t max)
{
	return json_is_integer(json) && json_integer_value(json) >= 0 &&
	       (uint64_t)json_integer_value(json) <= max;
}

static bool take_bin(const json_t *json, struct jaco_arena *arena, struct wire_bin *out)
{
	const char *text = json_string_value(json);
	long n;

	if (text) {
		out->n = json_string_length(json);
		out->data = jaco_arena_memdup(arena, text, out->n);
		return true;
	}
	text = json_string_value(json_object_get(json, "base64"));
	if (!text)
		return false;
	out->data = jaco_arena_alloc(arena, strlen(text));
	n = jaco_base64_decode(text, (uint8_t *)out->data, strlen(text));
	out->n = n < 0 ? 0 : (size_t)n;
	return n >= 0;
}

static bool take_strs(const json_t *json, struct jaco_arena *arena, struct wire_strs *out)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(json))
		return false;
	out->v = jaco_arena_alloc_n(arena, json_array_size(json), sizeof(*out->v));
	json_array_foreach((json_t *)json, i, item) {
		if (!json_is_string(item))
			return false;
		out->v[out->n++] = jaco_arena_strdup(arena, json_string_value(item));
	}
	return true;
}

static bool take_dict(const json_t *json, struct jaco_arena *arena, struct wire_dict *out)
{
	const char *key;
	const json_t *value;

	if (!json_is_object(json))
		return false;
	out->v = jaco_arena_alloc_n(arena, json_object_size(json), sizeof(*out->v));
	json_object_foreach((json_t *)json, key, value) {
		if (!json_is_string(value))
			return false;
		out->v[out->n].key = jaco_arena_strdup(arena, key);
		out->v[out->n++].value = jaco_arena_strdup(arena, json_string_value(value));
	}
	return true;
}

static bool take_time(const json_t *json, uint64_t *out)
{
	int64_t ms;

	if (json_is_string(json) && jaco_rfc3339_parse(json_string_value(json), &ms) && ms >= 0) {
		*out = (uint64_t)ms;
		return true;
	}
	*out = integer_fits(json, INT64_MAX) ? (uint64_t)json_integer_value(json) : 0;
	return integer_fits(json, INT64_MAX);
}

static int take_list(const struct jaco_desc *desc, const struct jaco_field *field,
		     const json_t *json, struct jaco_arena *arena, struct any_list *out,
		     struct jaco_err *err)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(json))
		return wrong(desc, field, "a list", err);
	out->v = jaco_arena_alloc_n(arena, json_array_size(json), field->item->size);
	json_array_foreach((json_t *)json, i, item) {
		if (jaco_json_to_msg(field->item, item, arena, out->v + i * field->item->size,
				     err) < 0)
			return jaco_err_wrap(err, "%s.%s[%zu]", desc->name, field->name, i);
		out->n++;
	}
	return 0;
}

static int take_enum(const struct jaco_desc *desc, const struct jaco_field *field,
		     const json_t *json, int *out, struct jaco_err *err)
{
	*out = json_is_string(json) ? jaco_enum_find(field->words, json_string_value(json)) : -1;
	return *out < 0 ? wrong(desc, field, field->words->name, err) : 0;
}

static int take_field(const struct jaco_desc *desc, const struct jaco_field *field,
		      const json_t *json, struct jaco_arena *arena, void *at, struct jaco_err *err)
{
	switch (field->kind) {
	case JACO_KIND_STR:
		if (!json_is_string(json))
			return wrong(desc, field, "text", err);
		*(const char **)at = jaco_arena_strdup(arena, json_string_value(json));
		return 0;
	case JACO_KIND_BIN:
		return take_bin(json, arena, at)
			       ? 0
			       : wrong(desc, field, "text or {\"base64\": ...}", err);
	case JACO_KIND_U32:
		if (!integer_fits(json, field->max))
			return wrong(desc, field, "a number", err);
		*(uint32_t *)at = (uint32_t)json_integer_value(json);
		return 0;
	case JACO_KIND_U64:
		if (!integer_fits(json, field->max))
			return wrong(desc, field, "a number", err);
		*(uint64_t *)at = (uint64_t)json_integer_value(json);
		return 0;
	case JACO_KIND_TIME:
		return take_time(json, at) ? 0 : wrong(desc, field, "a time (RFC 3339, UTC)", err);
	case JACO_KIND_I64:
		if (!json_is_integer(json))
			return wrong(desc, field, "a number", err);
		*(int64_t *)at = json_integer_value(json);
		return 0;
	case JACO_KIND_BOOL:
		if (!json_is_boolean(json))
			return wrong(desc, field, "true or false", err);
		*(bool *)at = json_is_true(json);
		return 0;
	case JACO_KIND_ENUM:
		return take_enum(desc, field, json, at, err);
	case JACO_KIND_STRS:
		return take_strs(json, arena, at) ? 0 : wrong(desc, field, "a list of words", err);
	case JACO_KIND_DICT:
		return take_dict(json, arena, at) ? 0
						  : wrong(desc, field, "an object of words", err);
	case JACO_KIND_SUB:
		*(void **)at = jaco_arena_alloc(arena, field->item->size);
		return jaco_json_to_msg(field->item, json, arena, *(void **)at, err);
	case JACO_KIND_LIST:
		return take_list(desc, field, json, arena, at, err);
	}
	return 0;
}

static const struct jaco_field *find_field(const struct jaco_desc *desc, const char *key,
					   size_t *out_i)
{
	for (size_t i = 0; i < desc->n_fields; i++) {
		if (strcmp(desc->fields[i].name, key) == 0) {
			*out_i = i;
			return &desc->fields[i];
		}
	}
	return NULL;
}

int jaco_json_to_msg(const struct jaco_desc *desc, const json_t *json, struct jaco_arena *arena,
		     void *out_msg, struct jaco_err *err)
{
	uint64_t *has = out_msg;
	const char *key;
	const json_t *value;

	memset(out_msg, 0, desc->size);
	if (!json_is_object(json))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s: an object is wanted",
				    desc->name);
	json_object_foreach((json_t *)json, key, value) {
		size_t i;
		const struct jaco_field *field = find_field(desc, key, &i);

		if (!field)
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s has no field \"%s\"",
					    desc->name, key);
		if (take_field(desc, field, value, arena, (char *)out_msg + field->offset, err) < 0)
			return -(int)err->code;
		*has |= UINT64_C(1) << i;
	}
	for (size_t i = 0; i < desc->n_fields; i++)
		if (desc->fields[i].is_required && !(*has >> i & 1))
			return wrong(desc, &desc->fields[i], desc->fields[i].doc, err);
	return 0;
}

/* --- text --- */

static int to_buf(const char *data, size_t n, void *ctx)
{
	jaco_buf_add(ctx, data, n);
	return 0;
}

void jaco_json_print(struct jaco_buf *out, const json_t *json)
{
	(void)json_dump_callback(json, to_buf, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
	jaco_buf_add_char(out, '\n');
}

void jaco_json_print_compact(struct jaco_buf *out, const json_t *json)
{
	(void)json_dump_callback(json, to_buf, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

static bool is_plain(const char *text)
{
	static const char *const words[] = {"true", "false", "null", "yes", "no",
					    "on",   "off",   "~",    NULL};

	if (!*text || strspn(text, "0123456789+-.") > 0 ||
	    strpbrk(text, ":#{}[],&*!|>'\"%@`\n\t") || text[strlen(text) - 1] == ' ' ||
	    *text == ' ' || *text == '?')
		return false;
	for (const char *const *w = words; *w; w++)
		if (jaco_str_eq_nocase(text, *w))
			return false;
	return true;
}

static void yaml_value(struct jaco_buf *out, const json_t *json, unsigned indent, bool in_list);

static void yaml_block(struct jaco_buf *out, const char *text, unsigned indent)
{
	size_t n = strlen(text);

	jaco_buf_add_str(out, text[n - 1] == '\n' ? " |\n" : " |-\n");
	while (*text) {
		size_t line = strcspn(text, "\n");

		if (line)
			jaco_buf_printf(out, "%*s%.*s", (int)indent, "", (int)line, text);
		jaco_buf_add_char(out, '\n');
		text += line + (text[line] == '\n');
	}
}

static bool wants_block(const char *text)
{
	size_t n = strlen(text);

	if (!strchr(text, '\n') || *text == ' ' || *text == '\n' ||
	    (n > 1 && text[n - 1] == '\n' && text[n - 2] == '\n'))
		return false;
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 && *text != '\n')
			return false;
	return true;
}

static void yaml_scalar(struct jaco_buf *out, const json_t *json, unsigned indent)
{
	const char *text = json_string_value(json);

	if (text && wants_block(text)) {
		yaml_block(out, text, indent);
		return;
	}
	jaco_buf_add_char(out, ' ');
	if (text && is_plain(text))
		jaco_buf_add_str(out, text);
	else
		jaco_json_print_compact(out, json);
	jaco_buf_add_char(out, '\n');
}

static void yaml_map(struct jaco_buf *out, const json_t *json, unsigned indent, bool in_list)
{
	const char *key;
	const json_t *value;

	json_object_foreach((json_t *)json, key, value) {
		jaco_auto(jaco_buf) struct jaco_buf quoted = JACO_BUF_INIT;
		json_t *name = json_string(key);

		if (in_list)
			in_list = false; /* the first key stands behind the dash */
		else
			jaco_buf_printf(out, "%*s", (int)indent, "");
		if (!is_plain(key))
			jaco_json_print_compact(&quoted, name);
		json_decref(name);
		jaco_buf_printf(out, "%s:", is_plain(key) ? key : jaco_buf_str(&quoted));
		yaml_value(out, value, indent + 2, false);
	}
}

static void yaml_list(struct jaco_buf *out, const json_t *json, unsigned indent)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)json, i, item) {
		jaco_buf_printf(out, "%*s-", (int)indent, "");
		yaml_value(out, item, indent + 2, true);
	}
}

static void yaml_value(struct jaco_buf *out, const json_t *json, unsigned indent, bool in_list)
{
	if (json_is_object(json) && json_object_size(json) > 0) {
		jaco_buf_add_char(out, in_list ? ' ' : '\n');
		yaml_map(out, json, indent, in_list);
	} else if (json_is_array(json) && json_array_size(json) > 0) {
		jaco_buf_add_char(out, '\n');
		yaml_list(out, json, in_list ? indent : indent - 2);
	} else {
		yaml_scalar(out, json, indent);
	}
}

void jaco_yaml_from_json(struct jaco_buf *out, const json_t *json)
{
	if (json_is_object(json) && json_object_size(json) > 0)
		yaml_map(out, json, 0, false);
	else if (json_is_array(json) && json_array_size(json) > 0)
		yaml_list(out, json, 0);
	else
		jaco_json_print_compact(out, json), jaco_buf_add_char(out, '\n');
}
