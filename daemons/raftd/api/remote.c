/* SPDX-License-Identifier: Apache-2.0
 *
 * remote.c - listens, admits, reviews. */
#include "daemons/raftd/api/remote.h"

#include <string.h>
#include <sys/stat.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/token.h"
#include "daemons/raftd/link/face.h"
#include "daemons/raftd/link/identity.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"
#include "libjaco/wire/tls.h"

#define REVIEW_MS  1000 /* tokens expire, certificates are renewed */
#define FAILURE_MS 1000 /* how long a wrong token waits for its answer */

/* --- the certificate --- */

static int read_pem(struct raftd *raftd, const char *name, struct jaco_buf *out,
		    struct jaco_err *err)
{
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/%s", raftd->dir, name);
	return jaco_fs_read(path, IDENTITY_PEM_MAX - 1, out, err);
}

static int load_context(struct raftd *raftd, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf ca = JACO_BUF_INIT, cert = JACO_BUF_INIT,
					    key = JACO_BUF_SECRET(0);
	struct ssl_ctx_st *context;
	int rc = 0;

	if (read_pem(raftd, "ca.crt", &ca, err) < 0 ||
	    read_pem(raftd, "node.crt", &cert, err) < 0 ||
	    read_pem(raftd, "node.key", &key, err) < 0)
		rc = -(int)err->code;
	else
		rc = jaco_tls_server_context(jaco_buf_str(&cert), jaco_buf_str(&key),
					     jaco_buf_str(&ca), &context, err);
	if (rc < 0)
		return rc;
	jaco_tls_context_free(raftd->remote.context);
	raftd->remote.context = context;
	return 0;
}

/* A certificate that was renewed is a new file. */
static void follow_certificate(struct raftd *raftd)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct stat now;
	char path[640];

	if (raftd->removed[0]) { /* whoever connects is turned away before it says a word */
		jaco_tls_context_free(raftd->remote.context);
		raftd->remote.context = NULL;
		return;
	}
	(void)jaco_str_format(path, sizeof(path), "%s/node.crt", raftd->dir);
	if (!raftd->is_initialised || stat(path, &now) < 0 ||
	    (raftd->remote.context && now.st_ino == raftd->remote.certificate_ino &&
	     now.st_mtim.tv_sec == raftd->remote.certificate_time))
		return;
	raftd->remote.certificate_ino = now.st_ino;
	raftd->remote.certificate_time = now.st_mtim.tv_sec;
	if (load_context(raftd, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "remote command lines cannot connect", &err);
}

/* --- tokens --- */

static const char *key_of(struct jaco_arena *arena, const char *identity)
{
	return jaco_arena_printf(arena, "/token/%s", identity);
}

static int check_member(const struct raftd *raftd, struct jaco_err *err)
{
	return raftd->removed[0] ? jaco_err_set(err, JACO_UNAVAILABLE, "%s", raftd->removed) : 0;
}

/* The token that a connection was admitted with, as it is now. */
static int look_up(struct raftd *raftd, const char *identity, const char *hash,
		   struct jaco_arena *arena, struct wire_token *out_token, struct jaco_err *err)
{
	int rc;

	if (check_member(raftd, err) < 0)
		return -(int)err->code;
	rc = api_get(raftd, key_of(arena, identity), &wire_token_desc, arena, out_token, NULL, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || strcmp(out_token->hash, hash) != 0) /* issued anew under that name */
		return jaco_err_set(err, JACO_TOKEN_REVOKED, "the token of %s was revoked",
				    identity);
	return token_is_valid(out_token, err);
}

uint64_t remote_token_revision(struct raftd *raftd, struct jaco_call *call)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_token token;
	uint64_t revision = 0;

	(void)api_get(raftd, key_of(call->arena, call->identity), &wire_token_desc, call->arena,
		      &token, &revision, &err);
	return revision;
}

uint64_t remote_token_end(struct raftd *raftd, struct jaco_call *call)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_token token;

	if (!call->is_remote)
		return UINT64_MAX;
	/* revoked and gone meanwhile: the compare of the write says so */
	if (api_get(raftd, key_of(call->arena, call->identity), &wire_token_desc, call->arena,
		    &token, NULL, &err) <= 0)
		return 0;
	return token.expires ? token.expires : UINT64_MAX;
}

int remote_check_expiry(struct raftd *raftd, struct jaco_call *call, uint64_t expires,
			struct jaco_err *err)
{
	uint64_t end = remote_token_end(raftd, call);
	char when[JACO_RFC3339_BYTES];

	if (end == UINT64_MAX || (expires != 0 && expires <= end))
		return 0;
	jaco_rfc3339_render(when, (int64_t)end);
	return jaco_err_set(err, JACO_PERMISSION_DENIED,
			    "the token of %s ends at %s, and what it gives away ends no later: "
			    "choose a shorter ttl", call->identity, when);
}

