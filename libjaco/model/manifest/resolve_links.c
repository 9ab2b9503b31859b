/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve_links.c - what services say about each other: names, dependencies, shared namespaces,
 * networks. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/resolve.h"
#include "libjaco/model/name.h"

static void add_dns_name(struct resolve *resolve, struct jaco_service *s, const char *name)
{
	if (strcmp(name, s->name) != 0)
		jaco_strings_add(resolve->read->arena, &s->dns_names, name);
}

void jaco_resolve_names(struct resolve *resolve)
{
	struct compose_doc *doc = resolve->compose;

	for (size_t i = 0; i < doc->n_services; i++) {
		struct compose_service *service = doc->services[i];

		if (service->container_name && jaco_name_is_dns(service->container_name))
			add_dns_name(resolve, &service->s, service->container_name);
		for (size_t j = 0; j < service->n_links; j++) {
			const struct compose_link *link = &service->links[j];
			struct compose_service *target = jaco_resolve_find(resolve, link->service);

			if (!target)
				jaco_resolve_error(
					resolve, JACO_UNKNOWN_SERVICE, link->pos, service->s.name,
					"links", "name a service of this file",
					"linked service \"%.63s\" does not exist", link->service);
			else if (link->alias && jaco_name_is_dns(link->alias))
				add_dns_name(resolve, &target->s, link->alias);
		}
	}
	for (size_t i = 0; i < doc->n_services; i++)
		jaco_strings_sort(&doc->services[i]->s.dns_names, true);
}

/* -- dependencies ------------------------------------------------------------------------- */

static size_t index_of(const struct resolve *resolve, const char *name)
{
	size_t low = 0;
	size_t high = resolve->compose->n_services;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(resolve->compose->services[middle]->s.name, name);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return SIZE_MAX;
}

/* Remove services whose dependencies are all removed until nothing changes; what is left sits on a
 * cycle or behind one (Kahn 1962). */
static void find_cycles(struct resolve *resolve)
{
	struct compose_doc *doc = resolve->compose;
	bool *is_done = jaco_arena_alloc_n(resolve->read->arena, doc->n_services + 1, sizeof(bool));
	bool has_moved = true;

	while (has_moved) {
		has_moved = false;
		for (size_t i = 0; i < doc->n_services; i++) {
			const struct jaco_service *s = &doc->services[i]->s;
			bool is_free = !is_done[i];

			for (size_t j = 0; j < s->n_depends_on && is_free; j++) {
				size_t on = index_of(resolve, s->depends_on[j].service);

				is_free = on == SIZE_MAX || on == i || is_done[on];
			}
			if (is_free && !is_done[i]) {
				is_done[i] = true;
				has_moved = true;
			}
		}
	}
	for (size_t i = 0; i < doc->n_services; i++) {
		const struct jaco_service *s = &doc->services[i]->s;

		for (size_t j = 0; j < s->n_depends_on && !is_done[i]; j++) {
			size_t on = index_of(resolve, s->depends_on[j].service);

			if (on == SIZE_MAX || is_done[on])
				continue;
			jaco_resolve_error(
				resolve, JACO_VALIDATION_FAILED, s->depends_on[j].pos, s->name,
				"depends_on", "break the circle",
				"\"%.63s\" and \"%.63s\" depend on each other in a circle", s->name,
				s->depends_on[j].service);
			break;
		}
	}
}

static void check_dependencies(struct resolve *resolve, struct jaco_service *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_depends_on; i++) {
		struct jaco_dependency *dependency = &s->depends_on[i];
		struct compose_service *target = jaco_resolve_find(resolve, dependency->service);

		if (strcmp(dependency->service, s->name) == 0) {
			jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, dependency->pos,
					   s->name, "depends_on", "remove it",
					   "the service depends on itself");
			continue;
		}
		if (!target && !dependency->required)
			continue;
		if (!target) {
			jaco_resolve_error(resolve, JACO_UNKNOWN_SERVICE, dependency->pos, s->name,
					   "depends_on", "name a service of this file",
					   "service \"%.63s\" does not exist", dependency->service);
			continue;
		}
		if (dependency->condition == JACO_CONDITION_COMPLETED)
			target->s.is_one_shot = true;
		s->depends_on[kept++] = *dependency;
	}
	s->n_depends_on = kept;
}

