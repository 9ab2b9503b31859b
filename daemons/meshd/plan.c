/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/plan.h"

#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/meshaddr.h"

struct mesh_peer *plan_find_peer(const struct mesh_device *device,
				 const uint8_t key[static MESH_KEY_BYTES])
{
	for (size_t i = 0; i < device->n_peers; i++)
		if (memcmp(device->peers[i].key, key, MESH_KEY_BYTES) == 0)
			return &device->peers[i];
	return NULL;
}

static struct mesh_step *add_step(struct mesh_plan *plan, struct jaco_arena *arena,
				  enum mesh_what what, const struct mesh_peer *peer)
{
	plan->steps = jaco_arena_grow(arena, plan->steps, &plan->cap, plan->n + 1,
				      sizeof(*plan->steps));
	plan->steps[plan->n] = (struct mesh_step){.what = what, .peer = peer};
	return &plan->steps[plan->n++];
}

static bool has_cidr(const struct jaco_cidr *cidrs, size_t n, struct jaco_cidr cidr)
{
	for (size_t i = 0; i < n; i++)
		if (jaco_cidr_eq(cidrs[i], cidr))
			return true;
	return false;
}

/* Additions are sent alone: replacing the whole list would leave the peer without routes for a
 * moment.  Only a removal needs the replacement. */
static bool diff_allowed(struct mesh_step *step, const struct mesh_peer *want,
			 const struct mesh_peer *have, struct jaco_arena *arena)
{
	struct jaco_cidr *added = jaco_arena_alloc_n(arena, want->n_allowed + 1, sizeof(*added));
	size_t n_added = 0;

	for (size_t i = 0; i < have->n_allowed; i++)
		if (!has_cidr(want->allowed, want->n_allowed, have->allowed[i])) {
			step->replace_allowed = true;
			step->allowed = want->allowed;
			step->n_allowed = want->n_allowed;
			return true;
		}
	for (size_t i = 0; i < want->n_allowed; i++)
		if (!has_cidr(have->allowed, have->n_allowed, want->allowed[i]))
			added[n_added++] = want->allowed[i];
	step->allowed = added;
	step->n_allowed = n_added;
	return n_added > 0;
}

static void diff_peer(struct mesh_plan *plan, const struct mesh_peer *want,
		      const struct mesh_peer *have, struct jaco_arena *arena)
{
	struct mesh_step step = {.what = MESH_SET_PEER, .peer = want};
	bool is_changed;

	if (!have) {
		step.set_endpoint = want->endpoint[0] != '\0';
		step.set_keepalive = step.replace_allowed = true;
		step.allowed = want->allowed;
		step.n_allowed = want->n_allowed;
		*add_step(plan, arena, MESH_SET_PEER, want) = step;
		return;
	}
	is_changed = diff_allowed(&step, want, have, arena);
	step.set_keepalive = want->keepalive_s != have->keepalive_s;
	step.set_endpoint = want->endpoint[0] && strcmp(want->endpoint, have->endpoint) != 0;
	if (is_changed || step.set_keepalive || step.set_endpoint)
		*add_step(plan, arena, MESH_SET_PEER, want) = step;
}

/* @want, found where @have was. */
static const struct mesh_peer *as_new(const struct mesh_peer *want, const struct mesh_peer *have,
				      struct jaco_arena *arena)
{
	struct mesh_peer *peer = jaco_arena_alloc(arena, sizeof(*peer));

	*peer = *want;
	if (!peer->endpoint[0])
		(void)jaco_str_copy(peer->endpoint, sizeof(peer->endpoint),
				    have->endpoint); /* same size */
	return peer;
}

