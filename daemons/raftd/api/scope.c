/* SPDX-License-Identifier: Apache-2.0
 *
 * scope.c - one rule per kind of request; what no rule allows is denied. */
#include "daemons/raftd/api/scope.h"

#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/redact.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"

#define REVISIONS "/revision/"
#define ROUTES    "/route/"

static int denied(const struct jaco_call *call, struct jaco_err *err, const char *what)
{
	return jaco_err_set(err, JACO_PERMISSION_DENIED, "the token of %s may not %s",
			    call->identity, what);
}

static bool is_in_scope(const struct jaco_call *call, const char *deployment, size_t n)
{
	for (size_t i = 0; i < call->scope->n; i++)
		if (strlen(call->scope->v[i]) == n &&
		    memcmp(call->scope->v[i], deployment, n) == 0)
			return true;
	return false;
}

int scope_check(const struct jaco_call *call, const char *deployment, struct jaco_err *err)
{
	if (!call->scope || is_in_scope(call, deployment, strlen(deployment)))
		return 0;
	return jaco_err_set(err, JACO_PERMISSION_DENIED,
			    "the token of %s is not for deployment %s", call->identity, deployment);
}

/* Does the route belong to somebody else? */
static bool is_foreign(const struct jaco_call *call, const struct wire_entry *entry,
		       struct jaco_arena *arena)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_route route;

	if (!call->scope)
		return false;
	return jaco_unpack(&wire_route_desc, entry->value.data, entry->value.n, arena, &route,
			   &err) < 0 ||
	       !is_in_scope(call, route.deployment, strlen(route.deployment));
}

void scope_veil(const struct jaco_call *call, struct wire_entry *entry, struct jaco_arena *arena)
{
	bool is_revision = jaco_str_starts(entry->key, REVISIONS);
	bool is_route = jaco_str_starts(entry->key, ROUTES);
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_BOUND(JACO_VALUE_MAX);
	struct jaco_err err = JACO_ERR_INIT;
	int rc;

	if ((!call->read_only && !call->scope) || (!is_revision && !is_route) || !entry->value.data)
		return;
	if (!call->read_only && (is_revision || !is_foreign(call, entry, arena)))
		return;
	rc = (is_revision ? redact_revision : redact_route)(entry->value.data, entry->value.n,
							    arena, &out, &err);
	if (rc < 0) /* nothing rather than too much */
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "a value is hidden whole", &err,
				 KV_STR(key, entry->key));
	entry->value = (struct wire_bin){jaco_arena_memdup(arena, rc < 0 ? "" : out.data,
							   rc < 0 ? 0 : out.n),
					 rc < 0 ? 0 : out.n};
}

/* The text field @name of a request; NULL when there is none or it is absent. */
static const char *text_of(const struct jaco_method *method, const void *req, const char *name)
{
	for (size_t i = 0; i < method->in->n_fields; i++) {
		const struct jaco_field *field = &method->in->fields[i];
		const char *value;

		if (field->kind != JACO_KIND_STR || strcmp(field->name, name) != 0)
			continue;
		memcpy(&value, (const char *)req + field->offset, sizeof(value));
		return value;
	}
	return NULL;
}

/* --- reading keys --- */

static int check_key(const struct jaco_call *call, const char *key, struct jaco_err *err)
{
	const char *deployment = key + sizeof(REVISIONS) - 1;

	if (!jaco_str_starts(key, REVISIONS))
		return jaco_str_starts(REVISIONS, key) ? denied(call, err, "read all revisions")
						       : 0;
	if (!call->scope)
		return 0;
	if (!strchr(deployment, '/'))
		return denied(call, err, "read all revisions");
	return is_in_scope(call, deployment, strcspn(deployment, "/"))
		       ? 0
		       : denied(call, err, "read revisions of other deployments");
}

