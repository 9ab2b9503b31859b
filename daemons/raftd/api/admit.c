/* SPDX-License-Identifier: Apache-2.0
 *
 * admit.c - join tokens, and admitting a stranger, on any member.
 *
 * A member checks token, version, clock and name, signs, and proposes one transaction: the node's
 * record and the token used, on condition that neither changed.  Raft's own membership follows
 * (member.c).  The number in raft is the revision at which the token was issued: unique and never
 * used again. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/ca.h"
#include "daemons/raftd/api/join.h"
#include "daemons/raftd/api/join_token.h"
#include "daemons/raftd/api/remote.h"
#include "libjaco/base/digest.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/sock.h"
#include "libjaco/model/name.h"

#define TTL_MS     (24 * 3600 * 1000ll)
#define TTL_MAX_MS (30 * TTL_MS)

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
	char secret[2 * JOIN_SECRET_BYTES + 1];
	const char *addresses[JOIN_ADDRESSES_MAX];
	struct wire_strs peers;
	uint64_t expires;
};

static void on_issued(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx)
{
	struct issued *issued = ctx;
	struct wire_join_token_issued answer = {.token = issued->text, .expires = issued->expires,
						.secret = issued->secret,
						.peers = issued->peers};

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
	uint64_t ttl = req->ttl_ms, left = remote_token_end(raftd, call);
	char hash[JACO_SHA256_TEXT_BYTES];
	uint8_t secret[JOIN_SECRET_BYTES];
	struct wire_cluster_meta meta;
	struct wire_jointoken record;

	if (!raftd->peer_addr[0])
		return jaco_err_set(err, JACO_UNAVAILABLE,
				    "this node does not listen for peers: see cluster_addr");
	left = left > now ? left - now : 0;
	if (ttl == 0)
		ttl = JACO_MIN((uint64_t)TTL_MS, left);
	if (ttl > (uint64_t)TTL_MAX_MS)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "ttl: at most 30 days");
	if (remote_check_expiry(raftd, call, now + ttl, err) < 0)
		return -(int)err->code;
	if (api_get(raftd, "/cluster/meta", &wire_cluster_meta_desc, call->arena, &meta, NULL,
		    err) <= 0 ||
	    identity_fingerprint(meta.ca_cert, token.ca_fingerprint, err) < 0)
		return -(int)(err->code ? err->code : JACO_CLUSTER_UNINITIALIZED);
	jaco_random_bytes(secret, sizeof(secret));
	jaco_hex_encode(token.secret, secret, sizeof(secret));
	jaco_sha256_text(token.secret, strlen(token.secret), hash);
	add_addresses(raftd, &token);
	join_token_render(&token, issued->text);
	memcpy(issued->secret, token.secret, sizeof(issued->secret));
	issued->peers = (struct wire_strs){.v = issued->addresses, .n = token.n_addresses};
	for (size_t i = 0; i < token.n_addresses; i++)
		issued->addresses[i] = jaco_arena_strdup(call->arena, token.addresses[i]);
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
	if (result)
		JACO_SET(&admission->joined, raft_joined, revision, result->revision);
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
	int64_t skew = jaco_time_skew_ms(msg->clock);
	struct jaco_addr addr;
	struct wire_node node;
	int rc;

	if (join_version_is_older(msg->version, JOIN_VERSION_OLDEST))
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"%s runs jaco %s, which is too old for this cluster: it takes %s "
			"or newer",
			msg->host, msg->version, JOIN_VERSION_OLDEST);
	if (skew > LINK_SKEW_MAX_MS || skew < -LINK_SKEW_MAX_MS)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the clock of %s is %lld s %s the cluster's: set the clocks "
				    "(chrony, systemd-timesyncd) and join again", msg->host,
				    (long long)(skew < 0 ? -skew : skew) / 1000,
				    skew < 0 ? "behind" : "ahead of");
	if (jaco_name_check_host(msg->host, err) < 0 ||
	    jaco_addr_parse(&addr, msg->peer_addr, 0, err) < 0 ||
	    (msg->api_addr && jaco_addr_parse(&addr, msg->api_addr, 0, err) < 0))
		return -(int)err->code;
	rc = api_get(raftd, jaco_arena_printf(arena, "/node/%s", msg->host), &wire_node_desc, arena,
		     &node, NULL, err);
	if (rc > 0)
		return jaco_err_set(
			err, JACO_NODE_ALREADY_MEMBER,
			"a member is called %s: jaco node remove %s first, or give this "
			"machine another node_name",
			msg->host, msg->host);
	return rc;
}

static int sign(struct admission *admission, const char *request, const char *host,
		struct jaco_err *err)
{
	struct raftd *raftd = admission->raftd;
	struct wire_raft_joined *joined = &admission->joined;
	jaco_auto(identity) struct identity ca = {.key = ""};
	char *cert = jaco_arena_alloc(&admission->arena, IDENTITY_PEM_MAX);
	struct wire_cluster_meta meta;

	if (ca_open(raftd, &admission->arena, &ca, &meta, err) < 0 ||
	    identity_sign(&ca, meta.id, host, request, cert, err) < 0)
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
						.fingerprint = node.key_fingerprint};
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
	struct identity_life life;
	uint64_t now = (uint64_t)jaco_time_wall_ms();
	struct wire_node node = {.host = msg->host,
				 .raft_id = revision,
				 .peer_addr = msg->peer_addr,
				 .api_addr = msg->api_addr,
				 .key_fingerprint = fingerprint,
				 .arch = msg->arch,
				 .cpus = msg->cpus,
				 .memory_bytes = msg->memory_bytes,
				 .joined = now,
				 .intent = JACO_NODE_INTENT_ACTIVE,
				 .version = msg->version};

	if (identity_key_fingerprint(admission->joined.node_cert, fingerprint, err) < 0 ||
	    identity_get_life(admission->joined.node_cert, &life, err) < 0)
		return -(int)err->code;
	JACO_SET(&node, node, cert_not_after, (uint64_t)life.not_after * 1000);
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
