/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/health.h"

#include "tests/lib/test.h"

static struct jaco_service service_with(enum jaco_probe_kind kind, uint16_t port)
{
	return (struct jaco_service){.name = "web",
				     .probe = {.kind = kind,
					       .path = "/up",
					       .port = port,
					       .interval_ms = 1000,
					       .timeout_ms = 500,
					       .retries = 2},
				     .rollout = {.timeout_ms = 60000}};
}

JT_CASE(order_is_overlay_then_compose_then_port_then_settling)
{
	struct jaco_service s = service_with(JACO_PROBE_HTTP, 8080);
	struct health_rule rule;

	s.healthcheck = (struct jaco_healthcheck){.is_set = true, .kind = JACO_HEALTHCHECK_CMD};
	s.default_probe_port = 80;
	health_rule_of(&s, false, &rule);
	JT_EQ(rule.kind, HEALTH_HTTP);
	JT_STR(rule.path, "/up");
	JT_EQ(rule.port, 8080);
	JT_EQ(rule.expect_max, 399);
	JT_EQ(rule.gate_ms, 60000);

	s.probe.kind = JACO_PROBE_NONE;
	health_rule_of(&s, false, &rule);
	JT_EQ(rule.kind, HEALTH_ENGINE);

	s.healthcheck.is_set = false;
	health_rule_of(&s, false, &rule);
	JT_EQ(rule.kind, HEALTH_TCP);
	JT_EQ(rule.port, 80);
	JT_EQ(rule.gate_ms, 0);

	s.default_probe_port = 0;
	health_rule_of(&s, false, &rule);
	JT_EQ(rule.kind, HEALTH_SETTLE);
}

JT_CASE(a_container_without_address_is_not_connected_to)
{
	struct jaco_service s = service_with(JACO_PROBE_TCP, 80);
	struct health_rule rule;

	health_rule_of(&s, true, &rule);
	JT_EQ(rule.kind, HEALTH_SETTLE);
}

JT_CASE(one_lost_probe_is_forgiven_retries_are_not)
{
	struct jaco_service s = service_with(JACO_PROBE_TCP, 80);
	struct health_rule rule;
	struct health h;

	health_rule_of(&s, false, &rule);
	health_begin(&h, &rule, false, 0);
	JT_TRUE(health_is_probe_due(&h, &rule, 0));
	health_on_probe(&h, &rule, true, NULL, 10);
	JT_EQ(h.verdict, HEALTH_GOOD);
	JT_FALSE(health_is_probe_due(&h, &rule, 1009));
	JT_TRUE(health_is_probe_due(&h, &rule, 1010));
	health_on_probe(&h, &rule, false, "refused", 1010);
	JT_EQ(h.verdict, HEALTH_GOOD);
	health_on_probe(&h, &rule, false, "refused", 2010);
	JT_EQ(h.verdict, HEALTH_BAD);
	JT_STR(h.output, "refused");
	health_on_probe(&h, &rule, true, NULL, 3010);
	JT_EQ(h.verdict, HEALTH_GOOD);
	JT_EQ(h.fails, 0);
}

JT_CASE(a_slow_start_is_patience_until_the_gate_closes)
{
	struct jaco_service s = service_with(JACO_PROBE_TCP, 80);
	struct health_rule rule;
	struct health h;

	health_rule_of(&s, false, &rule);
	health_begin(&h, &rule, false, 0);
	for (int64_t t = 0; t < 60000; t += 1000)
		health_on_probe(&h, &rule, false, "refused", t);
	JT_EQ(h.verdict, HEALTH_UNKNOWN);
	health_on_probe(&h, &rule, false, "refused", 60000);
	JT_EQ(h.verdict, HEALTH_BAD);

	rule.gate_ms = 0; /* inferred: waits for ever */
	health_begin(&h, &rule, false, 0);
	health_on_probe(&h, &rule, false, "refused", 10000000);
	JT_EQ(h.verdict, HEALTH_UNKNOWN);
}

JT_CASE(first_probes_are_fast_and_then_calm_down)
{
	struct jaco_service s = service_with(JACO_PROBE_TCP, 80);
	struct health_rule rule;
	struct health h;

	health_rule_of(&s, false, &rule);
	health_begin(&h, &rule, false, 0);
	health_on_probe(&h, &rule, false, "", 0);
	JT_EQ(h.next_ms, HEALTH_FAST_INTERVAL_MS);
	for (int i = 0; i < HEALTH_FAST_TRIES; i++)
		health_on_probe(&h, &rule, false, "", 5000);
	JT_EQ(h.next_ms, 6000);
}

JT_CASE(running_for_five_seconds_is_healthy)
{
	struct jaco_service s = {.name = "worker"};
	struct health_rule rule;
	struct health h;

	health_rule_of(&s, false, &rule);
	health_begin(&h, &rule, false, 100);
	health_on_tick(&h, &rule, 5099);
	JT_EQ(h.verdict, HEALTH_UNKNOWN);
	health_on_tick(&h, &rule, 5100);
	JT_EQ(h.verdict, HEALTH_GOOD);
	JT_TRUE(h.next_ms == INT64_MAX);
}

JT_CASE(adopted_good_containers_stay_good)
{
	struct jaco_service s = service_with(JACO_PROBE_TCP, 80);
	struct health_rule rule;
	struct health h;

	health_rule_of(&s, false, &rule);
	health_begin(&h, &rule, true, 0);
	JT_EQ(h.verdict, HEALTH_GOOD);
	JT_TRUE(health_is_probe_due(&h, &rule, 0));
}

JT_CASE(the_engine_judges_its_own_check)
{
	struct health_rule rule = {.kind = HEALTH_ENGINE};
	struct health h;

	health_begin(&h, &rule, false, 0);
	health_on_engine(&h, &rule, ENGINE_HEALTH_STARTING, "");
	JT_EQ(h.verdict, HEALTH_UNKNOWN);
	health_on_engine(&h, &rule, ENGINE_HEALTH_GOOD, "");
	JT_EQ(h.verdict, HEALTH_GOOD);
	health_on_engine(&h, &rule, ENGINE_HEALTH_BAD, "curl: (7)");
	JT_EQ(h.verdict, HEALTH_BAD);
	JT_STR(h.output, "curl: (7)");
	rule.kind = HEALTH_TCP;
	health_begin(&h, &rule, true, 0);
	health_on_engine(&h, &rule, ENGINE_HEALTH_BAD, "");
	JT_EQ(h.verdict, HEALTH_GOOD);
}

JT_MAIN(JT_RUN(order_is_overlay_then_compose_then_port_then_settling),
	JT_RUN(a_container_without_address_is_not_connected_to),
	JT_RUN(one_lost_probe_is_forgiven_retries_are_not),
	JT_RUN(a_slow_start_is_patience_until_the_gate_closes),
	JT_RUN(first_probes_are_fast_and_then_calm_down),
	JT_RUN(running_for_five_seconds_is_healthy), JT_RUN(adopted_good_containers_stay_good),
	JT_RUN(the_engine_judges_its_own_check))
