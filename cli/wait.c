/* SPDX-License-Identifier: Apache-2.0
 *
 * wait.c - follows a view and says what changed. */
#include "cli/wait.h"

#include <stdio.h>
#include <string.h>

#include "cli/out.h"
#include "cli/report.h"
#include "cli/shown.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define SHOWN_LINES 20

struct waiter {
	struct cli *cli;
	const char *deployment;
	uint64_t started_ms; /* wall time: rollouts that ended before are history */
	struct shown *shown; /* by replica generation */
	bool is_done;
	size_t n_wanted; /* replicas of all services */
	bool has_failed;
	struct jaco_err failure;
	char replica[JACO_REPLICA_ID_MAX + 1]; /* that failed */
	char stuck[JACO_ERR_TEXT_MAX];         /* why it is not done */
};

static void say_once(struct waiter *waiter, const char *key, const char *text)
{
	if (shown_is_news(&waiter->shown, key, text))
		out_say(waiter->cli, "%s", text);
}

/* Which of two that go by the same name: " (old)" has another spec than its service has now, "
 * (new)" replaces one. */
static const char *age_of(const struct jaco_view *view, const struct wire_replica_row *row)
{
	const struct wire_deployment *deployment =
		jaco_view_getf(view, "/deployment/%s", row->deployment);

	for (size_t i = 0; deployment && i < deployment->services.n; i++)
		if (jaco_str_eq(deployment->services.v[i].name, row->service) &&
		    !jaco_str_eq(deployment->services.v[i].spec_hash, row->spec_hash))
			return row->spec_hash ? " (old)" : "";
	return row->generation > 1 ? " (new)" : "";
}

static void show_row(struct waiter *waiter, const struct jaco_view *view,
		     const struct wire_replica_row *row, struct jaco_arena *arena)
{
	const char *key = jaco_arena_printf(arena, "%s.%u", row->id, row->generation);

	say_once(waiter, key,
		 jaco_arena_printf(arena, "%s@%s%s %s", row->id, row->node, age_of(view, row),
				   report_state(row, arena)));
}

static void note_failure(struct waiter *waiter, const struct wire_replica_row *row)
{
	waiter->has_failed = true;
	(void)jaco_str_copy(waiter->replica, sizeof(waiter->replica), row->id);
	jaco_err_set(&waiter->failure, jaco_code_find(row->code ? row->code : "container_exited"),
		     "%s: %s", row->id, row->message ? row->message : "failed");
	jaco_err_detail(&waiter->failure, "replica", "%s", row->id);
}

/* Whether the rollout of a service stands in the way; one that was given up since ends the wait. */
static bool is_rolling(struct waiter *waiter, const struct jaco_view *view, const char *service)
{
	const struct wire_rollout *rollout =
		jaco_view_getf(view, "/rollout/%s/%s", waiter->deployment, service);

	if (!rollout || rollout->state == JACO_ROLLOUT_COMPLETED)
		return false;
	if (rollout->state == JACO_ROLLOUT_IN_PROGRESS)
		return true;
	if (rollout->updated >= waiter->started_ms && !waiter->has_failed) {
		waiter->has_failed = true;
		jaco_err_set(&waiter->failure,
			     jaco_code_find(rollout->code ? rollout->code : "health_gate_failed"),
			     "%s %s: %s", service,
			     jaco_enum_word(&jaco_rollout_state_enum, (int)rollout->state),
			     rollout->reason ? rollout->reason
					     : "a replica did not become healthy");
	}
	return false;
}

/* What a service that is not as wanted waits for; kept for when the time runs out. */
static void note_stuck(struct waiter *waiter, const char *service, const struct report_progress *p,
		       struct jaco_arena *arena)
{
	if (p->ready < p->wanted && p->worst)
		(void)jaco_str_format(waiter->stuck, sizeof(waiter->stuck), "%s@%s is %s",
				      p->worst->id, p->worst->node, report_state(p->worst, arena));
	else if (p->ready < p->wanted)
		(void)jaco_str_format(waiter->stuck, sizeof(waiter->stuck),
				      "%s: %zu of %zu replicas ready", service, p->ready,
				      p->wanted);
	else if (p->old)
		(void)jaco_str_format(waiter->stuck, sizeof(waiter->stuck),
				      "%s: %zu old replica%s yet to go", service, p->old,
				      p->old == 1 ? " has" : "s have");
	else
		(void)jaco_str_format(waiter->stuck, sizeof(waiter->stuck),
				      "the rollout of %s goes on", service);
}

