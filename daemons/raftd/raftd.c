/* SPDX-License-Identifier: Apache-2.0
 *
 * raftd.c - puts the planes together and opens the sockets.
 *
 * One socket per role, so that who calls is decided by file permissions: <run>/raftd/<daemon>.sock
 * belongs to that daemon's group, the control socket to group jaco. */
#include "daemons/raftd/raftd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/audit.h"
#include "daemons/raftd/api/join.h"
#include "daemons/raftd/api/leave.h"
#include "daemons/raftd/api/recover.h"
#include "daemons/raftd/api/remote.h"
#include "daemons/raftd/api/scope.h"
#include "daemons/raftd/gossip/probe.h"
#include "daemons/raftd/member.h"
#include "daemons/raftd/link/raftmsg.h"
#include "daemons/raftd/relay.h"
#include "daemons/raftd/spread.h"
#include "daemons/raftd/removed.h"
#include "daemons/raftd/renew.h"
#include "daemons/raftd/takeover.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"

#define LOCK_WAIT_MS 3000 /* the raftd before us may be in its last breath */

#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, n, in, out, r, f) JACO_THUNK(struct raftd, d, m, in)
#include "libjaco/wire/def/raftd.def"
#undef METHOD
#define METHOD(d, m, n, in, out, r, f) JACO_ROW(d, m)
const struct jaco_service_row raftd_methods[] = {
#include "libjaco/wire/def/raftd.def"
	{NULL, NULL}};
#include "libjaco/wire/pass_end.h"

static const struct {
	const char *name;
	uint32_t role;
} role_sockets[] = {
	{"schedd", ROLE_SCHEDD},   {"ipamd", ROLE_IPAMD},   {"meshd", ROLE_MESHD},
	{"fwd-nft", ROLE_FWD},	   {"dnsd", ROLE_DNSD},	    {"proxyd", ROLE_PROXYD},
	{"runtimed", ROLE_RUNTIMED}};

/* --- what the store tells --- */

static void on_change(void *ctx, const struct machine_change *change)
{
	struct raftd *raftd = ctx;

	watch_note(&raftd->hub, change);
	raftd->members_changed |= change->key.n > 6 && memcmp(change->key.data, "/node/", 6) == 0;
	raftd->meta_changed |= change->key.n == 13 &&
			       memcmp(change->key.data, "/cluster/meta", 13) == 0;
	raftd->remote.tokens_changed |= kv_bytes_start(change->key, KV_TEXT("/token/"));
}

/* /cluster/meta makes the difference between a raft group and a cluster. */
static void check_initialised(struct raftd *raftd)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_cluster_meta meta;

	if ((raftd->is_initialised && !raftd->meta_changed) ||
	    api_get(raftd, "/cluster/meta", &wire_cluster_meta_desc, &arena, &meta, NULL, &err) <=
		    0)
		return;
	raftd->meta_changed = false;
	raftd->epoch = meta.cluster_epoch;
	if (raftd->is_initialised)
		return;
	raftd->is_initialised = raftd->members_changed = true;
	(void)jaco_str_copy(raftd->cluster_id, sizeof(raftd->cluster_id), meta.id);
	if (!raftd->removed[0])
		jaco_daemon_set_status(raftd->daemon, "ready", "member of cluster %s", meta.name);
	renew_look(raftd);
	if (!raftd->is_refused && link_start(&raftd->link, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "no connection to peers is possible", &err);
	raftd->remote.tokens_changed = true; /* there is an identity to show */
}

static void check_membership(struct raftd *raftd)
{
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t revision;
	int rc = removed_membership(raftd, &revision, &err);

	if (rc < 0) {
		JACO_LOG_FAILURE(JACO_LOG_ERR, "the record of this node cannot be read", &err);
		return;
	}
	if (raftd->was_member && rc == 0)
		removed_by_state(raftd);
	raftd->was_member = rc > 0;
}

static void follow_members(struct raftd *raftd)
{
	check_membership(raftd);
	link_sync(&raftd->link);
	gossip_members_changed(&raftd->gossip);
	leave_pump(raftd);
}

