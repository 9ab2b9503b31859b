/* SPDX-License-Identifier: Apache-2.0
 *
 * Replacing replicas one step at a time (spec/scheduling.md section 4).
 *
 *   start-first   SETTLED -> STARTING -> YIELDING -> MONITORING -> SETTLED
 *   stop-first    SETTLED -> STOPPING -> GATING -> MONITORING -> SETTLED
 *   going         any -> LEAVING -> the record is dropped
 *
 * A failed gate returns the replica to what it was: in STARTING the old container never stopped, in
 * GATING and MONITORING its spec is started again as a new generation.  Where a replica stands is
 * in its record, so a new leader goes on with the same step; nothing here remembers anything.
 *
 * A step never follows from acknowledgements that were counted before its phase was committed:
 * a replica that changed in this pass is looked at again in the next. */
#include <string.h>

#include "daemons/schedd/plan.h"
#include "libjaco/base/assert.h"

/* How long a replica that serves in no reachable table yet holds up its predecessor's drain. */
#define USE_WAIT_MS 10000

/* After a failed move, before the next try. */
#define RETRY_MS 30000

#define DRAIN_DEFAULT_MS 10000 /* of a service that is no longer known */

/* After its drain, until a container that does not report its end is no longer waited for. */
#define STOP_MAX_MS 60000

enum gate { GATE_WAITING, GATE_PASSED, GATE_FAILED };

static bool is_in_flight(enum world_phase phase)
{
	switch (phase) {
	case WORLD_STARTING:
	case WORLD_YIELDING:
	case WORLD_STOPPING:
	case WORLD_GATING:
	case WORLD_MONITORING:
		return true;
	case WORLD_PENDING:
	case WORLD_SETTLED:
	case WORLD_LEAVING:
		return false;
	}
	return false;
}

static bool is_wanted_shape(const struct plan_pass *pass, const struct world_shape *shape)
{
	return strcmp(shape->spec_hash, pass->service->spec_hash) == 0;
}

static bool differs(const struct plan_pass *pass, const struct world_replica *replica)
{
	return replica->now.generation && (!is_wanted_shape(pass, &replica->now) ||
					   replica->nonce != pass->service->nonce);
}

static bool is_running(const struct plan_pass *pass, const struct world_replica *replica)
{
	const struct world_observed *observed =
		world_observed(pass->world, replica->id, replica->now.generation);
	const struct world_node *node = world_node(pass->world, replica->now.host);

	if (!node || !node->is_reachable)
		return false;
	return observed && (observed->state == WORLD_S_RUNNING ||
			    (observed->state == WORLD_S_COMPLETED && pass->service->is_one_shot));
}

static enum gate gate_deadline(const struct plan_pass *pass, int64_t from_ms)
{
	int64_t due = from_ms + pass->service->timeout_ms;

	if (pass->world->now_ms >= due)
		return GATE_FAILED;
	plan_wake(pass->plan, due);
	return GATE_WAITING;
}

/* Has the present generation become healthy?  Time spent pulling does not count. */
static enum gate gate_of(const struct plan_pass *pass, const struct world_replica *replica)
{
	const struct world_observed *observed =
		world_observed(pass->world, replica->id, replica->now.generation);

	if (!observed)
		return gate_deadline(pass, replica->since_ms);
	switch (observed->state) {
	case WORLD_S_RUNNING:
		return GATE_PASSED;
	case WORLD_S_COMPLETED:
		return pass->service->is_one_shot ? GATE_PASSED : GATE_FAILED;
	case WORLD_S_FAILED:
		return GATE_FAILED;
	case WORLD_S_PULLING:
		return GATE_WAITING;
	case WORLD_S_PENDING:
	case WORLD_S_UNKNOWN:
		return gate_deadline(pass, replica->since_ms);
	case WORLD_S_STARTING:
	case WORLD_S_DEGRADED:
	case WORLD_S_UPDATING:
	case WORLD_S_DRAINING:
	case WORLD_S_STOPPED:
		return gate_deadline(pass, JACO_MAX(replica->since_ms, observed->since_ms));
	}
	return GATE_WAITING;
}

/* Is what drains idle everywhere, or its time over? */
static bool is_drained(const struct plan_pass *pass, const struct world_replica *replica)
{
	int64_t drain_ms = pass->service ? pass->service->drain_ms : DRAIN_DEFAULT_MS;
	int64_t due = replica->since_ms + drain_ms;

	if (replica->acks_missing == 0 && replica->in_flight == 0)
		return true;
	if (pass->world->now_ms >= due)
		return true;
	plan_wake(pass->plan, due);
	return false;
}

