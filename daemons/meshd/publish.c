/* SPDX-License-Identifier: Apache-2.0
 *
 * What this node tells the others about its mesh. */
#include <inttypes.h>
#include <string.h>

#include "daemons/meshd/endpoint.h"
#include "daemons/meshd/key.h"
#include "daemons/meshd/meshd.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

#define TXN_DEADLINE_MS 5000

/* --- /node/<host> --- */

static void on_node_written(void *ctx, const void *out, const struct jaco_err *err)
{
	const struct wire_txn_result *result = out;
	struct meshd *meshd = ctx;

	meshd->txn = NULL;
	if (!result)
		JACO_LOG_FAILURE(JACO_LOG_INFO, "key not published", err);
	else if (result->succeeded)
		jaco_log_info("key published", KV_INT(revision, result->revision));
	/* a lost race shows in the view and is tried again from there */
}

/* "10.0.0.5:7001" with our port: "10.0.0.5:51820"; NULL when it names no address. */
static const char *endpoint_of(const char *addr, int64_t port, struct jaco_arena *arena)
{
	const char *colon = addr ? strrchr(addr, ':') : NULL;

	if (!colon || jaco_str_starts(addr, "0.0.0.0:") || jaco_str_starts(addr, "[::]:"))
		return NULL;
	return jaco_arena_printf(arena, "%.*s:%" PRId64, (int)(colon - addr), addr, port);
}

static void fill_endpoints(const struct meshd *meshd, const struct wire_node *node,
			   struct wire_strs *out, struct jaco_arena *arena)
{
	const char *const sources[] = {
		node->peer_addr ? node->peer_addr : meshd->daemon->config.cluster_addr,
		node->api_addr};

	out->v = jaco_arena_alloc_n(arena, JACO_ARRAY_SIZE(sources), sizeof(*out->v));
	for (size_t i = 0; i < JACO_ARRAY_SIZE(sources); i++) {
		const char *text =
			endpoint_of(sources[i], meshd->daemon->config.wg_port, arena);

		if (text && (out->n == 0 || strcmp(out->v[0], text) != 0))
			out->v[out->n++] = text;
	}
}

static bool strs_eq(const struct wire_strs *a, const struct wire_strs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

void publish_node(struct meshd *meshd)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_daemon *daemon = meshd->daemon;
	const char *key = jaco_arena_printf(&arena, "/node/%s", daemon->host);
	const struct jaco_view_entry *entry = jaco_view_entry(&daemon->view, key);
	char public_text[KEY_TEXT_BYTES], addr_text[JACO_IPV4_TEXT_BYTES];
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_compare compare;
	struct wire_node node;
	struct wire_put put;
	struct wire_txn txn = {.has = 0};

	if (meshd->txn || !entry || !daemon->view.is_live)
		return;
	node = *(const struct wire_node *)entry->msg;
	key_render(public_text, meshd->has_next ? meshd->next_public : meshd->public_key);
	if (meshd->has_next)
		JACO_SET(&node, node, wg_rotated, node.wg_rotate);
	jaco_ipv4_render(addr_text, meshd->mesh_addr);
	node.wg_public_key = public_text;
	node.wg_endpoints = (struct wire_strs){.n = 0};
	fill_endpoints(meshd, &node, &node.wg_endpoints, &arena);
	node.mesh_addr = meshd->mesh_addr ? addr_text : NULL;
	if (jaco_str_eq(((const struct wire_node *)entry->msg)->wg_public_key, public_text) &&
	    jaco_str_eq(((const struct wire_node *)entry->msg)->mesh_addr, node.mesh_addr) &&
	    strs_eq(&((const struct wire_node *)entry->msg)->wg_endpoints, &node.wg_endpoints))
		return;
	if (jaco_pack(&buf, &wire_node_desc, &node, &err) < 0)
		JACO_UNREACHABLE(); /* it came from the store, plus bounded fields of ours */
	compare = (struct wire_compare){.key = key, .revision = entry->revision};
	put = (struct wire_put){.key = key, .value = {.data = buf.data, .n = buf.n}};
	txn.compares.v = &compare;
	txn.puts.v = &put;
	txn.compares.n = txn.puts.n = 1;
	meshd->txn = jaco_client_call(&daemon->raftd, &wire_raftd_kv_txn, &txn, TXN_DEADLINE_MS,
				      on_node_written, meshd);
}

/* --- /obs/node/<host>/mesh --- */