static void on_applied(void *ctx)
{
	struct raftd *raftd = ctx;

	check_initialised(raftd);
	watch_pump(&raftd->hub);
	if (raftd->members_changed) {
		raftd->members_changed = false;
		follow_members(raftd);
		member_poke(raftd);
	}
	if (raftd->remote.tokens_changed) {
		raftd->remote.tokens_changed = false;
		remote_review(raftd);
	}
	submit_pump(raftd);
	if (!TAILQ_EMPTY(&raftd->audit_readers))
		audit_pump(raftd);
}

static void on_leadership(void *ctx)
{
	struct raftd *raftd = ctx;
	struct core_status status = store_status(&raftd->store);

	if (status.role == CORE_LEADER)
		jaco_log_notice("leads", KV_INT(term, status.term));
	api_tell_leadership(raftd);
	follow_members(raftd); /* the configuration may have changed */
	submit_pump(raftd);
	member_poke(raftd);
}

static void on_replaced(void *ctx)
{
	struct raftd *raftd = ctx;

	raftd->members_changed = raftd->remote.tokens_changed = true;
	watch_reset(&raftd->hub);
	on_applied(raftd);
}

/* --- what peers say --- */

static void on_peer_up(struct raftd *raftd, struct link_peer *peer)
{
	if (raftd->store.is_open)
		store_peer_found(&raftd->store, peer->raft_id);
	gossip_peer_up(&raftd->gossip, peer);
	submit_pump(raftd);
}

static void on_peer_down(struct raftd *raftd, struct link_peer *peer)
{
	if (raftd->store.is_open)
		store_peer_lost(&raftd->store, peer->raft_id);
	spread_peer_down(raftd, peer);
}

static void on_gossip(struct raftd *raftd, struct link_peer *peer,
		      const struct wire_raft_gossip *msg)
{
	gossip_on_records(&raftd->gossip, peer, msg);
}

static void on_digest(struct raftd *raftd, struct link_peer *peer,
		      const struct wire_raft_digest *msg)
{
	gossip_on_digest(&raftd->gossip, peer, msg);
}

static void on_message(struct raftd *raftd, struct link_peer *peer,
		       const struct wire_raft_message *msg)
{
	if (raftd->store.is_open)
		raftmsg_receive(&raftd->store, peer->raft_id, msg);
}

static void on_send(void *ctx, const struct core_message *msg)
{
	struct raftd *raftd = ctx;
	struct link_peer *peer = link_find_id(&raftd->link, msg->to);

	if (peer)
		raftmsg_send(peer, msg);
}

static void on_push(void *ctx)
{
	struct raftd *raftd = ctx;

	link_flush(&raftd->link);
}

static const struct link_events link_events = {.on_message = on_message,
					       .on_gossip = on_gossip,
					       .on_digest = on_digest,
					       .on_ask = spread_on_ask,
					       .on_told = spread_on_told,
					       .on_taken = spread_on_taken,
					       .on_submit = submit_on_txn,
					       .on_read = submit_on_read,
					       .on_join = join_on_request,
					       .on_transfer = leave_on_transfer,
					       .on_probe = probe_on_ask,
					       .on_survey = recover_on_survey,
					       .on_refused = removed_hear,
					       .on_peer_up = on_peer_up,
					       .on_peer_down = on_peer_down};

/* --- opening --- */

static int read_seal_key(struct raftd *raftd, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf key = JACO_BUF_SECRET(0);
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/seal.key", raftd->dir);
	if (!jaco_fs_exists(path)) /* an init that died before it wrote anything secret */
		return 0;
	if (jaco_fs_read(path, 64, &key, err) < 0)
		return -(int)err->code;
	if (key.n != sizeof(raftd->seal_key))
		return jaco_err_set(err, JACO_INTERNAL, "%s has %zu bytes, not %zu", path, key.n,
				    sizeof(raftd->seal_key));
	memcpy(raftd->seal_key, key.data, key.n);
	return 0;
}