/* Has the only generation stopped?  The next may use its volume and its ports only then. */
static bool is_stopped_for_good(const struct plan_pass *pass, const struct world_replica *replica)
{
	const struct world_observed *observed =
		world_observed(pass->world, replica->id, replica->now.generation);
	int64_t due = replica->since_ms + pass->service->drain_ms + STOP_MAX_MS;

	if (!observed || observed->state == WORLD_S_STOPPED ||
	    observed->state == WORLD_S_COMPLETED || observed->state == WORLD_S_FAILED)
		return true;
	if (pass->world->now_ms < due)
		plan_wake(pass->plan, due);
	return pass->world->now_ms >= due;
}

static const char *reason_text(const struct plan_pass *pass, const struct world_replica *replica)
{
	const struct world_observed *observed =
		world_observed(pass->world, replica->id, replica->now.generation);
	const char *message = observed && observed->message[0] ? observed->message
							       : "not healthy in time";

	return jaco_arena_printf(pass->plan->arena, "%s on %s: %s", replica->id, replica->now.host,
				 message);
}

/* The spec of before, as a new generation where it was. */
static void start_old_again(struct plan_pass *pass, size_t i, const char *why)
{
	struct world_replica *replica = &pass->work[i];

	replica->last_generation++;
	replica->now = replica->old;
	replica->now.generation = replica->last_generation;
	replica->old = (struct world_shape){.host = ""};
	plan_enter(pass, i, WORLD_SETTLED, why);
}

static void return_to_old(struct plan_pass *pass, size_t i, const char *why)
{
	struct world_replica *replica = &pass->work[i];

	JACO_ASSERT(replica->phase == WORLD_STARTING);
	replica->last_generation = JACO_MAX(replica->last_generation, replica->now.generation);
	replica->now = replica->old;
	replica->old = (struct world_shape){.host = ""};
	plan_enter(pass, i, WORLD_SETTLED, why);
}

static bool is_rolling(const struct plan_pass *pass)
{
	return pass->has_rollout && pass->rollout.state == WORLD_R_IN_PROGRESS &&
	       pass->rollout.revision == pass->service->revision;
}

static void stop_rollout(struct plan_pass *pass, const char *reason)
{
	const struct world_service *service = pass->service;
	struct world_rollout *rollout = &pass->rollout;
	bool can_go_back = rollout->from_revision && rollout->from_revision != service->revision;

	rollout->code = "health_gate_failed";
	rollout->message = reason;
	if (service->on_failure == WORLD_CONTINUE)
		return;
	if (service->on_failure == WORLD_PAUSE || !can_go_back) {
		rollout->state = WORLD_R_PAUSED;
		return;
	}
	rollout->state = WORLD_R_ROLLED_BACK;
}

static void fail(struct plan_pass *pass, size_t i)
{
	const struct world_service *service = pass->service;
	struct world_replica *replica = &pass->work[i];
	struct world_rollout *rollout = &pass->rollout;
	const char *reason = reason_text(pass, replica);

	if (is_rolling(pass) && service->on_failure == WORLD_CONTINUE &&
	    replica->phase != WORLD_STARTING) {
		replica->old = (struct world_shape){.host = ""};
		plan_enter(pass, i, WORLD_SETTLED, "failed, going on");
	} else if (replica->phase == WORLD_STARTING) {
		return_to_old(pass, i, "health gate failed");
	} else {
		start_old_again(pass, i, "health gate failed");
	}
	if (!is_rolling(pass))
		return;
	rollout->n_failed++;
	rollout->since_ms = pass->world->now_ms;
	if ((uint64_t)rollout->n_failed * 1000 >
	    (uint64_t)service->max_failure_permille * rollout->n_total)
		stop_rollout(pass, reason);
}

static void advance_starting(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];
	const struct world_node *node = world_node(pass->world, replica->now.host);

	if (!is_wanted_shape(pass, &replica->now) && is_wanted_shape(pass, &replica->old)) {
		return_to_old(pass, i, "the change was taken back");
		replica->nonce = pass->service->nonce;
		return;
	}
	if (differs(pass, replica) && node) {
		plan_place(pass, i, (size_t)(node - pass->world->nodes));
		plan_enter(pass, i, WORLD_STARTING, "superseded");
		return;
	}
	switch (gate_of(pass, replica)) {
	case GATE_FAILED:
		fail(pass, i);
		return;
	case GATE_WAITING:
		return;
	case GATE_PASSED:
		break;
	}
	if (replica->uses_missing && pass->world->now_ms < replica->since_ms + USE_WAIT_MS) {
		plan_wake(pass->plan, replica->since_ms + USE_WAIT_MS);
		return;
	}
	plan_enter(pass, i, WORLD_YIELDING, "healthy");
}

