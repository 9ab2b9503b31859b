/* SPDX-License-Identifier: Apache-2.0
 *
 * diff.c - what a person would call the difference between two revisions.
 *
 * Everything is already in canonical, sorted form, so each comparison is one merge walk. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/manifest.h"
#include "libjaco/model/manifest/spec_hash.h"

struct differ {
	struct jaco_arena *arena;
	struct jaco_diff diff;
	size_t cap;
};

static struct jaco_change_item *add(struct differ *differ, enum jaco_change_kind kind,
				    enum jaco_change change, const char *name)
{
	struct jaco_change_item *item;

	differ->diff.items = jaco_arena_grow(differ->arena, differ->diff.items, &differ->cap,
					     differ->diff.n + 1, sizeof(*differ->diff.items));
	item = &differ->diff.items[differ->diff.n++];
	*item = (struct jaco_change_item){.kind = kind, .change = change, .name = name};
	return item;
}

/* Values that may be secrets are shown as changed, never shown. */
static bool is_masked(const char *key)
{
	return jaco_str_starts(key, "environment") || jaco_str_starts(key, "files.") ||
	       jaco_str_starts(key, "basic_auth.");
}

static void add_field(struct jaco_arena *arena, struct jaco_change_item *item, size_t *cap,
		      const char *key, const char *before, const char *after)
{
	if (is_masked(key)) {
		before = before ? "(hidden)" : NULL;
		after = after ? "(hidden)" : NULL;
	}
	item->fields = jaco_arena_grow(arena, item->fields, cap, item->n_fields + 1,
				       sizeof(*item->fields));
	item->fields[item->n_fields++] =
		(struct jaco_field_change){.key = key, .before = before, .after = after};
}

static void walk_pairs(struct jaco_arena *arena, struct jaco_change_item *item, size_t *cap,
		       const struct jaco_pairs *before, const struct jaco_pairs *after)
{
	size_t i = 0;
	size_t j = 0;

	while (i < before->n || j < after->n) {
		int order = i == before->n  ? 1
			    : j == after->n ? -1
					    : strcmp(before->items[i].key, after->items[j].key);

		if (order < 0) {
			add_field(arena, item, cap, before->items[i].key, before->items[i].value,
				  NULL);
			i++;
		} else if (order > 0) {
			add_field(arena, item, cap, after->items[j].key, NULL,
				  after->items[j].value);
			j++;
		} else {
			if (strcmp(before->items[i].value, after->items[j].value) != 0)
				add_field(arena, item, cap, before->items[i].key,
					  before->items[i].value, after->items[j].value);
			i++;
			j++;
		}
	}
}

/* -- services ----------------------------------------------------------------------------- */

static void compare_service(struct differ *differ, const struct jaco_service *before,
			    const struct jaco_service *after)
{
	struct jaco_change_item item = {
		.kind = JACO_CHANGE_SERVICE, .change = JACO_CHANGE_CHANGED, .name = after->name};
	struct jaco_pairs canon_before = jaco_service_canon(before, differ->arena);
	struct jaco_pairs canon_after = jaco_service_canon(after, differ->arena);
	struct jaco_pairs place_before = jaco_service_canon_place(before, differ->arena);
	struct jaco_pairs place_after = jaco_service_canon_place(after, differ->arena);
	size_t cap = 0;

	item.recreates = strcmp(before->spec_hash, after->spec_hash) != 0;
	walk_pairs(differ->arena, &item, &cap, &canon_before, &canon_after);
	walk_pairs(differ->arena, &item, &cap, &place_before, &place_after);
	if (item.n_fields)
		*add(differ, JACO_CHANGE_SERVICE, JACO_CHANGE_CHANGED, after->name) = item;
}

static void compare_services(struct differ *differ, const struct jaco_manifest *before,
			     const struct jaco_manifest *after)
{
	size_t i = 0;
	size_t j = 0;

	while (i < before->n_services || j < after->n_services) {
		int order = i == before->n_services ? 1
			    : j == after->n_services
				    ? -1
				    : strcmp(before->services[i].name, after->services[j].name);

		if (order < 0)
			(void)add(differ, JACO_CHANGE_SERVICE, JACO_CHANGE_REMOVED,
				  before->services[i].name);
		else if (order > 0)
			add(differ, JACO_CHANGE_SERVICE, JACO_CHANGE_ADDED, after->services[j].name)
				->recreates = true;
		else
			compare_service(differ, &before->services[i], &after->services[j]);
		i += order <= 0;
		j += order >= 0;
	}
}

/* -- everything that is a name and pairs ---------------------------------------------------- */

