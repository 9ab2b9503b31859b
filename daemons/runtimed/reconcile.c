/* SPDX-License-Identifier: Apache-2.0
 *
 * reconcile.c - one pass: what the cluster wants of this node becomes intents, what is seen becomes
 * facts, plan_next() says what to do, and the step is begun.  Harmless to repeat. */
#include "daemons/runtimed/runtimed.h"

#include "daemons/runtimed/files.h"

#include "daemons/runtimed/world.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/str.h"

#define DRAIN_DEFAULT_MS 10000
#define SILENCE_MS       30000 /* an engine away for that long after our start is told */

static void want(struct runtimed *rt, const struct wire_replica *replica,
		 const struct wire_replica_gen *gen)
{
	struct slot *slot = slot_find(rt, replica->id, gen->generation);

	if (!slot) {
		slot = slot_new(rt, replica->id, gen->generation);
		if (gen->image)
			image_hurry(image_get(rt, gen->image, ""));
	}
	slot->intent = gen->intent == JACO_INTENT_RUN ? PLAN_RUN : PLAN_DRAIN;
	slot->revision = gen->revision;
	slot->drain_until_wall_ms = gen->drain_until;
	slot->has_index = JACO_HAS(replica, replica, index);
	slot->index = replica->index;
	jaco_str_copy(slot->deployment, sizeof(slot->deployment), replica->deployment);
	jaco_str_copy(slot->service_name, sizeof(slot->service_name), replica->service);
	jaco_str_copy(slot->spec_hash, sizeof(slot->spec_hash), gen->spec_hash);
	jaco_str_copy(slot->image, sizeof(slot->image), gen->image ? gen->image : "");
}

/* A node that was put out of the cluster wants nothing (spec/cluster.md section 2, "Leaving"): what
 * it knows of the desired state is history, and others have its replicas. */
static bool is_put_out(const struct runtimed *rt)
{
	return rt->view->is_current &&
	       jaco_view_getf(rt->view, "/obs/node/%s/membership", rt->daemon->host);
}

static void read_wanted(struct runtimed *rt)
{
	const struct jaco_view_entry *entry;
	struct slot *slot;

	TAILQ_FOREACH(slot, &rt->slots, entry)
		slot->intent = PLAN_REMOVE;
	rt->is_put_out = is_put_out(rt);
	if (rt->is_put_out)
		return;
	JACO_VIEW_FOREACH(rt->view, "/replica/", entry)
	{
		const struct wire_replica *replica = entry->msg;

		for (size_t i = 0; i < replica->generations.n; i++)
			if (jaco_str_eq(replica->generations.v[i].host, rt->daemon->host))
				want(rt, replica, &replica->generations.v[i]);
	}
}

static void read_spec(struct slot *slot)
{
	slot->spec = spec_get(&slot->rt->specs, slot->rt->view, slot->deployment, slot->revision);
	slot->service = slot->spec && slot->spec->manifest
				? jaco_manifest_service(slot->spec->manifest, slot->service_name)
				: NULL;
}

/* A run that has no health rule yet gets one as soon as the service is known. */
static void begin_health(struct slot *slot, int64_t now)
{
	bool was_good = slot->r.health.verdict == HEALTH_GOOD;

	if (slot->is_healthy_run || !slot->service || !slot->has_container ||
	    !slot->c.is_inspected || !engine_container_is_up(&slot->c))
		return;
	health_rule_of(slot->service, !slot_needs_addresses(slot), &slot->rule);
	/* A check that came with the image counts like one of compose. */
	if (slot->c.health != ENGINE_HEALTH_NONE && slot->service->probe.kind == JACO_PROBE_NONE)
		slot->rule.kind = HEALTH_ENGINE;
	health_begin(&slot->r.health, &slot->rule, was_good, now);
	slot->is_healthy_run = true;
	health_on_engine(&slot->r.health, &slot->rule, slot->c.health, slot->c.health_output);
}

static void watch_health(struct slot *slot, int64_t now)
{
	struct health *health = &slot->r.health;
	bool is_up = slot->has_container && engine_container_is_up(&slot->c);

	begin_health(slot, now);
	if (!slot->is_healthy_run || !is_up)
		return;
	health_on_tick(health, &slot->rule, now);
	if (health_is_probe_due(health, &slot->rule, now) && slot->intent == PLAN_RUN)
		probe_send(slot);
	if (health->verdict != HEALTH_BAD) {
		slot->is_bad_counted = false;
		if (health->verdict == HEALTH_GOOD &&
		    backoff_forgive(&slot->r.restart, slot->up_since_ms, now)) {
			slot->r.is_exhausted = false;
			memory_poke(slot->rt);
		}
		return;
	}
	if (slot->is_bad_counted)
		return;
	slot->is_bad_counted = true;
	backoff_fail(&slot->r.restart, now, BACKOFF_RESTART_MAX_MS);
	slot->r.is_exhausted =
		slot->service &&
		backoff_is_exhausted(&slot->r.restart, plan_restart_budget(slot->service));
	memory_poke(slot->rt);
}

