/* SPDX-License-Identifier: Apache-2.0
 *
 * join.c - join tokens; admitting a stranger, on any member; becoming a member, on the stranger.
 *
 * A member checks token, name and clock, signs, and proposes one transaction: the node's record and
 * the token used, on condition that neither changed.  Raft's own membership follows (member.c).
 * The number in raft is the revision at which the token was issued: unique and never used again. */
#include "daemons/raftd/api/join.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/join_token.h"
#include "daemons/raftd/api/seal.h"
#include "daemons/raftd/removed.h"
#include "libjaco/base/digest.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"
#include "libjaco/model/name.h"

#define TTL_MS      (24 * 3600 * 1000ll)
#define TTL_MAX_MS  (30 * TTL_MS)
#define CATCH_UP_MS 25000
#define LOOK_MS     50

/* --- issuing --- */

static void add_addresses(struct raftd *raftd, struct join_token *token)
{
	struct link_peer *peer;

	(void)jaco_str_copy(token->addresses[token->n_addresses++], JACO_ADDR_MAX + 1,
			    raftd->peer_addr);
	TAILQ_FOREACH (peer, &raftd->link.peers, next)
		if (token->n_addresses < JOIN_ADDRESSES_MAX && peer->addr[0])
			(void)jaco_str_copy(token->addresses[token->n_addresses++],
					    JACO_ADDR_MAX + 1, peer->addr);
}

struct issued {
	char text[JOIN_TOKEN_MAX + 1];
	uint64_t expires;
};

static void on_issued(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx)
{
	struct issued *issued = ctx;
	struct wire_join_token_issued answer = {.token = issued->text, .expires = issued->expires};

	(void)raftd;
	(void)revision;
	jaco_call_reply(call, &answer);
}

int raftd_on_node_issue_join_token(struct raftd *raftd, struct jaco_call *call,
				   const struct wire_join_token_issue *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct issued *issued = jaco_arena_alloc(call->arena, sizeof(*issued));
	struct join_token token = {.n_addresses = 0};
	uint64_t now = (uint64_t)jaco_time_wall_ms();
	uint64_t ttl = req->ttl_ms ? req->ttl_ms : (uint64_t)TTL_MS;
	char hash[JACO_SHA256_TEXT_BYTES];
	uint8_t secret[JOIN_SECRET_BYTES];
	struct wire_cluster_meta meta;
	struct wire_jointoken record;

	if (!raftd->peer_addr[0])
		return jaco_err_set(err, JACO_UNAVAILABLE,
				    "this node does not listen for peers: see cluster_addr");
	if (ttl > (uint64_t)TTL_MAX_MS)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "ttl: at most 30 days");
	if (api_get(raftd, "/cluster/meta", &wire_cluster_meta_desc, call->arena, &meta, NULL,
		    err) <= 0 ||
	    identity_fingerprint(meta.ca_cert, token.ca_fingerprint, err) < 0)
		return -(int)(err->code ? err->code : JACO_CLUSTER_UNINITIALIZED);
	jaco_random_bytes(secret, sizeof(secret));
	jaco_hex_encode(token.secret, secret, sizeof(secret));
	jaco_sha256_text(token.secret, strlen(token.secret), hash);
	add_addresses(raftd, &token);
	join_token_render(&token, issued->text);
	jaco_wipe(secret, sizeof(secret));
	jaco_wipe(token.secret, sizeof(token.secret));
	issued->expires = now + ttl;
	record = (struct wire_jointoken){.created = now, .expires = issued->expires};
	api_put(&txn, jaco_arena_printf(call->arena, "/jointoken/%s", hash), &wire_jointoken_desc,
		&record);
	api_audit(&txn, JACO_AUDIT_TOKEN_ISSUE, call->identity,
		  (const char *const[]){"kind", "join", NULL});
	return api_commit(&txn, call, NULL, NULL, on_issued, issued, err);
}

/* --- admitting --- */

struct admission {
	struct jaco_arena arena;
	struct raftd *raftd;
	struct link_call *call;
	struct wire_raft_joined joined;
};

static void admission_free(struct admission *admission)
{
	jaco_arena_fini(&admission->arena);
	jaco_free(admission);
}

