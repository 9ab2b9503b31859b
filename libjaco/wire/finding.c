/* SPDX-License-Identifier: Apache-2.0
 *
 * finding.c - findings as messages. */
#include "libjaco/wire/finding.h"

struct wire_finding jaco_finding_to_wire(const struct jaco_finding *finding,
					 struct jaco_arena *arena)
{
	struct wire_finding msg = {
		.severity = finding->severity,
		.code = finding->code == JACO_OK ? "difference" : jaco_code_name(finding->code),
		.message = finding->message,
		.file = finding->pos.file,
		.line = finding->pos.line,
		.column = finding->pos.column,
		.field = finding->path,
		.remedy = finding->remedy,
	};

	if (finding->detail_key) {
		msg.details.v = jaco_arena_alloc(arena, sizeof(*msg.details.v));
		msg.details.v[0] = (struct wire_pair){finding->detail_key, finding->detail_value};
		msg.details.n = 1;
	}
	return msg;
}
