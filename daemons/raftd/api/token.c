/* SPDX-License-Identifier: Apache-2.0
 *
 * token.c - operator tokens: 256 random bits shown once, stored as SHA-256, compared in constant
 * time, revoked by one commit.  A revoked one stays, without its rights, so that its refusal can
 * say why. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/remote.h"
#include "daemons/raftd/api/token.h"
#include "libjaco/base/digest.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/model/name.h"

#define TOKEN_BYTES 32
#define TOKENS_MAX  1024
#define TTL_MAX_MS  (100ull * 365 * 24 * 3600 * 1000)
#define AUDIT_BYTES (64 * (JACO_DEPLOYMENT_MAX + 1)) /* as many deployments as a token names */

static const char *token_key(struct jaco_call *call, const char *identity)
{
	return jaco_arena_printf(call->arena, "/token/%s", identity);
}

struct issued {
	const char *identity;
	char text[2 * TOKEN_BYTES + 1];
};

static void on_issued(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx)
{
	struct issued *issued = ctx;
	struct wire_token_issued answer = {.identity = issued->identity, .token = issued->text};

	(void)raftd;
	(void)revision;
	jaco_call_reply(call, &answer);
}

static bool is_identity(const char *text)
{
	size_t n =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@");

	return n > 0 && text[n] == '\0';
}

/* With the rights that were given. */
static void audit_issue(struct api_txn *txn, const struct jaco_call *call,
			const struct wire_token *token)
{
	jaco_auto(jaco_buf) struct jaco_buf deployments = JACO_BUF_BOUND(AUDIT_BYTES);
	char when[JACO_RFC3339_BYTES];
	const char *pairs[13] = {"identity", token->identity};
	size_t n = 2;

	for (size_t i = 0; i < token->deployments.n; i++)
		jaco_buf_printf(&deployments, "%s%s", i ? "," : "", token->deployments.v[i]);
	if (token->read_only) {
		pairs[n++] = "read_only";
		pairs[n++] = "true";
	}
	if (token->allow_privileged) {
		pairs[n++] = "allow_privileged";
		pairs[n++] = "true";
	}
	if (token->deployments.n > 0) {
		pairs[n++] = "deployments";
		pairs[n++] = jaco_arena_strdup(txn->arena, jaco_buf_str(&deployments));
	}
	if (deployments.overflow) {
		pairs[n++] = "incomplete";
		pairs[n++] = "true";
	}
	if (token->expires) {
		jaco_rfc3339_render(when, (int64_t)token->expires);
		pairs[n++] = "expires";
		pairs[n++] = when;
	}
	api_audit(txn, JACO_AUDIT_TOKEN_ISSUE, call->identity, pairs);
}

int raftd_on_token_issue(struct raftd *raftd, struct jaco_call *call,
			 const struct wire_token_issue *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct issued *issued = jaco_arena_alloc(call->arena, sizeof(*issued));
	char hash[JACO_SHA256_TEXT_BYTES];
	uint8_t secret[TOKEN_BYTES];
	uint64_t revision = 0, now = (uint64_t)jaco_time_wall_ms();
	struct wire_token old, token = {.identity = req->identity,
					.hash = hash,
					.created = now,
					.expires = req->ttl_ms ? now + req->ttl_ms : 0,
					.created_by = call->identity,
					.allow_privileged = req->allow_privileged,
					.read_only = req->read_only,
					.deployments = req->deployments};
	int rc;

	if (!is_identity(req->identity))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "identity: letters, digits and . _ - @ are allowed");
	for (size_t i = 0; i < req->deployments.n; i++)
		if (jaco_name_check_deployment(req->deployments.v[i], err) < 0)
			return -(int)err->code;
	if (req->ttl_ms > TTL_MAX_MS)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "ttl: at most 100 years");
	if (req->allow_privileged && !call->allow_privileged)
		return jaco_err_set(err, JACO_PERMISSION_DENIED,
				    "%s may not give a right that it does not have",
				    call->identity);
	if (remote_check_expiry(raftd, call, token.expires, err) < 0)
		return -(int)err->code;
	rc = api_get(raftd, token_key(call, req->identity), &wire_token_desc, call->arena, &old,
		     &revision, err);
	if (rc < 0)
		return rc;
	if (rc > 0 && !old.revoked && (old.expires == 0 || old.expires > now))
		return jaco_err_set(err, JACO_CONFLICT, "a token for %s exists: revoke it first",
				    req->identity);
	jaco_random_bytes(secret, sizeof(secret));
	jaco_hex_encode(issued->text, secret, sizeof(secret));
	jaco_wipe(secret, sizeof(secret));
	jaco_sha256_text(issued->text, strlen(issued->text), hash);
	issued->identity = req->identity;
	api_compare(&txn, token_key(call, req->identity), revision);
	api_put(&txn, token_key(call, req->identity), &wire_token_desc, &token);
	audit_issue(&txn, call, &token);
	return api_commit(&txn, call, NULL, NULL, on_issued, issued, err);
}

