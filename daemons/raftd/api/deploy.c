/* SPDX-License-Identifier: Apache-2.0
 *
 * deploy.c - admission: what a deployment is to be, checked against all others and written as one
 * transaction.
 *
 * The compares of that transaction name the deployment and every route and port it takes, so two
 * applies that race for one port cannot both win. */
#include <stdlib.h>
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/facts.h"
#include "daemons/raftd/api/foresee.h"
#include "daemons/raftd/api/plan_answer.h"
#include "daemons/raftd/api/scope.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/wire/finding.h"
#include "libjaco/wire/fits.h"
#include "libjaco/wire/records.h"

#define HISTORY_MAX     100
#define PLAN_DIGITS_MIN 12 /* of its hash: what jaco diff shows people */

struct apply {
	struct raftd *raftd;
	struct jaco_call *call;
	const struct wire_apply *req;
	struct jaco_findings findings;
	const struct jaco_manifest *manifest;
	struct wire_deployment old; /* when had_old */
	uint64_t old_revision;      /* of its key; 0 absent */
	bool had_old;
	struct wire_revision old_text;
	const struct jaco_manifest *old_manifest; /* NULL: none, or no longer readable */
	struct jaco_diff diff;
	char plan[JACO_HASH_MAX + 1];
	enum jaco_audit_type audit;
};

static const char *deployment_key(struct jaco_arena *arena, const char *name)
{
	return jaco_arena_printf(arena, "/deployment/%s", name);
}

static const char *revision_key(struct jaco_arena *arena, const char *name, uint64_t number)
{
	return jaco_arena_printf(arena, "/revision/%s/%llu", name, (unsigned long long)number);
}

static int read_deployment(struct raftd *raftd, struct jaco_call *call, const char *name,
			   struct wire_deployment *out, uint64_t *out_revision,
			   struct jaco_err *err)
{
	int rc = api_get(raftd, deployment_key(call->arena, name), &wire_deployment_desc,
			 call->arena, out, out_revision, err);

	if (rc == 0)
		return jaco_err_set(err, JACO_DEPLOYMENT_NOT_FOUND, "there is no deployment %s",
				    name);
	return rc;
}

/* --- the plan --- */

static void add_findings(const struct jaco_findings *findings, struct jaco_err *err)
{
	struct jaco_findings copy = *findings;
	size_t n = 0;

	for (size_t i = 0; i < findings->n; i++) {
		char key[24];

		if (findings->items[i].severity != JACO_SEVERITY_ERROR || ++n < 2)
			continue;
		(void)jaco_str_format(key, sizeof(key), "finding_%zu", n);
		jaco_err_detail(err, key, "%s: %s", jaco_code_name(findings->items[i].code),
				jaco_finding_text(&copy, &findings->items[i]));
	}
}

/* Who acts on some deployments only may not mount what belongs to another one. */
static int check_volumes(const struct apply *apply, struct jaco_err *err)
{
	const struct jaco_manifest *manifest = apply->manifest;
	const char *own = jaco_arena_printf(apply->call->arena, "jaco_%s_", manifest->deployment);

	for (size_t i = 0; apply->call->scope && i < manifest->n_volumes; i++) {
		const char *name = manifest->volumes[i].engine_name;

		if (jaco_str_starts(name, "jaco_") && !jaco_str_starts(name, own))
			return jaco_err_set(err, JACO_PERMISSION_DENIED,
					    "the token of %s is not for volume %s",
					    apply->call->identity, name);
	}
	return 0;
}

static int load(struct apply *apply, struct jaco_err *err)
{
	const struct wire_apply *req = apply->req;
	struct jaco_document jaco = {"jaco.yaml", req->jaco.data, req->jaco.n};
	struct jaco_document compose = {"compose.yaml", req->compose.data, req->compose.n};
	struct jaco_cluster_facts facts;

	apply->findings = JACO_FINDINGS_INIT(apply->call->arena);
	if (jaco_manifest_load(&jaco, &compose, &apply->findings, &apply->manifest, err) < 0) {
		add_findings(&apply->findings, err);
		return -(int)err->code;
	}
	if (scope_check(apply->call, apply->manifest->deployment, err) < 0 ||
	    check_volumes(apply, err) < 0 ||
	    facts_gather(apply->raftd, apply->call, apply->manifest->deployment, &facts, err) < 0)
		return -(int)err->code;
	if (jaco_manifest_admit(apply->manifest, &facts, &apply->findings, err) < 0 ||
	    jaco_fits_check(apply->manifest, &jaco, &compose, &apply->findings, err) < 0) {
		add_findings(&apply->findings, err);
		return -(int)err->code;
	}
	return 0;
}