void plan_peers(struct mesh_plan *plan, const struct mesh_device *desired,
		const struct mesh_device *observed, struct jaco_arena *arena)
{
	/* With another key no session of the old one lives.  A peer made anew begins with a
	 * handshake at once instead of when the last attempt is five seconds old (WireGuard paper
	 * section 6.4). */
	bool is_rekeyed = memcmp(desired->private_key, observed->private_key, MESH_KEY_BYTES) != 0;

	*plan = (struct mesh_plan){.n = 0};
	for (size_t i = 0; i < observed->n_peers; i++)
		if (is_rekeyed || !plan_find_peer(desired, observed->peers[i].key))
			add_step(plan, arena, MESH_DROP_PEER, &observed->peers[i]);
	if (is_rekeyed || desired->port != observed->port)
		add_step(plan, arena, MESH_SET_DEVICE, NULL);
	for (size_t i = 0; i < desired->n_peers; i++) {
		const struct mesh_peer *have = plan_find_peer(observed, desired->peers[i].key);

		diff_peer(plan, is_rekeyed && have ? as_new(&desired->peers[i], have, arena) :
						     &desired->peers[i],
			  is_rekeyed ? NULL : have, arena);
	}
}

uint32_t plan_mesh_addr(struct jaco_cidr pool, uint64_t raft_id, const struct mesh_member *members,
			size_t n_members)
{
	uint32_t addr = raft_id ? jaco_meshaddr(pool, raft_id) : 0;

	for (size_t i = 0; i < n_members && addr; i++)
		if (members[i].raft_id && members[i].raft_id < raft_id &&
		    jaco_meshaddr(pool, members[i].raft_id) == addr)
			return 0;
	return addr;
}

static int by_cidr(const void *a, const void *b)
{
	return jaco_cidr_cmp(*(const struct jaco_cidr *)a, *(const struct jaco_cidr *)b);
}

static void fill_allowed(struct mesh_peer *peer, const struct mesh_subnet *subnets,
			 size_t n_subnets, struct jaco_arena *arena)
{
	size_t cap = 0, n = 0;

	if (peer->mesh_addr) {
		peer->allowed = jaco_arena_grow(arena, NULL, &cap, 1, sizeof(*peer->allowed));
		peer->allowed[n++] = (struct jaco_cidr){.addr = peer->mesh_addr, .bits = 32};
	}
	for (size_t i = 0; i < n_subnets; i++) {
		if (strcmp(subnets[i].host, peer->host) != 0 ||
		    has_cidr(peer->allowed, n, subnets[i].cidr))
			continue;
		peer->allowed = jaco_arena_grow(arena, peer->allowed, &cap, n + 1,
						sizeof(*peer->allowed));
		peer->allowed[n++] = jaco_cidr_network(subnets[i].cidr);
	}
	if (n > 1)
		qsort(peer->allowed, n, sizeof(*peer->allowed), by_cidr);
	peer->n_allowed = n;
}

/* WireGuard tells peers apart by their key alone, and takes none with its own: of members with one
 * key, as cloned disks have them, the first keeps it, and to this node its clone is no peer. */
static bool is_taken(const struct mesh_device *out, const char *self,
		     const struct mesh_member *members, size_t n_members,
		     const struct mesh_member *member)
{
	for (size_t i = 0; i < n_members; i++)
		if (strcmp(members[i].host, self) == 0 && members[i].has_key &&
		    memcmp(members[i].key, member->key, MESH_KEY_BYTES) == 0)
			return true; /* also of the node itself */
	return plan_find_peer(out, member->key) != NULL;
}

void plan_desired(struct mesh_device *out, const char *self, struct jaco_cidr pool,
		  const struct mesh_member *members, size_t n_members,
		  const struct mesh_subnet *subnets, size_t n_subnets, struct jaco_arena *arena)
{
	out->peers = jaco_arena_alloc_n(arena, n_members + 1, sizeof(*out->peers));
	out->n_peers = out->cap_peers = 0;
	for (size_t i = 0; i < n_members; i++) {
		const struct mesh_member *member = &members[i];
		struct mesh_peer *peer = &out->peers[out->n_peers];

		if (!member->has_key || strcmp(member->host, self) == 0 ||
		    is_taken(out, self, members, n_members, member))
			continue;
		(void)jaco_str_copy(peer->host, sizeof(peer->host), member->host);
		memcpy(peer->key, member->key, MESH_KEY_BYTES);
		peer->keepalive_s = MESH_KEEPALIVE_S;
		peer->endpoints = member->endpoints;
		peer->n_endpoints = member->n_endpoints;
		peer->mesh_addr = plan_mesh_addr(pool, member->raft_id, members, n_members);
		fill_allowed(peer, subnets, n_subnets, arena);
		out->n_peers++;
	}
}

