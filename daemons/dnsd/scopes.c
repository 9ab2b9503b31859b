/* SPDX-License-Identifier: Apache-2.0
 *
 * scopes.c - see scopes.h. */
#include "daemons/dnsd/scopes.h"

#include <stdlib.h>
#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/model/ids.h"
#include "libjaco/wire/wire.h"

#define KEY_BYTES (JACO_REPLICA_ID_MAX + JACO_HOST_MAX + JACO_NAME_MAX + 16)

struct reader {
	const struct jaco_view *view;
	const char *host;
	int64_t now_ms;
	const struct scopes_memory *old;
	struct scopes_memory fresh;
	size_t fresh_cap;
	struct jaco_arena *arena;
	struct scopes *out;
	size_t scopes_cap, listeners_cap, draining_cap;
	size_t last_scope; /* found or made last */
};

static void free_held(struct scopes_memory *memory)
{
	for (size_t i = 0; i < memory->n; i++)
		jaco_free(memory->v[i].key);
	jaco_free(memory->v);
	*memory = (struct scopes_memory){.v = NULL};
}

void scopes_memory_fini(struct scopes_memory *memory)
{
	free_held(memory);
}

static int compare_held(const void *a, const void *b)
{
	return strcmp(((const struct scopes_held *)a)->key, ((const struct scopes_held *)b)->key);
}

static const struct scopes_held *find_held(const struct scopes_memory *memory, const char *key)
{
	struct scopes_held wanted = {.key = (char *)(uintptr_t)key};

	return memory->n ? bsearch(&wanted, memory->v, memory->n, sizeof(*memory->v), compare_held)
			 : NULL;
}

static void hold(struct reader *r, const char *key, uint32_t addr, int64_t seen_ms)
{
	r->fresh.v = jaco_grow(r->fresh.v, &r->fresh_cap, r->fresh.n + 1, sizeof(*r->fresh.v));
	r->fresh.v[r->fresh.n++] =
		(struct scopes_held){.key = jaco_strdup(key), .addr = addr, .seen_ms = seen_ms};
}

/* --- scopes --- */

static struct zone_spec *find_scope(struct reader *r, const char *deployment, const char *network)
{
	struct scopes *out = r->out;
	/* Records come sorted by deployment, so the one wanted is near the last. */
	for (size_t k = 0; k < out->n_scopes; k++) {
		size_t i = (r->last_scope + k) % out->n_scopes;

		if (jaco_str_eq(out->scopes[i].deployment, deployment) &&
		    jaco_str_eq(out->scopes[i].network, network)) {
			r->last_scope = i;
			return &out->scopes[i];
		}
	}
	out->scopes = jaco_arena_grow(r->arena, out->scopes, &r->scopes_cap, out->n_scopes + 1,
				      sizeof(*out->scopes));
	out->scopes[out->n_scopes] =
		(struct zone_spec){.deployment = deployment, .network = network};
	r->last_scope = out->n_scopes;
	return &out->scopes[out->n_scopes++];
}

static void add_subnet(struct reader *r, struct zone_spec *scope, struct jaco_cidr cidr)
{
	struct jaco_cidr *all =
		jaco_arena_alloc_n(r->arena, scope->n_subnets + 1, sizeof(*all));

	if (scope->n_subnets > 0)
		memcpy(all, scope->subnets, scope->n_subnets * sizeof(*all));
	all[scope->n_subnets] = cidr;
	scope->subnets = all;
	scope->n_subnets++;
}

static void add_listener(struct reader *r, const struct wire_subnet *subnet)
{
	struct scopes *out = r->out;
	uint32_t gateway;

	if (!jaco_ipv4_parse(subnet->gateway, &gateway))
		return;
	out->listeners = jaco_arena_grow(r->arena, out->listeners, &r->listeners_cap,
					 out->n_listeners + 1, sizeof(*out->listeners));
	out->listeners[out->n_listeners++] =
		(struct scopes_listener){gateway, subnet->deployment, subnet->network};
}

static void read_subnets(struct reader *r)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(r->view, "/subnet/", entry)
	{
		const struct wire_subnet *subnet = entry->msg;
		struct zone_spec *scope = find_scope(r, subnet->deployment, subnet->network);
		struct jaco_cidr cidr;

		if (jaco_cidr_parse(subnet->cidr, &cidr, NULL) == 0)
			add_subnet(r, scope, jaco_cidr_network(cidr));
		scope->is_internal |= subnet->internal;
		if (!jaco_str_eq(subnet->host, r->host))
			continue;
		scope->is_served = true;
		add_listener(r, subnet);
	}
}

