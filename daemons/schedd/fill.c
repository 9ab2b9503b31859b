/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/schedd/fill.h"

#include <string.h>

#include "daemons/schedd/record.h"
#include "libjaco/base/str.h"

const char *const fill_prefixes[] = {
	"/node/",    "/deployment/", "/replica/", "/rollout/", "/counter/",
	"/restart/", "/route/",	     "/tcproute/", "/obs/",    NULL,
};

static size_t count_below(const struct jaco_view *view, const char *prefix)
{
	size_t n = 0;

	for (size_t i = jaco_view_lower(view, prefix); jaco_view_below(view, i, prefix); i++)
		n++;
	return n;
}

/* Gossip's verdict.  Silence about another node - a leader that has just started - makes it
 * ineligible but never lost: its clock starts when gossip says so. */
static void take_liveness(struct world_node *node, const struct jaco_view *view, const char *self,
			  int64_t now_ms)
{
	const struct wire_obs_liveness *seen =
		jaco_view_getf(view, "/obs/node/%s/liveness", node->name);

	node->unreachable_since_ms = now_ms;
	if (strcmp(node->name, self) == 0) {
		node->is_reachable = true;
	} else if (seen) {
		node->is_reachable = seen->state != JACO_LIVENESS_UNREACHABLE;
		if (seen->since)
			node->unreachable_since_ms = (int64_t)seen->since;
	}
}

static void fill_nodes(struct world *world, const struct jaco_view *view, const char *self,
		       struct jaco_arena *arena)
{
	const struct jaco_view_entry *entry;

	world->nodes = jaco_arena_alloc_n(arena, count_below(view, "/node/") + 1,
					  sizeof(*world->nodes));
	JACO_VIEW_FOREACH(view, "/node/", entry)
	{
		struct world_node *node = &world->nodes[world->n_nodes++];
		const struct wire_obs_firewall *firewall;
		const struct wire_obs_engine *engine;

		*node = record_node(entry->msg, arena);
		take_liveness(node, view, self, world->now_ms);
		firewall = jaco_view_getf(view, "/obs/node/%s/firewall", node->name);
		engine = jaco_view_getf(view, "/obs/node/%s/engine", node->name);
		node->has_isolation = firewall && firewall->ready;
		node->has_engine = engine && strcmp(engine->state, "ready") == 0;
	}
}

static void fill_services(struct world *world, const struct jaco_view *view,
			  struct jaco_arena *arena)
{
	const struct jaco_view_entry *entry;
	size_t n = 0;

	JACO_VIEW_FOREACH(view, "/deployment/", entry)
		n += ((const struct wire_deployment *)entry->msg)->services.n;
	world->services = jaco_arena_alloc_n(arena, n + 1, sizeof(*world->services));
	JACO_VIEW_FOREACH(view, "/deployment/", entry)
	{
		const struct wire_deployment *deployment = entry->msg;

		for (size_t i = 0; i < deployment->services.n && !deployment->deleting; i++)
			world->services[world->n_services++] =
				record_service(deployment, &deployment->services.v[i]);
	}
}

static bool is_routed(const struct jaco_view *view, const struct world_replica *replica)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(view, "/route/", entry)
	{
		const struct wire_route *route = entry->msg;

		if (jaco_str_eq(route->deployment, replica->deployment) &&
		    jaco_str_eq(route->service, replica->service))
			return true;
	}
	JACO_VIEW_FOREACH(view, "/tcproute/", entry)
	{
		const struct wire_tcproute *route = entry->msg;

		if (jaco_str_eq(route->deployment, replica->deployment) &&
		    jaco_str_eq(route->service, replica->service))
			return true;
	}
	return false;
}

static const struct wire_drain_ack *find_ack(const struct wire_drain_ack *acks, size_t n,
					     const char *id, uint64_t generation)
{
	for (size_t i = 0; i < n; i++)
		if (acks[i].generation == generation && strcmp(acks[i].replica, id) == 0)
			return &acks[i];
	return NULL;
}

/* Confirmed: listed as draining, or the table is newer than the record and does not use it. */
static void count_ack(struct world_replica *replica, const struct wire_obs_ingress *ingress,
		      const struct wire_obs_dns *dns, uint64_t generation)
{
	const struct wire_drain_ack *ack;

	if (ingress) {
		ack = find_ack(ingress->draining.v, ingress->draining.n, replica->id, generation);
		if (ack)
			replica->in_flight += ack->in_flight;
		else if (ingress->generation < replica->mod ||
			 find_ack(ingress->serving.v, ingress->serving.n, replica->id, generation))
			replica->acks_missing++;
	}
	if (dns && dns->generation < replica->mod &&
	    !find_ack(dns->draining.v, dns->draining.n, replica->id, generation))
		replica->acks_missing++;
}

