/* SPDX-License-Identifier: Apache-2.0
 *
 * input.c - see input.h. */
#include "daemons/fwd-nft/input.h"

#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/wire/wire.h"

const char *const input_topics[] = {"/cluster/meta", "/node/",        "/deployment/",
				    "/subnet/",      "/obs/replica/", NULL};

/* What the compose file says now; the subnet record keeps what it said when it was claimed. */
static bool is_internal(const struct jaco_view *view, const struct wire_subnet *subnet)
{
	const struct wire_deployment *deployment =
		jaco_view_getf(view, "/deployment/%s", subnet->deployment);

	for (size_t i = 0; deployment && i < deployment->networks.n; i++)
		if (jaco_str_eq(deployment->networks.v[i].name, subnet->network))
			return deployment->networks.v[i].internal;
	return subnet->internal;
}

static int add_subnet(struct ruleset_subnet *out, const struct jaco_view *view,
		      const struct jaco_view_entry *entry, const char *host, struct jaco_err *err)
{
	const struct wire_subnet *subnet = entry->msg;

	if (jaco_cidr_parse(subnet->cidr, &out->cidr, err) < 0)
		return jaco_err_wrap(err, "%s", entry->key);
	out->deployment = subnet->deployment;
	out->network = subnet->network;
	out->host = subnet->host;
	out->bridge = jaco_str_eq(subnet->host, host) ? subnet->bridge : NULL;
	out->is_internal = out->bridge && is_internal(view, subnet);
	return 0;
}

static size_t count_below(const struct jaco_view *view, const char *prefix)
{
	size_t first = jaco_view_lower(view, prefix), i = first;

	while (jaco_view_below(view, i, prefix))
		i++;
	return i - first;
}

static int collect_subnets(struct input *out, const struct jaco_view *view, const char *host,
			   struct jaco_arena *arena, struct jaco_err *err)
{
	size_t n = count_below(view, "/subnet/");
	struct ruleset_subnet *subnets = jaco_arena_alloc_n(arena, n + 1, sizeof(*subnets));
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(view, "/subnet/", entry) {
		if (add_subnet(&subnets[out->ruleset.n_subnets], view, entry, host, err) < 0)
			return -(int)err->code;
		out->n_local += subnets[out->ruleset.n_subnets].bridge != NULL;
		out->ruleset.n_subnets++;
	}
	out->ruleset.subnets = subnets;
	return 0;
}

/* "10.244.255.1" or "10.244.255.1/32": only those inside the pool need an exception. */
static bool parse_mesh_addr(const char *text, uint32_t *out_address)
{
	struct jaco_cidr cidr;

	if (!text)
		return false;
	if (jaco_ipv4_parse(text, out_address))
		return true;
	if (jaco_cidr_parse(text, &cidr, NULL) < 0)
		return false;
	*out_address = cidr.addr;
	return true;
}

static void collect_nodes(struct input *out, const struct jaco_view *view, struct jaco_arena *arena)
{
	uint32_t *nodes =
		jaco_arena_alloc_n(arena, count_below(view, "/node/") + 1, sizeof(*nodes));
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(view, "/node/", entry) {
		const struct wire_node *node = entry->msg;
		uint32_t address;

		if (parse_mesh_addr(node->mesh_addr, &address) &&
		    jaco_cidr_contains(out->ruleset.pool, address))
			nodes[out->ruleset.n_nodes++] = address;
	}
	out->ruleset.nodes = nodes;
}

/* Containers of this host in several networks. */
static void collect_homes(struct input *out, const struct jaco_view *view, const char *host,
			  struct jaco_arena *arena)
{
	const struct jaco_view_entry *entry;
	struct ruleset_home *homes = NULL;
	size_t cap = 0;

	JACO_VIEW_FOREACH(view, "/obs/replica/", entry) {
		const struct wire_obs_replica *replica = entry->msg;

		for (size_t g = 0; jaco_str_eq(replica->host, host) && g < replica->generations.n;
		     g++) {
			const struct wire_obs_gen *gen = &replica->generations.v[g];
			struct ruleset_home home = {.n = 0};

			for (size_t i = 0;
			     i < gen->addresses.n && home.n < JACO_NETWORKS_PER_SERVICE; i++)
				home.n += jaco_ipv4_parse(gen->addresses.v[i].address,
							  &home.addresses[home.n]);
			if (home.n < 2)
				continue;
			homes = jaco_arena_grow(arena, homes, &cap, out->ruleset.n_homes + 1,
						sizeof(*homes));
			homes[out->ruleset.n_homes++] = home;
		}
	}
	out->ruleset.homes = homes;
}

static int u32_cmp(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static size_t collect_replica(const struct wire_obs_replica *replica, uint32_t *out)
{
	size_t n = 0;

	for (size_t g = 0; g < replica->generations.n; g++) {
		const struct wire_obs_gen *gen = &replica->generations.v[g];

		for (size_t i = 0; i < gen->addresses.n; i++, n++)
			if (!out || !jaco_ipv4_parse(gen->addresses.v[i].address, &out[n]))
				continue;
	}
	return n;
}

static void collect_addresses(struct input *out, const struct jaco_view *view, const char *host,
			      struct jaco_arena *arena)
{
	const struct jaco_view_entry *entry;
	size_t n = 0, kept = 0;

	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1)
			out->addresses = jaco_arena_alloc_n(arena, n + 1, sizeof(uint32_t));
		n = 0;
		JACO_VIEW_FOREACH(view, "/obs/replica/", entry) {
			const struct wire_obs_replica *replica = entry->msg;

			if (jaco_str_eq(replica->host, host))
				n += collect_replica(replica, pass ? out->addresses + n : NULL);
		}
	}
	qsort(out->addresses, n, sizeof(out->addresses[0]), u32_cmp);
	for (size_t i = 0; i < n; i++)
		if (out->addresses[i] != 0 &&
		    (kept == 0 || out->addresses[i] != out->addresses[kept - 1]))
			out->addresses[kept++] = out->addresses[i];
	out->n_addresses = kept;
}

int input_collect(struct input *out, const struct jaco_view *view, const char *host,
		  const struct jaco_config *config, struct jaco_arena *arena, struct jaco_err *err)
{
	*out = (struct input){.ruleset.prefix = (uint8_t)config->ipam_prefix};
	if (jaco_cidr_parse(config->ipam_pool, &out->ruleset.pool, err) < 0)
		return jaco_err_wrap(err, "ipam_pool");
	if (collect_subnets(out, view, host, arena, err) < 0)
		return -(int)err->code;
	collect_nodes(out, view, arena);
	collect_addresses(out, view, host, arena);
	collect_homes(out, view, host, arena);
	out->ruleset.mesh = config->wg_interface;
	return 0;
}

const struct ruleset_subnet *input_find(const struct ruleset_input *input, uint32_t address)
{
	for (size_t i = 0; i < input->n_subnets; i++)
		if (jaco_cidr_contains(input->subnets[i].cidr, address))
			return &input->subnets[i];
	return NULL;
}

size_t input_lost(const uint32_t *before, size_t n_before, const uint32_t *after, size_t n_after,
		  uint32_t *out, size_t cap)
{
	size_t n = 0, k = 0;

	for (size_t i = 0; i < n_before && n < cap; i++) {
		while (k < n_after && after[k] < before[i])
			k++;
		if (k == n_after || after[k] != before[i])
			out[n++] = before[i];
	}
	return n;
}