int remote_authorize(struct raftd *raftd, struct jaco_call *call, struct jaco_err *err)
{
	struct wire_token *token = jaco_arena_alloc(call->arena, sizeof(*token));

	if (call->is_stranger)
		return call->method == &wire_raftd_auth
			       ? check_member(raftd, err)
			       : jaco_err_set(err, JACO_TOKEN_INVALID,
					      "say who you are first: call auth with a token");
	if (look_up(raftd, call->identity, call->proof, call->arena, token, err) < 0)
		return -(int)err->code;
	call->read_only = token->read_only;
	call->allow_privileged = token->allow_privileged;
	if (token->deployments.n > 0)
		call->scope = &token->deployments;
	return 0;
}

static int check_again(void *ctx, const char *identity, const char *proof, struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_token token;

	return look_up(ctx, identity, proof, &arena, &token, err);
}

void remote_review(struct raftd *raftd)
{
	follow_certificate(raftd);
	if (raftd->is_initialised && raftd->daemon->has_server)
		jaco_server_review(&raftd->daemon->server, check_again, raftd);
}

static void on_review(struct jaco_timer *timer, void *ctx)
{
	jaco_timer_arm(timer, REVIEW_MS);
	remote_review(ctx);
}

/* --- saying who one is --- */

struct failure {
	struct jaco_call *call;
	struct jaco_timer timer;
	struct jaco_err err;
};

static void on_failure_due(struct jaco_timer *timer, void *ctx)
{
	struct failure *failure = ctx;

	jaco_timer_fini(timer);
	jaco_call_on_cancel(failure->call, NULL, NULL);
	jaco_call_dismiss(failure->call, &failure->err);
}

static void on_failure_cancel(struct jaco_call *call, void *ctx)
{
	struct failure *failure = ctx;

	(void)call;
	jaco_timer_fini(&failure->timer);
}

/* The answer is late, so that guessing and trying out stolen lists is slow. */
static void fail_late(struct raftd *raftd, struct jaco_call *call, const struct jaco_err *err)
{
	struct failure *failure = jaco_arena_alloc(call->arena, sizeof(*failure));

	raftd->remote.n_failures++;
	JACO_LOG_FAILURE(JACO_LOG_WARNING, "a token is refused", err,
			 KV_STR(identity, call->identity));
	failure->call = call;
	failure->err = *err;
	jaco_timer_init(&raftd->daemon->loop, &failure->timer, on_failure_due, failure);
	jaco_call_on_cancel(call, on_failure_cancel, failure);
	jaco_timer_arm(&failure->timer, FAILURE_MS);
}

/* The plaintext is in the request and in the bytes it came in; neither outlives this. */
static void forget_secret(struct jaco_call *call, const struct wire_auth *req)
{
	jaco_wipe((char *)(uintptr_t)req->token, strlen(req->token));
	jaco_wipe((void *)(uintptr_t)call->raw_params, call->raw_params_bytes);
}

int raftd_on_auth(struct raftd *raftd, struct jaco_call *call, const struct wire_auth *req,
		  struct jaco_err *err)
{
	struct wire_authed answer = {.host = raftd->host, .cluster_id = raftd->cluster_id,
				     .version = JACO_VERSION};
	struct jaco_err refused = JACO_ERR_INIT;
	struct wire_token token;
	int rc;

	if (!call->is_stranger)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "this connection is %s's already", call->identity);
	rc = token_check(raftd, req->token, call->arena, &token, &refused);
	forget_secret(call, req);
	if (rc < 0) {
		fail_late(raftd, call, &refused);
		return 0;
	}
	if (jaco_call_admit(call, token.identity, token.hash, err) < 0)
		return -(int)err->code;
	answer.identity = token.identity;
	answer.read_only = token.read_only;
	answer.deployments = token.deployments;
	jaco_call_reply(call, &answer);
	return 0;
}

/* --- listening --- */

static int listen_here(struct raftd *raftd, struct jaco_err *err)
{
	const char *text = raftd->daemon->config.listen_addr;
	struct jaco_addr addr;
	int fd;

	if (face_resolve("listen_addr", text, &addr, err) < 0)
		return -(int)err->code;
	fd = jaco_sock_listen_tcp(&addr, 0, err);
	if (fd < 0)
		return jaco_err_wrap(err, "listen_addr %s", text);
	jaco_addr_render(raftd->api_addr, &addr);
	jaco_server_listen_tls(&raftd->daemon->server, fd, ROLE_ADMIN, &raftd->remote.context);
	return 0;
}

int remote_open(struct raftd *raftd, struct jaco_err *err)
{
	jaco_timer_init(&raftd->daemon->loop, &raftd->remote.review, on_review, raftd);
	if (listen_here(raftd, err) < 0) {
		/* several raftd below directories of their own share a machine: see link_open() */
		if (!raftd->daemon->root[0] ||
		    !jaco_str_starts(raftd->daemon->config.listen_addr, "0.0.0.0:"))
			return -(int)err->code;
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "no remote command line can reach this node",
				 err);
		return 0;
	}
	jaco_timer_arm(&raftd->remote.review, 0);
	return 0;
}

void remote_close(struct raftd *raftd)
{
	jaco_timer_fini(&raftd->remote.review);
	jaco_tls_context_free(raftd->remote.context);
	raftd->remote.context = NULL;
}
