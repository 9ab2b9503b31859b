/* SPDX-License-Identifier: Apache-2.0
 *
 * print.h - described messages as JSON and YAML, and back: `-o json|yaml`, `jaco rpc`, the manual.
 *
 * Enums are their words, times RFC 3339 in UTC, binaries text when they are UTF-8 and base64
 * ({"base64": "..."}) otherwise, absent fields omitted. */
#pragma once

#include <jansson.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"
#include "libjaco/wire/codec.h"

/* A new reference. */
json_t *jaco_json_from_msg(const struct jaco_desc *desc, const void *msg);

/* Fill @out_msg (desc->size bytes) from an object; memory from @arena.  Unknown keys are errors
 * here:
 * a person typed them.  Errors: VALIDATION_FAILED with the field. */
int jaco_json_to_msg(const struct jaco_desc *desc, const json_t *json, struct jaco_arena *arena,
		     void *out_msg, struct jaco_err *err);

/* Block YAML of any JSON value, newline-terminated. */
void jaco_yaml_from_json(struct jaco_buf *out, const json_t *json);

/* Indented JSON, newline-terminated. */
void jaco_json_print(struct jaco_buf *out, const json_t *json);

/* One line without spaces. */
void jaco_json_print_compact(struct jaco_buf *out, const json_t *json);

/* A reference of every message and method in mdoc: jaco-wire(7). */
void jaco_describe_mdoc(struct jaco_buf *out);
