/* SPDX-License-Identifier: Apache-2.0
 *
 * One function per situation; plan_next() only picks the situation.  Nothing is removed while the
 * view is not current: a stale cache may say that a replica is gone which is merely newer. */
#include "daemons/runtimed/plan.h"

#include "libjaco/base/assert.h"
#include "libjaco/base/err.h"
#include "libjaco/base/str.h"

#define SIGNAL_EXIT 128 /* 128 + signal, as shells and engines count */
#define STARTS_MAX  3   /* of one container that the engine refuses in a row */

const char *plan_step_name(enum plan_step step)
{
	static const char *const names[] = {
		[PLAN_NOTHING] = "nothing", [PLAN_LEASE] = "lease",   [PLAN_NETWORKS] = "networks",
		[PLAN_LOOK] = "look",       [PLAN_PULL] = "pull",     [PLAN_CREATE] = "create",
		[PLAN_START] = "start",     [PLAN_RESTART] = "restart", [PLAN_STOP] = "stop",
		[PLAN_DELETE] = "delete",   [PLAN_FORGET] = "forget",
	};

	JACO_ASSERT(step < PLAN_STEP_END);
	return names[step];
}

uint32_t plan_restart_budget(const struct jaco_service *service)
{
	const struct jaco_restart *restart = &service->restart;

	switch (restart->kind) {
	case JACO_RESTART_NO:
		return 0;
	case JACO_RESTART_ON_FAILURE:
		return restart->max_attempts ? restart->max_attempts : BACKOFF_BUDGET;
	case JACO_RESTART_ALWAYS:
		break;
	}
	if (service->is_one_shot)
		return restart->is_set ? BACKOFF_NO_BUDGET : 0;
	return restart->is_set ? BACKOFF_NO_BUDGET : BACKOFF_BUDGET;
}

bool plan_is_final_exit(const struct plan_facts *facts, int exit_code)
{
	return exit_code == 0 && (facts->is_one_shot || facts->restarts_on_failure_only);
}

static void decide(struct plan_decision *d, enum plan_step step, enum jaco_replica_state state)
{
	d->step = step;
	d->state = state;
}

/* Wait in @state until @retry_ms (0: an event). */
static void wait_for(struct plan_decision *d, enum jaco_replica_state state, int64_t retry_ms,
		     const char *what)
{
	decide(d, PLAN_NOTHING, state);
	d->reason.retry_ms = retry_ms;
	jaco_str_copy(d->reason.waits_for, sizeof(d->reason.waits_for), what);
}

static void describe_exit(const struct plan_facts *f, struct replica_reason *reason)
{
	const char *code = jaco_code_name(JACO_CONTAINER_EXITED);
	const char *words = f->last_words ? f->last_words : "";
	const char *join = *words ? ": " : "";

	if (f->container_error && *f->container_error)
		replica_reason_set(reason, code, "could not be started: %s", f->container_error);
	else if (f->oom_killed)
		replica_reason_set(reason, code, "ran out of memory and was killed by the kernel");
	else if (f->exit_code > SIGNAL_EXIT && f->exit_code < SIGNAL_EXIT + 65)
		replica_reason_set(reason, code, "ended by signal %d%s%s",
				   f->exit_code - SIGNAL_EXIT, join, words);
	else
		replica_reason_set(reason, code, "exited with status %d%s%s", f->exit_code, join,
				   words);
}

/* The gate: no process before firewall and DNS know its addresses (spec/architecture.md 5.7). */
static bool is_gate_open(const struct plan_facts *f, struct plan_decision *d,
			 enum jaco_replica_state state)
{
	bool firewall = f->firewall_is_ready && f->firewall_revision >= f->gate_revision;
	bool dns = f->dns_revision >= f->gate_revision;

	if (f->gate_revision == 0 || (firewall && dns))
		return true;
	wait_for(d, state, 0, firewall ? "dns" : dns ? "firewall" : "firewall and dns");
	replica_reason_set(&d->reason, "isolation_pending",
			   "%s on this node %s not applied its subnet (revision %llu) yet",
			   d->reason.waits_for, firewall != dns ? "has" : "have",
			   (unsigned long long)f->gate_revision);
	return false;
}

/* The state to show while a restart is under way or awaited. */
static enum jaco_replica_state before_start(const struct replica *r)
{
	return r->restarts > 0 || r->restart.count > 0 ? JACO_REPLICA_DEGRADED
						       : JACO_REPLICA_PENDING;
}

static void plan_start(const struct plan_facts *f, struct plan_decision *d,
		       enum jaco_replica_state waiting)
{
	if (f->unmet) {
		wait_for(d, waiting, 0, f->unmet);
		replica_reason_set(&d->reason, jaco_code_name(JACO_DEPENDS_ON_UNMET),
				   "waits for %s", f->unmet);
		return;
	}
	if (is_gate_open(f, d, waiting))
		decide(d, PLAN_START, JACO_REPLICA_STARTING);
}

