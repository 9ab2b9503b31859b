/* SPDX-License-Identifier: Apache-2.0
 *
 * finding.h - everything a reader of manifests has to say, with its place.
 *
 * A load never stops at the first mistake: it collects findings of both files and sorts them by
 * position.  Errors refuse the manifest; warnings state a difference from plain compose. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"
#include "libjaco/model/enums.h"

/* Enough to repair any real file; the rest is counted in n_dropped. */
#define JACO_FINDINGS_MAX 500

/* A place in a source file.  line 0: the file as a whole. */
struct jaco_pos {
	const char *file; /* name as the caller gave it; NULL when there is none */
	uint32_t line;    /* from 1 */
	uint32_t column;  /* from 1, in characters */
};

struct jaco_finding {
	enum jaco_code code; /* JACO_OK for a warning that is no error code */
	enum jaco_severity severity;
	struct jaco_pos pos;
	const char *path;       /* "services.web.ports[0]"; "" for the document */
	const char *message;    /* what is the matter */
	const char *remedy;     /* what to do instead; NULL when the message says it */
	const char *detail_key; /* one extra detail ("modern_equivalent", "owner"), or NULL */
	const char *detail_value;
	bool is_unread; /* the text at pos could not be had: what readers say of it only follows */
};

struct jaco_findings {
	struct jaco_arena *arena; /* of the texts */
	const char *first_file;   /* sorts before all others; NULL: order of first mention */
	struct jaco_finding *items;
	size_t n;
	size_t cap;
	size_t n_errors;
	size_t n_warnings;
	size_t n_dropped;
};

#define JACO_FINDINGS_INIT(arena_) ((struct jaco_findings){.arena = (arena_)})

/* Append a copy; message and path are already in an arena that lives as long. */
void jaco_findings_add(struct jaco_findings *findings, const struct jaco_finding *finding);

/* Append an error or warning at @pos; @remedy may be NULL. */
void jaco_findings_error(struct jaco_findings *findings, enum jaco_code code, struct jaco_pos pos,
			 const char *path, const char *remedy, const char *fmt, ...)
	JACO_PRINTF(6, 7);
void jaco_findings_warn(struct jaco_findings *findings, struct jaco_pos pos, const char *path,
			const char *remedy, const char *fmt, ...) JACO_PRINTF(5, 6);

/* Append an error that is_unread. */
void jaco_findings_unread(struct jaco_findings *findings, enum jaco_code code, struct jaco_pos pos,
			  const char *fmt, ...) JACO_PRINTF(4, 5);

/* By file (in order of first mention), line, column; stable.  Exact repetitions are removed, and so
 * is what was said later of a place that is_unread. */
void jaco_findings_sort(struct jaco_findings *findings);

/* "compose.yaml:3:5: services.web.image: message; remedy" into the arena of @findings. */
const char *jaco_finding_text(struct jaco_findings *findings, const struct jaco_finding *finding);

/* The first error as an error object: its code, its text with position, and the details file,
 * line, column, field and, when set, the extra one; further errors are counted in the text.
 * Returns -code, 0 when there is no error. */
int jaco_findings_to_err(const struct jaco_findings *findings, struct jaco_err *err);
