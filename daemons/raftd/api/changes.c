/* SPDX-License-Identifier: Apache-2.0
 *
 * changes.c - compares the canonical pairs of two manifests. */
#include "daemons/raftd/api/changes.h"

#include <string.h>

#include "libjaco/base/str.h"

struct list {
	struct jaco_arena *arena;
	struct jaco_diff diff;
	size_t cap;
};

static struct jaco_change_item *add(struct list *list, enum jaco_change_kind kind,
				    enum jaco_change change, const char *name)
{
	struct jaco_change_item *item;

	list->diff.items = jaco_arena_grow(list->arena, list->diff.items, &list->cap,
					   list->diff.n + 1, sizeof(*list->diff.items));
	item = &list->diff.items[list->diff.n++];
	*item = (struct jaco_change_item){.kind = kind, .change = change, .name = name};
	return item;
}

static const char *value_of(const struct jaco_pairs *pairs, const char *key)
{
	for (size_t i = 0; i < pairs->n; i++)
		if (strcmp(pairs->items[i].key, key) == 0)
			return pairs->items[i].value;
	return NULL;
}

static void add_field(struct jaco_change_item *item, size_t *cap, struct jaco_arena *arena,
		      const char *key)
{
	item->fields = jaco_arena_grow(arena, item->fields, cap, item->n_fields + 1,
				       sizeof(*item->fields));
	item->fields[item->n_fields++] = (struct jaco_field_change){.key = key};
}

static void compare_pairs(struct jaco_change_item *item, size_t *cap, struct jaco_arena *arena,
			  struct jaco_pairs before, struct jaco_pairs after)
{
	for (size_t i = 0; i < after.n; i++)
		if (!jaco_str_eq(value_of(&before, after.items[i].key), after.items[i].value))
			add_field(item, cap, arena, after.items[i].key);
	for (size_t i = 0; i < before.n; i++)
		if (!value_of(&after, before.items[i].key))
			add_field(item, cap, arena, before.items[i].key);
}

static void compare_service(struct list *list, const struct jaco_service *before,
			    const struct jaco_service *after)
{
	struct jaco_change_item item = {
		.kind = JACO_CHANGE_SERVICE,
		.change = JACO_CHANGE_CHANGED,
		.name = after->name,
		.recreates = strcmp(before->spec_hash, after->spec_hash) != 0};
	size_t cap = 0;

	compare_pairs(&item, &cap, list->arena, jaco_service_canon(before, list->arena),
		      jaco_service_canon(after, list->arena));
	compare_pairs(&item, &cap, list->arena, jaco_service_canon_place(before, list->arena),
		      jaco_service_canon_place(after, list->arena));
	if (item.n_fields > 0 || item.recreates)
		*add(list, item.kind, item.change, item.name) = item;
}

/* Names of routes and ports with a text of all that matters about them. */
static struct jaco_pairs ingress_pairs(const struct jaco_manifest *manifest, bool is_ports,
				       struct jaco_arena *arena)
{
	size_t n = !manifest ? 0 : is_ports ? manifest->n_published : manifest->n_routes;
	struct jaco_pairs pairs = {.items = jaco_arena_alloc_n(arena, n + 1, sizeof(*pairs.items))};

	for (size_t i = 0; i < n; i++) {
		const struct jaco_route *route = is_ports ? NULL : &manifest->routes[i];
		const struct jaco_published *port = is_ports ? &manifest->published[i] : NULL;

		pairs.items[pairs.n++] = (struct jaco_pair){
			.key = is_ports ? jaco_arena_printf(arena, "%u/%s", port->port.published,
							    jaco_proto_name(port->port.proto))
					: jaco_arena_printf(arena, "%s%s", route->domain, route->path),
			.value = is_ports ? jaco_arena_printf(arena, "%s:%u:%d", port->service,
							      port->port.target, (int)port->port.mode)
					  : jaco_arena_printf(arena, "%s:%u:%d:%d:%s",
							      route->service ? route->service : "",
							      route->port, (int)route->tls,
							      route->maintenance,
							      route->redirect_to ? route->redirect_to
										 : "")};
	}
	return pairs;
}

static void compare_ingress(struct list *list, enum jaco_change_kind kind, struct jaco_pairs before,
			    struct jaco_pairs after)
{
	for (size_t i = 0; i < after.n; i++) {
		const char *old = value_of(&before, after.items[i].key);

		if (!old)
			(void)add(list, kind, JACO_CHANGE_ADDED, after.items[i].key);
		else if (strcmp(old, after.items[i].value) != 0)
			(void)add(list, kind, JACO_CHANGE_CHANGED, after.items[i].key);
	}
	for (size_t i = 0; i < before.n; i++)
		if (!value_of(&after, before.items[i].key))
			(void)add(list, kind, JACO_CHANGE_REMOVED, before.items[i].key);
}

struct jaco_diff changes_between(const struct jaco_manifest *before,
				 const struct jaco_manifest *after, struct jaco_arena *arena)
{
	struct list list = {.arena = arena};

	for (size_t i = 0; i < after->n_services; i++) {
		const struct jaco_service *old =
			before ? jaco_manifest_service(before, after->services[i].name) : NULL;

		if (old)
			compare_service(&list, old, &after->services[i]);
		else
			(void)add(&list, JACO_CHANGE_SERVICE, JACO_CHANGE_ADDED,
				  after->services[i].name);
	}
	for (size_t i = 0; before && i < before->n_services; i++)
		if (!jaco_manifest_service(after, before->services[i].name))
			(void)add(&list, JACO_CHANGE_SERVICE, JACO_CHANGE_REMOVED,
				  before->services[i].name);
	compare_ingress(&list, JACO_CHANGE_ROUTE, ingress_pairs(before, false, arena),
			ingress_pairs(after, false, arena));
	compare_ingress(&list, JACO_CHANGE_PORT, ingress_pairs(before, true, arena),
			ingress_pairs(after, true, arena));
	return list.diff;
}