/* --- replicas --- */

static bool is_alive(struct reader *r, const char *host)
{
	const struct wire_obs_liveness *liveness =
		jaco_view_getf(r->view, "/obs/node/%s/liveness", host);

	/* Nothing heard is no verdict: the failure detector speaks when it knows. */
	return !liveness || liveness->state != JACO_LIVENESS_UNREACHABLE;
}

static const struct wire_obs_gen *find_seen(struct reader *r, const char *id,
					    const struct wire_replica_gen *gen)
{
	const struct wire_obs_replica *seen =
		jaco_view_getf(r->view, "/obs/replica/%s@%s", id, gen->host);

	for (size_t i = 0; seen && i < seen->generations.n; i++)
		if (seen->generations.v[i].generation == gen->generation)
			return &seen->generations.v[i];
	return NULL;
}

static uint32_t address_in(const struct wire_obs_gen *seen, const char *network)
{
	uint32_t addr = 0;

	for (size_t i = 0; i < seen->addresses.n; i++)
		if (jaco_str_eq(seen->addresses.v[i].network, network))
			(void)jaco_ipv4_parse(seen->addresses.v[i].address, &addr); /* 0: none */
	return addr;
}

/* Nothing is observed at the moment: as before, for a while. */
static bool recall(struct reader *r, const char *key, struct zone_replica_spec *out)
{
	const struct scopes_held *held = find_held(r->old, key);
	int64_t left;

	if (!held)
		return false;
	left = held->seen_ms + SCOPES_HOLD_MS - r->now_ms;
	if (left <= 0)
		return false;
	if (r->out->hold_ms == 0 || left < r->out->hold_ms)
		r->out->hold_ms = left;
	hold(r, key, held->addr, held->seen_ms);
	out->addr = held->addr;
	return true;
}

static void read_generation(struct reader *r, const struct wire_replica *replica,
			    const struct wire_replica_gen *gen, const char *network,
			    struct zone_replica_spec *out)
{
	const struct wire_obs_gen *seen = find_seen(r, replica->id, gen);
	bool is_wanted = gen->intent == JACO_INTENT_RUN && is_alive(r, gen->host);
	char key[KEY_BYTES];
	const char *slot;

	(void)jaco_str_format(key, sizeof(key), "%s@%s#%u/%s", replica->id, gen->host,
			      gen->generation, network);
	if (!jaco_replica_id_suffix(replica->id, replica->deployment, replica->service, &slot))
		slot = gen->host;
	*out = (struct zone_replica_spec){.id = replica->id, .slot = slot, .host = gen->host};
	if (seen) {
		out->addr = address_in(seen, network);
		out->is_eligible = is_wanted && out->addr != 0 && seen->healthy &&
				   seen->state == JACO_REPLICA_RUNNING;
		if (out->is_eligible)
			hold(r, key, out->addr, r->now_ms);
	} else if (is_wanted) {
		out->is_eligible = recall(r, key, out);
	}
}

static void read_replicas(struct reader *r, const char *deployment, const char *network,
			  struct zone_service_spec *service)
{
	const struct jaco_view_entry *entry;
	struct zone_replica_spec *all = NULL;
	size_t cap = 0, n = 0;
	const char *prefix =
		jaco_arena_printf(r->arena, "/replica/%s/%s/", deployment, service->name);

	JACO_VIEW_FOREACH(r->view, prefix, entry)
	{
		const struct wire_replica *replica = entry->msg;

		for (size_t i = 0; i < replica->generations.n; i++) {
			all = jaco_arena_grow(r->arena, all, &cap, n + 1, sizeof(*all));
			read_generation(r, replica, &replica->generations.v[i], network, &all[n++]);
		}
	}
	service->replicas = all;
	service->n_replicas = n;
}

static void add_service(struct reader *r, struct zone_spec *scope,
			const struct wire_service *service,
			const struct wire_service_network *network)
{
	struct zone_service_spec *all =
		jaco_arena_alloc_n(r->arena, scope->n_services + 1, sizeof(*all));

	if (scope->n_services > 0)
		memcpy(all, scope->services, scope->n_services * sizeof(*all));
	all[scope->n_services] = (struct zone_service_spec){.name = service->name,
							    .aliases = network->aliases.v,
							    .n_aliases = network->aliases.n,
							    .resolvers = service->dns.v,
							    .n_resolvers = service->dns.n};
	read_replicas(r, scope->deployment, scope->network, &all[scope->n_services]);
	scope->services = all;
	scope->n_services++;
}

