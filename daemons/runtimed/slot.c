/* SPDX-License-Identifier: Apache-2.0
 *
 * What is seen of a container changes a slot here and nowhere else: a run begins, a run ends, and
 * an end that nobody asked for costs from the restart budget. */
#include "daemons/runtimed/slot.h"

#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

struct slot *slot_find(struct runtimed *rt, const char *id, uint32_t generation)
{
	struct slot *slot;

	TAILQ_FOREACH(slot, &rt->slots, entry)
		if (slot->generation == generation && jaco_str_eq(slot->id, id))
			return slot;
	return NULL;
}

struct slot *slot_find_container(struct runtimed *rt, const char *container_id)
{
	struct slot *slot;

	TAILQ_FOREACH(slot, &rt->slots, entry)
		if ((slot->has_container || slot->is_listed) &&
		    jaco_str_eq(slot->c.id, container_id))
			return slot;
	return NULL;
}

struct slot *slot_new(struct runtimed *rt, const char *id, uint32_t generation)
{
	struct slot *slot = jaco_alloc(sizeof(*slot));
	const struct memory_item *item = memory_find(rt, id, generation);

	slot->rt = rt;
	slot->generation = generation;
	slot->intent = PLAN_REMOVE; /* until a record says otherwise */
	slot->r.reason.code = "";
	jaco_str_copy(slot->id, sizeof(slot->id), id);
	if (item) {
		slot->r.restarts = item->restarts;
		slot->r.restart.count = item->backoff_count;
		slot->r.is_exhausted = item->is_exhausted;
	}
	TAILQ_INSERT_TAIL(&rt->slots, slot, entry);
	rt->n_slots++;
	return slot;
}

void slot_free(struct slot *slot)
{
	struct runtimed *rt = slot->rt;

	probe_cancel(slot);
	engine_cancel(slot->call);
	engine_cancel(slot->inspect);
	engine_cancel(slot->words_call);
	if (slot->rpc)
		jaco_client_cancel(slot->rpc);
	if (slot->busy == PLAN_CREATE || slot->busy == PLAN_START)
		rt->n_starting--;
	TAILQ_REMOVE(&rt->slots, slot, entry);
	rt->n_slots--;
	jaco_free(slot);
}

uint32_t slot_address(const struct slot *slot)
{
	return slot->has_leases && slot->n_leases > 0 ? slot->leases[0].address
	       : slot->c.n_networks > 0               ? slot->c.networks[0].address
						      : 0;
}

bool slot_needs_addresses(const struct slot *slot)
{
	return slot->service && slot->service->network_mode == JACO_NETMODE_NETWORKS &&
	       slot->service->n_attachments > 0;
}

static bool is_remembered_good(const struct slot *slot, const struct engine_container *c)
{
	const struct memory_item *item = memory_find(slot->rt, slot->id, slot->generation);

	return item && item->is_good && item->started_ms == c->started_ms &&
	       jaco_str_eq(item->container, c->id);
}

static void begin_run(struct slot *slot, const struct engine_container *c, bool is_adopted)
{
	struct runtimed *rt = slot->rt;

	probe_cancel(slot);
	slot->is_healthy_run = false; /* reconcile() begins health once the rule is known */
	slot->is_bad_counted = slot->is_exit_expected = slot->is_exit_counted = false;
	slot->r.health = (struct health){.verdict = is_adopted && is_remembered_good(slot, c)
							    ? HEALTH_GOOD
							    : HEALTH_UNKNOWN};
	slot->up_since_ms = runtimed_now(rt);
}

/* A failure against the budget; the plan waits for the back-off. */
static void count_failure(struct slot *slot, int64_t ran_ms)
{
	int64_t now = runtimed_now(slot->rt);
	uint32_t budget = slot->service ? plan_restart_budget(slot->service) : BACKOFF_NO_BUDGET;

	(void)backoff_forgive(&slot->r.restart, now - ran_ms, now);
	backoff_fail(&slot->r.restart, now, BACKOFF_RESTART_MAX_MS);
	slot->r.is_exhausted = backoff_is_exhausted(&slot->r.restart, budget);
	memory_poke(slot->rt);
}