/* The manifest that is in force.  One that an older version wrote and that can no longer be read
 * counts as absent: everything shows as added, nothing is refused because of it. */
static int load_old(struct apply *apply, struct jaco_err *err)
{
	struct jaco_arena *arena = apply->call->arena;
	const char *name = apply->manifest->deployment;
	struct jaco_findings ignored = JACO_FINDINGS_INIT(arena);
	struct jaco_err unreadable = JACO_ERR_INIT;
	int rc = api_get(apply->raftd, deployment_key(arena, name), &wire_deployment_desc, arena,
			 &apply->old, &apply->old_revision, err);

	if (rc <= 0)
		return rc;
	apply->had_old = true;
	rc = api_get(apply->raftd, revision_key(arena, name, apply->old.revision),
		     &wire_revision_desc, arena, &apply->old_text, NULL, err);
	if (rc > 0) {
		struct jaco_document jaco = {"jaco.yaml", apply->old_text.jaco.data,
					     apply->old_text.jaco.n};
		struct jaco_document compose = {"compose.yaml", apply->old_text.compose.data,
						apply->old_text.compose.n};

		(void)jaco_manifest_load(&jaco, &compose, &ignored, &apply->old_manifest,
					 &unreadable);
	}
	return rc < 0 ? rc : 0;
}

static bool is_same_text(const struct apply *apply)
{
	const struct wire_revision *old = &apply->old_text;
	const struct wire_apply *req = apply->req;

	return apply->had_old && old->jaco.n == req->jaco.n && old->compose.n == req->compose.n &&
	       memcmp(old->jaco.data, req->jaco.data, req->jaco.n) == 0 &&
	       memcmp(old->compose.data, req->compose.data, req->compose.n) == 0;
}

/* --- the transaction --- */

static const struct wire_service *find_service(const struct wire_deployment *deployment,
					       const char *name)
{
	for (size_t i = 0; i < deployment->services.n; i++)
		if (strcmp(deployment->services.v[i].name, name) == 0)
			return &deployment->services.v[i];
	return NULL;
}

/* `jaco scale` holds until an apply changes the number; restart counts go on. */
static void keep_overrides(const struct apply *apply, struct wire_deployment *deployment)
{
	for (size_t i = 0; i < deployment->services.n; i++) {
		struct wire_service *service = &deployment->services.v[i];
		const struct wire_service *old = find_service(&apply->old, service->name);
		const struct jaco_service *before =
			apply->old_manifest
				? jaco_manifest_service(apply->old_manifest, service->name)
				: NULL;

		if (!old)
			continue;
		service->restart_nonce = old->restart_nonce;
		if (old->scaled && before && before->replicas == service->replicas) {
			JACO_SET(service, service, replicas, old->replicas);
			service->scaled = true;
		}
	}
}

static void take_key(struct api_txn *txn, struct raftd *raftd, const char *key)
{
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t revision = 0;

	/* absent, or ours as admission has found */
	(void)machine_get(&raftd->store.machine, KV_TEXT(key), NULL, &revision, &err);
	api_compare(txn, key, revision);
}