size_t plan_routes(const struct mesh_device *desired, const struct jaco_cidr *observed,
		   size_t n_observed, struct jaco_arena *arena, struct mesh_route_step **out_steps)
{
	struct mesh_route_step *steps;
	size_t n = 0, n_max = n_observed;

	for (size_t i = 0; i < desired->n_peers; i++)
		n_max += desired->peers[i].n_allowed;
	steps = jaco_arena_alloc_n(arena, n_max + 1, sizeof(*steps));
	for (size_t i = 0; i < n_observed; i++) {
		bool is_wanted = false;

		for (size_t j = 0; j < desired->n_peers && !is_wanted; j++)
			is_wanted = has_cidr(desired->peers[j].allowed,
					     desired->peers[j].n_allowed, observed[i]);
		if (!is_wanted)
			steps[n++] = (struct mesh_route_step){.is_add = false, .cidr = observed[i]};
	}
	for (size_t i = 0; i < desired->n_peers; i++)
		for (size_t j = 0; j < desired->peers[i].n_allowed; j++)
			if (!has_cidr(observed, n_observed, desired->peers[i].allowed[j]))
				steps[n++] = (struct mesh_route_step){
					.is_add = true, .cidr = desired->peers[i].allowed[j]};
	*out_steps = steps;
	return n;
}

/* FNV-1a: tells apart, is not trusted. */
static uint64_t mix(uint64_t h, const void *data, size_t n)
{
	const unsigned char *at = data;

	while (n--)
		h = (h ^ *at++) * 0x100000001b3ull;
	return h;
}

uint64_t plan_digest(const struct mesh_device *desired)
{
	uint64_t h = mix(0xcbf29ce484222325ull, desired->private_key, MESH_KEY_BYTES);

	h = mix(h, &desired->port, sizeof(desired->port));
	for (size_t i = 0; i < desired->n_peers; i++) {
		const struct mesh_peer *peer = &desired->peers[i];

		h = mix(h, peer->key, MESH_KEY_BYTES);
		for (size_t j = 0; j < peer->n_allowed; j++) {
			h = mix(h, &peer->allowed[j].addr, sizeof(peer->allowed[j].addr));
			h = mix(h, &peer->allowed[j].bits, sizeof(peer->allowed[j].bits));
		}
	}
	return h;
}

static void render_allowed(const struct mesh_step *step, struct jaco_buf *out)
{
	char text[JACO_CIDR_TEXT_BYTES];

	if (!step->n_allowed && !step->replace_allowed)
		return;
	jaco_buf_add_str(out, step->replace_allowed ? " allowed=" : " allowed+=");
	for (size_t i = 0; i < step->n_allowed; i++) {
		jaco_cidr_render(text, step->allowed[i]);
		jaco_buf_printf(out, "%s%s", i ? "," : "", text);
	}
}

void plan_mesh_render(const struct mesh_plan *plan, struct jaco_buf *out)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct mesh_step *step = &plan->steps[i];
		char key[JACO_BASE64_BYTES(MESH_KEY_BYTES)] = "";

		if (step->peer)
			jaco_base64_encode(key, step->peer->key, MESH_KEY_BYTES);
		switch (step->what) {
		case MESH_DROP_PEER:
			jaco_buf_printf(out, "drop peer %s", key);
			break;
		case MESH_SET_DEVICE:
			jaco_buf_add_str(out, "set device");
			break;
		case MESH_SET_PEER:
			jaco_buf_printf(out, "set peer %s %s", step->peer->host, key);
			if (step->set_endpoint)
				jaco_buf_printf(out, " endpoint=%s", step->peer->endpoint);
			if (step->set_keepalive)
				jaco_buf_printf(out, " keepalive=%u", step->peer->keepalive_s);
			render_allowed(step, out);
			break;
		}
		jaco_buf_add_char(out, '\n');
	}
}