static void on_admitted(void *ctx, const struct machine_result *result, const struct jaco_err *err)
{
	struct admission *admission = ctx;
	struct jaco_err failed = *err;

	if (result && !result->is_committed)
		jaco_err_set(&failed, JACO_CONFLICT,
			     "another machine joined with this token or this name just now");
	if (failed.code != JACO_OK)
		link_refuse(admission->call, &failed);
	else
		link_answer(admission->call, &wire_raft_joined_desc, &admission->joined);
	admission_free(admission);
}

static int check_token(struct raftd *raftd, struct jaco_arena *arena, const char *key,
		       struct wire_jointoken *out_token, uint64_t *out_revision,
		       struct jaco_err *err)
{
	char when[JACO_RFC3339_BYTES];
	int rc = api_get(raftd, key, &wire_jointoken_desc, arena, out_token, out_revision, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return jaco_err_set(err, JACO_TOKEN_INVALID,
				    "this cluster never issued that join token");
	if (out_token->used_by) {
		jaco_rfc3339_render(when, (int64_t)out_token->used_at);
		return jaco_err_set(err, JACO_TOKEN_REVOKED,
				    "the join token was used by %s at %s: it works once",
				    out_token->used_by, when);
	}
	if (out_token->expires <= (uint64_t)jaco_time_wall_ms()) {
		jaco_rfc3339_render(when, (int64_t)out_token->expires);
		return jaco_err_set(err, JACO_TOKEN_EXPIRED, "the join token expired at %s", when);
	}
	return 0;
}

static int check_machine(struct raftd *raftd, struct jaco_arena *arena,
			 const struct wire_raft_join *msg, struct jaco_err *err)
{
	int64_t skew = (int64_t)msg->clock - jaco_time_wall_ms();
	struct jaco_addr addr;
	struct wire_node node;
	int rc;

	if (skew > LINK_SKEW_MAX_MS || skew < -LINK_SKEW_MAX_MS)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the clock of %s is %lld s %s the cluster's", msg->host,
				    (long long)(skew < 0 ? -skew : skew) / 1000,
				    skew < 0 ? "behind" : "ahead of");
	if (jaco_name_check_host(msg->host, err) < 0 ||
	    jaco_addr_parse(&addr, msg->peer_addr, 0, err) < 0)
		return -(int)err->code;
	rc = api_get(raftd, jaco_arena_printf(arena, "/node/%s", msg->host), &wire_node_desc, arena,
		     &node, NULL, err);
	if (rc > 0)
		return jaco_err_set(err, JACO_NODE_ALREADY_MEMBER,
				    "a member is called %s: jaco node remove %s first, or give this "
				    "machine another node_name", msg->host, msg->host);
	return rc;
}

static int sign(struct admission *admission, const char *request, const char *host,
		struct jaco_err *err)
{
	struct raftd *raftd = admission->raftd;
	struct wire_raft_joined *joined = &admission->joined;
	jaco_auto(jaco_buf) struct jaco_buf key = JACO_BUF_INIT;
	jaco_auto(identity) struct identity ca = {.key = ""};
	char *cert = jaco_arena_alloc(&admission->arena, IDENTITY_PEM_MAX);
	struct wire_sealed sealed;
	struct wire_cluster_meta meta;

	if (api_get(raftd, "/cluster/meta", &wire_cluster_meta_desc, &admission->arena, &meta, NULL,
		    err) < 0 ||
	    api_get(raftd, "/secret/ca", &wire_sealed_desc, &admission->arena, &sealed, NULL, err) <
		    0 ||
	    seal_open(raftd->seal_key, "/secret/ca", sealed.data.data, sealed.data.n, &key, err) < 0)
		return -(int)err->code;
	(void)jaco_str_copy(ca.cert, sizeof(ca.cert), meta.ca_cert);
	(void)jaco_str_format(ca.key, sizeof(ca.key), "%.*s", (int)key.n, key.data);
	jaco_wipe(key.data, key.n);
	if (identity_sign(&ca, meta.id, host, request, cert, err) < 0)
		return -(int)err->code;
	joined->cluster_id = meta.id;
	joined->name = meta.name;
	joined->ca_cert = meta.ca_cert;
	joined->node_cert = cert;
	joined->seal_key = (struct wire_bin){raftd->seal_key, sizeof(raftd->seal_key)};
	return 0;
}