struct named {
	const char *name;
	struct jaco_pairs pairs;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void compare_named(struct differ *differ, enum jaco_change_kind kind, struct named *before,
			  size_t n_before, struct named *after, size_t n_after)
{
	size_t i = 0;
	size_t j = 0;

	/* "a.b/x" and "a.b-c/x" sort differently as one text than by domain, then path */
	qsort(before, n_before, sizeof(*before), compare_names);
	qsort(after, n_after, sizeof(*after), compare_names);
	while (i < n_before || j < n_after) {
		int order = i == n_before  ? 1
			    : j == n_after ? -1
					   : strcmp(before[i].name, after[j].name);
		struct jaco_change_item item = {.kind = kind, .change = JACO_CHANGE_CHANGED};
		size_t cap = 0;

		if (order < 0) {
			(void)add(differ, kind, JACO_CHANGE_REMOVED, before[i].name);
		} else if (order > 0) {
			(void)add(differ, kind, JACO_CHANGE_ADDED, after[j].name);
		} else {
			item.name = after[j].name;
			walk_pairs(differ->arena, &item, &cap, &before[i].pairs, &after[j].pairs);
			if (item.n_fields)
				*add(differ, kind, JACO_CHANGE_CHANGED, item.name) = item;
		}
		i += order <= 0;
		j += order >= 0;
	}
}

static struct named *routes_of(struct differ *differ, const struct jaco_manifest *manifest)
{
	struct named *list =
		jaco_arena_alloc_n(differ->arena, manifest->n_routes + 1, sizeof(*list));

	for (size_t i = 0; i < manifest->n_routes; i++)
		list[i] = (struct named){jaco_arena_printf(differ->arena, "%s%s",
							   manifest->routes[i].domain,
							   manifest->routes[i].path),
					 jaco_route_canon(&manifest->routes[i], differ->arena)};
	return list;
}

static void set_one(struct jaco_arena *arena, struct jaco_pairs *pairs, size_t room,
		    const char *key, const char *value)
{
	if (!pairs->items)
		pairs->items = jaco_arena_alloc_n(arena, room, sizeof(*pairs->items));
	pairs->items[pairs->n++] = (struct jaco_pair){key, value};
}

/* Sorted by number, so padded by the name of the port: "05432/tcp" sorts as it counts. */
static struct named *ports_of(struct differ *differ, const struct jaco_manifest *manifest)
{
	struct named *list =
		jaco_arena_alloc_n(differ->arena, manifest->n_published + 1, sizeof(*list));

	for (size_t i = 0; i < manifest->n_published; i++) {
		const struct jaco_published *p = &manifest->published[i];

		list[i].name = jaco_arena_printf(differ->arena, "%05u/%s%s%s", p->port.published,
						 jaco_proto_name(p->port.proto),
						 p->port.host_ip ? " at " : "",
						 p->port.host_ip ? p->port.host_ip : "");
		set_one(differ->arena, &list[i].pairs, 2, "service", p->service);
		set_one(differ->arena, &list[i].pairs, 2, "target",
			jaco_arena_printf(differ->arena, "%u%s%s", p->port.target,
					  p->port.mode == JACO_PORT_HOST ? " on " : "",
					  p->port.mode != JACO_PORT_HOST ? ""
					  : p->port.host_ip              ? p->port.host_ip
									 : "its node"));
	}
	return list;
}

static struct named *networks_of(struct differ *differ, const struct jaco_manifest *manifest)
{
	struct named *list =
		jaco_arena_alloc_n(differ->arena, manifest->n_networks + 1, sizeof(*list));

	for (size_t i = 0; i < manifest->n_networks; i++) {
		list[i].name = manifest->networks[i].name;
		set_one(differ->arena, &list[i].pairs, 1, "internal",
			manifest->networks[i].is_internal ? "true" : "false");
	}
	return list;
}

static struct named *volumes_of(struct differ *differ, const struct jaco_manifest *manifest)
{
	struct named *list =
		jaco_arena_alloc_n(differ->arena, manifest->n_volumes + 1, sizeof(*list));

	for (size_t i = 0; i < manifest->n_volumes; i++) {
		list[i].name = manifest->volumes[i].name;
		set_one(differ->arena, &list[i].pairs, 1, "name", manifest->volumes[i].engine_name);
	}
	return list;
}

static void drop_zeros(struct jaco_diff *diff)
{
	for (size_t i = 0; i < diff->n; i++)
		while (diff->items[i].kind == JACO_CHANGE_PORT && diff->items[i].name[0] == '0')
			diff->items[i].name++;
}

struct jaco_diff jaco_manifest_diff(const struct jaco_manifest *before,
				    const struct jaco_manifest *after, struct jaco_arena *arena)
{
	static const struct jaco_manifest nothing;
	struct differ differ = {.arena = arena};

	if (!before)
		before = &nothing;
	compare_services(&differ, before, after);
	compare_named(&differ, JACO_CHANGE_ROUTE, routes_of(&differ, before), before->n_routes,
		      routes_of(&differ, after), after->n_routes);
	compare_named(&differ, JACO_CHANGE_PORT, ports_of(&differ, before), before->n_published,
		      ports_of(&differ, after), after->n_published);
	compare_named(&differ, JACO_CHANGE_NETWORK, networks_of(&differ, before),
		      before->n_networks, networks_of(&differ, after), after->n_networks);
	compare_named(&differ, JACO_CHANGE_VOLUME, volumes_of(&differ, before), before->n_volumes,
		      volumes_of(&differ, after), after->n_volumes);
	drop_zeros(&differ.diff);
	return differ.diff;
}
