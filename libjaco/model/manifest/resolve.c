/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve.c - from the two typed documents to one manifest. */
#include "libjaco/model/manifest/resolve.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"

static const char *service_path(struct resolve *resolve, const char *service, const char *key)
{
	return jaco_arena_printf(resolve->read->arena, "services.%s%s%s", service, key ? "." : "",
				 key ? key : "");
}

void jaco_resolve_error(struct resolve *resolve, enum jaco_code code, struct jaco_pos pos,
			const char *service, const char *key, const char *remedy, const char *fmt,
			...)
{
	char text[480];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	jaco_findings_error(resolve->read->findings, code, pos, service_path(resolve, service, key),
			    remedy, "%s", text);
}

void jaco_resolve_warn(struct resolve *resolve, struct jaco_pos pos, const char *service,
		       const char *key, const char *fmt, ...)
{
	char text[480];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	jaco_findings_warn(resolve->read->findings, pos, service_path(resolve, service, key), NULL,
			   "%s", text);
}

static int compare_name(const void *key, const void *item)
{
	const struct compose_service *const *service = item;

	return strcmp(key, (*service)->s.name);
}

struct compose_service *jaco_resolve_find(const struct resolve *resolve, const char *name)
{
	struct compose_service **found = NULL;

	if (resolve->compose->n_services)
		found = bsearch(name, resolve->compose->services, resolve->compose->n_services,
				sizeof(struct compose_service *), compare_name);
	return found ? *found : NULL;
}

static int compare_volume(const void *key, const void *item)
{
	return strcmp(key, ((const struct jaco_volume *)item)->name);
}

struct jaco_volume *jaco_resolve_volume(const struct resolve *resolve, const char *name)
{
	const struct compose_doc *doc = resolve->compose;

	return doc->n_volumes ? bsearch(name, doc->volumes, doc->n_volumes, sizeof(*doc->volumes),
					compare_volume)
			      : NULL;
}

static const char *overlay_path(struct resolve *resolve, size_t index, const char *key)
{
	return jaco_arena_printf(resolve->read->arena, "services[%zu].%s", index, key);
}

/* The overlay's entry for each compose service, NULL where there is none. */
static const struct overlay_service **match_overlay(struct resolve *resolve)
{
	const struct overlay *overlay = resolve->overlay;
	const struct overlay_service **matched =
		jaco_arena_alloc_n(resolve->read->arena, resolve->compose->n_services + 1,
				   sizeof(const struct overlay_service *));

	for (size_t i = 0; i < overlay->n_services; i++) {
		const struct overlay_service *entry = &overlay->services[i];
		struct compose_service **found = NULL;

		if (resolve->compose->n_services)
			found = bsearch(entry->name, resolve->compose->services,
					resolve->compose->n_services,
					sizeof(struct compose_service *), compare_name);
		if (!found) {
			jaco_findings_error(resolve->read->findings, JACO_UNKNOWN_SERVICE,
					    entry->pos, overlay_path(resolve, i, "name"),
					    "name a service of the compose file",
					    "service \"%.63s\" is not in the compose file",
					    entry->name);
			continue;
		}
		if (matched[found - resolve->compose->services])
			jaco_findings_error(resolve->read->findings, JACO_VALIDATION_FAILED,
					    entry->pos, overlay_path(resolve, i, "name"),
					    "keep one entry", "service \"%.63s\" appears twice",
					    entry->name);
		matched[found - resolve->compose->services] = entry;
	}
	return matched;
}

static void collect_services(struct resolve *resolve)
{
	struct jaco_manifest *manifest = resolve->manifest;
	size_t n = resolve->compose->n_services;
	uint64_t replicas = 0;

	manifest->services =
		jaco_arena_alloc_n(resolve->read->arena, n + 1, sizeof(*manifest->services));
	manifest->n_services = n;
	for (size_t i = 0; i < n; i++) {
		manifest->services[i] = resolve->compose->services[i]->s;
		replicas += manifest->services[i].replicas;
	}
	if (replicas > JACO_REPLICAS_MAX)
		jaco_findings_error(resolve->read->findings, JACO_LIMIT_EXCEEDED,
				    manifest->services[0].pos, "services", "use fewer replicas",
				    "%llu replicas, at most %d fit into a cluster",
				    (unsigned long long)replicas, JACO_REPLICAS_MAX);
}

void jaco_resolve_run(struct resolve *resolve)
{
	const struct overlay *overlay = resolve->overlay;
	const struct overlay_service **matched = match_overlay(resolve);
	struct jaco_manifest *manifest = resolve->manifest;

	*manifest = (struct jaco_manifest){
		.deployment = overlay->deployment,
		.environment = overlay->environment,
		.acme = overlay->acme,
		.acme_email = overlay->acme_email,
	};
	for (size_t i = 0; i < resolve->compose->n_services; i++)
		jaco_resolve_service(resolve, resolve->compose->services[i], matched[i]);
	jaco_resolve_names(resolve);
	jaco_resolve_dependencies(resolve);
	jaco_resolve_networks(resolve);
	jaco_resolve_routes(resolve);
	jaco_resolve_ports(resolve);
	manifest->volumes = resolve->compose->volumes;
	manifest->n_volumes = resolve->compose->n_volumes;
	collect_services(resolve);
}
