/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/spec.h"

#include <inttypes.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

static void parse(struct spec *spec, const struct wire_revision *record)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(&spec->arena);
	struct jaco_document jaco = {.name = "jaco.yaml"}, compose = {.name = "compose.yaml"};
	struct jaco_err err = JACO_ERR_INIT;

	/* The texts of a manifest point into its documents, and the view may drop the record. */
	jaco.n = record->jaco.n;
	jaco.data = jaco_arena_strndup(&spec->arena, record->jaco.data, record->jaco.n);
	compose.n = record->compose.n;
	compose.data = jaco_arena_strndup(&spec->arena, record->compose.data, record->compose.n);
	if (jaco_manifest_load(&jaco, &compose, &findings, &spec->manifest, &err) < 0)
		jaco_str_format(spec->error, sizeof(spec->error), "%.500s", err.text);
}

const struct spec *spec_get(struct spec_cache *cache, const struct jaco_view *view,
			    const char *deployment, uint64_t revision)
{
	char key[JACO_KEY_MAX];
	const struct jaco_view_entry *record;
	struct spec *spec;

	jaco_str_format(key, sizeof(key), "/revision/%s/%" PRIu64, deployment, revision);
	record = jaco_view_entry(view, key);
	TAILQ_FOREACH(spec, cache, entry)
	{
		if (spec->is_stale || spec->revision != revision ||
		    !jaco_str_eq(spec->deployment, deployment))
			continue;
		/* A deployment that is deleted and applied again counts from 1 once more. */
		spec->is_stale = record && record->revision != spec->stored;
		if (spec->is_stale)
			break;
		spec->is_used = true;
		return spec;
	}
	if (!record)
		return NULL;
	spec = jaco_alloc(sizeof(*spec));
	jaco_str_copy(spec->deployment, sizeof(spec->deployment), deployment);
	spec->revision = revision;
	spec->stored = record->revision;
	spec->is_used = true;
	parse(spec, record->msg);
	TAILQ_INSERT_TAIL(cache, spec, entry);
	return spec;
}

static void drop(struct spec_cache *cache, struct spec *spec)
{
	TAILQ_REMOVE(cache, spec, entry);
	jaco_arena_fini(&spec->arena);
	jaco_free(spec);
}

void spec_sweep(struct spec_cache *cache)
{
	struct spec *spec = TAILQ_FIRST(cache);

	while (spec) {
		struct spec *next = TAILQ_NEXT(spec, entry);

		if (!spec->is_used || spec->is_stale)
			drop(cache, spec);
		else
			spec->is_used = false;
		spec = next;
	}
}

void spec_fini(struct spec_cache *cache)
{
	struct spec *spec;

	while ((spec = TAILQ_FIRST(cache)))
		drop(cache, spec);
}