static void settle(struct plan_pass *pass, size_t i)
{
	pass->work[i].old = (struct world_shape){.host = ""};
	plan_enter(pass, i, WORLD_SETTLED, "replaced");
	if (is_rolling(pass))
		pass->rollout.since_ms = pass->world->now_ms;
}

static void watch_or_settle(struct plan_pass *pass, size_t i, const char *why)
{
	if (pass->service->monitor_ms > 0)
		plan_enter(pass, i, WORLD_MONITORING, why);
	else
		settle(pass, i);
}

static void advance_monitoring(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];
	const struct world_observed *observed =
		world_observed(pass->world, replica->id, replica->now.generation);
	int64_t due = replica->since_ms + pass->service->monitor_ms;

	if (observed &&
	    (observed->state == WORLD_S_FAILED || observed->state == WORLD_S_DEGRADED)) {
		fail(pass, i);
	} else if (pass->world->now_ms >= due) {
		settle(pass, i);
	} else {
		plan_wake(pass->plan, due);
	}
}

/* Where a stop-first replacement goes: where it was, unless that node is to be left. */
static size_t stop_first_target(struct plan_pass *pass, const struct world_replica *replica)
{
	const struct world_node *node = world_node(pass->world, replica->now.host);
	struct placement_reasons reasons;
	size_t from, target;
	const char *why;

	if (!node)
		return PLACEMENT_NONE;
	from = (size_t)(node - pass->world->nodes);
	if (!drain_must_move(pass, replica, &why))
		return from;
	placement_remove(pass->placement, from);
	target = placement_choose(pass->placement, replica->index, &reasons);
	if (target == PLACEMENT_NONE)
		target = from;
	placement_add(pass->placement, target);
	return target;
}

static void replace_alone(struct plan_pass *pass, size_t i)
{
	struct world_shape old = pass->work[i].now;
	size_t target = stop_first_target(pass, &pass->work[i]);

	if (target == PLACEMENT_NONE)
		return;
	plan_place(pass, i, target);
	pass->work[i].old = old;
	plan_enter(pass, i, WORLD_GATING, "stopped");
}

static void advance(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];

	switch (replica->phase) {
	case WORLD_STARTING:
		advance_starting(pass, i);
		return;
	case WORLD_YIELDING:
		if (is_drained(pass, replica))
			watch_or_settle(pass, i, "old one drained");
		return;
	case WORLD_STOPPING:
		if (is_stopped_for_good(pass, replica))
			replace_alone(pass, i);
		return;
	case WORLD_GATING:
		if (differs(pass, replica))
			replace_alone(pass, i);
		else if (gate_of(pass, replica) == GATE_PASSED)
			watch_or_settle(pass, i, "healthy");
		else if (gate_of(pass, replica) == GATE_FAILED)
			fail(pass, i);
		return;
	case WORLD_MONITORING:
		advance_monitoring(pass, i);
		return;
	case WORLD_PENDING:
	case WORLD_SETTLED:
	case WORLD_LEAVING:
		return;
	}
}

/* Equal hash: the container is left alone, its record follows the revision so that old revisions
 * can be forgotten. */
static void follow_revision(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];

	if (replica->phase != WORLD_SETTLED || differs(pass, replica) || !replica->now.generation ||
	    replica->now.revision == pass->service->revision)
		return;
	replica->now.revision = pass->service->revision;
	replica->now.image = pass->service->image;
	pass->why[i] = pass->why[i] ? pass->why[i] : "same spec";
}

static bool is_candidate(const struct plan_pass *pass, size_t i, const char **out_why)
{
	const struct world_replica *replica = &pass->work[i];
	const struct world_node *node = world_node(pass->world, replica->now.host);

	if (pass->is_dropped[i] || pass->why[i] || replica->phase != WORLD_SETTLED ||
	    !replica->now.generation || !node || !node->is_reachable)
		return false;
	if (differs(pass, replica)) {
		*out_why = is_wanted_shape(pass, &replica->now) ? "restart" : "spec changed";
		return !pass->has_rollout || pass->rollout.state == WORLD_R_IN_PROGRESS;
	}
	if (!drain_must_move(pass, replica, out_why))
		return false;
	if (replica->last_generation > replica->now.generation &&
	    pass->world->now_ms < replica->since_ms + RETRY_MS) {
		plan_wake(pass->plan, replica->since_ms + RETRY_MS);
		return false;
	}
	return true;
}

