/* SPDX-License-Identifier: Apache-2.0
 *
 * out.c - everything jaco(1) writes. */
#include "cli/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/print.h"
#include "libjaco/wire/wire.h"

#define COLUMNS_MAX 16

#define SKEW_S 60 /* a time that another node's clock made is not in the future by so little */

void out_age(char out[static 16], uint64_t wall_ms)
{
	int64_t s = (jaco_time_wall_ms() - (int64_t)wall_ms) / 1000;
	const char *in = s < -SKEW_S ? "in " : "";

	s = *in ? -s : JACO_MAX(s, 0);
	if (wall_ms == 0)
		(void)jaco_str_copy(out, 16, "-");
	else if (s < 120)
		(void)jaco_str_format(out, 16, "%s%llds", in, (long long)s);
	else if (s < 7200)
		(void)jaco_str_format(out, 16, "%s%lldm", in, (long long)s / 60);
	else if (s < 172800)
		(void)jaco_str_format(out, 16, "%s%lldh", in, (long long)s / 3600);
	else
		(void)jaco_str_format(out, 16, "%s%lldd", in, (long long)s / 86400);
}

char *out_printable(struct jaco_arena *arena, const char *text)
{
	char *copy = jaco_arena_strdup(arena, text);

	for (unsigned char *at = (unsigned char *)copy; *at; at++) {
		if (*at == '\n' || *at == '\r' || *at == '\t')
			*at = ' ';
		else if (*at < 0x20 || *at == 0x7f)
			*at = '?';
		else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) /* U+0080 to U+009F */
			*at++ = '?', *at = '?';
	}
	return copy;
}

static const struct jaco_field *find_field(const struct jaco_desc *desc, const char *name)
{
	for (size_t i = 0; i < desc->n_fields; i++)
		if (strcmp(desc->fields[i].name, name) == 0)
			return &desc->fields[i];
	return NULL;
}

static void add_upper(struct jaco_buf *out, const char *word)
{
	for (; *word; word++)
		jaco_buf_add_char(out, *word >= 'a' && *word <= 'z' ? (char)(*word - 32) : *word);
}

static void add_strs(struct jaco_buf *out, const struct wire_strs *strs)
{
	for (size_t i = 0; i < strs->n; i++)
		jaco_buf_printf(out, "%s%s", i ? "," : "", strs->v[i]);
}

static void add_dict(struct jaco_buf *out, const struct wire_dict *dict)
{
	for (size_t i = 0; i < dict->n; i++)
		jaco_buf_printf(out, "%s%s=%s", i ? "," : "", dict->v[i].key, dict->v[i].value);
}

/* The name of a field carries its unit; people read 10.9MiB sooner than 11411456. */
static const struct unit {
	const char *suffix;   /* of the field's name */
	const char *below;    /* unit of the number itself */
	double step;          /* from one unit of @above to the next */
	const char *above[4]; /* larger units, then NULL */
} units[] = {
	{"_bytes", "B", 1024, {"KiB", "MiB", "GiB"}},
	{"_us", "us", 1000, {"ms", "s"}},
	{"_ms", "ms", 1000, {"s"}},
	{"_permille", NULL, 10, {"%"}},
};

static const struct unit *unit_of(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < JACO_ARRAY_SIZE(units); i++) {
		size_t m = strlen(units[i].suffix);

		if (n > m && strcmp(name + n - m, units[i].suffix) == 0)
			return &units[i];
	}
	return NULL;
}

static void add_number(struct jaco_buf *out, const char *name, long long value)
{
	const struct unit *unit = unit_of(name);
	double amount = (double)value;
	size_t i = 0;

	if (!unit) {
		jaco_buf_printf(out, "%lld", value);
		return;
	}
	if (unit->below && amount < unit->step && amount > -unit->step) {
		jaco_buf_printf(out, "%lld%s", value, unit->below);
		return;
	}
	for (amount /= unit->step; unit->above[i + 1] && amount >= unit->step; i++)
		amount /= unit->step;
	jaco_buf_printf(out, "%.1f%s", amount, unit->above[i]);
}