static void count_acks(struct world_replica *replica, const struct world *world,
		       const struct jaco_view *view)
{
	uint64_t draining[2];
	size_t n = record_draining(replica, draining);
	bool must_serve = replica->phase == WORLD_STARTING && is_routed(view, replica);

	if (n == 0 && !must_serve)
		return;
	for (size_t i = 0; i < world->n_nodes; i++) {
		const char *host = world->nodes[i].name;
		const struct wire_obs_ingress *ingress;
		const struct wire_obs_dns *dns;

		if (!world->nodes[i].is_reachable)
			continue;
		ingress = jaco_view_getf(view, "/obs/node/%s/ingress", host);
		dns = jaco_view_getf(view, "/obs/node/%s/dns", host);
		for (size_t j = 0; j < n; j++)
			count_ack(replica, ingress, dns, draining[j]);
		if (must_serve && ingress &&
		    !find_ack(ingress->serving.v, ingress->serving.n, replica->id,
			      replica->now.generation))
			replica->uses_missing++;
	}
}

static void fill_replicas(struct world *world, const struct jaco_view *view,
			  struct jaco_arena *arena)
{
	const struct jaco_view_entry *entry;

	world->replicas = jaco_arena_alloc_n(arena, count_below(view, "/replica/") + 1,
					     sizeof(*world->replicas));
	JACO_VIEW_FOREACH(view, "/replica/", entry)
	{
		struct world_replica *replica = &world->replicas[world->n_replicas++];

		*replica = record_replica(entry->msg, entry->revision);
		count_acks(replica, world, view);
	}
}

static void fill_observed(struct world *world, const struct jaco_view *view,
			  struct jaco_arena *arena)
{
	const struct jaco_view_entry *entry;
	size_t n = 0;

	JACO_VIEW_FOREACH(view, "/obs/replica/", entry)
		n += ((const struct wire_obs_replica *)entry->msg)->generations.n;
	world->observed = jaco_arena_alloc_n(arena, n + 1, sizeof(*world->observed));
	JACO_VIEW_FOREACH(view, "/obs/replica/", entry)
	{
		const struct wire_obs_replica *replica = entry->msg;

		for (size_t i = 0; i < replica->generations.n; i++)
			world->observed[world->n_observed++] =
				record_observed(replica, &replica->generations.v[i]);
	}
}

/* "/counter/<d>/<s>" -> d, s. */
static bool split_key(const char *key, const char *prefix, struct jaco_arena *arena,
		      const char **out_deployment, const char **out_service)
{
	const char *rest = key + strlen(prefix), *slash = strchr(rest, '/');

	if (!slash)
		return false;
	*out_deployment = jaco_arena_strndup(arena, rest, (size_t)(slash - rest));
	*out_service = slash + 1;
	return true;
}

static void fill_books(struct world *world, const struct jaco_view *view, struct jaco_arena *arena)
{
	const struct jaco_view_entry *entry;

	world->rollouts = jaco_arena_alloc_n(arena, count_below(view, "/rollout/") + 1,
					     sizeof(*world->rollouts));
	world->counters = jaco_arena_alloc_n(arena, count_below(view, "/counter/") + 1,
					     sizeof(*world->counters));
	world->restarts = jaco_arena_alloc_n(arena, count_below(view, "/restart/") + 1,
					     sizeof(*world->restarts));
	JACO_VIEW_FOREACH(view, "/rollout/", entry)
		world->rollouts[world->n_rollouts++] = record_rollout(entry->msg, entry->revision);
	JACO_VIEW_FOREACH(view, "/counter/", entry)
	{
		struct world_counter *counter = &world->counters[world->n_counters];

		*counter = (struct world_counter){
			.next = ((const struct wire_counter *)entry->msg)->next,
			.mod = entry->revision};
		world->n_counters += split_key(entry->key, "/counter/", arena,
					       &counter->deployment, &counter->service);
	}
	JACO_VIEW_FOREACH(view, "/restart/", entry)
	{
		const struct wire_restart *restart = entry->msg;

		world->restarts[world->n_restarts++] = (struct world_restart){
			.replica = entry->key + strlen("/restart/"),
			.generation = restart->generation,
			.count = restart->count,
			.since_ms = (int64_t)restart->since,
			.reason = restart->reason ? restart->reason : "",
			.mod = entry->revision};
	}
}

void fill_world(struct world *world, const struct jaco_view *view, const char *self,
		int64_t now_ms, int64_t reschedule_after_ms, struct jaco_arena *arena)
{
	*world = (struct world){.now_ms = now_ms, .reschedule_after_ms = reschedule_after_ms};
	fill_nodes(world, view, self, arena);
	fill_services(world, view, arena);
	fill_replicas(world, view, arena);
	fill_observed(world, view, arena);
	fill_books(world, view, arena);
	world_sort(world, arena);
}