static int list_peers(struct admission *admission, struct jaco_err *err)
{
	struct wire_raft_joined *joined = &admission->joined;
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_node node;
	int rc = 0;

	joined->peers.v = jaco_arena_alloc_n(&admission->arena, JACO_NODES_MAX,
					     sizeof(*joined->peers.v));
	while (joined->peers.n < JACO_NODES_MAX &&
	       (rc = api_next(admission->raftd, "/node/", key, &wire_node_desc, &admission->arena,
			      &node, NULL, err)) > 0)
		joined->peers.v[joined->peers.n++] =
			(struct wire_raft_peer){.host = node.host,
						.raft_id = node.raft_id,
						.peer_addr = node.peer_addr,
						.fingerprint = node.cert_fingerprint};
	if (rc >= 0 && joined->peers.n >= JACO_NODES_MAX - 1)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "a cluster has at most %d nodes",
				    JACO_NODES_MAX - 1);
	return rc;
}

static int propose(struct admission *admission, const struct wire_raft_join *msg,
		   const char *token_key, struct wire_jointoken *token, uint64_t revision,
		   struct jaco_err *err)
{
	struct api_txn txn = {.raftd = admission->raftd, .arena = &admission->arena};
	const char *node_key = jaco_arena_printf(&admission->arena, "/node/%s", msg->host);
	char fingerprint[IDENTITY_FINGERPRINT_TEXT];
	uint64_t now = (uint64_t)jaco_time_wall_ms();
	struct wire_node node = {.host = msg->host,
				 .raft_id = revision,
				 .peer_addr = msg->peer_addr,
				 .api_addr = msg->api_addr,
				 .cert_fingerprint = fingerprint,
				 .arch = msg->arch,
				 .cpus = msg->cpus,
				 .memory_bytes = msg->memory_bytes,
				 .joined = now,
				 .intent = JACO_NODE_INTENT_ACTIVE,
				 .version = msg->version};

	if (identity_fingerprint(admission->joined.node_cert, fingerprint, err) < 0)
		return -(int)err->code;
	admission->joined.raft_id = revision;
	token->used_by = msg->host;
	token->used_at = now;
	api_compare(&txn, token_key, revision);
	api_compare(&txn, node_key, 0);
	api_put(&txn, token_key, &wire_jointoken_desc, token);
	api_put(&txn, node_key, &wire_node_desc, &node);
	api_audit(&txn, JACO_AUDIT_NODE_JOIN,
		  jaco_arena_printf(&admission->arena, "system:raftd@%s", msg->host),
		  (const char *const[]){"host", msg->host, "peer_addr", msg->peer_addr, NULL});
	if (txn.err.code != JACO_OK) {
		*err = txn.err;
		return -(int)err->code;
	}
	return submit_txn(admission->raftd, &txn.txn, on_admitted, admission, err);
}

static int admit(struct admission *admission, const struct wire_raft_join *msg,
		 struct jaco_err *err)
{
	struct raftd *raftd = admission->raftd;
	struct wire_jointoken token;
	char hash[JACO_SHA256_TEXT_BYTES];
	uint64_t revision = 0;
	const char *key;

	if (!raftd->is_initialised)
		return jaco_err_set(err, JACO_CLUSTER_UNINITIALIZED,
				    "the node asked belongs to no cluster yet");
	jaco_sha256_text(msg->secret, strlen(msg->secret), hash);
	key = jaco_arena_printf(&admission->arena, "/jointoken/%s", hash);
	if (check_token(raftd, &admission->arena, key, &token, &revision, err) < 0 ||
	    check_machine(raftd, &admission->arena, msg, err) < 0 ||
	    sign(admission, msg->request, msg->host, err) < 0 || list_peers(admission, err) < 0)
		return -(int)err->code;
	return propose(admission, msg, key, &token, revision, err);
}

void join_on_request(struct raftd *raftd, struct link_call *call, const struct wire_raft_join *msg)
{
	struct admission *admission = jaco_alloc(sizeof(*admission));
	struct jaco_err err = JACO_ERR_INIT;

	*admission = (struct admission){.arena = JACO_ARENA_INIT, .raftd = raftd, .call = call};
	if (admit(admission, msg, &err) >= 0)
		return;
	JACO_LOG_FAILURE(JACO_LOG_WARNING, "a join is refused", &err, KV_STR(host, msg->host));
	link_refuse(call, &err);
	admission_free(admission);
}

