/* SPDX-License-Identifier: Apache-2.0
 *
 * node.c - what the administrator wants of a member: cordon, drain, labels. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/limits.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define AUDIT_BYTES 4096 /* of labels changed at once; more are not all named */

static const char *node_key(struct jaco_call *call, const char *host)
{
	return jaco_arena_printf(call->arena, "/node/%s", host);
}

static int read_node(struct raftd *raftd, struct jaco_call *call, const char *host,
		     struct wire_node *out_node, uint64_t *out_revision, struct jaco_err *err)
{
	int rc = api_get(raftd, node_key(call, host), &wire_node_desc, call->arena, out_node,
			 out_revision, err);

	if (rc == 0)
		return jaco_err_set(err, JACO_NODE_NOT_FOUND, "no member is called %s", host);
	return rc;
}

/* What a drain left in the record says nothing about the next. */
static void forget_drain(struct wire_node *node)
{
	node->has &= ~(UINT64_C(1) << wire_node_drain_started_ |
		       UINT64_C(1) << wire_node_drain_force_ |
		       UINT64_C(1) << wire_node_drain_limit_ms_ |
		       UINT64_C(1) << wire_node_drain_left_ |
		       UINT64_C(1) << wire_node_drain_progress_);
	node->drain_started = node->drain_limit_ms = node->drain_progress = 0;
	node->drain_force = false;
	node->drain_left = 0;
	node->drain_code = node->drain_message = NULL;
}

/* --- may it be drained? --- */

/* Why the replica cannot go to another node, or NULL. */
static const char *bound_by(struct raftd *raftd, struct jaco_arena *arena, const char *host,
			    const struct wire_replica *replica)
{
	struct wire_deployment deployment;
	struct wire_node other;
	struct jaco_err err = JACO_ERR_INIT;
	const struct wire_service *service = NULL;

	if (api_get(raftd, jaco_arena_printf(arena, "/deployment/%s", replica->deployment),
		    &wire_deployment_desc, arena, &deployment, NULL, &err) <= 0)
		return NULL;
	for (size_t i = 0; i < deployment.services.n; i++)
		if (strcmp(deployment.services.v[i].name, replica->service) == 0)
			service = &deployment.services.v[i];
	if (!service || service->placement == JACO_PLACE_GLOBAL)
		return NULL;
	if (service->stateful && !service->reschedule)
		return "its data is there";
	for (size_t i = 0; i < service->hosts.n; i++)
		if (strcmp(service->hosts.v[i], host) != 0 &&
		    api_get(raftd, jaco_arena_printf(arena, "/node/%s", service->hosts.v[i]),
			    &wire_node_desc, arena, &other, NULL, &err) > 0)
			return NULL;
	return service->hosts.n ? "no other host is listed for it" : NULL;
}

/* Refuse with the list of what cannot move.  Errors: CONFLICT. */
static int drain_check(struct raftd *raftd, struct jaco_arena *arena, const char *host,
		       struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf names = JACO_BUF_BOUND(JACO_TEXT_MAX / 2);
	char key[JACO_KEY_MAX + 1] = "";
	struct wire_replica replica;
	int rc;

	while ((rc = api_next(raftd, "/replica/", key, &wire_replica_desc, arena, &replica, NULL,
			      err)) > 0) {
		size_t n = replica.generations.n;
		const char *why = n && strcmp(replica.generations.v[n - 1].host, host) == 0
					  ? bound_by(raftd, arena, host, &replica)
					  : NULL;

		if (why)
			jaco_buf_printf(&names, "%s%s (%s)", names.n ? ", " : "", replica.id, why);
	}
	if (rc < 0 || names.n == 0)
		return rc;
	return jaco_err_set(err, JACO_CONFLICT,
			    "cannot move away from %s: %s; --force drains the rest and leaves them",
			    host, jaco_buf_str(&names));
}

static int set_intent(struct raftd *raftd, struct jaco_call *call, const struct wire_node_ref *req,
		      enum jaco_node_intent intent, jaco_handler *again, struct jaco_err *err)
{
	bool is_drain = intent == JACO_NODE_INTENT_DRAINING;
	struct api_txn txn = api_begin(raftd, call);
	struct wire_node node;
	uint64_t revision;

	if (read_node(raftd, call, req->host, &node, &revision, err) < 0)
		return -(int)err->code;
	if (node.intent == intent && !node.drain_code &&
	    (!is_drain || node.drain_force == req->force)) {
		api_reply_changed(raftd, call, revision, NULL);
		return 0;
	}
	if (is_drain && !req->force && drain_check(raftd, call->arena, req->host, err) < 0)
		return -(int)err->code;
	forget_drain(&node);
	node.intent = intent;
	if (is_drain) {
		node.drain_started = (uint64_t)jaco_time_wall_ms();
		node.drain_force = req->force;
		node.drain_limit_ms = req->drain_limit_ms;
	}
	api_compare(&txn, node_key(call, req->host), revision);
	api_put(&txn, node_key(call, req->host), &wire_node_desc, &node);
	api_audit(&txn, is_drain ? JACO_AUDIT_NODE_DRAIN : JACO_AUDIT_NODE_CORDON, call->identity,
		  (const char *const[]){"host", req->host, "intent",
					jaco_enum_word(&jaco_node_intent_enum, (int)intent),
					"force", req->force ? "true" : "false", NULL});
	return api_commit(&txn, call, again, req, api_reply_changed, NULL, err);
}

