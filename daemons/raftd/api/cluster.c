/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.c - the beginning of a cluster, and what it looks like.
 *
 * init makes, in this order: the raft group on disk, the node's files (CA certificate, node
 * certificate and key, sealing key), and one transaction that holds everything else.  Only that
 * transaction makes the node initialised, so an init that died half-way is simply run again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/seal.h"
#include "daemons/raftd/link/identity.h"
#include "libjaco/base/digest.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"
#include "libjaco/model/name.h"

#define TOKEN_BYTES     32
#define FIRST_RAFT_ID   1
#define BOOTSTRAP       "bootstrap"
#define INIT_RETRY_MS   5
#define INIT_TIMEOUT_MS 10000
#define SKEW_REPORTED_MS 5000

/* RFC 4122 section 4.4: random, version 4, variant 1. */
static void make_uuid(char out_text[static 37])
{
	uint8_t b[16];

	jaco_random_bytes(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	(void)jaco_str_format(
		out_text, 37,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
}

/* Machine names as container platforms spell them. */
const char *api_arch_name(const char *machine)
{
	static const struct {
		const char *machine;
		const char *arch;
	} names[] = {{"x86_64", "amd64"},  {"aarch64", "arm64"},   {"armv7l", "arm"},
		     {"i686", "386"},	   {"ppc64le", "ppc64le"}, {"s390x", "s390x"},
		     {"riscv64", "riscv64"}};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++)
		if (strcmp(names[i].machine, machine) == 0)
			return names[i].arch;
	return machine;
}

static int write_file(struct raftd *raftd, const char *name, const void *data, size_t n,
		      struct jaco_err *err)
{
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/%s", raftd->dir, name);
	return jaco_fs_replace(path, data, n, 0600, err);
}

struct init {
	struct raftd *raftd;
	struct jaco_call *call;
	const char *name;
	char cluster_id[37];
	char token[2 * TOKEN_BYTES + 1];
	struct identity ca;
	struct identity node;
	char fingerprint[IDENTITY_FINGERPRINT_TEXT];
	struct jaco_timer retry;
	struct jaco_time give_up;
};

static void init_free(struct init *init)
{
	jaco_timer_fini(&init->retry);
	identity_wipe(&init->ca);
	identity_wipe(&init->node);
	jaco_wipe(init->token, sizeof(init->token));
	jaco_free(init);
}

static int make_files(struct init *init, struct jaco_err *err)
{
	struct raftd *raftd = init->raftd;

	jaco_random_bytes(raftd->seal_key, sizeof(raftd->seal_key));
	if (identity_make_ca(init->cluster_id, &init->ca, err) < 0 ||
	    identity_make_node(&init->ca, init->cluster_id, raftd->host, &init->node, err) < 0 ||
	    identity_key_fingerprint(init->node.cert, init->fingerprint, err) < 0)
		return -(int)err->code;
	if (write_file(raftd, "seal.key", raftd->seal_key, sizeof(raftd->seal_key), err) < 0 ||
	    identity_save(raftd->dir, init->ca.cert, init->node.cert, init->node.key, err) < 0)
		return -(int)err->code;
	return 0;
}

static void put_node(struct init *init, struct api_txn *txn, uint64_t now)
{
	struct raftd *raftd = init->raftd;
	struct identity_life life;
	struct utsname uts;
	struct wire_node node = {.host = raftd->host,
				 .raft_id = raftd->store.raft_id,
				 .key_fingerprint = init->fingerprint,
				 .cpus = (uint32_t)get_nprocs(),
				 .memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) *
						 (uint64_t)sysconf(_SC_PAGE_SIZE),
				 .joined = now,
				 .intent = JACO_NODE_INTENT_ACTIVE,
				 .version = JACO_VERSION};

	if (identity_get_life(init->node.cert, &life, &txn->err) >= 0)
		JACO_SET(&node, node, cert_not_after, (uint64_t)life.not_after * 1000);
	node.peer_addr = raftd->peer_addr[0] ? raftd->peer_addr : NULL;
	node.api_addr = raftd->api_addr[0] ? raftd->api_addr : NULL;
	if (uname(&uts) == 0)
		node.arch = jaco_arena_strdup(txn->arena, api_arch_name(uts.machine));
	api_put(txn, jaco_arena_printf(txn->arena, "/node/%s", raftd->host), &wire_node_desc,
		&node);
}

