/* SPDX-License-Identifier: Apache-2.0
 *
 * A replica is walked through its life by changing one fact at a time. */
#include "daemons/runtimed/plan.h"

#include "libjaco/base/str.h"
#include "tests/lib/test.h"

#define NOW 1000000

static struct plan_facts ready_to_run(void)
{
	return (struct plan_facts){.intent = PLAN_RUN,
				   .view_is_current = true,
				   .engine_is_up = true,
				   .has_spec = true,
				   .needs_addresses = true,
				   .has_addresses = true,
				   .has_networks = true,
				   .image = PLAN_IMAGE_PRESENT,
				   .gate_revision = 7,
				   .firewall_revision = 7,
				   .dns_revision = 7,
				   .firewall_is_ready = true,
				   .restart_budget = 3,
				   .is_inspected = true};
}

static struct plan_facts with_container(enum engine_container_state state)
{
	struct plan_facts f = ready_to_run();

	f.has_container = true;
	f.container = state;
	return f;
}

static struct plan_decision next(const struct replica *r, const struct plan_facts *f)
{
	struct plan_decision d;

	plan_next(r, f, NOW, &d);
	JT_TRUE(replica_may_enter(r->state, d.state));
	return d;
}

static const struct replica fresh = {.reason = {.code = ""}};

JT_CASE(a_start_goes_address_network_image_container_start)
{
	struct plan_facts f = ready_to_run();
	struct plan_decision d;

	f.has_addresses = f.has_networks = false;
	f.image = PLAN_IMAGE_UNKNOWN;
	JT_EQ(next(&fresh, &f).step, PLAN_LEASE);
	f.has_addresses = true;
	JT_EQ(next(&fresh, &f).step, PLAN_NETWORKS);
	f.has_networks = true;
	JT_EQ(next(&fresh, &f).step, PLAN_LOOK);
	f.image = PLAN_IMAGE_ABSENT;
	d = next(&fresh, &f);
	JT_EQ(d.step, PLAN_PULL);
	JT_EQ(d.state, JACO_REPLICA_PULLING);
	f.image = PLAN_IMAGE_PRESENT;
	JT_EQ(next(&fresh, &f).step, PLAN_CREATE);
	f.has_container = true;
	f.container = ENGINE_CREATED;
	d = next(&fresh, &f);
	JT_EQ(d.step, PLAN_START);
	JT_EQ(d.state, JACO_REPLICA_STARTING);
}

JT_CASE(no_process_before_firewall_and_dns_have_the_subnet)
{
	struct plan_facts f = with_container(ENGINE_CREATED);
	struct plan_decision d;

	f.dns_revision = 6;
	d = next(&fresh, &f);
	JT_EQ(d.step, PLAN_NOTHING);
	JT_EQ(d.state, JACO_REPLICA_PENDING);
	JT_STR(d.reason.code, "isolation_pending");
	JT_STR(d.reason.waits_for, "dns");
	f.firewall_is_ready = false;
	JT_STR(next(&fresh, &f).reason.waits_for, "firewall and dns");
	f.dns_revision = 9;
	JT_STR(next(&fresh, &f).reason.waits_for, "firewall");
	f.firewall_is_ready = true;
	JT_EQ(next(&fresh, &f).step, PLAN_START);
	/* the same gate stands before a restart of what crashed */
	f = with_container(ENGINE_EXITED);
	f.exit_code = 1;
	f.firewall_revision = 6;
	JT_EQ(next(&fresh, &f).step, PLAN_NOTHING);
}

JT_CASE(unmet_dependencies_are_named)
{
	struct plan_facts f = ready_to_run();
	struct plan_decision d;

	f.unmet = "db (service_healthy)";
	d = next(&fresh, &f);
	JT_EQ(d.step, PLAN_NOTHING);
	JT_STR(d.reason.code, "depends_on_unmet");
	JT_STR(d.reason.waits_for, "db (service_healthy)");
}

JT_CASE(pull_policy_decides_what_an_absent_image_means)
{
	struct plan_facts f = ready_to_run();
	struct replica r = fresh;
	struct plan_decision d;

	f.image = PLAN_IMAGE_ABSENT;
	f.pull_policy = JACO_PULL_NEVER;
	d = next(&r, &f);
	JT_EQ(d.step, PLAN_NOTHING);
	JT_STR(d.reason.code, "image_not_found");
	f.pull_policy = JACO_PULL_ALWAYS;
	f.image = PLAN_IMAGE_PRESENT;
	JT_EQ(next(&r, &f).step, PLAN_PULL);
	f.is_pulled = true;
	JT_EQ(next(&r, &f).step, PLAN_CREATE);
	f.image = PLAN_IMAGE_ABSENT;
	r.pull.next_ms = NOW + 500;
	f.pull_error = "manifest unknown";
	d = next(&r, &f);
	JT_EQ(d.step, PLAN_NOTHING);
	JT_STR(d.reason.code, "image_pull_failed");
	JT_STR(d.reason.message, "manifest unknown");
	JT_EQ(d.reason.retry_ms, NOW + 500);
}