static void note_drain(struct slot *slot, int64_t now)
{
	bool drains = slot->intent != PLAN_RUN && slot->has_container &&
		      engine_container_is_up(&slot->c);

	if (!drains)
		slot->drain_since_ms = 0;
	else if (slot->drain_since_ms == 0)
		slot->drain_since_ms = now;
}

static int64_t drain_deadline(const struct slot *slot, int64_t now)
{
	int64_t drain = slot->service ? slot->service->rollout.drain_ms : DRAIN_DEFAULT_MS;

	if (slot->drain_until_wall_ms > 0)
		return now + ((int64_t)slot->drain_until_wall_ms - jaco_time_wall_ms());
	return slot->drain_since_ms + drain;
}

/* An image is wanted from the moment its replica is; it is looked for while addresses are
 * leased. */
static struct image *image_of(struct slot *slot, int64_t now)
{
	const char *platform = slot->service->platform ? slot->service->platform : "";

	if (slot->image_wanted_ms == 0)
		slot->image_wanted_ms = now;
	return image_get(slot->rt, slot->service->image, platform);
}

static void add_image_facts(struct slot *slot, int64_t now, struct plan_facts *f)
{
	struct image *image = image_of(slot, now);

	f->image = image->presence;
	f->pull_policy = slot->service->pull_policy;
	f->is_pulled = image->pulled_ms > 0 && image->pulled_ms >= slot->image_wanted_ms;
	f->pull_error = image->error[0] ? image->error : NULL;
	f->pull_progress = image->progress[0] ? image->progress : NULL;
	slot->r.pull = image->backoff;
}

static bool is_half_made(const struct slot *slot)
{
	return slot->c.state == ENGINE_CREATED && !slot->is_made_here;
}

static void add_container_facts(const struct slot *slot, struct plan_facts *f)
{
	f->has_container = slot->has_container;
	if (!slot->has_container)
		return;
	/* What another life of ours created and never started may lack networks or files. */
	f->is_spec_different = !jaco_str_eq(slot->c.labels.spec_hash, slot->spec_hash) ||
			       is_half_made(slot);
	f->container = slot->c.state;
	f->is_inspected = slot->c.is_inspected;
	f->exit_code = slot->c.exit_code;
	f->oom_killed = slot->c.oom_killed;
	f->container_error = slot->c.error;
	f->last_words = slot->words;
}

static void gather(struct slot *slot, const struct gate_state *gate, int64_t now, char *unmet,
		   size_t unmet_bytes, struct plan_facts *f)
{
	struct runtimed *rt = slot->rt;
	const struct jaco_service *service = slot->service;

	*f = (struct plan_facts){.intent = slot->intent,
				 .view_is_current = rt->view->is_current,
				 .engine_is_up = rt->is_engine_up,
				 .engine_error = rt->engine_error[0] ? rt->engine_error : NULL,
				 .has_spec = service != NULL,
				 .firewall_revision = gate->firewall_revision,
				 .firewall_is_ready = gate->firewall_is_ready,
				 .dns_revision = gate->dns_revision,
				 .step_error = slot->step_error[0] ? slot->step_error : NULL,
				 .step_code = slot->step_code,
				 .restart_budget = BACKOFF_NO_BUDGET};
	if (slot->spec && !slot->service)
		f->spec_error = slot->spec->manifest ? "the revision has no such service"
						     : slot->spec->error;
	add_container_facts(slot, f);
	if (slot->intent != PLAN_RUN) {
		f->is_drained = rt->is_put_out || /* nobody sends it anything any more */
				(slot->drain_since_ms > 0 &&
				 world_is_drained(rt->view, slot->id, slot->generation));
		f->drain_deadline_ms = drain_deadline(slot, now);
	}
	if (!service)
		return;
	f->needs_addresses = slot_needs_addresses(slot);
	f->has_addresses = slot->has_leases;
	f->has_networks = slot->has_leases && slot->at >= slot->n_leases;
	f->is_one_shot = service->is_one_shot;
	f->restarts_on_failure_only = service->restart.kind == JACO_RESTART_ON_FAILURE;
	f->restart_budget = plan_restart_budget(service);
	f->gate_revision =
		world_gate_revision(rt->view, slot->deployment, service, rt->daemon->host);
	for (size_t i = 0; i < slot->n_leases; i++)
		f->gate_revision = JACO_MAX(f->gate_revision, slot->leases[i].revision);
	add_image_facts(slot, now, f);
	/* Dependencies hold back a first start, never the restart of what has run. */
	if (slot->intent == PLAN_RUN && (!f->has_container || f->container == ENGINE_CREATED) &&
	    world_unmet(rt->view, slot->deployment, service, unmet, unmet_bytes))
		f->unmet = unmet;
}