static void on_committed(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx)
{
	struct init *init = ctx;
	struct wire_cluster_inited answer = {.cluster_id = init->cluster_id,
					     .name = init->name,
					     .host = raftd->host,
					     .identity = BOOTSTRAP,
					     .token = init->token};

	(void)revision;
	jaco_log_notice("cluster initialised", KV_STR(host, raftd->host));
	jaco_call_reply(call, &answer);
	init_free(init);
}

static int propose(struct init *init, struct jaco_err *err)
{
	struct raftd *raftd = init->raftd;
	struct jaco_call *call = init->call;
	struct api_txn txn = api_begin(raftd, call);
	jaco_auto(jaco_buf) struct jaco_buf sealed = JACO_BUF_INIT;
	char hash[JACO_SHA256_TEXT_BYTES];
	uint64_t now = (uint64_t)jaco_time_wall_ms();
	struct wire_cluster_meta meta = {.id = init->cluster_id,
					 .name = init->name,
					 .ca_cert = init->ca.cert,
					 .created = now,
					 .cluster_epoch = 1};
	struct wire_sealed ca_key = {.updated = now, .note = "CA key"};
	struct wire_token token = {.identity = BOOTSTRAP,
				   .hash = hash,
				   .created = now,
				   .created_by = call->identity,
				   .allow_privileged = true};

	if (seal_close(raftd->seal_key, "/secret/ca", init->ca.key, strlen(init->ca.key), &sealed,
		       err) < 0)
		return -(int)err->code;
	ca_key.data = (struct wire_bin){sealed.data, sealed.n};
	jaco_sha256_text(init->token, strlen(init->token), hash);
	api_compare(&txn, "/cluster/meta", 0);
	api_put(&txn, "/cluster/meta", &wire_cluster_meta_desc, &meta);
	api_put(&txn, "/secret/ca", &wire_sealed_desc, &ca_key);
	api_put(&txn, "/token/" BOOTSTRAP, &wire_token_desc, &token);
	put_node(init, &txn, now);
	api_audit(&txn, JACO_AUDIT_CLUSTER_INIT, call->identity,
		  (const char *const[]){"cluster_id", init->cluster_id, "name", init->name, NULL});
	return api_commit(&txn, call, NULL, NULL, on_committed, init, err);
}

static void fail_init(struct init *init, const struct jaco_err *err)
{
	jaco_call_on_cancel(init->call, NULL, NULL);
	jaco_call_fail(init->call, err);
	init_free(init);
}

/* The new group elects its only voter within milliseconds. */
static void on_retry(struct jaco_timer *timer, void *ctx)
{
	struct init *init = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	if (store_is_leader(&init->raftd->store)) {
		if (propose(init, &err) < 0)
			fail_init(init, &err);
		return;
	}
	if (jaco_time_before(init->give_up, jaco_loop_now(init->raftd->store.loop))) {
		jaco_err_set(&err, JACO_NO_LEADER, "the new raft group elected nobody within 10 s");
		fail_init(init, &err);
		return;
	}
	jaco_timer_arm(timer, INIT_RETRY_MS);
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	init_free(ctx);
}

static bool is_cluster_name(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n > 0 && name[n] == '\0';
}

int raftd_on_cluster_init(struct raftd *raftd, struct jaco_call *call,
			  const struct wire_cluster_init *req, struct jaco_err *err)
{
	uint8_t secret[TOKEN_BYTES];
	struct init *init;

	if (raftd->is_initialised)
		return jaco_err_set(err, JACO_CLUSTER_ALREADY_INITIALIZED,
				    "node %s belongs to cluster %s", raftd->host,
				    raftd->cluster_id);
	if (jaco_name_check_host(raftd->host, err) < 0)
		return jaco_err_wrap(err,
				     "this machine's name (node_name in jacod.yaml overrides it)");
	if (req->name && !is_cluster_name(req->name))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "name: letters, digits and . _ - are allowed");
	if (!raftd->store.is_open && ((!store_exists(raftd->dir) &&
				       store_create(raftd->dir, FIRST_RAFT_ID, true, err) < 0) ||
				      raftd_open_store(raftd, err) < 0))
		return -(int)err->code;
	init = jaco_alloc(sizeof(*init));
	init->raftd = raftd;
	init->call = call;
	init->name = req->name ? req->name : raftd->host;
	make_uuid(init->cluster_id);
	jaco_random_bytes(secret, sizeof(secret));
	jaco_hex_encode(init->token, secret, sizeof(secret));
	jaco_wipe(secret, sizeof(secret));
	if (make_files(init, err) < 0) {
		init_free(init);
		return -(int)err->code;
	}
	jaco_timer_init(raftd->store.loop, &init->retry, on_retry, init);
	init->give_up = jaco_time_add_ms(jaco_loop_now(raftd->store.loop), INIT_TIMEOUT_MS);
	jaco_call_on_cancel(call, on_cancel, init);
	jaco_timer_arm(&init->retry, 0);
	return 0;
}

