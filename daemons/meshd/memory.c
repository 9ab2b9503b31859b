/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/memory.h"

#include <string.h>

#include "daemons/meshd/endpoint.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

static struct memory_peer *find(const struct memory *memory, const uint8_t *key)
{
	for (size_t i = 0; i < memory->n; i++)
		if (memcmp(memory->peers[i].key, key, MESH_KEY_BYTES) == 0)
			return &memory->peers[i];
	return NULL;
}

static struct memory_peer *get(struct memory *memory, const uint8_t *key, struct jaco_time now)
{
	struct memory_peer *mind = find(memory, key);

	if (mind)
		return mind;
	memory->peers =
		jaco_grow(memory->peers, &memory->cap, memory->n + 1, sizeof(*memory->peers));
	mind = &memory->peers[memory->n++];
	*mind = (struct memory_peer){.endpoint_set = now};
	memcpy(mind->key, key, MESH_KEY_BYTES);
	return mind;
}

static void choose(struct memory_peer *mind, struct mesh_peer *peer, const struct mesh_peer *have,
		   struct memory_now now)
{
	int64_t age = have && have->handshake_ms ? now.wall_ms - have->handshake_ms : -1;
	const char *current = have ? have->endpoint : "";
	const char *best = peer->n_endpoints > 0 ? peer->endpoints[0] : "";
	bool has_moved = strcmp(mind->best, best) != 0 && strcmp(mind->published, current) == 0;
	const char *pick =
		endpoint_pick(peer->endpoints, peer->n_endpoints, current, has_moved, age,
			      jaco_time_diff_ms(now.time, mind->endpoint_set), now.stale_ms);

	if (endpoint_is_known(peer->endpoints, peer->n_endpoints, current))
		(void)jaco_str_copy(mind->published, sizeof(mind->published), current);
	(void)jaco_str_copy(mind->best, sizeof(mind->best), best);
	if (pick && jaco_str_copy(peer->endpoint, sizeof(peer->endpoint), pick))
		mind->endpoint_set = now.time;
}

/* A counter that moved means that packets of this peer arrive, even while nothing of ours reaches
 * it: that is what tells the two directions of a path apart. */
static void listen_to(struct memory_peer *mind, const struct mesh_peer *have, struct jaco_time now)
{
	uint64_t rx_bytes = have ? have->rx_bytes : 0;

	if (rx_bytes > mind->rx_bytes)
		mind->heard = now;
	mind->rx_bytes = rx_bytes;
}

static bool note_endpoint(struct memory_peer *mind, const struct mesh_peer *have)
{
	if (!have || strcmp(mind->endpoint, have->endpoint) == 0)
		return false;
	(void)jaco_str_copy(mind->endpoint, sizeof(mind->endpoint), have->endpoint);
	return true;
}

static void forget_unseen(struct memory *memory)
{
	for (size_t i = 0; i < memory->n;) {
		if (memory->peers[i].is_seen)
			memory->peers[i++].is_seen = false;
		else
			memory->peers[i] = memory->peers[--memory->n];
	}
}

size_t memory_choose(struct memory *memory, struct mesh_device *desired,
		     const struct mesh_device *observed, struct memory_now now, uint32_t *out_moved)
{
	size_t n_moved = 0;

	for (size_t i = 0; i < desired->n_peers; i++) {
		struct mesh_peer *peer = &desired->peers[i];
		const struct mesh_peer *have = plan_find_peer(observed, peer->key);
		struct memory_peer *mind = get(memory, peer->key, now.time);

		mind->is_seen = true;
		choose(mind, peer, have, now);
		listen_to(mind, have, now.time);
		if (note_endpoint(mind, have))
			out_moved[n_moved++] = peer->mesh_addr;
	}
	forget_unseen(memory);
	return n_moved;
}

struct jaco_time memory_heard(const struct memory *memory, const uint8_t key[static MESH_KEY_BYTES])
{
	const struct memory_peer *mind = find(memory, key);

	return mind ? mind->heard : (struct jaco_time){.ns = 0};
}

void memory_fini(struct memory *memory)
{
	jaco_free(memory->peers);
	*memory = MEMORY_INIT;
}
