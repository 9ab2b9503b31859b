/* SPDX-License-Identifier: Apache-2.0
 *
 * json_out.h - small helpers for building JSON requests.  Pure. */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "libjaco/base/auto.h"
#include "libjaco/base/buf.h"

/* Set @key to @text; nothing when @text is NULL. */
void json_out_str(json_t *object, const char *key, const char *text);

/* Set @key to @take_list unless it is empty. */
void json_out_list(json_t *object, const char *key, json_t *take_list);

/* Set a formatted key to @take_value. */
void json_out_new_key(json_t *object, json_t *take_value, const char *fmt, ...) JACO_PRINTF(3, 4);

/* Append the text: compact, or for people with sorted keys. */
void json_out_dump(const json_t *value, bool is_pretty, struct jaco_buf *out);