static int check_watch(const struct jaco_call *call, const struct wire_watch *req,
		       struct jaco_err *err)
{
	for (size_t i = 0; i < req->prefixes.n; i++) {
		if (check_key(call, req->prefixes.v[i], err) < 0)
			return -(int)err->code;
		/* one by one and without their values they may be had */
		if (call->read_only && jaco_str_starts(req->prefixes.v[i], REVISIONS))
			return denied(call, err, "watch revisions");
	}
	return 0;
}

/* --- logs --- */

/* Does one of its deployments have that replica? */
static int check_replica(struct raftd *raftd, const struct jaco_call *call, const char *id,
			 struct jaco_err *err)
{
	for (size_t i = 0; i < call->scope->n; i++) {
		const char *prefix =
			jaco_arena_printf(call->arena, "/replica/%s/", call->scope->v[i]);
		char key[JACO_KEY_MAX + 1] = "";
		struct wire_replica replica;

		while (api_next(raftd, prefix, key, &wire_replica_desc, call->arena, &replica, NULL,
				err) > 0)
			if (strcmp(replica.id, id) == 0)
				return 0;
	}
	return jaco_err_set(err, JACO_PERMISSION_DENIED,
			    "the token of %s is not for the deployment of replica %s",
			    call->identity, id);
}

/* --- the rules --- */

static int check_reading(const struct jaco_call *call, const struct jaco_method *method,
			 const void *req, struct jaco_err *err)
{
	if (method == &wire_raftd_kv_get)
		return check_key(call, ((const struct wire_get *)req)->key, err);
	if (method == &wire_raftd_kv_range)
		return check_key(call, ((const struct wire_range *)req)->prefix, err);
	if (method == &wire_raftd_kv_watch)
		return check_watch(call, req, err);
	return 0;
}

/* Requests that name what they are about may only name what is in scope. */
static int check_naming(struct raftd *raftd, const struct jaco_call *call,
			const struct jaco_method *method, const void *req, struct jaco_err *err)
{
	const char *deployment = text_of(method, req, "deployment");
	const char *replica = text_of(method, req, "replica");

	if (deployment && scope_check(call, deployment, err) < 0)
		return -(int)err->code;
	if (replica && check_replica(raftd, call, replica, err) < 0)
		return -(int)err->code;
	if (deployment || replica || method == &wire_raftd_deploy_apply) /* it checks by itself */
		return 0;
	if (!(method->flags & METHOD_READ) || method == &wire_runtimed_logs_stream)
		return denied(call, err, "do this: it is not about one of its deployments");
	return 0;
}

static bool is_reading(const struct jaco_method *method, const void *req)
{
	if (method == &wire_raftd_deploy_apply)
		return ((const struct wire_apply *)req)->dry_run;
	return method->flags & METHOD_READ;
}

static int check(struct raftd *raftd, struct jaco_call *call, const struct jaco_method *method,
		 const void *req, struct jaco_err *err)
{
	if (call->read_only && !is_reading(method, req))
		return denied(call, err, "change anything: it only reads");
	if (check_reading(call, method, req, err) < 0)
		return -(int)err->code;
	return call->scope ? check_naming(raftd, call, method, req, err) : 0;
}

/* A call passed on to a daemon by name is what it carries. */
static int check_carried(struct raftd *raftd, struct jaco_call *call,
			 const struct wire_daemon_call *req, struct jaco_err *err)
{
	const struct jaco_method *method = jaco_method_find(req->method);
	void *carried;

	if (!method)
		return 0; /* the relay says so */
	carried = jaco_arena_alloc(call->arena, method->in->size);
	if (jaco_unpack(method->in, req->params.data, req->params.n, call->arena, carried, err) < 0)
		return -(int)err->code;
	return check(raftd, call, method, carried, err);
}

int scope_admit(void *ctx, struct jaco_call *call, const struct jaco_method *method,
		const void *req, struct jaco_err *err)
{
	if (!call->read_only && !call->scope)
		return 0;
	if (method == &wire_raftd_daemon_call)
		return check_carried(ctx, call, req, err);
	return check(ctx, call, method, req, err);
}