/* Delete the routes and ports of @deployment whose keys are not in @keep. */
static int drop_keys(struct api_txn *txn, struct raftd *raftd, const char *deployment,
		     const char *const *keep, size_t n_keep, struct jaco_err *err)
{
	static const char *const prefixes[] = {"/route/", "/tcproute/"};

	for (size_t p = 0; p < JACO_ARRAY_SIZE(prefixes); p++) {
		char key[JACO_KEY_MAX + 1] = "";
		struct wire_route route;
		struct wire_tcproute port;
		int rc;

		while ((rc = api_next(raftd, prefixes[p], key,
				      p == 0 ? &wire_route_desc : &wire_tcproute_desc, txn->arena,
				      p == 0 ? (void *)&route : (void *)&port, NULL, err)) > 0) {
			bool is_kept = false;

			if (strcmp(p == 0 ? route.deployment : port.deployment, deployment) != 0)
				continue;
			for (size_t i = 0; i < n_keep && !is_kept; i++)
				is_kept = strcmp(keep[i], key) == 0;
			if (!is_kept)
				api_delete(txn, key);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int put_ingress(struct api_txn *txn, const struct apply *apply, uint64_t revision,
		       struct jaco_err *err)
{
	const struct jaco_manifest *manifest = apply->manifest;
	struct jaco_arena *arena = txn->arena;
	const char **keys = jaco_arena_alloc_n(
		arena, manifest->n_routes + manifest->n_published + 1, sizeof(*keys));
	size_t n = 0;

	for (size_t i = 0; i < manifest->n_routes; i++)
		keys[n++] = jaco_records_route_key(manifest->routes[i].domain,
						   manifest->routes[i].path, arena);
	for (size_t i = 0; i < manifest->n_published; i++)
		keys[n++] = jaco_records_tcproute_key(&manifest->published[i].port, arena);
	if (drop_keys(txn, apply->raftd, manifest->deployment, keys, n, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < n; i++)
		take_key(txn, apply->raftd, keys[i]);
	/* one address of a port: the port as a whole must not have gone to somebody meanwhile */
	for (size_t i = 0; i < manifest->n_published; i++)
		if (manifest->published[i].port.host_ip)
			take_key(txn, apply->raftd,
				 jaco_records_tcproute_prefix(manifest->published[i].port.proto,
							      manifest->published[i].port.published,
							      arena));
	for (size_t i = 0; i < manifest->n_routes; i++)
		api_put(txn, keys[i], &wire_route_desc,
			jaco_records_route(&manifest->routes[i], manifest->deployment, revision,
					   arena));
	for (size_t i = 0; i < manifest->n_published; i++)
		api_put(txn, keys[manifest->n_routes + i], &wire_tcproute_desc,
			jaco_records_tcproute(&manifest->published[i], manifest->deployment,
					      arena));
	return 0;
}

static void put_revision(struct api_txn *txn, const struct apply *apply, uint64_t number)
{
	const struct wire_apply *req = apply->req;
	const char *name = apply->manifest->deployment;
	uint64_t keep = (uint64_t)apply->raftd->daemon->config.revision_history;
	struct wire_revision revision = {.deployment = name,
					 .number = number,
					 .jaco = req->jaco,
					 .compose = req->compose,
					 .author = apply->call->identity,
					 .time = (uint64_t)jaco_time_wall_ms(),
					 .message = req->message};

	api_put(txn, revision_key(txn->arena, name, number), &wire_revision_desc, &revision);
	if (number > keep)
		api_delete(txn, revision_key(txn->arena, name, number - keep));
}

/* Names of services that needed the right to be privileged, for the audit record. */
static const char *gated_services(const struct apply *apply)
{
	jaco_auto(jaco_buf) struct jaco_buf names = JACO_BUF_BOUND(512);

	for (size_t i = 0; i < apply->manifest->n_services; i++)
		if (apply->manifest->services[i].n_gates > 0)
			jaco_buf_printf(&names, "%s%s", names.n ? "," : "",
					apply->manifest->services[i].name);
	return names.n ? jaco_arena_strdup(apply->call->arena, jaco_buf_str(&names)) : NULL;
}

static void put_audit(struct api_txn *txn, const struct apply *apply, uint64_t number)
{
	const char *pairs[9];
	const char *gated = gated_services(apply);
	size_t n = 0;

	pairs[n++] = "deployment";
	pairs[n++] = apply->manifest->deployment;
	pairs[n++] = "revision";
	pairs[n++] = jaco_arena_printf(txn->arena, "%llu", (unsigned long long)number);
	if (apply->req->message) {
		pairs[n++] = "message";
		pairs[n++] = apply->req->message;
	}
	if (gated) {
		pairs[n++] = "privileged_services";
		pairs[n++] = gated;
	}
	pairs[n] = NULL;
	api_audit(txn, apply->audit, apply->call->identity, pairs);
}

/* --- the answer --- */

static void on_applied(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx)
{
	struct wire_applied *answer = ctx;

	(void)raftd;
	jaco_log_notice("applied", KV_STR(deployment, answer->deployment),
			KV_STR(identity, call->identity), KV_INT(revision, answer->revision));
	answer->store_revision = revision;
	jaco_call_reply(call, answer);
}

static int commit(struct apply *apply, struct wire_applied *answer, jaco_handler *again,
		  const void *again_req, struct jaco_err *err)
{
	struct jaco_call *call = apply->call;
	struct api_txn txn = api_begin(apply->raftd, call);
	struct wire_deployment *deployment = jaco_records_deployment(apply->manifest, call->arena);
	const char *key = deployment_key(call->arena, apply->manifest->deployment);
	uint64_t now = (uint64_t)jaco_time_wall_ms();

	deployment->revision = apply->had_old ? apply->old.revision + 1 : 1;
	deployment->previous = apply->had_old ? apply->old.revision : 0;
	deployment->created = apply->had_old ? apply->old.created : now;
	deployment->updated = now;
	if (apply->had_old)
		keep_overrides(apply, deployment);
	answer->revision = deployment->revision;
	api_compare(&txn, key, apply->old_revision);
	api_put(&txn, key, &wire_deployment_desc, deployment);
	put_revision(&txn, apply, deployment->revision);
	if (put_ingress(&txn, apply, deployment->revision, err) < 0)
		return -(int)err->code;
	put_audit(&txn, apply, deployment->revision);
	api_request_id(&txn, call, apply->req->request_id);
	return api_commit(&txn, call, again, again_req, on_applied, answer, err);
}

static int run_apply(struct raftd *raftd, struct jaco_call *call, const struct wire_apply *req,
		     enum jaco_audit_type audit, jaco_handler *again, const void *again_req,
		     struct jaco_err *err)
{
	struct apply *apply = jaco_arena_alloc(call->arena, sizeof(*apply));
	struct wire_applied *answer = jaco_arena_alloc(call->arena, sizeof(*answer));

	*apply = (struct apply){.raftd = raftd, .call = call, .req = req, .audit = audit};
	if (load(apply, err) < 0 || load_old(apply, err) < 0 ||
	    foresee_apply(raftd, call, jaco_records_deployment(apply->manifest, call->arena), err) <
		    0)
		return -(int)err->code;
	apply->diff = jaco_manifest_diff(apply->old_manifest, apply->manifest, call->arena);
	jaco_plan_hash(apply->manifest, apply->had_old ? apply->old.revision : 0, apply->plan);
	if (req->plan && (strlen(req->plan) < PLAN_DIGITS_MIN ||
			  req->plan[strspn(req->plan, "0123456789abcdef")] != '\0'))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "%.64s is no plan: give the %d or more digits that jaco diff "
				    "shows",
				    req->plan, PLAN_DIGITS_MIN);
	if (req->plan && !jaco_str_starts(apply->plan, req->plan))
		return jaco_err_set(
			err, JACO_CONFLICT,
			"the plan %s no longer holds: the deployment changed meanwhile, "
			"look at the diff again",
			req->plan);
	plan_answer_fill(apply->manifest, &apply->diff, &apply->findings, call->arena, answer);
	answer->plan = apply->plan;
	answer->changed = apply->diff.n > 0;
	answer->dry_run = req->dry_run;
	answer->revision = apply->had_old ? apply->old.revision : 0;
	answer->store_revision = raftd->store.machine.applied;
	if (req->dry_run || is_same_text(apply)) {
		jaco_call_reply(call, answer);
		return 0;
	}
	return commit(apply, answer, again, again_req, err);
}

static int apply_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_deploy_apply(self, call, req, err);
}

int raftd_on_deploy_apply(struct raftd *raftd, struct jaco_call *call, const struct wire_apply *req,
			  struct jaco_err *err)
{
	return run_apply(raftd, call, req, JACO_AUDIT_APPLY, apply_again, req, err);
}

/* --- other verbs --- */

static int delete_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_deploy_delete(self, call, req, err);
}

/* Subnets stay until ipamd sees that no container uses them: a firewall scope must outlive the last
 * packet of its containers. */
int raftd_on_deploy_delete(struct raftd *raftd, struct jaco_call *call,
			   const struct wire_delete *req, struct jaco_err *err)
{
	static const char *const below[] = {"/revision/", "/replica/", "/rollout/", "/counter/"};
	struct api_txn txn = api_begin(raftd, call);
	struct wire_deployment deployment;
	uint64_t revision;

	if (read_deployment(raftd, call, req->deployment, &deployment, &revision, err) < 0)
		return -(int)err->code;
	api_compare(&txn, deployment_key(call->arena, req->deployment), revision);
	api_delete(&txn, deployment_key(call->arena, req->deployment));
	for (size_t i = 0; i < JACO_ARRAY_SIZE(below); i++)
		api_delete_prefix(
			&txn, jaco_arena_printf(call->arena, "%s%s/", below[i], req->deployment));
	if (drop_keys(&txn, raftd, req->deployment, NULL, 0, err) < 0)
		return -(int)err->code;
	api_audit(&txn, JACO_AUDIT_DELETE, call->identity,
		  (const char *const[]){"deployment", req->deployment, "volumes",
					req->volumes ? "true" : "false", NULL});
	return api_commit(&txn, call, delete_again, req, api_reply_changed, NULL, err);
}

static int scale_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_deploy_scale(self, call, req, err);
}