static void read_deployments(struct reader *r)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(r->view, "/deployment/", entry)
	{
		const struct wire_deployment *deployment = entry->msg;

		for (size_t i = 0; i < deployment->services.n; i++) {
			const struct wire_service *service = &deployment->services.v[i];

			for (size_t j = 0; j < service->networks.n; j++)
				add_service(r,
					    find_scope(r, deployment->name,
						       service->networks.v[j].name),
					    service, &service->networks.v[j]);
		}
	}
}

static void add_draining(struct reader *r, const char *replica, uint32_t generation)
{
	struct scopes *out = r->out;

	out->draining = jaco_arena_grow(r->arena, out->draining, &r->draining_cap,
					out->n_draining + 1, sizeof(*out->draining));
	out->draining[out->n_draining++] = (struct scopes_ack){replica, generation};
}

static bool is_desired(const struct reader *r, const struct wire_obs_replica *seen,
		       uint32_t generation)
{
	const struct wire_replica *replica;
	const char *suffix;

	if (!jaco_replica_id_suffix(seen->id, seen->deployment, seen->service, &suffix))
		return false;
	replica = jaco_view_getf(r->view, "/replica/%s/%s/%s", seen->deployment, seen->service,
				 suffix);
	for (size_t i = 0; replica && i < replica->generations.n; i++)
		if (replica->generations.v[i].generation == generation)
			return true;
	return false;
}

/* What runs on though nobody wants it any more (its deployment was deleted) has no record to be
 * named from; without this its end would wait for the whole drain time. */
static void read_retired(struct reader *r)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(r->view, "/obs/replica/", entry)
	{
		const struct wire_obs_replica *seen = entry->msg;

		for (size_t i = 0; i < seen->generations.n; i++)
			if (!is_desired(r, seen, seen->generations.v[i].generation))
				add_draining(r, seen->id, seen->generations.v[i].generation);
	}
}

/* What is to drain is never eligible, so each such generation is one no answer names. */
static void read_draining(struct reader *r)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(r->view, "/replica/", entry)
	{
		const struct wire_replica *replica = entry->msg;

		for (size_t i = 0; i < replica->generations.n; i++)
			if (replica->generations.v[i].intent == JACO_INTENT_DRAIN)
				add_draining(r, replica->id, replica->generations.v[i].generation);
	}
	read_retired(r);
}

static void digest_scope(struct jaco_buf *text, const struct zone_spec *scope)
{
	jaco_buf_printf(text, "\n%s/%s %d %d", scope->deployment, scope->network, scope->is_served,
			scope->is_internal);
	for (size_t i = 0; i < scope->n_subnets; i++)
		jaco_buf_printf(text, " %u/%u", scope->subnets[i].addr, scope->subnets[i].bits);
	for (size_t i = 0; i < scope->n_services; i++) {
		const struct zone_service_spec *service = &scope->services[i];

		jaco_buf_printf(text, "\n %s", service->name);
		for (size_t j = 0; j < service->n_aliases; j++)
			jaco_buf_printf(text, " %s", service->aliases[j]);
		for (size_t j = 0; j < service->n_resolvers; j++)
			jaco_buf_printf(text, " @%s", service->resolvers[j]);
		for (size_t j = 0; j < service->n_replicas; j++) {
			const struct zone_replica_spec *replica = &service->replicas[j];

			jaco_buf_printf(text, "\n  %s %s %s %u %d", replica->id, replica->slot,
					replica->host, replica->addr, replica->is_eligible);
		}
	}
}

static void make_digest(struct scopes *out)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	for (size_t i = 0; i < out->n_listeners; i++)
		jaco_buf_printf(&text, "%u ", out->listeners[i].gateway);
	for (size_t i = 0; i < out->n_scopes; i++)
		digest_scope(&text, &out->scopes[i]);
	jaco_sha256(text.data ? text.data : "", text.n, out->digest);
}

void scopes_read(const struct jaco_view *view, const char *host, int64_t now_ms,
		 struct scopes_memory *memory, struct jaco_arena *arena, struct scopes *out)
{
	struct reader r = {.view = view, .host = host, .now_ms = now_ms, .old = memory,
			   .arena = arena, .out = out};

	*out = (struct scopes){.n_scopes = 0};
	read_subnets(&r);
	read_deployments(&r);
	read_draining(&r);
	make_digest(out);
	if (r.fresh.n > 0)
		qsort(r.fresh.v, r.fresh.n, sizeof(*r.fresh.v), compare_held);
	free_held(memory);
	*memory = r.fresh;
}