/* --- status --- */

static void from_observed(struct raftd *raftd, struct jaco_call *call, const char *host,
			  struct wire_member *member)
{
	char key[JACO_KEY_MAX];
	const struct record *record;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_obs_firewall firewall;
	struct wire_obs_mesh mesh;
	struct wire_obs_engine engine;

	(void)jaco_str_format(key, sizeof(key), "/obs/node/%s/firewall", host);
	record = records_find(&raftd->records, key);
	if (record && jaco_unpack(&wire_obs_firewall_desc, record->value.data, record->value.n,
				  call->arena, &firewall, &err) >= 0) {
		if (!firewall.ready && member->state == JACO_NODE_READY) {
			member->state = JACO_NODE_ISOLATION_UNAVAILABLE;
			member->message = firewall.message;
		}
	} else if (member->state == JACO_NODE_READY) {
		member->state = JACO_NODE_JOINING;
		member->message = "waiting for the firewall to report";
	}
	(void)jaco_str_format(key, sizeof(key), "/obs/node/%s/mesh", host);
	record = records_find(&raftd->records, key);
	if (record && jaco_unpack(&wire_obs_mesh_desc, record->value.data, record->value.n,
				  call->arena, &mesh, &err) >= 0)
		member->mesh = mesh.backend ? mesh.backend : mesh.state;
	(void)jaco_str_format(key, sizeof(key), "/obs/node/%s/engine", host);
	record = records_find(&raftd->records, key);
	if (record && jaco_unpack(&wire_obs_engine_desc, record->value.data, record->value.n,
				  call->arena, &engine, &err) >= 0) {
		member->engine = jaco_arena_printf(call->arena, "%.20s%s%.40s",
						   engine.kind ? engine.kind : engine.state,
						   engine.version ? " " : "",
						   engine.version ? engine.version : "");
		if (strcmp(engine.state, "ready") != 0 && member->state == JACO_NODE_READY) {
			member->state = JACO_NODE_ENGINE_UNAVAILABLE;
			member->message = engine.message;
		}
	} else if (member->state == JACO_NODE_READY) {
		member->state = JACO_NODE_JOINING;
		member->message = "waiting for the engine to report";
	}
}

static enum jaco_node_state state_of(const struct wire_node *node)
{
	switch (node->intent) {
	case JACO_NODE_INTENT_CORDONED:
		return node->drain_code ? JACO_NODE_DRAIN_TIMEOUT : JACO_NODE_CORDONED;
	case JACO_NODE_INTENT_DRAINING:
		return JACO_NODE_DRAINING;
	case JACO_NODE_INTENT_ACTIVE:
	case JACO_NODE_INTENT_END:
		break;
	}
	return JACO_NODE_READY;
}

/* Every replica's record names its host once per generation; count the newest. */
uint32_t api_count_replicas(struct raftd *raftd, struct jaco_arena *arena, const char *host)
{
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_replica replica;
	struct jaco_err err = JACO_ERR_INIT;
	uint32_t n = 0;

	while (api_next(raftd, "/replica/", key, &wire_replica_desc, arena, &replica, NULL, &err) >
	       0)
		if (replica.generations.n > 0 &&
		    strcmp(replica.generations.v[replica.generations.n - 1].host, host) == 0)
			n++;
	return n;
}

/* What the links tell: the same on every node but for a second of delay. */
static void from_links(struct raftd *raftd, struct jaco_arena *arena, const char *host,
		       struct wire_member *member)
{
	struct link_peer *peer = link_find(&raftd->link, host), *at;
	uint64_t end = store_status(&raftd->store).commit;
	uint64_t applied = peer ? peer->applied : raftd->store.machine.applied;