/* Broken ones first: replacing them costs nobody anything. */
static size_t next_candidate(const struct plan_pass *pass, const bool *is_tried,
			     const char **out_why)
{
	size_t best = PLACEMENT_NONE;
	const char *why;

	for (size_t i = 0; i < pass->n_work; i++) {
		if (is_tried[i] || !is_candidate(pass, i, &why))
			continue;
		if (!is_running(pass, &pass->work[i])) {
			*out_why = why;
			return i;
		}
		if (best == PLACEMENT_NONE) {
			best = i;
			*out_why = why;
		}
	}
	return best;
}

static void begin_start_first(struct plan_pass *pass, size_t i, const char *why)
{
	struct world_replica *replica = &pass->work[i];
	const struct world_node *node = world_node(pass->world, replica->now.host);
	struct world_shape old = replica->now;
	struct placement_reasons reasons;
	size_t from = (size_t)(node - pass->world->nodes), target = from;
	const char *move_why;

	if (drain_must_move(pass, replica, &move_why)) {
		placement_remove(pass->placement, from);
		target = placement_choose(pass->placement, replica->index, &reasons);
		placement_add(pass->placement, target == PLACEMENT_NONE ? from : target);
		if (target == PLACEMENT_NONE && !differs(pass, replica))
			return; /* nowhere to go: it stays */
		if (target == PLACEMENT_NONE)
			target = from;
	}
	plan_place(pass, i, target);
	replica->old = old;
	plan_enter(pass, i, WORLD_STARTING, why);
}

/* Replicas of the service that do not run, without @self. */
static unsigned n_down(const struct plan_pass *pass, size_t self)
{
	unsigned n = 0;

	for (size_t i = 0; i < pass->n_work; i++)
		if (i != self && !pass->is_dropped[i] && pass->work[i].phase != WORLD_LEAVING &&
		    !is_running(pass, &pass->work[i]))
			n++;
	return n;
}

static void hold(struct plan_pass *pass, unsigned n)
{
	struct plan_op *op;

	if (!is_rolling(pass) || strcmp(pass->rollout.code, "rollout_invariant_hold") == 0)
		return;
	pass->rollout.code = "rollout_invariant_hold";
	pass->rollout.message = jaco_arena_printf(pass->plan->arena,
						  "%u other replicas are not running", n);
	op = plan_op(pass->plan, PLAN_AUDIT, "a step waits for other replicas");
	op->audit.type = "rollout_invariant_hold";
	op->audit.deployment = pass->deployment;
	op->audit.service = pass->name;
	op->audit.replica = op->audit.host = "-";
}

/* Returns whether the step was begun. */
static bool begin_one(struct plan_pass *pass, size_t i, const char *why)
{
	const struct world_service *service = pass->service;
	unsigned down;

	if (!service->is_stop_first) {
		begin_start_first(pass, i, why);
		return pass->why[i] != NULL;
	}
	if (!is_running(pass, &pass->work[i])) {
		replace_alone(pass, i);
		return pass->why[i] != NULL;
	}
	down = n_down(pass, i);
	if (down >= service->parallel) {
		hold(pass, down);
		return false;
	}
	if (is_rolling(pass) && strcmp(pass->rollout.code, "rollout_invariant_hold") == 0)
		pass->rollout.code = pass->rollout.message = "";
	plan_enter(pass, i, WORLD_STOPPING, why);
	return true;
}

static void begin_rollout(struct plan_pass *pass)
{
	const struct world_service *service = pass->service;
	bool is_undo = pass->has_rollout && pass->rollout.state == WORLD_R_ROLLED_BACK;
	struct world_rollout rollout = {
		.deployment = pass->deployment,
		.service = pass->name,
		.revision = service->revision,
		.from_revision = is_undo ? 0 : service->previous_revision, /* no ping-pong */
		.state = WORLD_R_IN_PROGRESS,
		.started_ms = pass->world->now_ms,
		.code = is_undo ? pass->rollout.code : "",
		.message = is_undo ? pass->rollout.message : "",
		.mod = pass->has_rollout ? pass->rollout.mod : 0,
	};

	pass->rollout = rollout;
	pass->has_rollout = true;
}

