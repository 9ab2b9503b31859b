/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/schedd/schedd.h"

#include <inttypes.h>
#include <string.h>

#include "daemons/schedd/commit.h"
#include "daemons/schedd/fill.h"
#include "libjaco/base/fault.h"

#define TXN_DEADLINE_MS      5000
#define RETRY_MS             50
#define FAILED_RETRY_MS      1000
#define RESUBSCRIBE_MS       500
#define ROLLBACK_HOLD_MS     5000
#define ROLLBACK_DEADLINE_MS 10000

#include "libjaco/wire/pass_methods.h"
#define METHOD(d, m, n, in, out, r, f) JACO_THUNK(struct schedd, d, m, in)
#include "libjaco/wire/def/schedd.def"
#undef METHOD
#define METHOD(d, m, n, in, out, r, f) JACO_ROW(d, m)
const struct jaco_service_row schedd_methods[] = {
#include "libjaco/wire/def/schedd.def"
	{NULL, NULL}};
#include "libjaco/wire/pass_end.h"

static void pass(struct schedd *schedd);

static void say_status(struct schedd *schedd)
{
	struct jaco_daemon *daemon = schedd->daemon;

	if (!daemon->view.is_live)
		jaco_daemon_set_status(daemon, "waiting", "waiting for raftd");
	else if (!schedd->is_leader)
		jaco_daemon_set_status(daemon, "ready", "another node leads");
	else
		jaco_daemon_set_status(daemon, "ready", "leading: %zu replicas, %zu pending",
				       schedd->world.n_replicas, schedd->n_pending);
}

/* --- following the leader --- */

static void on_leadership(void *ctx, const void *event)
{
	const struct wire_leadership *leadership = event;
	struct schedd *schedd = ctx;

	if (schedd->is_leader != leadership->is_leader)
		jaco_log_notice(leadership->is_leader ? "scheduling begins" : "scheduling ends",
				KV_INT(term, leadership->term));
	schedd->is_leader = leadership->is_leader;
	say_status(schedd);
	if (schedd->is_leader)
		jaco_view_poke(&schedd->daemon->view);
}

static void on_leadership_lost(void *ctx, JACO_UNUSED const void *out,
			       JACO_UNUSED const struct jaco_err *err)
{
	struct schedd *schedd = ctx;

	schedd->leader = NULL;
	schedd->is_leader = false;
	say_status(schedd);
	jaco_timer_arm(&schedd->resubscribe, RESUBSCRIBE_MS);
}

static void follow(struct schedd *schedd)
{
	struct wire_nothing nothing = {.has = 0};

	if (!schedd->leader)
		schedd->leader =
			jaco_client_stream(&schedd->daemon->raftd, &wire_raftd_leader_watch,
					   &nothing, on_leadership, on_leadership_lost, schedd);
}

static void on_resubscribe(JACO_UNUSED struct jaco_timer *timer, void *ctx)
{
	follow(ctx);
}

int schedd_follow_leader(struct schedd *schedd, JACO_UNUSED struct jaco_err *err)
{
	follow(schedd);
	return 0;
}

/* --- after the commit --- */

static void on_audited(JACO_UNUSED void *ctx, JACO_UNUSED const void *out,
		       const struct jaco_err *err)
{
	if (err && err->code != JACO_OK)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "audit event not written", err);
}

/* The first audit rode along with the transaction. */
static void write_audits(struct schedd *schedd)
{
	bool is_first = true;

	for (size_t i = 0; i < schedd->n_done; i++) {
		const struct plan_op *op = &schedd->plan.ops[i];
		struct wire_txn txn = {.has = 0};
		struct wire_audit audit;

		if (op->what != PLAN_AUDIT)
			continue;
		if (!is_first) {
			audit = commit_audit(op, &schedd->arena);
			txn.audit = &audit;
			(void)jaco_client_call(&schedd->daemon->raftd, &wire_raftd_kv_txn, &txn,
					       TXN_DEADLINE_MS, on_audited, NULL);
		}
		is_first = false;
	}
}

static void on_rolled_back(void *ctx, const void *out, const struct jaco_err *err)
{
	struct schedd *schedd = ctx;

	schedd->rollback = NULL;
	if (!out)
		JACO_LOG_FAILURE(JACO_LOG_ERR, "rollback refused", err);
}