int raftd_open_store(struct raftd *raftd, struct jaco_err *err)
{
	struct store_events events = {.on_change = on_change,
				      .on_applied = on_applied,
				      .on_leadership = on_leadership,
				      .on_send = on_send,
				      .on_push = on_push,
				      .on_replaced = on_replaced,
				      .ctx = raftd};

	if (read_seal_key(raftd, err) < 0 || takeover_perform(raftd->dir, err) < 0 ||
	    store_open(&raftd->store, &raftd->daemon->loop, raftd->dir, &events, err) < 0)
		return -(int)err->code;
	check_initialised(raftd);
	watch_reset(&raftd->hub);
	integrity_begin(raftd);
	/* a join whose state is still to come: the members it named have it */
	if (!raftd->is_initialised && link_has_peers_file(&raftd->link) &&
	    link_start(&raftd->link, err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "no connection to peers is possible", err);
	return 0;
}

int raftd_open(struct raftd *raftd, struct jaco_daemon *daemon, struct jaco_err *err)
{
	char lock[sizeof(raftd->dir) + 8];

	(void)jaco_str_format(lock, sizeof(lock), "%s/lock", daemon->state_dir);
	raftd->lock_fd = jaco_fs_lock(lock, LOCK_WAIT_MS, err);
	if (raftd->lock_fd < 0)
		return jaco_err_wrap(err, "the store");
	raftd->daemon = daemon;
	(void)jaco_str_copy(raftd->host, sizeof(raftd->host), daemon->host);
	(void)jaco_str_copy(raftd->dir, sizeof(raftd->dir), daemon->state_dir);
	TAILQ_INIT(&raftd->leader_readers);
	records_init(&raftd->records, raftd->host, (uint64_t)jaco_time_wall_ms());
	watch_init(&raftd->hub, &daemon->loop, &raftd->store.machine, &raftd->records);
	raftd->hub.veil = scope_veil;
	audit_init(raftd);
	raftd->relay = relay_new(raftd);
	raftd->spread = spread_new(raftd);
	TAILQ_INIT(&raftd->waits);
	submit_init(raftd);
	member_init(raftd);
	gossip_init(&raftd->gossip, raftd);
	renew_init(raftd);
	integrity_init(raftd);
	removed_open(raftd);
	if (link_open(&raftd->link, raftd, &link_events, err) < 0)
		return -(int)err->code;
	if (!store_exists(raftd->dir)) {
		jaco_daemon_set_status(daemon, "waiting", "waiting for cluster init or node join");
		return 0;
	}
	return raftd_open_store(raftd, err);
}

int raftd_listen(struct raftd *raftd, struct jaco_err *err)
{
	struct jaco_daemon *daemon = raftd->daemon;
	struct jaco_server *server = &daemon->server;
	char path[108], group[40];

	server->authorize = api_authorize;
	server->admit = scope_admit;
	server->fallback = relay_call;
	server->hook_ctx = raftd;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(role_sockets); i++) {
		if (!jaco_str_format(path, sizeof(path), "%s/raftd/%s.sock", daemon->run_dir,
				     role_sockets[i].name))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "socket path too long below %s", daemon->run_dir);
		(void)jaco_str_format(group, sizeof(group), "jaco-%s", role_sockets[i].name);
		if (jaco_server_listen(server, path, 0660, group, role_sockets[i].role, err) < 0)
			return -(int)err->code;
	}
	if (jaco_server_listen(server, daemon->config.unix_socket, 0660, "jaco", ROLE_ADMIN, err) <
	    0)
		return -(int)err->code;
	return remote_open(raftd, err);
}

void raftd_close(struct raftd *raftd)
{
	struct raftd_leader_reader *reader;

	if (!raftd->daemon)
		return;
	/* connections first: calls in flight point into what is released below */
	if (raftd->daemon->has_server)
		jaco_server_close(&raftd->daemon->server);
	raftd->daemon->has_server = false;
	remote_close(raftd);
	spread_free(raftd->spread);
	raftd->spread = NULL;
	relay_free(raftd->relay);
	audit_fini(raftd);
	while ((reader = TAILQ_FIRST(&raftd->leader_readers))) {
		TAILQ_REMOVE(&raftd->leader_readers, reader, link);
		jaco_free(reader);
	}
	join_fini(raftd);
	recover_fini(raftd);
	integrity_fini(raftd);
	removed_fini(raftd);
	renew_fini(raftd);
	link_close(&raftd->link);
	gossip_fini(&raftd->gossip);
	member_fini(raftd);
	watch_fini(&raftd->hub);
	store_close(&raftd->store);
	submit_fini(raftd);
	records_fini(&raftd->records);
	jaco_wipe(raftd->seal_key, sizeof(raftd->seal_key));
	jaco_fd_close(&raftd->lock_fd);
}