static int cordon_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_node_cordon(self, call, req, err);
}

int raftd_on_node_cordon(struct raftd *raftd, struct jaco_call *call,
			 const struct wire_node_ref *req, struct jaco_err *err)
{
	return set_intent(raftd, call, req, JACO_NODE_INTENT_CORDONED, cordon_again, err);
}

static int uncordon_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_node_uncordon(self, call, req, err);
}

int raftd_on_node_uncordon(struct raftd *raftd, struct jaco_call *call,
			   const struct wire_node_ref *req, struct jaco_err *err)
{
	return set_intent(raftd, call, req, JACO_NODE_INTENT_ACTIVE, uncordon_again, err);
}

static int drain_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_node_drain(self, call, req, err);
}

int raftd_on_node_drain(struct raftd *raftd, struct jaco_call *call,
			const struct wire_node_ref *req, struct jaco_err *err)
{
	return set_intent(raftd, call, req, JACO_NODE_INTENT_DRAINING, drain_again, err);
}

static int rotate_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_node_rotate_key(self, call, req, err);
}

/* The node does it itself when it reads this, so one that is away does it when it is back. */
int raftd_on_node_rotate_key(struct raftd *raftd, struct jaco_call *call,
			     const struct wire_node_ref *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct wire_node node;
	uint64_t revision;

	if (read_node(raftd, call, req->host, &node, &revision, err) < 0)
		return -(int)err->code;
	JACO_SET(&node, node, wg_rotate, node.wg_rotate + 1);
	api_compare(&txn, node_key(call, req->host), revision);
	api_put(&txn, node_key(call, req->host), &wire_node_desc, &node);
	api_audit(&txn, JACO_AUDIT_KEY_ROTATED, call->identity,
		  (const char *const[]){"host", req->host, "key", "wireguard", NULL});
	return api_commit(&txn, call, rotate_again, req, api_reply_changed, NULL, err);
}

static int label_again(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	return raftd_on_node_label(self, call, req, err);
}

static bool is_removed(const struct wire_node_label *req, const char *key)
{
	for (size_t i = 0; i < req->remove.n; i++)
		if (strcmp(req->remove.v[i], key) == 0)
			return true;
	return wire_dict_get(&req->set, key) != NULL;
}

/* A constraint is "node.labels.KEY == VALUE": what cannot stand there is no label. */
static int check_labels(const struct wire_dict *labels, struct jaco_err *err)
{
	static const char *const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789._/-";

	for (size_t i = 0; i < labels->n; i++) {
		const char *key = labels->v[i].key, *value = labels->v[i].value;

		if (!*key || key[strspn(key, allowed)])
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "label %s: letters, digits and . _ / - are allowed",
					    key);
		for (; *value; value++)
			if ((unsigned char)*value < 0x20 || *value == 0x7f)
				return jaco_err_set(err, JACO_VALIDATION_FAILED,
						    "label %s: its value has control characters",
						    key);
	}
	return 0;
}

static void audit_labels(struct api_txn *txn, const struct jaco_call *call,
			 const struct wire_node_label *req)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_BOUND(AUDIT_BYTES);

	for (size_t i = 0; i < req->set.n; i++)
		jaco_buf_printf(&text, "%s%s=%s", text.n ? "," : "", req->set.v[i].key,
				req->set.v[i].value);
	for (size_t i = 0; i < req->remove.n; i++)
		jaco_buf_printf(&text, "%s%s-", text.n ? "," : "", req->remove.v[i]);
	api_audit(txn, JACO_AUDIT_NODE_LABEL, call->identity,
		  (const char *const[]){"host", req->host, "labels",
					jaco_arena_strdup(txn->arena, jaco_buf_str(&text)),
					text.overflow ? "incomplete" : NULL, "true", NULL});
}

int raftd_on_node_label(struct raftd *raftd, struct jaco_call *call,
			const struct wire_node_label *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct wire_node node;
	struct wire_dict labels = {.n = 0};
	uint64_t revision;

	if (check_labels(&req->set, err) < 0 ||
	    read_node(raftd, call, req->host, &node, &revision, err) < 0)
		return -(int)err->code;
	labels.v = jaco_arena_alloc_n(call->arena, node.labels.n + req->set.n + 1,
				      sizeof(*labels.v));
	for (size_t i = 0; i < node.labels.n; i++)
		if (!is_removed(req, node.labels.v[i].key))
			labels.v[labels.n++] = node.labels.v[i];
	for (size_t i = 0; i < req->set.n; i++)
		labels.v[labels.n++] = req->set.v[i];
	node.labels = labels;
	api_compare(&txn, node_key(call, req->host), revision);
	api_put(&txn, node_key(call, req->host), &wire_node_desc, &node);
	audit_labels(&txn, call, req);
	return api_commit(&txn, call, label_again, req, api_reply_changed, NULL, err);
}