/* --- becoming one --- */

struct joining {
	struct raftd *raftd;
	struct jaco_call *call; /* NULL: went away; the join goes on */
	struct join_token token;
	struct identity request;
	size_t at; /* address that is tried */
	struct link_joining *asking;
	struct wire_raft_join msg;
	struct utsname uts;
	char name[JACO_NAME_MAX + 1];
	bool is_member;
	struct jaco_timer look;
	struct jaco_time give_up;
};

static void joining_free(struct joining *joining)
{
	if (joining->call)
		jaco_call_on_cancel(joining->call, NULL, NULL);
	if (joining->asking)
		link_join_cancel(joining->asking);
	joining->raftd->joining = NULL;
	jaco_timer_fini(&joining->look);
	identity_wipe(&joining->request);
	jaco_wipe(&joining->token, sizeof(joining->token));
	jaco_free(joining);
}

static void joining_fail(struct joining *joining, const struct jaco_err *err)
{
	struct jaco_call *call = joining->call;

	joining_free(joining);
	if (call)
		jaco_call_fail(call, err);
}

static void joining_done(struct joining *joining)
{
	struct raftd *raftd = joining->raftd;
	struct jaco_call *call = joining->call;
	struct wire_node_joined answer = {.cluster_id = raftd->cluster_id,
					  .host = raftd->host,
					  .revision = raftd->store.machine.applied};

	if (call)
		answer.name = jaco_arena_strdup(call->arena, joining->name);
	joining_free(joining);
	if (call)
		jaco_call_reply(call, &answer);
}

/* Does this node hold what the leader has committed? */
static bool is_caught_up(struct raftd *raftd)
{
	struct link_peer *leader = link_find_id(&raftd->link, store_status(&raftd->store).leader);

	return raftd->is_initialised && leader && leader->commit > 0 &&
	       raftd->store.machine.applied >= leader->commit;
}

static void on_look(struct jaco_timer *timer, void *ctx)
{
	struct joining *joining = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	if (is_caught_up(joining->raftd)) {
		joining_done(joining);
		return;
	}
	if (jaco_time_before(joining->give_up, jaco_loop_now(timer->loop))) {
		jaco_err_set(&err, JACO_TIMEOUT,
			     "this node is a member but has not caught up yet; jaco cluster status "
			     "shows when");
		joining_fail(joining, &err);
		return;
	}
	jaco_timer_arm(timer, LOOK_MS);
}

static int write_file(struct raftd *raftd, const char *name, const void *data, size_t n,
		      struct jaco_err *err)
{
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/%s", raftd->dir, name);
	return jaco_fs_replace(path, data, n, 0600, err);
}

/* The raft group last: until it is there, this node belongs to no cluster. */
static int settle_in(struct joining *joining, const struct wire_raft_joined *joined,
		     struct jaco_err *err)
{
	struct raftd *raftd = joining->raftd;
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_INIT;
	struct wire_raft_peers peers = {.has = 0};
	char fingerprint[IDENTITY_FINGERPRINT_TEXT];

	peers.peers.v = joined->peers.v;
	peers.peers.n = joined->peers.n;
	if (identity_fingerprint(joined->ca_cert, fingerprint, err) < 0 ||
	    identity_verify(joined->ca_cert, joined->node_cert, err) < 0)
		return jaco_err_wrap(err, "the answer to the join");
	if (strcmp(fingerprint, joining->token.ca_fingerprint) != 0 ||
	    joined->seal_key.n != sizeof(raftd->seal_key))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the answer to the join is not of the token's cluster");
	if (jaco_pack(&packed, &wire_raft_peers_desc, &peers, err) < 0 ||
	    write_file(raftd, "ca.crt", joined->ca_cert, strlen(joined->ca_cert), err) < 0 ||
	    write_file(raftd, "node.crt", joined->node_cert, strlen(joined->node_cert), err) < 0 ||
	    write_file(raftd, "node.key", joining->request.key, strlen(joining->request.key), err) <
		    0 ||
	    write_file(raftd, "seal.key", joined->seal_key.data, joined->seal_key.n, err) < 0 ||
	    write_file(raftd, "peers", packed.data, packed.n, err) < 0 ||
	    (store_exists(raftd->dir) && removed_set_aside(raftd, err) < 0) ||
	    store_create(raftd->dir, joined->raft_id, false, err) < 0)
		return -(int)err->code;
	(void)jaco_str_copy(joining->name, sizeof(joining->name), joined->name);
	return raftd_open_store(raftd, err) < 0 ? -(int)err->code : link_start(&raftd->link, err);
}