JT_CASE(health_decides_between_starting_running_and_degraded)
{
	struct plan_facts f = with_container(ENGINE_RUNNING);
	struct replica r = fresh;
	struct plan_decision d;

	JT_EQ(next(&r, &f).state, JACO_REPLICA_STARTING);
	r.health.verdict = HEALTH_GOOD;
	JT_EQ(next(&r, &f).state, JACO_REPLICA_RUNNING);
	r.health.verdict = HEALTH_BAD;
	jaco_str_copy(r.health.output, sizeof(r.health.output), "connection refused");
	d = next(&r, &f);
	JT_EQ(d.state, JACO_REPLICA_DEGRADED);
	JT_EQ(d.step, PLAN_RESTART);
	JT_STR(d.reason.message, "unhealthy: connection refused");
	r.restart.next_ms = NOW + 1;
	JT_EQ(next(&r, &f).step, PLAN_NOTHING);
	r.is_exhausted = true;
	d = next(&r, &f);
	JT_EQ(d.state, JACO_REPLICA_FAILED);
	JT_STR(d.reason.code, "restart_exhausted");
}

JT_CASE(a_crash_is_restarted_after_its_wait)
{
	struct plan_facts f = with_container(ENGINE_EXITED);
	struct replica r = {.state = JACO_REPLICA_RUNNING, .reason = {.code = ""}};
	struct plan_decision d;

	f.exit_code = 137;
	r.restart.next_ms = NOW + 1000;
	d = next(&r, &f);
	JT_EQ(d.step, PLAN_NOTHING);
	JT_EQ(d.state, JACO_REPLICA_DEGRADED);
	JT_STR(d.reason.message, "ended by signal 9");
	JT_EQ(d.reason.retry_ms, NOW + 1000);
	r.restart.next_ms = NOW;
	JT_EQ(next(&r, &f).step, PLAN_START);
	r.is_exhausted = true;
	d = next(&r, &f);
	JT_EQ(d.state, JACO_REPLICA_FAILED);
	JT_STR(d.reason.code, "restart_exhausted");
	f.oom_killed = true;
	JT_NOT_NULL(strstr(next(&r, &f).reason.message, "out of memory"));
}

JT_CASE(an_exit_is_not_judged_before_its_status_is_known)
{
	struct plan_facts f = with_container(ENGINE_EXITED);
	struct replica r = {.state = JACO_REPLICA_RUNNING, .reason = {.code = ""}};

	f.is_inspected = false;
	JT_EQ(next(&r, &f).state, JACO_REPLICA_RUNNING);
	JT_EQ(next(&r, &f).step, PLAN_NOTHING);
}

JT_CASE(a_container_that_the_engine_refuses_to_start_again_waits_and_is_made_anew)
{
	struct plan_facts f = with_container(ENGINE_EXITED);
	struct replica r = {.state = JACO_REPLICA_DEGRADED, .reason = {.code = ""}};
	struct plan_decision d;

	f.is_inspected = true;
	f.exit_code = 1;
	JT_EQ(next(&r, &f).step, PLAN_START);
	r.engine = (struct backoff){.count = 1, .next_ms = NOW + 1000};
	d = next(&r, &f);
	JT_EQ(d.step, PLAN_NOTHING);
	JT_EQ(d.reason.retry_ms, NOW + 1000);
	r.engine.next_ms = NOW;
	JT_EQ(next(&r, &f).step, PLAN_START);
	r.engine.count = 3;
	JT_EQ(next(&r, &f).step, PLAN_DELETE);
	f.view_is_current = false;
	JT_EQ(next(&r, &f).step, PLAN_START);
}

JT_CASE(one_shot_services_complete)
{
	struct plan_facts f = with_container(ENGINE_EXITED);
	struct replica r = {.state = JACO_REPLICA_STARTING, .reason = {.code = ""}};

	f.is_one_shot = true;
	f.restart_budget = 0;
	JT_EQ(next(&r, &f).state, JACO_REPLICA_COMPLETED);
	f.exit_code = 3;
	r.is_exhausted = true;
	JT_EQ(next(&r, &f).state, JACO_REPLICA_FAILED);
	JT_STR(next(&r, &f).reason.code, "container_exited");
	JT_STR(next(&r, &f).reason.message, "exited with status 3");
	f.last_words = "no such table";
	JT_STR(next(&r, &f).reason.message, "exited with status 3: no such table");
	f.last_words = NULL;
}

