/* SPDX-License-Identifier: Apache-2.0
 *
 * join.c - becoming a member: ask the members a token names, keep what they answer, catch up.
 *
 * Until the answer is whole and the raft group is on disk, this node belongs to no cluster. */
#include "daemons/raftd/api/join.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/join_token.h"
#include "daemons/raftd/removed.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"

#define CATCH_UP_MS 25000
#define LOOK_MS     50

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
	JACO_SET(&peers, raft_peers, revision, joined->revision);
	if (identity_fingerprint(joined->ca_cert, fingerprint, err) < 0 ||
	    identity_verify(joined->ca_cert, joined->node_cert, err) < 0)
		return jaco_err_wrap(err, "the answer to the join");
	if (strcmp(fingerprint, joining->token.ca_fingerprint) != 0 ||
	    joined->seal_key.n != sizeof(raftd->seal_key))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the answer to the join is not of the token's cluster");
	if (jaco_pack(&packed, &wire_raft_peers_desc, &peers, err) < 0 ||
	    identity_save(raftd->dir, joined->ca_cert, joined->node_cert, joining->request.key,
			  err) < 0 ||
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

	link_join_cancel(
		joining->asking); /* one question is all; we only listened for its answer */
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

	joining->msg =
		(struct wire_raft_join){.host = raftd->host,
					.secret = joining->token.secret,
					.request = joining->request.cert,
					.clock = (uint64_t)jaco_time_wall_ms(),
					.version = JACO_VERSION,
					.peer_addr = raftd->peer_addr,
					.api_addr = raftd->api_addr[0] ? raftd->api_addr : NULL,
					.cpus = (uint32_t)get_nprocs(),
					.memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) *
							(uint64_t)sysconf(_SC_PAGE_SIZE)};
	if (uname(&joining->uts) == 0)
		joining->msg.arch = api_arch_name(joining->uts.machine);
}

/* The opaque one, or its parts. */
static int read_token(const struct wire_node_join *req, struct join_token *out_token,
		      struct jaco_err *err)
{
	char fingerprint[IDENTITY_FINGERPRINT_TEXT];

	if (req->token && !req->peer && !req->secret && !req->ca_cert)
		return join_token_parse(req->token, out_token, err);
	if (req->token || !req->peer || !req->secret || !req->ca_cert)
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"either the token that jaco node issue-join-token printed, or peer, "
			"token and CA certificate");
	if (identity_fingerprint(req->ca_cert, fingerprint, err) < 0)
		return jaco_err_wrap(err, "the CA certificate");
	return join_token_compose(fingerprint, req->secret, req->peer, out_token, err);
}

int raftd_on_node_join(struct raftd *raftd, struct jaco_call *call,
		       const struct wire_node_join *req, struct jaco_err *err)
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
	if (read_token(req, &token, err) < 0) {
		jaco_wipe(&token, sizeof(token));
		return -(int)err->code;
	}
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