static struct wire_service *service_of(struct wire_deployment *deployment, const char *name,
				       struct jaco_err *err)
{
	for (size_t i = 0; i < deployment->services.n; i++)
		if (strcmp(deployment->services.v[i].name, name) == 0)
			return &deployment->services.v[i];
	jaco_err_set(err, JACO_UNKNOWN_SERVICE, "deployment %s has no service %s", deployment->name,
		     name);
	return NULL;
}

/* What the manifest in force says. */
static int manifest_replicas(struct raftd *raftd, struct jaco_call *call,
			     const struct wire_deployment *deployment, const char *service,
			     uint32_t *out_replicas, struct jaco_err *err)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(call->arena);
	const struct jaco_manifest *manifest = NULL;
	const struct jaco_service *found;
	struct wire_revision text;
	int rc = api_get(raftd, revision_key(call->arena, deployment->name, deployment->revision),
			 &wire_revision_desc, call->arena, &text, NULL, err);

	if (rc == 0)
		return jaco_err_set(err, JACO_REVISION_NOT_FOUND, "revision %llu of %s is not kept",
				    (unsigned long long)deployment->revision, deployment->name);
	if (rc < 0 ||
	    jaco_manifest_load(&(struct jaco_document){"jaco.yaml", text.jaco.data, text.jaco.n},
			       &(struct jaco_document){"compose.yaml", text.compose.data,
						       text.compose.n},
			       &findings, &manifest, err) < 0)
		return -(int)err->code;
	found = jaco_manifest_service(manifest, service);
	*out_replicas = found ? found->replicas : 0;
	return 0;
}