static void plan_exited(const struct replica *r, const struct plan_facts *f, int64_t now_ms,
			struct plan_decision *d)
{
	if (!f->is_inspected) {
		decide(d, PLAN_NOTHING, r->state); /* the inspection under way will tell */
		d->reason = r->reason;
		return;
	}
	if (plan_is_final_exit(f, f->exit_code)) {
		decide(d, PLAN_NOTHING, JACO_REPLICA_COMPLETED);
		return;
	}
	describe_exit(f, &d->reason);
	if (r->is_exhausted) {
		decide(d, PLAN_NOTHING, JACO_REPLICA_FAILED);
		if (f->restart_budget > 0)
			d->reason.code = jaco_code_name(JACO_RESTART_EXHAUSTED);
		return;
	}
	if (!backoff_is_due(&r->restart, now_ms)) {
		wait_for(d, JACO_REPLICA_DEGRADED, r->restart.next_ms, "restart");
		return;
	}
	if (!backoff_is_due(&r->engine, now_ms)) {
		wait_for(d, JACO_REPLICA_DEGRADED, r->engine.next_ms, "another try");
		return;
	}
	/* What an engine keeps of a container's earlier life can be in its own way for good
	 * ("failed to start shim: mkdir ...: file exists"): a new one has none. */
	if (r->engine.count >= STARTS_MAX && f->view_is_current) {
		decide(d, PLAN_DELETE, JACO_REPLICA_DEGRADED);
		return;
	}
	plan_start(f, d, JACO_REPLICA_DEGRADED);
}

static void plan_unhealthy(const struct replica *r, int64_t now_ms, struct plan_decision *d)
{
	replica_reason_set(&d->reason, jaco_code_name(JACO_HEALTH_GATE_FAILED),
			   "unhealthy: %s", *r->health.output ? r->health.output : "no answer");
	if (r->is_exhausted) {
		decide(d, PLAN_NOTHING, JACO_REPLICA_FAILED);
		d->reason.code = jaco_code_name(JACO_RESTART_EXHAUSTED);
		return;
	}
	if (!backoff_is_due(&r->restart, now_ms)) {
		wait_for(d, JACO_REPLICA_DEGRADED, r->restart.next_ms, "restart");
		return;
	}
	decide(d, PLAN_RESTART, JACO_REPLICA_DEGRADED);
}

static void plan_up(const struct replica *r, const struct plan_facts *f, int64_t now_ms,
		    struct plan_decision *d)
{
	if (f->container == ENGINE_PAUSED) {
		decide(d, PLAN_NOTHING, JACO_REPLICA_DEGRADED);
		replica_reason_set(&d->reason, jaco_code_name(JACO_DOCKER_ERROR),
				   "paused by somebody; unpause it to go on");
		return;
	}
	switch (r->health.verdict) {
	case HEALTH_UNKNOWN:
		decide(d, PLAN_NOTHING, JACO_REPLICA_STARTING);
		if (r->health.output[0])
			replica_reason_set(&d->reason, "", "not healthy yet: %s", r->health.output);
		return;
	case HEALTH_GOOD:
		decide(d, PLAN_NOTHING, JACO_REPLICA_RUNNING);
		return;
	case HEALTH_BAD:
		plan_unhealthy(r, now_ms, d);
		return;
	}
}

static void plan_image(const struct replica *r, const struct plan_facts *f, int64_t now_ms,
		       struct plan_decision *d)
{
	bool wants_pull = f->pull_policy == JACO_PULL_ALWAYS && !f->is_pulled;

	if (f->image == PLAN_IMAGE_UNKNOWN) {
		decide(d, PLAN_LOOK, JACO_REPLICA_PENDING);
		return;
	}
	if (f->image == PLAN_IMAGE_PRESENT && !wants_pull) {
		decide(d, PLAN_CREATE, JACO_REPLICA_PENDING);
		return;
	}
	if (f->pull_policy == JACO_PULL_NEVER) {
		wait_for(d, JACO_REPLICA_PENDING, 0, "image");
		replica_reason_set(&d->reason, jaco_code_name(JACO_IMAGE_NOT_FOUND),
				   "the image is not on this node and pull_policy is never");
		return;
	}
	if (!backoff_is_due(&r->pull, now_ms)) {
		wait_for(d, JACO_REPLICA_PENDING, r->pull.next_ms, "image");
		replica_reason_set(&d->reason, jaco_code_name(JACO_IMAGE_PULL_FAILED), "%s",
				   f->pull_error ? f->pull_error : "the pull failed");
		return;
	}
	decide(d, PLAN_PULL, JACO_REPLICA_PULLING);
	if (f->pull_progress)
		replica_reason_set(&d->reason, "", "%s", f->pull_progress);
}

static void plan_absent(const struct replica *r, const struct plan_facts *f, int64_t now_ms,
			struct plan_decision *d)
{
	enum jaco_replica_state waiting = before_start(r);