static void ask_rollback(struct schedd *schedd)
{
	struct jaco_time now = jaco_loop_now(&schedd->daemon->loop);

	if (schedd->rollback || jaco_time_before(now, schedd->rollback_hold))
		return;
	for (size_t i = 0; i < schedd->plan.n; i++) {
		const struct plan_op *op = &schedd->plan.ops[i];
		struct wire_rollback req = {.deployment = op->rollout.deployment};

		if (op->what != PLAN_ROLLBACK)
			continue;
		JACO_SET(&req, rollback, to, op->rollout.from_revision);
		jaco_log_warning("rolling back", KV_STR(deployment, op->rollout.deployment),
				 KV_STR(service, op->rollout.service),
				 KV_STR(reason, op->rollout.message));
		schedd->rollback_hold = jaco_time_add_ms(now, ROLLBACK_HOLD_MS);
		schedd->rollback = jaco_client_call(&schedd->daemon->raftd,
						    &wire_raftd_deploy_rollback, &req,
						    ROLLBACK_DEADLINE_MS, on_rolled_back, schedd);
		return;
	}
}

static void on_committed(void *ctx, const void *out, const struct jaco_err *err)
{
	const struct wire_txn_result *result = out;
	struct schedd *schedd = ctx;

	CHAOS(schedd_committed);
	schedd->txn = NULL;
	if (!result) {
		schedd->n_failures++;
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "plan not written", err);
		jaco_timer_arm(&schedd->retry, FAILED_RETRY_MS);
	} else if (!result->succeeded) {
		schedd->n_conflicts++;
		jaco_log_debug("the world moved under the plan", KV_STR(key, result->failed_key));
		jaco_timer_arm(&schedd->retry, RETRY_MS);
	} else {
		schedd->min_revision = result->revision;
		schedd->n_ops += schedd->n_done;
		write_audits(schedd);
		ask_rollback(schedd);
		if (schedd->daemon->view.revision >= schedd->min_revision)
			jaco_timer_arm(&schedd->retry, 0);
	}
}

/* --- one pass --- */

static void make_plan(struct schedd *schedd)
{
	struct jaco_daemon *daemon = schedd->daemon;
	struct jaco_time before = jaco_time_now();
	int64_t after_ms = daemon->config.reschedule_after;

	jaco_arena_reset(&schedd->arena);
	fill_world(&schedd->world, &daemon->view, daemon->host, jaco_time_wall_ms(),
		   after_ms == JACO_CONFIG_OFF ? -1 : after_ms, &schedd->arena);
	plan_make(&schedd->plan, &schedd->world, &schedd->arena);
	jaco_histogram_add(&schedd->plan_us,
			   (uint64_t)(jaco_time_now().ns - before.ns) / 1000);
	schedd->n_pending = 0;
	for (size_t i = 0; i < schedd->world.n_replicas; i++)
		schedd->n_pending += schedd->world.replicas[i].phase == WORLD_PENDING;
}

