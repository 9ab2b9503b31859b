/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_answer.h - what an apply changes, as its answer tells it.  Pure. */
#pragma once

#include "libjaco/model/manifest/manifest.h"
#include "libjaco/wire/wire.h"

/* Fill deployment, changes and findings of @out, from @arena.  What has no room in one message is
 * counted in omitted: an answer must not fail once everything is committed. */
void plan_answer_fill(const struct jaco_manifest *manifest, const struct jaco_diff *diff,
		      const struct jaco_findings *findings, struct jaco_arena *arena,
		      struct wire_applied *out);