/* Processes or memory of another service need its node, which only a shared network gives. */
static void check_shared_with(struct resolve *resolve, const struct jaco_service *s,
			      const char *key, const char *mode)
{
	if (mode && jaco_str_starts(mode, "service:") &&
	    (s->network_mode != JACO_NETMODE_SERVICE ||
	     strcmp(mode + strlen("service:"), s->network_service) != 0))
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, s->pos, s->name, key,
				   jaco_arena_printf(resolve->read->arena,
						     "add network_mode: \"%.80s\"", mode),
				   "\"%.80s\" needs the same network_mode", mode);
}

static void check_shared_namespace(struct resolve *resolve, struct compose_service *service)
{
	struct jaco_service *s = &service->s;
	struct compose_service *target;

	check_shared_with(resolve, s, "ipc", s->ipc);
	check_shared_with(resolve, s, "pid", s->pid);
	if (s->network_mode != JACO_NETMODE_SERVICE)
		return;
	target = jaco_resolve_find(resolve, s->network_service);
	if (!target)
		jaco_resolve_error(resolve, JACO_UNKNOWN_SERVICE, service->network_mode_pos,
				   s->name, "network_mode", "name a service of this file",
				   "service \"%.63s\" does not exist", s->network_service);
	else if (target == service)
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, service->network_mode_pos,
				   s->name, "network_mode", "name another service",
				   "the service shares its own network");
	else if (target->s.network_mode == JACO_NETMODE_SERVICE)
		jaco_resolve_error(resolve, JACO_VALIDATION_FAILED, service->network_mode_pos,
				   s->name, "network_mode",
				   "name the service at the end of the chain",
				   "\"%.63s\" itself shares the network of another service",
				   s->network_service);
}

void jaco_resolve_dependencies(struct resolve *resolve)
{
	for (size_t i = 0; i < resolve->compose->n_services; i++) {
		check_dependencies(resolve, &resolve->compose->services[i]->s);
		check_shared_namespace(resolve, resolve->compose->services[i]);
	}
	find_cycles(resolve);
}

/* -- networks ----------------------------------------------------------------------------- */

static const struct compose_network *find_declared(const struct compose_doc *doc, const char *name)
{
	for (size_t i = 0; i < doc->n_networks; i++)
		if (strcmp(doc->networks[i].n.name, name) == 0)
			return &doc->networks[i];
	return NULL;
}

static struct jaco_network *find_used(struct jaco_manifest *manifest, const char *name)
{
	for (size_t i = 0; i < manifest->n_networks; i++)
		if (strcmp(manifest->networks[i].name, name) == 0)
			return &manifest->networks[i];
	return NULL;
}

static void use_network(struct resolve *resolve, const struct jaco_service *s,
			const struct jaco_attachment *attachment)
{
	struct jaco_manifest *manifest = resolve->manifest;
	const struct compose_network *declared =
		find_declared(resolve->compose, attachment->network);
	struct jaco_network network = {
		.name = attachment->network, .pos = attachment->pos, .is_implicit = true};

	if (find_used(manifest, attachment->network))
		return;
	if (declared)
		network = declared->n;
	else if (strcmp(attachment->network, JACO_DEFAULT_NETWORK) != 0)
		jaco_resolve_warn(resolve, attachment->pos, s->name, "networks",
				  "network \"%.63s\" is not declared: declared implicitly",
				  attachment->network);
	manifest->networks[manifest->n_networks++] = network;
}

static const struct overlay_service *overlay_of(const struct resolve *resolve, const char *name,
						size_t *out_index)
{
	for (size_t i = 0; i < resolve->overlay->n_services; i++)
		if (strcmp(resolve->overlay->services[i].name, name) == 0) {
			*out_index = i;
			return &resolve->overlay->services[i];
		}
	return NULL;
}