int raftd_on_deploy_scale(struct raftd *raftd, struct jaco_call *call, const struct wire_scale *req,
			  struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct wire_deployment deployment;
	struct wire_service *service;
	uint32_t replicas = req->replicas;
	uint64_t revision;

	if (!req->reset && !JACO_HAS(req, scale, replicas))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "replicas or reset is needed");
	if (replicas > JACO_REPLICAS_MAX)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "a cluster runs at most %d replicas",
				    JACO_REPLICAS_MAX);
	if (read_deployment(raftd, call, req->deployment, &deployment, &revision, err) < 0)
		return -(int)err->code;
	service = service_of(&deployment, req->service, err);
	if (!service)
		return -(int)err->code;
	if (service->placement == JACO_PLACE_GLOBAL)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "%s is global: one replica runs on every node", req->service);
	if (req->reset &&
	    manifest_replicas(raftd, call, &deployment, req->service, &replicas, err) < 0)
		return -(int)err->code;
	JACO_SET(service, service, replicas, replicas);
	JACO_SET(service, service, scaled, !req->reset);
	deployment.updated = (uint64_t)jaco_time_wall_ms();
	api_compare(&txn, deployment_key(call->arena, req->deployment), revision);
	api_put(&txn, deployment_key(call->arena, req->deployment), &wire_deployment_desc,
		&deployment);
	api_audit(&txn, JACO_AUDIT_SCALE, call->identity,
		  (const char *const[]){"deployment", req->deployment, "service", req->service,
					"replicas", jaco_arena_printf(call->arena, "%u", replicas),
					NULL});
	return api_commit(&txn, call, scale_again, req, api_reply_changed, NULL, err);
}

static int restart_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_deploy_restart(self, call, req, err);
}

/* A rollout that stopped for good holds every further step of its revision back; a person who asks
 * for a restart has looked at it (spec/scheduling.md section 5).  One that is about to take the
 * revision back goes on with that. */
static int let_go(struct api_txn *txn, struct raftd *raftd, struct jaco_call *call,
		  const char *deployment, const char *service, struct jaco_err *err)
{
	const char *key = jaco_arena_printf(call->arena, "/rollout/%s/%s", deployment, service);
	struct wire_rollout rollout;
	uint64_t revision;
	int rc = api_get(raftd, key, &wire_rollout_desc, call->arena, &rollout, &revision, err);

	if (rc <= 0)
		return rc;
	if (rollout.state == JACO_ROLLOUT_PAUSED || rollout.state == JACO_ROLLOUT_ABORTED ||
	    (rollout.state == JACO_ROLLOUT_ROLLED_BACK && !rollout.from_revision)) {
		api_compare(txn, key, revision);
		api_delete(txn, key);
	}
	return 0;
}

