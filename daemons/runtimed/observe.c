/* SPDX-License-Identifier: Apache-2.0
 *
 * observe.c - the engine as we see it: agree on a version, follow its events, then read the whole
 * list (in that order, so nothing falls between), and again every 30 s.  An engine that goes away
 * changes nothing about containers: what was running is taken to run until it says otherwise. */
#include "daemons/runtimed/runtimed.h"

#include "libjaco/base/str.h"

#define RELIST_MS        30000
#define RELIST_SOON_MS   1000
#define RECONNECT_MAX_MS 5000
#define OWN_START_MS     3000 /* an event this soon after our own start tells nothing new */

static void connect_again(struct runtimed *rt, const struct jaco_err *why)
{
	int64_t now = runtimed_now(rt);
	bool was_up = rt->is_engine_up;

	engine_cancel(rt->hello);
	engine_cancel(rt->events);
	engine_cancel(rt->listing);
	rt->hello = rt->events = rt->listing = NULL;
	rt->is_engine_up = false;
	rt->was_engine_away = true;
	jaco_timer_disarm(&rt->relist_timer);
	if (!jaco_str_eq(rt->engine_error, why->text)) {
		jaco_str_copy(rt->engine_error, sizeof(rt->engine_error), why->text);
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "engine unavailable, trying again", why,
				 KV_STR(path, engine_socket(rt->engine)));
	}
	backoff_fail(&rt->reconnect, now, RECONNECT_MAX_MS);
	/* The first try after a loss is quick: an engine that restarts is back within a second. */
	jaco_timer_arm(&rt->reconnect_timer, was_up ? 200 : rt->reconnect.next_ms - now);
	publish_engine(rt);
	runtimed_poke(rt);
}

static void take_container(void *ctx, const struct engine_container *c)
{
	struct runtimed *rt = ctx;
	struct slot *slot;

	if (!c->labels.replica_id[0] || c->labels.generation == 0 ||
	    c->labels.generation > UINT32_MAX)
		return; /* a helper of ours without a replica, or damaged: not ours to judge */
	slot = slot_find(rt, c->labels.replica_id, (uint32_t)c->labels.generation);
	if (!slot) {
		slot = slot_new(rt, c->labels.replica_id, (uint32_t)c->labels.generation);
		jaco_str_copy(slot->deployment, sizeof(slot->deployment), c->labels.deployment);
		jaco_str_copy(slot->service_name, sizeof(slot->service_name), c->labels.service);
		jaco_str_copy(slot->spec_hash, sizeof(slot->spec_hash), c->labels.spec_hash);
		jaco_str_copy(slot->image, sizeof(slot->image), c->image);
		slot->revision = c->labels.revision;
	}
	if (slot->has_container && slot->is_seen && !jaco_str_eq(slot->c.id, c->id))
		return; /* two containers of one generation: the first listed is kept, see sweep */
	slot->is_seen = true;
	if (slot->has_container && jaco_str_eq(slot->c.id, c->id) && slot->c.state == c->state &&
	    slot->c.is_inspected)
		return;
	if (!slot->has_container || !jaco_str_eq(slot->c.id, c->id))
		slot_listed(slot, c->id);
	slot_inspect(slot);
}

static void on_networks(void *ctx, const struct jaco_err *err);

static void take_network(void *ctx, const struct engine_network *network)
{
	net_saw(ctx, network);
}

static void on_listed(void *ctx, const struct jaco_err *err)
{
	struct runtimed *rt = ctx;
	struct slot *slot;

	rt->listing = NULL;
	if (err) {
		connect_again(rt, err);
		return;
	}
	TAILQ_FOREACH(slot, &rt->slots, entry)
		if ((slot->has_container || slot->is_listed) && !slot->is_seen &&
		    slot->busy == PLAN_NOTHING)
			slot_lost(slot);
	rt->listing =
		engine_network_list(rt->engine, rt->cluster_id, take_network, on_networks, rt);
}

static int64_t relist_ms(const struct runtimed *rt)
{
	return rt->lists_soon ? RELIST_SOON_MS : RELIST_MS;
}

void observe_soon(struct runtimed *rt)
{
	rt->lists_soon = true;
	if (rt->is_engine_up && !rt->listing)
		jaco_timer_arm(&rt->relist_timer, relist_ms(rt));
}

/* All inspections that the listing asked for come back after this in any order; until a slot's own
 * is there it is only listed and reconcile() leaves it alone. */
