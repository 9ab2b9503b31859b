/* SPDX-License-Identifier: Apache-2.0
 *
 * members.c - the list of peers follows /node/, or what the join left before there is one. */
#include "daemons/raftd/link/conn.h"

#include <string.h>

#include "daemons/raftd/api/api.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"

#define PEERS_BYTES_MAX (256 * 1024)

struct link_peer *link_find(struct link *link, const char *host)
{
	struct link_peer *peer;

	TAILQ_FOREACH (peer, &link->peers, next)
		if (strcmp(peer->host, host) == 0)
			return peer;
	return NULL;
}

struct link_peer *link_find_id(struct link *link, uint64_t raft_id)
{
	struct link_peer *peer;

	TAILQ_FOREACH (peer, &link->peers, next)
		if (peer->raft_id == raft_id)
			return peer;
	return NULL;
}

bool link_is_up(const struct link_peer *peer)
{
	return peer->conn && peer->conn->is_ready && !peer->conn->is_dead;
}

bool link_is_heard(const struct link_peer *peer, int64_t ms)
{
	return peer->heard.ns != 0 &&
	       jaco_time_diff_ms(jaco_loop_now(peer->link->loop), peer->heard) <= ms;
}

static void on_retry(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	link_connect(ctx);
}

void link_forget_peer(struct link_peer *peer)
{
	struct link *link = peer->link;
	struct jaco_err err = JACO_ERR_INIT;
	struct link_conn *conn;

	jaco_err_set(&err, JACO_UNAVAILABLE, "%s is no member any more", peer->host);
	TAILQ_FOREACH (conn, &link->conns, next)
		if (conn->peer == peer)
			conn_end(conn, &err);
	TAILQ_FOREACH (conn, &link->conns, next)
		if (conn->peer == peer)
			conn->peer = NULL; /* dead ones wait for the reaper */
	TAILQ_REMOVE(&link->peers, peer, next);
	jaco_timer_fini(&peer->retry);
	jaco_free(peer);
}

void link_redirect(struct link_peer *peer, const char *addr)
{
	struct jaco_err err = JACO_ERR_INIT;

	if (!addr || !*addr || strcmp(peer->addr, addr) == 0)
		return;
	(void)jaco_str_copy(peer->addr, sizeof(peer->addr), addr);
	jaco_err_set(&err, JACO_UNAVAILABLE, "%s moved to %s", peer->host, addr);
	if (peer->conn)
		conn_end(peer->conn, &err);
	peer->retry_ms = LINK_RETRY_FIRST_MS;
	jaco_timer_arm(&peer->retry, 0);
}

static void keep_peer(struct link *link, const char *host, uint64_t raft_id, const char *addr,
		      const char *fingerprint)
{
	struct link_peer *peer = link_find(link, host);

	if (!fingerprint || strcmp(host, link->raftd->host) == 0)
		return;
	if (peer && (peer->raft_id != raft_id || strcmp(peer->fingerprint, fingerprint) != 0)) {
		link_forget_peer(peer); /* removed and joined again */
		peer = NULL;
	}
	if (!peer) {
		peer = jaco_alloc(sizeof(*peer));
		*peer = (struct link_peer){.link = link, .raft_id = raft_id,
					   .retry_ms = LINK_RETRY_FIRST_MS,
					   .liveness = JACO_LIVENESS_SUSPECT,
					   .heard = jaco_loop_now(link->loop),
					   .since_ms = jaco_time_wall_ms()};
		(void)jaco_str_copy(peer->host, sizeof(peer->host), host);
		(void)jaco_str_copy(peer->fingerprint, sizeof(peer->fingerprint), fingerprint);
		jaco_timer_init(link->loop, &peer->retry, on_retry, peer);
		TAILQ_INSERT_TAIL(&link->peers, peer, next);
	}
	peer->is_marked = true;
	/* what the record says counts when it changes: the member itself may have told better
	 * since */
	if (addr && strcmp(peer->recorded, addr) != 0) {
		(void)jaco_str_copy(peer->recorded, sizeof(peer->recorded), addr);
		link_redirect(peer, addr);
	}
}

static void sync_from_store(struct link *link)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct core_status status = store_status(&link->raftd->store);
	char key[JACO_KEY_MAX + 1] = "";
	struct jaco_err err = JACO_ERR_INIT;
	struct link_peer *peer;
	struct wire_node node;
	int rc;

	while ((rc = api_next(link->raftd, "/node/", key, &wire_node_desc, &arena, &node, NULL,
			      &err)) > 0)
		keep_peer(link, node.host, node.raft_id, node.peer_addr, node.key_fingerprint);
	/* a member that is leaving must still hear how raft lets it go */
	TAILQ_FOREACH (peer, &link->peers, next)
		if (rc < 0 || core_conf_find(status.conf, peer->raft_id))
			peer->is_marked = true;
}

bool link_has_peers_file(const struct link *link)
{
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/peers", link->raftd->dir);
	return jaco_fs_exists(path);
}

/* False: there is none. */
static bool read_file(const struct link *link, struct jaco_arena *arena,
		      struct wire_raft_peers *out)
{
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	char path[640];

	if (!link_has_peers_file(link))
		return false;
	(void)jaco_str_format(path, sizeof(path), "%s/peers", link->raftd->dir);
	if (jaco_fs_read(path, PEERS_BYTES_MAX, &packed, &err) >= 0 &&
	    jaco_unpack(&wire_raft_peers_desc, packed.data, packed.n, arena, out, &err) >= 0)
		return true;
	JACO_LOG_FAILURE(JACO_LOG_ERR, "the list of peers left by the join", &err);
	return false;
}

uint64_t link_joined_at(const struct link *link)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_raft_peers list;

	return read_file(link, &arena, &list) && list.revision ? list.revision : UINT64_MAX;
}

static void sync_from_file(struct link *link)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_raft_peers list;

	if (!read_file(link, &arena, &list))
		return;
	for (size_t i = 0; i < list.peers.n; i++)
		keep_peer(link, list.peers.v[i].host, list.peers.v[i].raft_id,
			  list.peers.v[i].peer_addr, list.peers.v[i].fingerprint);
}

void link_sync(struct link *link)
{
	struct link_peer *peer, *following;

	if (!link->context)
		return;
	TAILQ_FOREACH (peer, &link->peers, next)
		peer->is_marked = false;
	if (link->raftd->is_initialised)
		sync_from_store(link);
	else
		sync_from_file(link);
	for (peer = TAILQ_FIRST(&link->peers); peer; peer = following) {
		following = TAILQ_NEXT(peer, next);
		if (!peer->is_marked)
			link_forget_peer(peer);
	}
}
