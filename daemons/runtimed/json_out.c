/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/json_out.h"

#include <stdarg.h>
#include <stdio.h>

#include "libjaco/base/assert.h"

#define KEY_BYTES 128

void json_out_str(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_string(text));
}

void json_out_list(json_t *object, const char *key, json_t *take_list)
{
	if (json_array_size(take_list) > 0)
		json_object_set_new(object, key, take_list);
	else
		json_decref(take_list);
}

json_t *json_out_strings(const struct jaco_strings *strings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < strings->n; i++)
		json_array_append_new(list, json_string(strings->items[i]));
	return list;
}

json_t *json_out_pairs(const struct jaco_pairs *pairs)
{
	json_t *map = json_object();

	for (size_t i = 0; i < pairs->n; i++)
		json_out_str(map, pairs->items[i].key, pairs->items[i].value);
	return map;
}

void json_out_set_strings(json_t *object, const char *key, const struct jaco_strings *strings)
{
	if (strings->n > 0)
		json_object_set_new(object, key, json_out_strings(strings));
}

void json_out_set_pairs(json_t *object, const char *key, const struct jaco_pairs *pairs)
{
	if (pairs->n > 0)
		json_object_set_new(object, key, json_out_pairs(pairs));
}

void json_out_set_i64(json_t *object, const char *key, struct jaco_opt_i64 value)
{
	if (value.is_set)
		json_object_set_new(object, key, json_integer(value.value));
}

void json_out_new_key(json_t *object, json_t *take_value, const char *fmt, ...)
{
	char key[KEY_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(key, sizeof(key), fmt, ap);
	va_end(ap);
	json_object_set_new(object, key, take_value);
}

static int append(const char *data, size_t n, void *ctx)
{
	jaco_buf_add(ctx, data, n);
	return 0;
}

void json_out_dump(const json_t *value, bool is_pretty, struct jaco_buf *out)
{
	size_t flags = is_pretty ? JSON_INDENT(2) | JSON_SORT_KEYS : JSON_COMPACT;

	JACO_ASSERT(json_dump_callback(value, append, out, flags) == 0);
	if (is_pretty)
		jaco_buf_add_char(out, '\n');
}