static void log_plan(const struct schedd *schedd)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	char *save = NULL;

	if (!jaco_log_enabled(JACO_LOG_DEBUG))
		return;
	plan_render(&schedd->plan, &buf);
	for (char *line = strtok_r(buf.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		jaco_log_debug("plan", KV_STR(reason, line));
}

static void set_wake(struct schedd *schedd)
{
	if (schedd->plan.next_ms == INT64_MAX)
		jaco_timer_disarm(&schedd->wake);
	else
		jaco_timer_arm(&schedd->wake,
			       JACO_MAX(schedd->plan.next_ms - jaco_time_wall_ms(), 1));
}

static void pass(struct schedd *schedd)
{
	struct jaco_daemon *daemon = schedd->daemon;
	struct wire_txn txn;

	say_status(schedd);
	if (!schedd->is_leader || !daemon->view.is_live || schedd->txn ||
	    daemon->view.revision < schedd->min_revision)
		return;
	make_plan(schedd);
	set_wake(schedd);
	say_status(schedd);
	if (schedd->plan.n == 0)
		return;
	log_plan(schedd);
	if (!commit_build(&txn, &schedd->n_done, &schedd->plan, &schedd->world, &daemon->view,
			  &schedd->arena)) {
		ask_rollback(schedd);
		return;
	}
	commit_keep(&schedd->plan, &schedd->arena);
	schedd->txn = jaco_client_call(&daemon->raftd, &wire_raftd_kv_txn, &txn, TXN_DEADLINE_MS,
				       on_committed, schedd);
}

void schedd_on_view(JACO_UNUSED struct jaco_view *view, void *ctx)
{
	pass(ctx);
}

static void on_timer(JACO_UNUSED struct jaco_timer *timer, void *ctx)
{
	pass(ctx);
}

/* --- methods --- */

/* What would be written now, on any node: the plan is a function of the view. */
int schedd_on_plan(struct schedd *schedd, struct jaco_call *call,
		   JACO_UNUSED const struct wire_nothing *req, struct jaco_err *err)
{
	struct jaco_daemon *daemon = schedd->daemon;
	struct wire_plan_text answer = {.is_leader = schedd->is_leader,
					.revision = daemon->view.revision};
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_BOUND(500000);
	int64_t after_ms = daemon->config.reschedule_after;
	struct world world;
	struct plan plan;

	if (!daemon->view.is_loaded)
		return jaco_err_set(err, JACO_UNAVAILABLE, "raftd has not been heard yet");
	fill_world(&world, &daemon->view, daemon->host, jaco_time_wall_ms(),
		   after_ms == JACO_CONFIG_OFF ? -1 : after_ms, call->arena);
	plan_make(&plan, &world, call->arena);
	plan_render(&plan, &buf);
	answer.text = jaco_buf_str(&buf);
	jaco_call_reply(call, &answer);
	return 0;
}

int schedd_open(struct schedd *schedd, struct jaco_daemon *daemon, JACO_UNUSED struct jaco_err *err)
{
	schedd->daemon = daemon;
	schedd->arena = JACO_ARENA_INIT;
	jaco_timer_init(&daemon->loop, &schedd->wake, on_timer, schedd);
	jaco_timer_init(&daemon->loop, &schedd->retry, on_timer, schedd);
	jaco_timer_init(&daemon->loop, &schedd->resubscribe, on_resubscribe, schedd);
	say_status(schedd);
	return 0;
}

void schedd_cleanup(struct schedd *schedd)
{
	if (!schedd->daemon)
		return;
	if (schedd->leader)
		jaco_client_cancel(schedd->leader);
	if (schedd->txn)
		jaco_client_cancel(schedd->txn);
	if (schedd->rollback)
		jaco_client_cancel(schedd->rollback);
	jaco_timer_fini(&schedd->wake);
	jaco_timer_fini(&schedd->retry);
	jaco_timer_fini(&schedd->resubscribe);
	jaco_arena_fini(&schedd->arena);
	*schedd = SCHEDD_INIT;
}

void schedd_metrics(void *self, struct jaco_buf *out)
{
	const struct schedd *schedd = self;

	jaco_histogram_render(out, "jaco_schedd_plan_seconds", "time to make a plan",
			      &schedd->plan_us);
	jaco_metrics_value(out, "jaco_schedd_leader", "gauge", "1 while this node schedules",
			   schedd->is_leader);
	jaco_metrics_value(out, "jaco_schedd_operations_total", "counter", "operations written",
			   (double)schedd->n_ops);
	jaco_metrics_value(out, "jaco_schedd_conflicts_total", "counter",
			   "plans the world moved under", (double)schedd->n_conflicts);
	jaco_metrics_value(out, "jaco_schedd_failures_total", "counter", "plans not written",
			   (double)schedd->n_failures);
	jaco_metrics_value(out, "jaco_schedd_pending_replicas", "gauge", "replicas without a node",
			   (double)schedd->n_pending);
}

void schedd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status)
{
	const struct schedd *schedd = self;
	struct wire_pair *pairs = jaco_arena_alloc_n(arena, 3, sizeof(*pairs));

	pairs[0] = (struct wire_pair){"leader", schedd->is_leader ? "yes" : "no"};
	pairs[1] = (struct wire_pair){"pending",
				      jaco_arena_printf(arena, "%zu", schedd->n_pending)};
	pairs[2] = (struct wire_pair){"operations",
				      jaco_arena_printf(arena, "%" PRIu64, schedd->n_ops)};
	status->facts.v = pairs;
	status->facts.n = 3;
}