static void on_change(struct jaco_view *view, void *ctx)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct waiter *waiter = ctx;
	const struct wire_deployment *deployment =
		jaco_view_getf(view, "/deployment/%s", waiter->deployment);
	struct wire_replica_row *rows;
	bool is_done = true;
	bool is_rolled;
	size_t n;

	rows = report_replicas(view, waiter->deployment, NULL, &arena, &n);
	for (size_t i = 0; i < n; i++)
		show_row(waiter, view, &rows[i], &arena);
	if (!deployment) {
		waiter->is_done = true;
		return;
	}
	waiter->n_wanted = 0;
	for (size_t i = 0; i < deployment->services.n; i++) {
		struct report_progress p = report_service(view, waiter->deployment,
							  &deployment->services.v[i], &arena);

		waiter->n_wanted += p.wanted;

		if (p.failed && p.worst && !waiter->has_failed)
			note_failure(waiter, p.worst);
		is_rolled = !is_rolling(waiter, view, deployment->services.v[i].name);
		if (is_rolled && p.ready >= p.wanted && p.old == 0)
			continue;
		if (is_done)
			note_stuck(waiter, deployment->services.v[i].name, &p, &arena);
		is_done = false;
	}
	waiter->is_done = is_done;
}

static void print_line(void *ctx, const void *msg)
{
	const struct wire_log_line *line = msg;

	(void)ctx;
	fprintf(stderr, "  [%s@%s] %s\n", line->replica, line->host, line->text);
}

static void show_last_lines(struct waiter *waiter)
{
	struct wire_logs_query req = {.replica = waiter->replica, .tail = SHOWN_LINES};
	struct jaco_err ignored = JACO_ERR_INIT;

	(void)cli_stream(waiter->cli, &wire_runtimed_logs_stream, &req, print_line, waiter,
			 &ignored);
}

static int run(struct waiter *waiter, struct jaco_view *view, int64_t timeout_ms,
	       struct jaco_err *err)
{
	struct cli *cli = waiter->cli;
	struct jaco_time deadline = jaco_time_add_ms(jaco_loop_now(&cli->loop), timeout_ms);

	on_change(view, waiter);
	while (!waiter->is_done && !waiter->has_failed && cli->client.is_up &&
	       jaco_time_before(jaco_loop_now(&cli->loop), deadline))
		jaco_loop_once(&cli->loop, 500);
	if (waiter->has_failed) {
		if (*waiter->replica)
			show_last_lines(waiter);
		*err = waiter->failure;
		return -(int)err->code;
	}
	if (!cli->client.is_up)
		return jaco_err_set(err, JACO_UNAVAILABLE, "raftd went away");
	if (!waiter->is_done)
		return jaco_err_set(err, JACO_TIMEOUT, "%s is not converged yet: %s",
				    waiter->deployment, waiter->stuck);
	return 0;
}

int wait_converged(struct cli *cli, const char *deployment, int64_t timeout_ms,
		   struct jaco_err *err)
{
	uint64_t now = (uint64_t)jaco_time_wall_ms();
	struct waiter waiter = {.cli = cli, .deployment = deployment, .started_ms = now};
	struct jaco_view view;
	int rc;

	if (cli_view(cli, &view, report_prefixes, on_change, &waiter, err) < 0)
		return -(int)err->code;
	rc = run(&waiter, &view, timeout_ms, err);
	jaco_view_close(&view);
	shown_fini(&waiter.shown);
	if (rc >= 0)
		out_say(cli, "%s: %s", deployment,
			waiter.n_wanted ? "all replicas run" : "no replica is wanted, none runs");
	return rc;
}

struct gone {
	const char *deployment;
	const char *prefix; /* of its desired replicas */
	bool is_done;
};

static void on_gone_change(struct jaco_view *view, void *ctx)
{
	const struct jaco_view_entry *entry;
	struct gone *gone = ctx;
	bool found = jaco_view_below(view, jaco_view_lower(view, gone->prefix), gone->prefix);

	JACO_VIEW_FOREACH(view, "/obs/replica/", entry) {
		const struct wire_obs_replica *seen = entry->msg;

		found = found || jaco_str_eq(seen->deployment, gone->deployment);
	}
	gone->is_done = !found;
}