	if (r->is_exhausted) {
		decide(d, PLAN_NOTHING, JACO_REPLICA_FAILED);
		replica_reason_set(&d->reason, jaco_code_name(JACO_RESTART_EXHAUSTED),
				   "given up after %u restarts", r->restarts);
	} else if (!f->has_spec) {
		wait_for(d, waiting, 0, "manifest");
		if (f->spec_error)
			replica_reason_set(&d->reason, jaco_code_name(JACO_PARSE_FAILED), "%s",
					   f->spec_error);
	} else if (f->unmet) {
		plan_start(f, d, JACO_REPLICA_PENDING);
	} else if (!backoff_is_due(&r->engine, now_ms)) {
		wait_for(d, waiting, r->engine.next_ms, "another try");
		replica_reason_set(&d->reason,
				   f->step_code ? f->step_code : jaco_code_name(JACO_DOCKER_ERROR),
				   "%s", f->step_error ? f->step_error : "the engine refused");
	} else if (f->needs_addresses && !f->has_addresses) {
		decide(d, PLAN_LEASE, waiting);
	} else if (f->needs_addresses && !f->has_networks) {
		decide(d, PLAN_NETWORKS, waiting);
	} else {
		plan_image(r, f, now_ms, d);
		if (d->state == JACO_REPLICA_PENDING)
			d->state = waiting;
	}
}

static void plan_run(const struct replica *r, const struct plan_facts *f, int64_t now_ms,
		     struct plan_decision *d)
{
	if (!f->has_container) {
		plan_absent(r, f, now_ms, d);
		return;
	}
	if (f->is_spec_different && f->view_is_current) {
		bool is_up = f->container == ENGINE_RUNNING || f->container == ENGINE_PAUSED;

		decide(d, is_up ? PLAN_STOP : PLAN_DELETE, JACO_REPLICA_PENDING);
		return;
	}
	switch (f->container) {
	case ENGINE_CREATED:
		/* A start that the engine refused leaves the container "created" with its
		 * reason. */
		if (!backoff_is_due(&r->engine, now_ms)) {
			wait_for(d, before_start(r), r->engine.next_ms, "another try");
			replica_reason_set(&d->reason, jaco_code_name(JACO_DOCKER_ERROR), "%s",
					   f->step_error ? f->step_error : "the engine refused");
			return;
		}
		plan_start(f, d, before_start(r));
		return;
	case ENGINE_RUNNING:
	case ENGINE_PAUSED:
	case ENGINE_RESTARTING:
		plan_up(r, f, now_ms, d);
		return;
	case ENGINE_EXITED:
		plan_exited(r, f, now_ms, d);
		return;
	case ENGINE_REMOVING:
		wait_for(d, before_start(r), 0, "the engine to remove the old container");
		return;
	case ENGINE_DEAD:
		decide(d, PLAN_DELETE, before_start(r));
		return;
	}
}

static bool is_up(const struct plan_facts *f)
{
	return f->has_container &&
	       (f->container == ENGINE_RUNNING || f->container == ENGINE_PAUSED ||
		f->container == ENGINE_RESTARTING);
}

/* Draining, then stopped. */
static void plan_drain(const struct plan_facts *f, int64_t now_ms, struct plan_decision *d)
{
	if (!is_up(f)) {
		decide(d, PLAN_NOTHING, JACO_REPLICA_STOPPED);
		return;
	}
	if (!f->is_drained && now_ms < f->drain_deadline_ms) {
		wait_for(d, JACO_REPLICA_DRAINING, f->drain_deadline_ms,
			 "ingress and dns to let go");
		return;
	}
	decide(d, PLAN_STOP, JACO_REPLICA_DRAINING);
}

static void plan_remove(const struct replica *r, const struct plan_facts *f, int64_t now_ms,
			struct plan_decision *d)
{
	if (!f->view_is_current) {
		decide(d, PLAN_NOTHING, r->state);
		d->reason = r->reason;
		return;
	}
	if (is_up(f)) {
		plan_drain(f, now_ms, d);
		return;
	}
	if (f->has_container)
		decide(d, f->container == ENGINE_REMOVING ? PLAN_NOTHING : PLAN_DELETE,
		       JACO_REPLICA_STOPPED);
	else
		decide(d, PLAN_FORGET, JACO_REPLICA_STOPPED);
}

void plan_next(const struct replica *r, const struct plan_facts *facts, int64_t now_ms,
	       struct plan_decision *out_decision)
{
	struct plan_decision d = {.step = PLAN_NOTHING, .state = r->state, .reason = {.code = ""}};

	if (!facts->engine_is_up && !is_up(facts)) {
		/* Without the engine nothing is known to have changed: what runs is left as it
		 * was. */
		wait_for(&d, facts->intent == PLAN_RUN ? before_start(r) : r->state, 0, "engine");
		replica_reason_set(&d.reason, jaco_code_name(JACO_DOCKER_ERROR),
				   "engine unavailable: %s",
				   facts->engine_error ? facts->engine_error : "no answer yet");
	} else if (!facts->engine_is_up) {
		d.reason = r->reason;
	} else {
		switch (facts->intent) {
		case PLAN_RUN:
			plan_run(r, facts, now_ms, &d);
			break;
		case PLAN_DRAIN:
			plan_drain(facts, now_ms, &d);
			break;
		case PLAN_REMOVE:
			plan_remove(r, facts, now_ms, &d);
			break;
		}
	}
	*out_decision = d;
}