static bool is_known_network(const struct resolve *resolve, const char *name)
{
	if (strcmp(name, JACO_DEFAULT_NETWORK) == 0 || find_declared(resolve->compose, name))
		return true;
	for (size_t i = 0; i < resolve->compose->n_services; i++) {
		const struct jaco_service *s = &resolve->compose->services[i]->s;

		for (size_t j = 0; j < s->n_attachments; j++)
			if (strcmp(s->attachments[j].network, name) == 0)
				return true;
	}
	return false;
}

/* The overlay's list replaces the set; aliases written in compose stay with their network. */
static void override_networks(struct resolve *resolve, struct jaco_service *s,
			      const struct overlay_service *overlay, size_t overlay_index)
{
	struct jaco_attachment *list =
		jaco_arena_alloc_n(resolve->read->arena, overlay->networks.n + 1, sizeof(*list));
	size_t kept = 0;

	for (size_t i = 0; i < overlay->networks.n; i++) {
		const char *name = overlay->networks.items[i];

		if (!is_known_network(resolve, name)) {
			jaco_findings_error(resolve->read->findings, JACO_UNKNOWN_NETWORK,
					    overlay->networks_pos,
					    jaco_arena_printf(resolve->read->arena,
							      "services[%zu].networks",
							      overlay_index),
					    "declare it in the compose file",
					    "network \"%.63s\" is not in the compose file", name);
			continue;
		}
		list[kept] =
			(struct jaco_attachment){.network = name, .pos = overlay->networks_pos};
		for (size_t j = 0; j < s->n_attachments; j++)
			if (strcmp(s->attachments[j].network, name) == 0)
				list[kept] = s->attachments[j];
		kept++;
	}
	s->attachments = list;
	s->n_attachments = kept;
}

static void attach_default(struct resolve *resolve, struct jaco_service *s)
{
	s->attachments = jaco_arena_alloc(resolve->read->arena, sizeof(*s->attachments));
	s->attachments[0] =
		(struct jaco_attachment){.network = JACO_DEFAULT_NETWORK, .pos = s->pos};
	s->n_attachments = 1;
}

static int compare_networks(const void *a, const void *b)
{
	return strcmp(((const struct jaco_network *)a)->name,
		      ((const struct jaco_network *)b)->name);
}

void jaco_resolve_networks(struct resolve *resolve)
{
	struct compose_doc *doc = resolve->compose;
	struct jaco_manifest *manifest = resolve->manifest;

	manifest->networks =
		jaco_arena_alloc_n(resolve->read->arena, JACO_NETWORKS_PER_DEPLOYMENT,
				   sizeof(*manifest->networks));
	for (size_t i = 0; i < doc->n_services; i++) {
		struct compose_service *service = doc->services[i];
		struct jaco_service *s = &service->s;
		size_t overlay_index = 0;
		const struct overlay_service *overlay =
			overlay_of(resolve, s->name, &overlay_index);

		if (s->network_mode != JACO_NETMODE_NETWORKS) {
			if (service->has_networks_key)
				jaco_resolve_error(
					resolve, JACO_VALIDATION_FAILED, service->network_mode_pos,
					s->name, "network_mode", "keep one of them",
					"network_mode %.40s and networks exclude each other",
					service->network_mode);
			s->n_attachments = 0;
			continue;
		}
		if (overlay && overlay->networks.n)
			override_networks(resolve, s, overlay, overlay_index);
		if (s->n_attachments == 0)
			attach_default(resolve, s);
		for (size_t j = 0; j < s->n_attachments; j++) {
			if (manifest->n_networks >= JACO_NETWORKS_PER_DEPLOYMENT &&
			    !find_used(manifest, s->attachments[j].network)) {
				jaco_resolve_error(resolve, JACO_LIMIT_EXCEEDED,
						   s->attachments[j].pos, s->name, "networks",
						   "use fewer networks",
						   "more than %d networks in one deployment",
						   JACO_NETWORKS_PER_DEPLOYMENT);
				return;
			}
			use_network(resolve, s, &s->attachments[j]);
		}
	}
	if (manifest->n_networks > 1)
		qsort(manifest->networks, manifest->n_networks, sizeof(*manifest->networks),
		      compare_networks);
}