int wait_gone(struct cli *cli, const char *deployment, int64_t timeout_ms, struct jaco_err *err)
{
	struct gone gone = {.deployment = deployment,
			    .prefix = jaco_arena_printf(&cli->arena, "/replica/%s/", deployment)};
	struct jaco_time deadline;
	struct jaco_view view;

	if (cli_view(cli, &view, report_prefixes, on_gone_change, &gone, err) < 0)
		return -(int)err->code;
	deadline = jaco_time_add_ms(jaco_loop_now(&cli->loop), timeout_ms);
	on_gone_change(&view, &gone);
	while (!gone.is_done && cli->client.is_up &&
	       jaco_time_before(jaco_loop_now(&cli->loop), deadline))
		jaco_loop_once(&cli->loop, 500);
	jaco_view_close(&view);
	return gone.is_done ? 0
			    : jaco_err_set(err, JACO_TIMEOUT, "replicas of %s are still there",
					   deployment);
}

/* --- a node empties --- */

struct drained {
	struct waiter waiter; /* what was printed */
	const char *host;
	bool is_over;
	bool is_member;
	enum jaco_node_intent intent;
	char *code;
	char *message;
};

/* Replicas that are, or were when the wait began, on the node. */
static void show_moves(struct drained *drained, struct jaco_view *view, struct jaco_arena *arena)
{
	size_t n;
	struct wire_replica_row *rows = report_replicas(view, NULL, NULL, arena, &n);

	for (size_t i = 0; i < n; i++) {
		const char *key = jaco_arena_printf(arena, "moving %s", rows[i].id);

		if (!shown_has(drained->waiter.shown, key) &&
		    !jaco_str_eq(rows[i].node, drained->host))
			continue;
		say_once(&drained->waiter, key,
			 jaco_arena_printf(arena, "%s leaves %s", rows[i].id, drained->host));
		show_row(&drained->waiter, view, &rows[i], arena);
	}
}

static void on_drain_change(struct jaco_view *view, void *ctx)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct drained *drained = ctx;
	const struct wire_node *node = jaco_view_getf(view, "/node/%s", drained->host);

	show_moves(drained, view, &arena);
	if (node && node->intent == JACO_NODE_INTENT_DRAINING)
		return;
	drained->is_over = true;
	drained->is_member = node != NULL;
	drained->intent = node ? node->intent : JACO_NODE_INTENT_END;
	jaco_free(drained->code);
	jaco_free(drained->message);
	drained->code = node && node->drain_code ? jaco_strdup(node->drain_code) : NULL;
	drained->message = node && node->drain_message ? jaco_strdup(node->drain_message) : NULL;
}

static int end_of_drain(struct drained *drained, struct jaco_err *err)
{
	struct cli *cli = drained->waiter.cli;
	const char *host = drained->host;

	if (!drained->is_over)
		return jaco_err_set(err, JACO_UNAVAILABLE, "raftd went away; %s goes on draining",
				    host);
	if (!drained->is_member)
		return jaco_err_set(err, JACO_NODE_NOT_FOUND, "%s was removed meanwhile", host);
	if (drained->code)
		return jaco_err_set(err, JACO_TIMEOUT, "%s: %s; %s stays cordoned", drained->code,
				    drained->message ? drained->message : "", host);
	if (drained->intent != JACO_NODE_INTENT_CORDONED)
		return jaco_err_set(err, JACO_CONFLICT, "%s was uncordoned meanwhile", host);
	out_say(cli, "%s is %s and cordoned", host,
		drained->message ? drained->message : "drained");
	return 0;
}

int wait_drained(struct cli *cli, const char *host, struct jaco_err *err)
{
	struct drained drained = {.waiter = {.cli = cli}, .host = host};
	struct jaco_view view;
	int rc;

	if (cli_view(cli, &view, report_prefixes, on_drain_change, &drained, err) < 0)
		return -(int)err->code;
	on_drain_change(&view, &drained);
	while (!drained.is_over && cli->client.is_up)
		jaco_loop_once(&cli->loop, 500);
	jaco_view_close(&view);
	rc = end_of_drain(&drained, err);
	shown_fini(&drained.waiter.shown);
	jaco_free(drained.code);
	jaco_free(drained.message);
	return rc;
}
