/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/schedd/commit.h"

#include <string.h>

#include "daemons/schedd/record.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/str.h"

struct builder {
	struct wire_txn *txn;
	size_t cap_compares, cap_puts, cap_deletes;
	const struct world *world;
	const struct jaco_view *view;
	struct jaco_arena *arena;
};

static void compare(struct builder *b, const char *key, uint64_t revision)
{
	struct wire_txn *txn = b->txn;

	for (size_t i = 0; i < txn->compares.n; i++)
		if (strcmp(txn->compares.v[i].key, key) == 0)
			return;
	txn->compares.v = jaco_arena_grow(b->arena, txn->compares.v, &b->cap_compares,
					  txn->compares.n + 1, sizeof(*txn->compares.v));
	txn->compares.v[txn->compares.n++] = (struct wire_compare){.key = key,
								   .revision = revision};
}

static void compare_read(struct builder *b, const char *key)
{
	const struct jaco_view_entry *entry = jaco_view_entry(b->view, key);

	compare(b, key, entry ? entry->revision : 0);
}

static void put(struct builder *b, const char *key, uint64_t mod, const struct jaco_desc *desc,
		const void *record)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct wire_txn *txn = b->txn;
	struct jaco_err err = JACO_ERR_INIT;

	compare(b, key, mod);
	if (jaco_pack(&buf, desc, record, &err) < 0)
		JACO_UNREACHABLE(); /* every field came out of a bounded record */
	txn->puts.v = jaco_arena_grow(b->arena, txn->puts.v, &b->cap_puts, txn->puts.n + 1,
				      sizeof(*txn->puts.v));
	txn->puts.v[txn->puts.n++] = (struct wire_put){
		.key = key,
		.value = {.data = jaco_arena_memdup(b->arena, buf.data, buf.n), .n = buf.n}};
}

static void drop(struct builder *b, const char *key, uint64_t mod)
{
	struct wire_txn *txn = b->txn;

	compare(b, key, mod);
	txn->deletes.v = jaco_arena_grow(b->arena, txn->deletes.v, &b->cap_deletes,
					 txn->deletes.n + 1, sizeof(*txn->deletes.v));
	txn->deletes.v[txn->deletes.n++] = key;
}

static void put_replica(struct builder *b, const struct world_replica *replica)
{
	const struct world_service *service =
		world_service(b->world, replica->deployment, replica->service);
	struct wire_replica record =
		record_from_replica(replica, service ? service->drain_ms : 10000, b->arena);

	put(b, record_replica_key(replica, b->arena), replica->mod, &wire_replica_desc, &record);
	compare_read(b, jaco_arena_printf(b->arena, "/deployment/%s", replica->deployment));
	if (replica->now.host[0] && replica->since_ms == b->world->now_ms &&
	    world_node(b->world, replica->now.host))
		compare_read(b, jaco_arena_printf(b->arena, "/node/%s", replica->now.host));
}

static const char *cut(struct builder *b, const char *text, size_t max)
{
	return strlen(text) > max ? jaco_arena_strndup(b->arena, text, max) : text;
}

static void put_rollout(struct builder *b, const struct world_rollout *rollout)
{
	struct wire_rollout record = record_from_rollout(rollout, b->world->now_ms);

	put(b, record_service_key("/rollout/", rollout->deployment, rollout->service, b->arena),
	    rollout->mod, &wire_rollout_desc, &record);
}

static void put_restart(struct builder *b, const struct world_restart *restart)
{
	struct wire_restart record = {
		.count = restart->count,
		.since = (uint64_t)restart->since_ms,
		.exhausted = true,
		.reason = restart->reason[0] ? cut(b, restart->reason, JACO_TEXT_MAX) : NULL,
		.generation = (uint32_t)restart->generation,
	};

	put(b, jaco_arena_printf(b->arena, "/restart/%s", restart->replica), restart->mod,
	    &wire_restart_desc, &record);
}