static void add_cell(struct jaco_buf *out, const struct jaco_field *field, const void *row)
{
	const void *at = (const char *)row + field->offset;
	char age[16];

	switch (field->kind) {
	case JACO_KIND_STR:
		jaco_buf_add_str(out, *(const char *const *)at ? *(const char *const *)at : "");
		break;
	case JACO_KIND_U32:
		add_number(out, field->name, *(const uint32_t *)at);
		break;
	case JACO_KIND_U64: /* what is shown in a table is below 2^63 */
		add_number(out, field->name, (long long)*(const uint64_t *)at);
		break;
	case JACO_KIND_TIME:
		out_age(age, *(const uint64_t *)at);
		jaco_buf_add_str(out, age);
		break;
	case JACO_KIND_I64:
		add_number(out, field->name, *(const int64_t *)at);
		break;
	case JACO_KIND_BOOL:
		jaco_buf_add_str(out, *(const bool *)at ? "yes" : "no");
		break;
	case JACO_KIND_ENUM:
		add_upper(out, jaco_enum_word(field->words, *(const int *)at));
		break;
	case JACO_KIND_STRS:
		add_strs(out, at);
		break;
	case JACO_KIND_DICT:
		add_dict(out, at);
		break;
	case JACO_KIND_BIN:
	case JACO_KIND_SUB:
	case JACO_KIND_LIST:
		break;
	}
}

static const char *color_of(const char *cell)
{
	static const struct {
		const char *word;
		const char *color;
	} colors[] = {
		{"RUNNING", "32"},  {"ACTIVE", "32"},  {"READY", "32"},   {"COMPLETED", "32"},
		{"ok", "32"},       {"FAILED", "31"},  {"failed", "31"},  {"UNREACHABLE", "31"},
		{"DEGRADED", "33"}, {"PENDING", "33"}, {"PULLING", "33"}, {"STARTING", "33"},
		{"UPDATING", "33"}, {"warning", "33"},
	};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(colors); i++)
		if (strcmp(colors[i].word, cell) == 0)
			return colors[i].color;
	return NULL;
}

/* Characters, not bytes: columns of names with umlauts stay aligned. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

struct grid {
	const char **cells;
	size_t widths[COLUMNS_MAX];
	size_t n_columns;
	size_t n_rows;
};

static void fill_grid(struct grid *grid, struct jaco_arena *arena, const struct jaco_desc *desc,
		      const void *rows, size_t n, const struct out_column *columns)
{
	while (grid->n_columns < COLUMNS_MAX && columns[grid->n_columns].title) {
		grid->widths[grid->n_columns] = strlen(columns[grid->n_columns].title);
		grid->n_columns++;
	}
	grid->n_rows = n;
	grid->cells = jaco_arena_alloc_n(arena, n * grid->n_columns, sizeof(*grid->cells));
	for (size_t r = 0; r < n; r++) {
		for (size_t c = 0; c < grid->n_columns; c++) {
			jaco_auto(jaco_buf) struct jaco_buf cell = JACO_BUF_INIT;
			const struct jaco_field *field = find_field(desc, columns[c].field);

			if (field)
				add_cell(&cell, field, (const char *)rows + r * desc->size);
			grid->cells[r * grid->n_columns + c] =
				out_printable(arena, cell.n ? jaco_buf_str(&cell) : "-");
			grid->widths[c] = JACO_MAX(grid->widths[c],
						   width_of(grid->cells[r * grid->n_columns + c]));
		}
	}
}

static void add_line(struct jaco_buf *out, const struct grid *grid, const char *const *cells,
		     bool has_color)
{
	for (size_t c = 0; c < grid->n_columns; c++) {
		const char *color = has_color ? color_of(cells[c]) : NULL;
		bool is_last = c + 1 == grid->n_columns;
		size_t pad = grid->widths[c] - JACO_MIN(width_of(cells[c]), grid->widths[c]);

		if (color)
			jaco_buf_printf(out, "\033[%sm%s\033[0m", color, cells[c]);
		else
			jaco_buf_add_str(out, cells[c]);
		if (!is_last)
			jaco_buf_printf(out, "%*s", (int)pad + 2, "");
	}
	jaco_buf_add_char(out, '\n');
}

void out_table(struct jaco_buf *out, const struct cli *cli, const struct jaco_desc *desc,
	       const void *rows, size_t n, const struct out_column *columns)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct grid grid = {0};
	const char *titles[COLUMNS_MAX] = {NULL};

	fill_grid(&grid, &arena, desc, rows, n, columns);
	for (size_t c = 0; c < grid.n_columns; c++)
		titles[c] = columns[c].title;
	add_line(out, &grid, titles, false); /* READY is a title too */
	for (size_t r = 0; r < n; r++)
		add_line(out, &grid, grid.cells + r * grid.n_columns, cli->has_color);
}

