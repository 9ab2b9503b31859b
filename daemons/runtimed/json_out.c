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
