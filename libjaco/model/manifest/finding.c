/* SPDX-License-Identifier: Apache-2.0
 *
 * finding.c - collecting, sorting and telling what is wrong with a manifest. */
#include "libjaco/model/manifest/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"

#define MESSAGE_BYTES 480

void jaco_findings_add(struct jaco_findings *findings, const struct jaco_finding *finding)
{
	if (finding->severity == JACO_SEVERITY_ERROR)
		findings->n_errors++;
	else
		findings->n_warnings++;
	if (findings->n >= JACO_FINDINGS_MAX) {
		findings->n_dropped++;
		return;
	}
	findings->items = jaco_arena_grow(findings->arena, findings->items, &findings->cap,
					  findings->n + 1, sizeof(*findings->items));
	findings->items[findings->n++] = *finding;
}

JACO_PRINTF(2, 0)
static const char *format(struct jaco_arena *arena, const char *fmt, va_list args)
{
	char text[MESSAGE_BYTES];

	vsnprintf(text, sizeof(text), fmt, args);
	return jaco_arena_strdup(arena, text);
}

/* @finding with its message; beyond the bound it is only counted and needs none. */
JACO_PRINTF(3, 0)
static void add_formatted(struct jaco_findings *findings, struct jaco_finding finding,
			  const char *fmt, va_list args)
{
	finding.message = findings->n < JACO_FINDINGS_MAX ? format(findings->arena, fmt, args) : "";
	jaco_findings_add(findings, &finding);
}

void jaco_findings_error(struct jaco_findings *findings, enum jaco_code code, struct jaco_pos pos,
			 const char *path, const char *remedy, const char *fmt, ...)
{
	struct jaco_finding finding = {.code = code,
				       .severity = JACO_SEVERITY_ERROR,
				       .pos = pos,
				       .path = path,
				       .remedy = remedy};
	va_list args;

	va_start(args, fmt);
	add_formatted(findings, finding, fmt, args);
	va_end(args);
}

void jaco_findings_warn(struct jaco_findings *findings, struct jaco_pos pos, const char *path,
			const char *remedy, const char *fmt, ...)
{
	struct jaco_finding finding = {.code = JACO_OK,
				       .severity = JACO_SEVERITY_WARNING,
				       .pos = pos,
				       .path = path,
				       .remedy = remedy};
	va_list args;

	va_start(args, fmt);
	add_formatted(findings, finding, fmt, args);
	va_end(args);
}

void jaco_findings_unread(struct jaco_findings *findings, enum jaco_code code, struct jaco_pos pos,
			  const char *fmt, ...)
{
	struct jaco_finding finding = {.code = code,
				       .severity = JACO_SEVERITY_ERROR,
				       .pos = pos,
				       .path = "",
				       .is_unread = true};
	va_list args;

	va_start(args, fmt);
	add_formatted(findings, finding, fmt, args);
	va_end(args);
}

struct ranked {
	struct jaco_finding finding;
	size_t file_rank; /* order of first mention */
	size_t order;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *left = a;
	const struct ranked *right = b;

	if (left->file_rank != right->file_rank)
		return left->file_rank < right->file_rank ? -1 : 1;
	if (left->finding.pos.line != right->finding.pos.line)
		return left->finding.pos.line < right->finding.pos.line ? -1 : 1;
	if (left->finding.pos.column != right->finding.pos.column)
		return left->finding.pos.column < right->finding.pos.column ? -1 : 1;
	return left->order < right->order ? -1 : 1;
}

static bool is_same_place(const struct jaco_pos *a, const struct jaco_pos *b)
{
	return a->line == b->line && a->column == b->column && jaco_str_eq(a->file, b->file);
}

/* @b, which stands behind @a, has nothing to add to it. */
static bool is_superfluous(const struct jaco_finding *a, const struct jaco_finding *b)
{
	return is_same_place(&a->pos, &b->pos) &&
	       (a->is_unread || (a->code == b->code && jaco_str_eq(a->message, b->message) &&
				 jaco_str_eq(a->path, b->path)));
}

void jaco_findings_sort(struct jaco_findings *findings)
{
	struct ranked *ranked;
	size_t kept = 0;

	if (findings->n < 2)
		return;
	ranked = jaco_arena_alloc_n(findings->arena, findings->n, sizeof(*ranked));
	for (size_t i = 0; i < findings->n; i++) {
		size_t first = 0;

		if (findings->first_file &&
		    jaco_str_eq(findings->items[i].pos.file, findings->first_file)) {
			ranked[i] = (struct ranked){findings->items[i], 0, i};
			continue;
		}
		while (!jaco_str_eq(findings->items[first].pos.file, findings->items[i].pos.file))
			first++;
		ranked[i] = (struct ranked){findings->items[i], first + 1, i};
	}
	qsort(ranked, findings->n, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < findings->n; i++) {
		if (kept > 0 && is_superfluous(&findings->items[kept - 1], &ranked[i].finding)) {
			if (ranked[i].finding.severity == JACO_SEVERITY_ERROR)
				findings->n_errors--;
			else
				findings->n_warnings--;
			continue;
		}
		findings->items[kept++] = ranked[i].finding;
	}
	findings->n = kept;
}

const char *jaco_finding_text(struct jaco_findings *findings, const struct jaco_finding *finding)
{
	const char *file = finding->pos.file ? finding->pos.file : "";
	bool has_path = finding->path && *finding->path;
	char place[64] = "";

	if (finding->pos.line > 0)
		(void)jaco_str_format(place, sizeof(place), "%s%u:%u", *file ? ":" : "",
				      finding->pos.line, finding->pos.column);
	return jaco_arena_printf(
		findings->arena, "%s%s%s%s%s%s%s%s", file, place, *file || *place ? ": " : "",
		has_path ? finding->path : "", has_path ? ": " : "", finding->message,
		finding->remedy ? "; " : "", finding->remedy ? finding->remedy : "");
}

int jaco_findings_to_err(const struct jaco_findings *findings, struct jaco_err *err)
{
	const struct jaco_finding *first = NULL;
	struct jaco_findings scratch = *findings;

	for (size_t i = 0; i < findings->n && !first; i++)
		if (findings->items[i].severity == JACO_SEVERITY_ERROR)
			first = &findings->items[i];
	if (!first)
		return findings->n_errors == 0 ? 0
					       : jaco_err_set(err, JACO_VALIDATION_FAILED,
							      "%zu errors", findings->n_errors);
	if (findings->n_errors > 1)
		(void)jaco_err_set(err, first->code, "%.440s (and %zu more)",
				   jaco_finding_text(&scratch, first), findings->n_errors - 1);
	else
		(void)jaco_err_set(err, first->code, "%s", jaco_finding_text(&scratch, first));
	if (first->pos.file)
		jaco_err_detail(err, "file", "%s", first->pos.file);
	if (first->pos.line > 0) {
		jaco_err_detail(err, "line", "%u", first->pos.line);
		jaco_err_detail(err, "column", "%u", first->pos.column);
	}
	if (first->path && *first->path)
		jaco_err_detail(err, "field", "%s", first->path);
	if (first->detail_key)
		jaco_err_detail(err, first->detail_key, "%s", first->detail_value);
	return -(int)first->code;
}