/* Not there any more: the compare of the other operations will tell. */
static void put_node(struct builder *b, const struct world_node *node)
{
	const char *key = jaco_arena_printf(b->arena, "/node/%s", node->name);
	const struct jaco_view_entry *entry = jaco_view_entry(b->view, key);
	struct wire_node record;

	if (!entry)
		return;
	record = record_from_node(entry->msg, node);
	put(b, key, entry->revision, &wire_node_desc, &record);
}

static void put_counter(struct builder *b, const struct world_counter *counter)
{
	struct wire_counter record = {.next = counter->next};

	put(b, record_service_key("/counter/", counter->deployment, counter->service, b->arena),
	    counter->mod, &wire_counter_desc, &record);
}

struct wire_audit commit_audit(const struct plan_op *op, struct jaco_arena *arena)
{
	struct wire_pair *pairs = jaco_arena_alloc_n(arena, 5, sizeof(*pairs));
	int type = jaco_enum_find(&jaco_audit_type_enum, op->audit.type);
	struct wire_audit audit = {.identity = "system:schedd"};
	const struct wire_pair all[] = {
		{"deployment", op->audit.deployment}, {"service", op->audit.service},
		{"replica", op->audit.replica},	      {"host", op->audit.host},
		{"reason", op->why},
	};

	JACO_ASSERT(type >= 0);
	audit.type = (enum jaco_audit_type)type;
	audit.payload.v = pairs;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(all); i++)
		if (strcmp(all[i].value, "-") != 0)
			pairs[audit.payload.n++] = all[i];
	return audit;
}

static void add_op(struct builder *b, const struct plan_op *op)
{
	switch (op->what) {
	case PLAN_PUT_REPLICA:
		put_replica(b, &op->replica);
		break;
	case PLAN_DROP_REPLICA:
		drop(b, record_replica_key(&op->replica, b->arena), op->replica.mod);
		break;
	case PLAN_PUT_COUNTER:
		put_counter(b, &op->counter);
		break;
	case PLAN_PUT_ROLLOUT:
		put_rollout(b, &op->rollout);
		break;
	case PLAN_DROP_ROLLOUT:
		drop(b,
		     record_service_key("/rollout/", op->rollout.deployment, op->rollout.service,
					b->arena),
		     op->rollout.mod);
		break;
	case PLAN_PUT_RESTART:
		put_restart(b, &op->restart);
		break;
	case PLAN_DROP_RESTART:
		drop(b, jaco_arena_printf(b->arena, "/restart/%s", op->restart.replica),
		     op->restart.mod);
		break;
	case PLAN_AUDIT:
		if (!b->txn->audit) {
			b->txn->audit = jaco_arena_alloc(b->arena, sizeof(*b->txn->audit));
			*b->txn->audit = commit_audit(op, b->arena);
		}
		break;
	case PLAN_PUT_NODE:
		put_node(b, &op->node);
		break;
	case PLAN_ROLLBACK:
		break;
	}
}

bool commit_build(struct wire_txn *out, size_t *out_n_done, const struct plan *plan,
		  const struct world *world, const struct jaco_view *view,
		  struct jaco_arena *arena)
{
	struct builder b = {.txn = out, .world = world, .view = view, .arena = arena};

	*out = (struct wire_txn){.has = 0};
	*out_n_done = JACO_MIN(plan->n, (size_t)COMMIT_OPS_MAX);
	for (size_t i = 0; i < *out_n_done; i++)
		add_op(&b, &plan->ops[i]);
	return out->puts.n || out->deletes.n;
}

static void keep(const char **text, struct jaco_arena *arena)
{
	*text = jaco_arena_strdup(arena, *text);
}

void commit_keep(struct plan *plan, struct jaco_arena *arena)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct plan_op *op = &plan->ops[i];

		if (op->what == PLAN_AUDIT) {
			keep(&op->audit.deployment, arena);
			keep(&op->audit.service, arena);
			keep(&op->audit.replica, arena);
			keep(&op->audit.host, arena);
		} else if (op->what == PLAN_ROLLBACK) {
			keep(&op->rollout.deployment, arena);
			keep(&op->rollout.service, arena);
			keep(&op->rollout.message, arena);
		}
	}
}