static void fill_heard(const struct meshd *meshd, const struct mesh_peer *want,
		       struct wire_obs_peer *out)
{
	struct jaco_time heard = meshd_heard(meshd, want->key, want->mesh_addr);
	int64_t ago = jaco_time_diff_ms(jaco_loop_now(&meshd->daemon->loop), heard);

	if (heard.ns == 0)
		return;
	out->heard = (uint64_t)(jaco_time_wall_ms() - ago);
	out->hears = ago < MESHD_HEARD_MS;
}

static void fill_peer(const struct meshd *meshd, const struct mesh_peer *want,
		      struct wire_obs_peer *out, struct jaco_arena *arena)
{
	const struct mesh_peer *have = plan_find_peer(&meshd->observed, want->key);
	const struct probe_path *path =
		want->mesh_addr ? probe_find(&meshd->probe, want->mesh_addr) : NULL;
	int64_t age = -1;

	out->host = jaco_arena_strdup(arena, want->host);
	if (have && have->endpoint[0])
		out->endpoint = jaco_arena_strdup(arena, have->endpoint);
	if (have && have->handshake_ms)
		age = JACO_MAX(jaco_time_wall_ms() - have->handshake_ms, 0);
	JACO_SET(out, obs_peer, handshake_age_ms, age);
	fill_heard(meshd, want, out);
	if (!path)
		return;
	out->mtu = path->mtu.found;
	JACO_SET(out, obs_peer, loss_permille, probe_loss(path));
	if (path->rtt_us && probe_loss(path) < 1000)
		out->rtt_us = path->rtt_us;
}

void publish_fill(const struct meshd *meshd, struct wire_obs_mesh *out, struct jaco_arena *arena)
{
	*out = (struct wire_obs_mesh){
		.state = meshd->is_ready ? "ready" : "unavailable",
		.backend = meshd->device.ops ? meshd->device.ops->name : NULL,
		.message = meshd->message[0] ? meshd->message : NULL,
		.generation = meshd->generation,
		.mtu = meshd->mtu,
	};
	if (!meshd->is_ready)
		return;
	out->peers.v = jaco_arena_alloc_n(arena, meshd->desired.n_peers + 1, sizeof(*out->peers.v));
	for (size_t i = 0; i < meshd->desired.n_peers && out->peers.n < JACO_NODES_MAX; i++)
		fill_peer(meshd, &meshd->desired.peers[i], &out->peers.v[out->peers.n++], arena);
}

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
	const unsigned char *at = data;

	while (n--) /* FNV-1a */
		h = (h ^ *at++) * 0x100000001b3ull;
	return h;
}

/* What others should hear of at once: not ages and round trips, which move all the time. */
static uint64_t digest(const struct wire_obs_mesh *mesh)
{
	uint64_t h = 0xcbf29ce484222325ull;

	h = mix(h, mesh->state, strlen(mesh->state));
	h = mix(h, &mesh->generation, sizeof(mesh->generation));
	h = mix(h, &mesh->mtu, sizeof(mesh->mtu));
	if (mesh->message)
		h = mix(h, mesh->message, strlen(mesh->message));
	for (size_t i = 0; i < mesh->peers.n; i++) {
		const struct wire_obs_peer *peer = &mesh->peers.v[i];
		bool is_fresh =
			peer->handshake_age_ms >= 0 &&
			peer->handshake_age_ms < ENDPOINT_STALE_MS; /* whatever a test sets */
		uint32_t is_lossy = peer->loss_permille / 100;

		h = mix(h, peer->host, strlen(peer->host));
		if (peer->endpoint)
			h = mix(h, peer->endpoint, strlen(peer->endpoint));
		h = mix(h, &is_fresh, sizeof(is_fresh));
		h = mix(h, &is_lossy, sizeof(is_lossy));
		h = mix(h, &peer->hears, sizeof(peer->hears));
		h = mix(h, &peer->mtu, sizeof(peer->mtu));
	}
	return h;
}

void publish_mesh(struct meshd *meshd)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_time now = jaco_loop_now(&meshd->daemon->loop);
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_obs_mesh mesh;
	uint64_t now_digest;

	publish_fill(meshd, &mesh, &arena);
	now_digest = digest(&mesh);
	if (now_digest == meshd->published_digest &&
	    jaco_time_diff_ms(now, meshd->published) < MESHD_PUBLISH_MS)
		return;
	meshd->published = now;
	meshd->published_digest = now_digest;
	if (jaco_daemon_publish_topic(meshd->daemon, "mesh", &wire_obs_mesh_desc, &mesh, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "mesh not published", &err);
}