static void end_run(struct slot *slot, const struct engine_container *c)
{
	struct plan_facts facts = {.is_one_shot = slot->service && slot->service->is_one_shot,
				   .restarts_on_failure_only =
					   slot->service && slot->service->restart.kind ==
								    JACO_RESTART_ON_FAILURE};

	probe_cancel(slot);
	slot->is_healthy_run = false;
	slot->r.health.verdict = HEALTH_UNKNOWN;
	if (slot->is_exit_counted || !c->is_inspected)
		return;
	slot->is_exit_counted = true;
	if (slot->intent != PLAN_RUN || slot->is_exit_expected)
		return;
	if (!plan_is_final_exit(&facts, c->exit_code)) {
		count_failure(slot, c->started_ms > 0 ? c->finished_ms - c->started_ms : 0);
		words_fetch(slot);
		jaco_log_warning("container ended", KV_STR(replica, slot->id),
				 KV_STR(container, c->id), KV_INT(status, c->exit_code),
				 KV_INT(count, slot->r.restart.count));
	}
}

/* The slot's container is another one or none from here on: an answer under way is not about it. */
static void cancel_inspection(struct slot *slot)
{
	engine_cancel(slot->inspect);
	slot->inspect = NULL;
	slot->inspect_again = false;
}

void slot_listed(struct slot *slot, const char *container_id)
{
	if (!jaco_str_eq(slot->c.id, container_id))
		cancel_inspection(slot);
	slot->has_container = slot->is_made_here = false;
	slot->is_listed = true;
	jaco_str_copy(slot->c.id, sizeof(slot->c.id), container_id);
}

void slot_saw(struct slot *slot, const struct engine_container *c)
{
	bool was_up = slot->has_container && engine_container_is_up(&slot->c) &&
		      jaco_str_eq(slot->c.id, c->id);
	bool is_up = engine_container_is_up(c);
	bool is_other_run = was_up && c->is_inspected && slot->c.is_inspected &&
			    slot->c.started_ms != c->started_ms;
	bool is_adopted = !slot->is_made_here && !slot->has_container;

	if (is_up && (!was_up || is_other_run))
		begin_run(slot, c, is_adopted);
	if (!is_up && c->state != ENGINE_CREATED)
		end_run(slot, c);
	slot->c = *c;
	slot->has_container = true;
	slot->is_listed = false;
	if (is_up && slot->is_healthy_run)
		health_on_engine(&slot->r.health, &slot->rule, c->health, c->health_output);
	runtimed_poke(slot->rt);
}

void slot_lost(struct slot *slot)
{
	bool was_up = slot->has_container && engine_container_is_up(&slot->c);

	probe_cancel(slot);
	cancel_inspection(slot);
	slot->has_container = slot->is_listed = slot->is_healthy_run = slot->is_made_here = false;
	slot->c = (struct engine_container){.state = ENGINE_DEAD};
	if (was_up && slot->intent == PLAN_RUN && !slot->is_exit_expected)
		count_failure(slot,
			      0); /* removed by somebody: made again, but not in a tight loop */
	runtimed_poke(slot->rt);
}

static void on_inspected(void *ctx, const struct engine_container *c, const struct jaco_err *err)
{
	struct slot *slot = ctx;
	bool again = slot->inspect_again;

	slot->inspect = NULL;
	slot->inspect_again = false;
	if (err) {
		JACO_LOG_FAILURE(JACO_LOG_DEBUG, "cannot inspect", err, KV_STR(replica, slot->id));
		observe_soon(slot->rt);
	} else if (c) {
		slot_saw(slot, c);
	} else {
		slot_lost(slot);
	}
	if (again && (slot->has_container || slot->is_listed))
		slot_inspect(slot);
}

void slot_inspect(struct slot *slot)
{
	if (slot->inspect) {
		slot->inspect_again = true;
		return;
	}
	slot->inspect = engine_container_inspect(slot->rt->engine, slot->c.id, on_inspected, slot);
}