/* --- looking in --- */

void raftd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status)
{
	const struct raftd *raftd = self;
	const struct store *store = &raftd->store;
	struct core_status core;
	struct wire_pair *pairs = jaco_arena_alloc_n(arena, 6, sizeof(*pairs));
	size_t n = 0;

	if (!store->is_open)
		return;
	core = store_status(store);
	status->revision = store->machine.applied;
	pairs[n++] = (struct wire_pair){"role", core.role == CORE_LEADER ? "leader" : "follower"};
	pairs[n++] = (struct wire_pair){
		"term", jaco_arena_printf(arena, "%llu", (unsigned long long)core.term)};
	pairs[n++] = (struct wire_pair){
		"keys",
		jaco_arena_printf(arena, "%llu", (unsigned long long)store->machine.n_keys)};
	pairs[n++] =
		(struct wire_pair){"observed", jaco_arena_printf(arena, "%zu", raftd->records.n)};
	pairs[n++] = (struct wire_pair){"watches",
					jaco_arena_printf(arena, "%zu", raftd->hub.n_readers)};
	if (store->full[0] != '\0')
		pairs[n++] = (struct wire_pair){"writes_refused", store->full};
	status->facts = (struct wire_dict){.v = pairs, .n = n};
}

void raftd_metrics(void *self, struct jaco_buf *out)
{
	struct raftd *raftd = self;
	struct store *store = &raftd->store;
	struct core_status status;

	jaco_metrics_value(out, "jaco_raftd_watches", "gauge", "Watches served.",
			   (double)raftd->hub.n_readers);
	jaco_metrics_value(out, "jaco_raftd_watch_resyncs_total", "counter",
			   "Watches told to start over.", (double)raftd->hub.n_resyncs);
	jaco_metrics_value(out, "jaco_raftd_observed_records", "gauge",
			   "Records of the observed plane, tombstones included.",
			   (double)raftd->records.n);
	jaco_metrics_value(out, "jaco_raftd_tokens_refused_total", "counter",
			   "Wrong, revoked or expired tokens shown by strangers.",
			   (double)raftd->remote.n_failures);
	if (!store->is_open)
		return;
	status = store_status(store);
	jaco_metrics_value(out, "jaco_raftd_state_doubted", "gauge",
			   "1 while the state of this node is not the others', or damaged.",
			   raftd->integrity.is_doubted);
	jaco_metrics_value(
		out, "jaco_raftd_state_checked_seconds", "gauge",
		"When all of the state was read last and compared with its hash; 0: not yet.",
		(double)raftd->integrity.checked / 1e3);
	jaco_metrics_value(out, "jaco_raftd_is_leader", "gauge", "1 on the leader.",
			   status.role == CORE_LEADER);
	jaco_metrics_value(out, "jaco_raftd_term", "gauge", "Raft term.", (double)status.term);
	jaco_metrics_value(out, "jaco_raftd_applied_index", "gauge", "Revision of the store.",
			   (double)store->machine.applied);
	jaco_metrics_value(out, "jaco_raftd_keys", "gauge", "Keys in the store.",
			   (double)store->machine.n_keys);
	jaco_metrics_value(out, "jaco_raftd_log_bytes", "gauge", "Log files on disk.",
			   (double)wal_bytes(&store->wal));
	jaco_metrics_value(out, "jaco_raftd_log_flushes_total", "counter", "Flushes of the log.",
			   (double)store->wal.n_flushes);
	jaco_metrics_value(out, "jaco_raftd_entries_applied_total", "counter",
			   "Log entries applied.", (double)store->n_entries_applied);
	jaco_metrics_value(out, "jaco_raftd_state_bytes", "gauge", "LMDB file in use.",
			   (double)state_bytes(&store->state));
	jaco_metrics_value(out, "jaco_raftd_state_commit_seconds", "gauge",
			   "Duration of the last LMDB commit.", (double)store->commit_us / 1e6);
	jaco_metrics_value(out, "jaco_raftd_writes_refused", "gauge",
			   "1 while the disk is full.", store->full[0] != '\0');
}
