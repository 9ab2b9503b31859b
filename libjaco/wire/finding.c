/* SPDX-License-Identifier: Apache-2.0
 *
 * finding.c - findings as messages. */
#include "libjaco/wire/finding.h"

#include <string.h>

#include "libjaco/base/limits.h"

#define FIELD_MAX 512 /* def/raftd.def */

/* @text, or as much of it as fits, up to a whole character. */
static const char *fitting(const char *text, size_t max, struct jaco_arena *arena)
{
	size_t n = max;

	if (!text || strlen(text) <= max)
		return text;
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return jaco_arena_strndup(arena, text, n);
}

struct wire_finding jaco_finding_to_wire(const struct jaco_finding *finding,
					 struct jaco_arena *arena)
{
	struct wire_finding msg = {
		.severity = finding->severity,
		.code = finding->code == JACO_OK ? "difference" : jaco_code_name(finding->code),
		.message = fitting(finding->message, JACO_TEXT_MAX, arena),
		.file = fitting(finding->pos.file, JACO_PATH_MAX, arena),
		.line = finding->pos.line,
		.column = finding->pos.column,
		.field = fitting(finding->path, FIELD_MAX, arena),
		.remedy = fitting(finding->remedy, JACO_TEXT_MAX, arena),
	};

	if (finding->detail_key) {
		msg.details.v = jaco_arena_alloc(arena, sizeof(*msg.details.v));
		msg.details.v[0] = (struct wire_pair){finding->detail_key, finding->detail_value};
		msg.details.n = 1;
	}
	return msg;
}
