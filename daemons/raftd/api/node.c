/* SPDX-License-Identifier: Apache-2.0
 *
 * node.c - what the administrator wants of a member: cordon, drain, labels. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

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

static int set_intent(struct raftd *raftd, struct jaco_call *call, const struct wire_node_ref *req,
		      enum jaco_node_intent intent, jaco_handler *again, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct wire_node node;
	uint64_t revision;

	if (read_node(raftd, call, req->host, &node, &revision, err) < 0)
		return -(int)err->code;
	if (node.intent == intent) {
		api_reply_changed(raftd, call, revision, NULL);
		return 0;
	}
	node.intent = intent;
	node.drain_started =
		intent == JACO_NODE_INTENT_DRAINING ? (uint64_t)jaco_time_wall_ms() : 0;
	node.has &= ~(UINT64_C(1) << wire_node_drain_started_);
	api_compare(&txn, node_key(call, req->host), revision);
	api_put(&txn, node_key(call, req->host), &wire_node_desc, &node);
	api_audit(&txn,
		  intent == JACO_NODE_INTENT_DRAINING ? JACO_AUDIT_NODE_DRAIN
						      : JACO_AUDIT_NODE_CORDON,
		  call->identity,
		  (const char *const[]){"host", req->host, "intent",
					jaco_enum_word(&jaco_node_intent_enum, (int)intent), NULL});
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

int raftd_on_node_label(struct raftd *raftd, struct jaco_call *call,
			const struct wire_node_label *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);
	struct wire_node node;
	struct wire_dict labels = {.n = 0};
	uint64_t revision;

	if (read_node(raftd, call, req->host, &node, &revision, err) < 0)
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
	return api_commit(&txn, call, label_again, req, api_reply_changed, NULL, err);
}
