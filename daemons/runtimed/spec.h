/* SPDX-License-Identifier: Apache-2.0
 *
 * spec.h - the manifests of the revisions that replicas of this node belong to, parsed once each.
 *
 * Old revisions stay as long as a generation of this node refers to them (a rollout, a
 * rollback). */
#pragma once

#include <sys/queue.h>

#include "libjaco/daemon/view.h"
#include "libjaco/model/manifest/manifest.h"

struct spec {
	TAILQ_ENTRY(spec) entry;
	char deployment[JACO_DEPLOYMENT_MAX + 1];
	uint64_t revision;
	uint64_t stored; /* revision of the store the record was written at */
	struct jaco_arena arena;
	const struct jaco_manifest *manifest; /* NULL: @error says why */
	char error[JACO_ERR_TEXT_MAX];
	bool is_used;  /* since the last sweep */
	bool is_stale; /* another took its place: kept for what borrowed it before the sweep */
};

TAILQ_HEAD(spec_cache, spec);

/* The manifest of a revision, or NULL while its record is not in the view.  Borrowed until a sweep
 * during which nobody asked for it. */
const struct spec *spec_get(struct spec_cache *cache, const struct jaco_view *view,
			    const char *deployment, uint64_t revision);

/* Forget what was not asked for since the last sweep. */
void spec_sweep(struct spec_cache *cache);
void spec_fini(struct spec_cache *cache);