JT_CASE(removal_drains_stops_deletes_forgets)
{
	struct plan_facts f = with_container(ENGINE_RUNNING);
	struct replica r = {.state = JACO_REPLICA_RUNNING, .reason = {.code = ""}};
	struct plan_decision d;

	f.intent = PLAN_REMOVE;
	f.drain_deadline_ms = NOW + 10000;
	d = next(&r, &f);
	JT_EQ(d.step, PLAN_NOTHING);
	JT_EQ(d.state, JACO_REPLICA_DRAINING);
	JT_EQ(d.reason.retry_ms, NOW + 10000);
	f.is_drained = true;
	JT_EQ(next(&r, &f).step, PLAN_STOP);
	f.is_drained = false;
	f.drain_deadline_ms = NOW;
	JT_EQ(next(&r, &f).step, PLAN_STOP);
	f.container = ENGINE_EXITED;
	JT_EQ(next(&r, &f).step, PLAN_DELETE);
	f.has_container = false;
	JT_EQ(next(&r, &f).step, PLAN_FORGET);
}

JT_CASE(nothing_is_removed_on_the_word_of_a_stale_view)
{
	struct replica r = {.state = JACO_REPLICA_RUNNING, .reason = {.code = ""}};

	for (int s = ENGINE_CREATED; s <= ENGINE_DEAD; s++) {
		struct plan_facts f = with_container(s);

		f.intent = PLAN_REMOVE;
		f.view_is_current = false;
		f.is_drained = true;
		JT_EQ(next(&r, &f).step, PLAN_NOTHING);
		JT_EQ(next(&r, &f).state, JACO_REPLICA_RUNNING);
	}
}

JT_CASE(a_drained_generation_is_stopped_and_kept)
{
	struct plan_facts f = with_container(ENGINE_RUNNING);
	struct replica r = {.state = JACO_REPLICA_RUNNING, .reason = {.code = ""}};

	f.intent = PLAN_DRAIN;
	f.is_drained = true;
	JT_EQ(next(&r, &f).step, PLAN_STOP);
	f.container = ENGINE_EXITED;
	JT_EQ(next(&r, &f).step, PLAN_NOTHING);
	JT_EQ(next(&r, &f).state, JACO_REPLICA_STOPPED);
}

JT_CASE(another_spec_is_never_started)
{
	struct plan_facts f = with_container(ENGINE_RUNNING);

	f.is_spec_different = true;
	JT_EQ(next(&fresh, &f).step, PLAN_STOP);
	f.container = ENGINE_EXITED;
	JT_EQ(next(&fresh, &f).step, PLAN_DELETE);
	f.container = ENGINE_CREATED;
	JT_EQ(next(&fresh, &f).step, PLAN_DELETE);
}

JT_CASE(without_the_engine_what_runs_is_left_as_it_was)
{
	struct plan_facts f = with_container(ENGINE_RUNNING);
	struct replica r = {.state = JACO_REPLICA_RUNNING, .reason = {.code = ""}};
	struct plan_decision d;

	f.engine_is_up = false;
	f.engine_error = "connection refused";
	d = next(&r, &f);
	JT_EQ(d.state, JACO_REPLICA_RUNNING);
	JT_EQ(d.step, PLAN_NOTHING);
	f.has_container = false;
	d = next(&r, &f);
	JT_EQ(d.state, JACO_REPLICA_PENDING);
	JT_NOT_NULL(strstr(d.reason.message, "connection refused"));
}

JT_CASE(budgets_follow_the_restart_policy)
{
	struct jaco_service s = {.name = "web"};

	JT_EQ(plan_restart_budget(&s), BACKOFF_BUDGET);
	s.restart = (struct jaco_restart){.kind = JACO_RESTART_ALWAYS, .is_set = true};
	JT_TRUE(plan_restart_budget(&s) == BACKOFF_NO_BUDGET);
	s.restart = (struct jaco_restart){.kind = JACO_RESTART_ON_FAILURE, .max_attempts = 7};
	JT_EQ(plan_restart_budget(&s), 7);
	s.restart = (struct jaco_restart){.kind = JACO_RESTART_NO};
	JT_EQ(plan_restart_budget(&s), 0);
}

JT_MAIN(JT_RUN(a_start_goes_address_network_image_container_start),
	JT_RUN(no_process_before_firewall_and_dns_have_the_subnet),
	JT_RUN(unmet_dependencies_are_named),
	JT_RUN(pull_policy_decides_what_an_absent_image_means),
	JT_RUN(health_decides_between_starting_running_and_degraded),
	JT_RUN(a_crash_is_restarted_after_its_wait),
	JT_RUN(an_exit_is_not_judged_before_its_status_is_known),
	JT_RUN(a_container_that_the_engine_refuses_to_start_again_waits_and_is_made_anew),
	JT_RUN(one_shot_services_complete), JT_RUN(removal_drains_stops_deletes_forgets),
	JT_RUN(nothing_is_removed_on_the_word_of_a_stale_view),
	JT_RUN(a_drained_generation_is_stopped_and_kept), JT_RUN(another_spec_is_never_started),
	JT_RUN(without_the_engine_what_runs_is_left_as_it_was),
	JT_RUN(budgets_follow_the_restart_policy))