void out_json(const struct cli *cli, const json_t *json, bool stream)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	if (cli->format == CLI_YAML) {
		if (stream)
			jaco_buf_add_str(&text, "---\n");
		jaco_yaml_from_json(&text, json);
	} else if (stream) {
		jaco_json_print_compact(&text, json);
		jaco_buf_add_char(&text, '\n');
	} else {
		jaco_json_print(&text, json);
	}
	fwrite(text.data, 1, text.n, stdout);
	fflush(stdout);
}

static void print_names(const struct jaco_desc *desc, const char *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		jaco_auto(jaco_buf) struct jaco_buf name = JACO_BUF_INIT;

		add_cell(&name, &desc->fields[0], rows + i * desc->size); /* a port's is a number */
		puts(jaco_buf_str(&name));
	}
}

void out_rows(const struct cli *cli, const struct jaco_desc *desc, const void *rows, size_t n,
	      const struct out_column *columns)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	json_t *list;

	switch (cli->format) {
	case CLI_TABLE:
		if (n == 0) {
			out_say(cli, "none");
			return;
		}
		out_table(&text, cli, desc, rows, n, columns);
		fwrite(text.data, 1, text.n, stdout);
		return;
	case CLI_NAME:
		print_names(desc, rows, n);
		return;
	case CLI_JSON:
	case CLI_YAML:
		break;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			list, jaco_json_from_msg(desc, (const char *)rows + i * desc->size));
	out_json(cli, list, false);
	json_decref(list);
}

bool out_msg(const struct cli *cli, const struct jaco_desc *desc, const void *msg)
{
	json_t *json;

	if (cli->format != CLI_JSON && cli->format != CLI_YAML)
		return false;
	json = jaco_json_from_msg(desc, msg);
	out_json(cli, json, false);
	json_decref(json);
	return true;
}

int cli_call_print(struct cli *cli, const struct jaco_method *method, const void *req,
		   void *out_message, struct jaco_err *err)
{
	if (cli_call(cli, method, req, out_message, err) < 0)
		return -(int)err->code;
	(void)out_msg(cli, method->out, out_message);
	return 0;
}

void out_say(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->is_quiet || cli->format == CLI_JSON || cli->format == CLI_YAML ||
	    cli->format == CLI_NAME)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void print_error_object(const struct cli *cli, const struct jaco_err *err)
{
	json_t *details = json_object();
	json_t *json;

	for (size_t i = 0; i < err->n_details; i++)
		json_object_set_new(details, err->details[i].key,
				    json_string(err->details[i].value));
	json = json_pack("{s:s, s:s, s:o}", "code", jaco_code_name(err->code), "message", err->text,
			 "details", details);
	if (json)
		out_json(cli, json, false);
	json_decref(json);
}

void out_error(const struct cli *cli, const struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	const char *hint = jaco_err_get_detail(err, "hint");

	fflush(stdout);
	fprintf(stderr, "Error: %s: %s\n", jaco_code_name(err->code),
		out_printable(&arena, err->text));
	for (size_t i = 0; i < err->n_details; i++)
		if (strncmp(err->details[i].key, "finding", 7) == 0)
			fprintf(stderr, "  %s\n", out_printable(&arena, err->details[i].value));
	if (hint)
		fprintf(stderr, "Hint: %s\n", out_printable(&arena, hint));
	if (cli->format == CLI_JSON || cli->format == CLI_YAML)
		print_error_object(cli, err);
}