static void use_networks(struct slot *slot)
{
	struct runtimed *rt = slot->rt;

	for (size_t i = 0; i < slot->n_leases; i++)
		net_use(rt, slot->deployment, slot->leases[i].network);
	for (size_t i = 0; slot->service && i < slot->service->n_attachments; i++)
		if (slot->has_container || slot->intent == PLAN_RUN)
			net_use(rt, slot->deployment, slot->service->attachments[i].network);
}

static void enter(struct slot *slot, const struct plan_decision *d)
{
	struct runtimed *rt = slot->rt;
	enum jaco_replica_state before = slot->r.state;
	const char *code_before = slot->r.reason.code;

	if (!replica_may_enter(before, d->state)) {
		jaco_log_err("impossible transition", KV_STR(replica, slot->id),
			     KV_STR(state, jaco_enum_word(&jaco_replica_state_enum, d->state)));
		return;
	}
	(void)replica_enter(&slot->r, d->state, &d->reason, jaco_time_wall_ms());
	if (before == d->state && jaco_str_eq(code_before, d->reason.code))
		return;
	jaco_log_info("replica", KV_STR(replica, slot->id), KV_INT(generation, slot->generation),
		      KV_STR(state, jaco_enum_word(&jaco_replica_state_enum, d->state)),
		      KV_STR(code, d->reason.code), KV_STR(reason, d->reason.message));
	memory_poke(rt);
}

/* Until the engine was heard once, what we told in an earlier life still stands: an adopted
 * container must not leave service because we were restarted.  An engine that stays away is told,
 * though: one that refused us, not one that has yet to answer, nor did time alone tell us anything
 * if this process was what stood still. */
static bool may_publish(const struct runtimed *rt, int64_t now)
{
	return rt->was_engine_up ||
	       (rt->was_engine_away &&
		now - rt->opened_ms > CHAOS_NUMBER(silence_ms, SILENCE_MS));
}

/* A container that a saved view does not know may be of a newer record: what was told of it stands
 * until the store is heard. */
static bool is_judged(const struct slot *slot)
{
	return slot->intent != PLAN_REMOVE || slot->rt->view->is_current;
}

/* The step of one slot; true when it may have changed the list of slots. */
static bool advance(struct slot *slot, const struct gate_state *gate, int64_t now, int64_t *wake)
{
	struct plan_decision d;
	struct plan_facts facts;
	char unmet[REPLICA_WAITS_BYTES] = "";

	read_spec(slot);
	note_drain(slot, now);
	watch_health(slot, now);
	use_networks(slot);
	if (slot->busy != PLAN_NOTHING)
		return false;
	if (slot->is_listed)
		return false; /* about to be known */
	slot->is_planned |= may_publish(slot->rt, now) && is_judged(slot);
	gather(slot, gate, now, unmet, sizeof(unmet), &facts);
	plan_next(&slot->r, &facts, now, &d);
	enter(slot, &d);
	if (d.reason.retry_ms > 0)
		*wake = JACO_MIN(*wake, d.reason.retry_ms);
	return d.step != PLAN_NOTHING && steps_begin(slot, d.step);
}

static void publish_all(struct runtimed *rt, int64_t now)
{
	struct slot *slot;

	if (!may_publish(rt, now))
		return;
	TAILQ_FOREACH(slot, &rt->slots, entry)
		publish_replica(rt, slot->id);
}

void reconcile(struct runtimed *rt)
{
	int64_t now = runtimed_now(rt), wake = INT64_MAX;
	struct slot *slot, *next;
	struct gate_state gate;

	if (!rt->view->is_loaded || !rt->cluster_id[0])
		return;
	rt->n_passes++;
	read_wanted(rt);
	gate = gate_read(rt);
	for (slot = TAILQ_FIRST(&rt->slots); slot; slot = next) {
		next = TAILQ_NEXT(slot, entry);
		if (advance(slot, &gate, now, &wake))
			continue; /* @slot may be gone */
		if (slot->is_healthy_run && slot->r.health.next_ms > now && !slot->probe)
			wake = JACO_MIN(wake, slot->r.health.next_ms);
	}
	publish_all(rt, now);
	wake = JACO_MIN(wake, net_sweep(rt, rt->view->is_current, now));
	image_sweep(rt);
	files_sweep(rt);
	spec_sweep(&rt->specs);
	if (wake != INT64_MAX)
		jaco_timer_arm(&rt->wake, JACO_MAX(wake - now, 1));
	else
		jaco_timer_disarm(&rt->wake);
}