static void on_networks(void *ctx, const struct jaco_err *err)
{
	struct runtimed *rt = ctx;

	rt->listing = NULL;
	if (err) {
		connect_again(rt, err);
		return;
	}
	if (!rt->is_engine_up) {
		jaco_log_notice("engine ready",
				KV_STR(version, engine_info(rt->engine)->server_version),
				KV_INT(count, rt->n_slots));
		rt->is_engine_up = rt->was_engine_up = true;
		rt->engine_error[0] = '\0';
		rt->reconnect = BACKOFF_INIT;
		publish_engine(rt);
	}
	publish_sweep(rt);
	jaco_timer_arm(&rt->relist_timer, relist_ms(rt));
	runtimed_poke(rt);
}

static void list(struct runtimed *rt)
{
	struct slot *slot;

	if (rt->listing)
		return;
	rt->lists_soon = false;
	TAILQ_FOREACH(slot, &rt->slots, entry)
		slot->is_seen = false;
	rt->listing =
		engine_container_list(rt->engine, rt->cluster_id, take_container, on_listed, rt);
}

static void on_relist(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	list(ctx);
}

static void on_event(void *ctx, const struct engine_event *event)
{
	struct runtimed *rt = ctx;
	struct slot *slot = slot_find_container(rt, event->container_id);

	if (!slot) {
		/* Not ours yet: one that we make is known by its create call, any other by the
		 * list. */
		if (event->what == ENGINE_EVENT_START || event->what == ENGINE_EVENT_DESTROY)
			runtimed_poke(rt);
		return;
	}
	if (slot->is_listed) {
		slot_inspect(slot); /* the one under way may have been answered before this */
		return;
	}
	switch (event->what) {
	case ENGINE_EVENT_HEALTH:
		if (slot->is_healthy_run && event->health != ENGINE_HEALTH_BAD) {
			health_on_engine(&slot->r.health, &slot->rule, event->health, "");
			runtimed_poke(rt);
			return;
		}
		slot_inspect(slot); /* what the check said is only there */
		return;
	case ENGINE_EVENT_START:
		if (slot->busy == PLAN_START ||
		    (engine_container_is_up(&slot->c) &&
		     runtimed_now(rt) - slot->up_since_ms < OWN_START_MS))
			return;
		slot_inspect(slot);
		return;
	case ENGINE_EVENT_DIE:
		/* Out of service at once; the inspection tells why. */
		slot->c.state = ENGINE_EXITED;
		slot->c.is_inspected = false;
		slot->c.exit_code = event->exit_code;
		slot->is_healthy_run = false;
		slot->r.health.verdict = HEALTH_UNKNOWN;
		slot_inspect(slot);
		runtimed_poke(rt);
		return;
	case ENGINE_EVENT_DESTROY:
		if (slot->busy != PLAN_DELETE)
			slot_lost(slot);
		return;
	case ENGINE_EVENT_CREATE:
	case ENGINE_EVENT_OTHER:
		return;
	}
}

static void on_events_end(void *ctx, const struct jaco_err *err)
{
	struct runtimed *rt = ctx;

	rt->events = NULL;
	connect_again(rt, err);
}

static void on_hello(void *ctx, const struct jaco_err *err)
{
	struct runtimed *rt = ctx;

	rt->hello = NULL;
	if (err) {
		connect_again(rt, err);
		return;
	}
	net_forget_ready(rt);
	rt->events = engine_events(rt->engine, rt->cluster_id, on_event, on_events_end, rt);
	list(rt);
}

static void on_reconnect(struct jaco_timer *timer, void *ctx)
{
	struct runtimed *rt = ctx;

	(void)timer;
	if (!rt->hello && !rt->events)
		rt->hello = engine_hello(rt->engine, on_hello, rt);
}

void observe_start(struct runtimed *rt)
{
	if (!rt->reconnect_timer.fn) {
		jaco_timer_init(rt->loop, &rt->reconnect_timer, on_reconnect, rt);
		jaco_timer_init(rt->loop, &rt->relist_timer, on_relist, rt);
	}
	on_reconnect(NULL, rt);
}

void observe_stop(struct runtimed *rt)
{
	engine_cancel(rt->hello);
	engine_cancel(rt->events);
	engine_cancel(rt->listing);
	rt->hello = rt->events = rt->listing = NULL;
	rt->is_engine_up = false;
	jaco_timer_fini(&rt->reconnect_timer);
	jaco_timer_fini(&rt->relist_timer);
}