int raftd_on_deploy_restart(struct raftd *raftd, struct jaco_call *call,
			    const struct wire_deployment_ref *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct wire_deployment deployment;
	uint64_t revision;

	if (read_deployment(raftd, call, req->deployment, &deployment, &revision, err) < 0 ||
	    (req->service && !service_of(&deployment, req->service, err)))
		return -(int)err->code;
	for (size_t i = 0; i < deployment.services.n; i++) {
		struct wire_service *service = &deployment.services.v[i];

		if (req->service && strcmp(service->name, req->service) != 0)
			continue;
		service->restart_nonce++;
		if (let_go(&txn, raftd, call, req->deployment, service->name, err) < 0)
			return -(int)err->code;
	}
	deployment.updated = (uint64_t)jaco_time_wall_ms();
	api_compare(&txn, deployment_key(call->arena, req->deployment), revision);
	api_put(&txn, deployment_key(call->arena, req->deployment), &wire_deployment_desc,
		&deployment);
	api_audit(&txn, JACO_AUDIT_RESTART, call->identity,
		  (const char *const[]){"deployment", req->deployment, "service",
					req->service ? req->service : "*", NULL});
	return api_commit(&txn, call, restart_again, req, api_reply_changed, NULL, err);
}

static int rollback_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_deploy_rollback(self, call, req, err);
}

int raftd_on_deploy_rollback(struct raftd *raftd, struct jaco_call *call,
			     const struct wire_rollback *req, struct jaco_err *err)
{
	struct wire_apply *apply = jaco_arena_alloc(call->arena, sizeof(*apply));
	struct wire_deployment deployment;
	struct wire_revision text;
	uint64_t to;
	int rc;

	if (read_deployment(raftd, call, req->deployment, &deployment, NULL, err) < 0)
		return -(int)err->code;
	to = req->to ? req->to : deployment.previous;
	if (to == 0)
		return jaco_err_set(err, JACO_NO_PREVIOUS_REVISION, "%s has only one revision",
				    req->deployment);
	rc = api_get(raftd, revision_key(call->arena, req->deployment, to), &wire_revision_desc,
		     call->arena, &text, NULL, err);
	if (rc == 0)
		return jaco_err_set(err, JACO_REVISION_NOT_FOUND, "revision %llu of %s is not kept",
				    (unsigned long long)to, req->deployment);
	if (rc < 0)
		return rc;
	*apply = (struct wire_apply){
		.jaco = text.jaco,
		.compose = text.compose,
		.message = jaco_arena_printf(call->arena, "rollback to revision %llu",
					     (unsigned long long)to)};
	return run_apply(raftd, call, apply, JACO_AUDIT_ROLLBACK, rollback_again, req, err);
}

static int newest_first(const void *a, const void *b)
{
	const struct wire_revision *x = a, *y = b;

	return (x->number < y->number) - (x->number > y->number);
}

int raftd_on_deploy_history(struct raftd *raftd, struct jaco_call *call,
			    const struct wire_deployment_ref *req, struct jaco_err *err)
{
	const char *prefix = jaco_arena_printf(call->arena, "/revision/%s/", req->deployment);
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_deployment deployment;
	struct wire_history history = {.has = 0};
	int rc = 0;

	if (read_deployment(raftd, call, req->deployment, &deployment, NULL, err) < 0)
		return -(int)err->code;
	history.revisions.v =
		jaco_arena_alloc_n(call->arena, HISTORY_MAX, sizeof(*history.revisions.v));
	while (history.revisions.n < HISTORY_MAX &&
	       (rc = api_next(raftd, prefix, key, &wire_revision_desc, call->arena,
			      &history.revisions.v[history.revisions.n], NULL, err)) > 0) {
		struct wire_revision *revision = &history.revisions.v[history.revisions.n++];

		revision->jaco = revision->compose = (struct wire_bin){.data = "", .n = 0};
	}
	if (rc < 0)
		return rc;
	qsort(history.revisions.v, history.revisions.n, sizeof(*history.revisions.v), newest_first);
	jaco_call_reply(call, &history);
	return 0;
}