static int revoke_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_token_revoke(self, call, req, err);
}

int raftd_on_token_revoke(struct raftd *raftd, struct jaco_call *call,
			  const struct wire_token_ref *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct wire_token token;
	uint64_t revision;
	int rc = api_get(raftd, token_key(call, req->identity), &wire_token_desc, call->arena,
			 &token, &revision, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return jaco_err_set(err, JACO_TOKEN_INVALID, "there is no token for %s",
				    req->identity);
	if (token.revoked) {
		api_reply_changed(raftd, call, revision, NULL);
		return 0;
	}
	token.revoked = true;
	JACO_SET(&token, token, revoked, true);
	api_compare(&txn, token_key(call, req->identity), revision);
	api_put(&txn, token_key(call, req->identity), &wire_token_desc, &token);
	api_audit(&txn, JACO_AUDIT_TOKEN_REVOKE, call->identity,
		  (const char *const[]){"identity", req->identity, NULL});
	return api_commit(&txn, call, revoke_again, req, api_reply_changed, NULL, err);
}

int raftd_on_token_list(struct raftd *raftd, struct jaco_call *call, const struct wire_nothing *req,
			struct jaco_err *err)
{
	struct wire_token_list list = {.has = 0};
	char key[JACO_KEY_MAX + 1] = "";
	int rc = 0;

	(void)req;
	list.tokens.v = jaco_arena_alloc_n(call->arena, TOKENS_MAX, sizeof(*list.tokens.v));
	while (list.tokens.n < TOKENS_MAX &&
	       (rc = api_next(raftd, "/token/", key, &wire_token_desc, call->arena,
			      &list.tokens.v[list.tokens.n], NULL, err)) > 0)
		list.tokens.v[list.tokens.n++].hash = "";
	if (rc < 0)
		return rc;
	jaco_call_reply(call, &list);
	return 0;
}

int token_is_valid(const struct wire_token *token, struct jaco_err *err)
{
	if (token->revoked)
		return jaco_err_set(err, JACO_TOKEN_REVOKED, "the token of %s was revoked",
				    token->identity);
	if (token->expires != 0 && token->expires <= (uint64_t)jaco_time_wall_ms())
		return jaco_err_set(err, JACO_TOKEN_EXPIRED, "the token of %s has expired",
				    token->identity);
	return 0;
}

int token_check(struct raftd *raftd, const char *plaintext, struct jaco_arena *arena,
		struct wire_token *out_token, struct jaco_err *err)
{
	char hash[JACO_SHA256_TEXT_BYTES], key[JACO_KEY_MAX + 1] = "";
	struct wire_token token;
	bool is_found = false;
	int rc;

	jaco_sha256_text(plaintext, strlen(plaintext), hash);
	/* all of them are compared, so that time tells nothing about which */
	while ((rc = api_next(raftd, "/token/", key, &wire_token_desc, arena, &token, NULL, err)) >
	       0) {
		if (strlen(token.hash) == strlen(hash) &&
		    jaco_secret_eq(token.hash, hash, strlen(hash))) {
			*out_token = token;
			is_found = true;
		}
	}
	if (rc < 0)
		return rc;
	if (!is_found)
		return jaco_err_set(err, JACO_TOKEN_INVALID, "the token is not known");
	return token_is_valid(out_token, err);
}