static void count(struct plan_pass *pass, bool *out_any_differs, unsigned *out_in_flight)
{
	unsigned n_total = 0, n_done = 0;

	*out_any_differs = false;
	*out_in_flight = 0;
	for (size_t i = 0; i < pass->n_work; i++) {
		const struct world_replica *replica = &pass->work[i];

		if (pass->is_dropped[i] || replica->phase == WORLD_LEAVING)
			continue;
		n_total++;
		*out_any_differs |= differs(pass, replica);
		*out_in_flight += is_in_flight(replica->phase);
		n_done += replica->phase == WORLD_SETTLED && !differs(pass, replica);
	}
	if (pass->has_rollout && pass->rollout.state == WORLD_R_IN_PROGRESS) {
		pass->rollout.n_total = n_total;
		pass->rollout.n_done = n_done;
	}
}

static void begin_steps(struct plan_pass *pass, unsigned in_flight)
{
	bool *is_tried = jaco_arena_alloc_n(pass->plan->arena, pass->n_work + 1, sizeof(bool));
	int64_t due = is_rolling(pass) ? pass->rollout.since_ms + pass->service->delay_ms : 0;
	const char *why = NULL;

	if (pass->world->now_ms < due) {
		plan_wake(pass->plan, due);
		return;
	}
	while (in_flight < pass->service->parallel) {
		size_t i = next_candidate(pass, is_tried, &why);

		if (i == PLACEMENT_NONE)
			return;
		is_tried[i] = true;
		in_flight += begin_one(pass, i, why);
	}
}

/* A failure that ended a rollout of this very revision stays in force until the next. */
static bool is_stopped(const struct plan_pass *pass)
{
	if (!pass->has_rollout || pass->rollout.revision != pass->service->revision)
		return false;
	return pass->rollout.state == WORLD_R_PAUSED || pass->rollout.state == WORLD_R_ABORTED ||
	       pass->rollout.state == WORLD_R_ROLLED_BACK;
}

/* A new apply goes on from where the rollout of the last one is. */
static void supersede(struct plan_pass *pass)
{
	struct world_rollout *rollout = &pass->rollout;

	if (!pass->has_rollout || rollout->state != WORLD_R_IN_PROGRESS ||
	    rollout->revision == pass->service->revision)
		return;
	rollout->revision = pass->service->revision;
	rollout->n_failed = 0;
	rollout->code = rollout->message = "";
}

/* The revision goes back by raftd's own hand, as `jaco rollback` would do it; asked for as long as
 * the bad one is current, so that a leader that dies in between changes nothing. */
static void ask_rollback(struct plan_pass *pass)
{
	const struct world_rollout *rollout = &pass->rollout;

	if (pass->has_rollout && rollout->state == WORLD_R_ROLLED_BACK && rollout->from_revision &&
	    rollout->revision == pass->service->revision)
		plan_op(pass->plan, PLAN_ROLLBACK, "health gate failed")->rollout = *rollout;
}

void rollout_pass(struct plan_pass *pass)
{
	unsigned in_flight;
	bool any_differs;

	supersede(pass);
	for (size_t i = 0; i < pass->n_work; i++) {
		if (!pass->is_dropped[i] && !pass->why[i] && is_in_flight(pass->work[i].phase))
			advance(pass, i);
		follow_revision(pass, i);
	}
	count(pass, &any_differs, &in_flight);
	if (any_differs && !is_stopped(pass) && !is_rolling(pass)) {
		begin_rollout(pass);
		count(pass, &any_differs, &in_flight);
	}
	begin_steps(pass, in_flight);
	count(pass, &any_differs, &in_flight);
	if (is_rolling(pass) && !any_differs && in_flight == 0)
		pass->rollout.state = strcmp(pass->rollout.code, "health_gate_failed") == 0 &&
						      pass->rollout.n_failed == 0
					      ? WORLD_R_ROLLED_BACK
					      : WORLD_R_COMPLETED;
	ask_rollback(pass);
}

void rollout_leaving(struct plan_pass *pass)
{
	for (size_t i = 0; i < pass->n_work; i++) {
		struct world_replica *replica = &pass->work[i];

		if (replica->phase != WORLD_LEAVING || pass->is_dropped[i])
			continue;
		if (pass->why[i]) {
			plan_wake(pass->plan, pass->world->now_ms + DRAIN_DEFAULT_MS);
			continue;
		}
		if (replica->now.generation == 0 || is_drained(pass, replica)) {
			pass->is_dropped[i] = true;
			pass->why[i] = "drained";
		}
	}
}
