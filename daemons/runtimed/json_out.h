/* SPDX-License-Identifier: Apache-2.0
 *
 * json_out.h - small helpers for building JSON requests.  Pure. */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "libjaco/base/auto.h"
#include "libjaco/base/buf.h"
#include "libjaco/model/manifest/service.h"

/* Set @key to @text; nothing when @text is NULL. */
void json_out_str(json_t *object, const char *key, const char *text);

/* Set @key to @take_list unless it is empty. */
void json_out_list(json_t *object, const char *key, json_t *take_list);

/* A new list of texts; a new object of pairs. */
json_t *json_out_strings(const struct jaco_strings *strings);
json_t *json_out_pairs(const struct jaco_pairs *pairs);

/* Set @key to them, unless they are empty or not written. */
void json_out_set_strings(json_t *object, const char *key, const struct jaco_strings *strings);
void json_out_set_pairs(json_t *object, const char *key, const struct jaco_pairs *pairs);
void json_out_set_i64(json_t *object, const char *key, struct jaco_opt_i64 value);

/* Set a formatted key to @take_value. */
void json_out_new_key(json_t *object, json_t *take_value, const char *fmt, ...) JACO_PRINTF(3, 4);

/* Append the text: compact, or for people with sorted keys. */
void json_out_dump(const json_t *value, bool is_pretty, struct jaco_buf *out);
