/* SPDX-License-Identifier: Apache-2.0
 *
 * out.h - tables for people, JSON and YAML for programs, from the same messages. */
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "libjaco/wire/codec.h"

/* A column: header and the field it shows.  Enums are upper-cased, times become ages ("3m"). */
struct out_column {
	const char *title;
	const char *field;
};

/* Rows (@n structs of @desc) as a table with @columns (ended by title NULL), as a JSON or YAML
 * list, or their first string field per line with -o name. */
void out_rows(const struct cli *cli, const struct jaco_desc *desc, const void *rows, size_t n,
	      const struct out_column *columns);

/* The table into @out, whatever the format: for reports made of several. */
void out_table(struct jaco_buf *out, const struct cli *cli, const struct jaco_desc *desc,
	       const void *rows, size_t n, const struct out_column *columns);

/* One message in json or yaml.  False when the format is a table: the caller prints text. */
bool out_msg(const struct cli *cli, const struct jaco_desc *desc, const void *msg);

/* One JSON value on standard output in the chosen format (compact per line when @stream). */
void out_json(const struct cli *cli, const json_t *json, bool stream);

/* A line for people: nothing with -q, json or yaml. */
void out_say(const struct cli *cli, const char *fmt, ...) JACO_PRINTF(2, 3);

/* "%zu error%s", n, OUT_S(n) */
#define OUT_S(n) ((n) == 1 ? "" : "s")

/* How long ago: "5m"; how far ahead: "in 5m"; 0: "-". */
void out_age(char out[static 16], uint64_t wall_ms);

/* A copy of @text in which nothing can move a cursor, change a color or break a row: control
 * characters (C0, DEL, and C1 in UTF-8) become '?', line ends and tabs a blank.  What containers
 * write is foreign. */
char *out_printable(struct jaco_arena *arena, const char *text);

/* Print an error: text on standard error, the object on standard output with -o json. */
void out_error(const struct cli *cli, const struct jaco_err *err);