	TAILQ_FOREACH (at, &raftd->link.peers, next)
		end = JACO_MAX(end, at->commit);
	/* not heard yet is not behind, and the leader is behind nobody: its beat is only older */
	if (!peer || applied > 0)
		JACO_SET(member, member, lag, end > applied && !member->leader ? end - applied : 0);
	JACO_SET(member, member, skew_ms, peer ? peer->skew_ms : 0);
	if (peer && llabs(peer->skew_ms) > SKEW_REPORTED_MS)
		member->message = jaco_arena_printf(arena, "%s%sits clock is %lld s %s this node's",
						    member->message ? member->message : "",
						    member->message ? "; " : "",
						    (long long)llabs(peer->skew_ms) / 1000,
						    peer->skew_ms > 0 ? "ahead of" : "behind");
	if (peer && peer->liveness == JACO_LIVENESS_UNREACHABLE) {
		member->state = JACO_NODE_UNREACHABLE;
		member->message = "nothing is heard of it";
	} else if (peer && !peer->is_published && member->state == JACO_NODE_READY) {
		/* schedd places nothing where gossip has no opinion yet: ready would promise it */
		member->state = JACO_NODE_JOINING;
		member->message = "not heard of yet";
	} else if (peer && peer->is_indirect) {
		member->message = "this node hears of it through others only";
	}
}

static void add_alarm(struct raftd *raftd, struct jaco_arena *arena, const char *host,
		      struct wire_cluster_info *info)
{
	const char *doubt = integrity_doubt(raftd, arena, host);

	if (doubt)
		info->alarms.v[info->alarms.n++] = jaco_arena_printf(arena, "%s: %s", host, doubt);
}

static int add_members(struct raftd *raftd, struct jaco_call *call, struct wire_cluster_info *info,
		       struct jaco_err *err)
{
	struct core_status status = store_status(&raftd->store);
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_node node;
	int rc;

	info->members.v = jaco_arena_alloc_n(call->arena, JACO_NODES_MAX, sizeof(*info->members.v));
	info->alarms.v = jaco_arena_alloc_n(call->arena, JACO_NODES_MAX, sizeof(*info->alarms.v));
	while ((rc = api_next(raftd, "/node/", key, &wire_node_desc, call->arena, &node, NULL,
			      err)) > 0 &&
	       info->members.n < JACO_NODES_MAX) {
		const struct core_member *member = core_conf_find(status.conf, node.raft_id);
		struct wire_member *out = &info->members.v[info->members.n++];

		*out = (struct wire_member){
			.host = node.host,
			.raft_id = node.raft_id,
			.state = state_of(&node),
			.voter = member && member->is_voter,
			.leader = status.leader == node.raft_id,
			.peer_addr = node.peer_addr,
			.api_addr = node.api_addr,
			.version = node.version,
			.labels = node.labels,
			.mesh_addr = node.mesh_addr,
			.replicas = api_count_replicas(raftd, call->arena, node.host)};
		if (out->leader)
			info->leader = node.host;
		if (node.intent == JACO_NODE_INTENT_DRAINING)
			out->message = jaco_arena_printf(
				call->arena, "%u replicas are to go elsewhere", node.drain_left);
		else if (node.drain_message)
			out->message = node.drain_message;
		from_observed(raftd, call, node.host, out);
		from_links(raftd, call->arena, node.host, out);
		add_alarm(raftd, call->arena, node.host, info);
		if (out->state == JACO_NODE_UNREACHABLE && node.lost)
			out->message = "nothing is heard of it; what can run elsewhere does";
	}
	return rc < 0 ? rc : 0;
}

int raftd_on_cluster_status(struct raftd *raftd, struct jaco_call *call,
			    const struct wire_nothing *req, struct jaco_err *err)
{
	struct wire_cluster_info info = {.initialised = raftd->is_initialised,
					 .host = raftd->host,
					 .version = JACO_VERSION,
					 .removed = raftd->removed[0] ? raftd->removed : NULL};
	char hash[DIGEST_TEXT_BYTES];
	struct wire_cluster_meta meta;

	(void)req;
	if (raftd->is_initialised) {
		struct core_status status = store_status(&raftd->store);

		if (api_get(raftd, "/cluster/meta", &wire_cluster_meta_desc, call->arena, &meta,
			    NULL, err) < 0 ||
		    add_members(raftd, call, &info, err) < 0)
			return -(int)err->code;
		digest_text(&raftd->store.machine.digest, hash);
		info.cluster_id = meta.id;
		info.name = meta.name;
		info.cluster_epoch = meta.cluster_epoch;
		info.is_leader = status.role == CORE_LEADER;
		info.quorum = status.leader != 0 && submit_has_quorum(raftd);
		info.term = status.term;
		info.revision = raftd->store.machine.applied;
		info.state_hash = hash;
	}
	jaco_call_reply(call, &info);
	return 0;
}