static void try_next(struct joining *joining);

static void on_joined(void *ctx, const void *out, const struct jaco_err *err)
{
	struct joining *joining = ctx;
	struct jaco_err failed = *err;

	link_join_cancel(joining->asking); /* one question is all; we only listened for its answer */
	joining->asking = NULL;
	if (out && settle_in(joining, out, &failed) >= 0) {
		jaco_log_notice("this node is a member", KV_STR(host, joining->raftd->host));
		joining->is_member = true;
		jaco_timer_arm(&joining->look, 0);
		return;
	}
	if (!out && failed.code == JACO_UNAVAILABLE && ++joining->at < joining->token.n_addresses) {
		jaco_timer_arm(&joining->look, 0);
		return;
	}
	joining_fail(joining, &failed);
}

static void on_step(struct jaco_timer *timer, void *ctx)
{
	struct joining *joining = ctx;

	if (joining->is_member)
		on_look(timer, ctx);
	else
		try_next(joining);
}

static void try_next(struct joining *joining)
{
	struct jaco_err err = JACO_ERR_INIT;

	for (; joining->at < joining->token.n_addresses; joining->at++) {
		joining->asking = link_join(&joining->raftd->link,
					    joining->token.addresses[joining->at],
					    joining->token.ca_fingerprint, &joining->msg, on_joined,
					    joining, &err);
		if (joining->asking)
			return;
	}
	err.code = JACO_UNAVAILABLE;
	joining_fail(joining, &err);
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	struct joining *joining = ctx;

	(void)call;
	joining->call = NULL;
}

static void fill_request(struct joining *joining)
{
	struct raftd *raftd = joining->raftd;

	joining->msg = (struct wire_raft_join){
		.host = raftd->host,
		.secret = joining->token.secret,
		.request = joining->request.cert,
		.clock = (uint64_t)jaco_time_wall_ms(),
		.version = JACO_VERSION,
		.peer_addr = raftd->peer_addr,
		.api_addr = raftd->api_addr[0] ? raftd->api_addr : NULL,
		.cpus = (uint32_t)get_nprocs(),
		.memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGE_SIZE)};
	if (uname(&joining->uts) == 0)
		joining->msg.arch = api_arch_name(joining->uts.machine);
}

int raftd_on_node_join(struct raftd *raftd, struct jaco_call *call, const struct wire_node_join *req,
		       struct jaco_err *err)
{
	struct joining *joining;
	struct join_token token;

	if (!raftd->removed[0] && (raftd->is_initialised || store_exists(raftd->dir)))
		return jaco_err_set(err, JACO_CLUSTER_ALREADY_INITIALIZED,
				    "this node belongs to cluster %s already",
				    raftd->cluster_id[0] ? raftd->cluster_id : "(joining)");
	if (raftd->joining)
		return jaco_err_set(err, JACO_CONFLICT, "a join is under way");
	if (!raftd->peer_addr[0])
		return jaco_err_set(err, JACO_UNAVAILABLE,
				    "this node does not listen for peers: see cluster_addr");
	if (join_token_parse(req->token, &token, err) < 0)
		return -(int)err->code;
	joining = jaco_alloc(sizeof(*joining));
	*joining = (struct joining){.raftd = raftd, .call = call, .token = token};
	jaco_wipe(&token, sizeof(token));
	jaco_timer_init(&raftd->daemon->loop, &joining->look, on_step, joining);
	joining->give_up = jaco_time_add_ms(jaco_loop_now(&raftd->daemon->loop), CATCH_UP_MS);
	if (identity_make_request(raftd->host, &joining->request, err) < 0) {
		joining->call = NULL;
		joining_free(joining);
		return -(int)err->code;
	}
	raftd->joining = joining;
	fill_request(joining);
	jaco_call_on_cancel(call, on_cancel, joining);
	jaco_timer_arm(&joining->look, 0);
	return 0;
}

void join_fini(struct raftd *raftd)
{
	if (raftd->joining)
		joining_free(raftd->joining);
}
