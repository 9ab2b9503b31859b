/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/health.h"

#include "libjaco/base/str.h"

static bool has_compose_test(const struct jaco_healthcheck *check)
{
	return check->is_set && (check->kind == JACO_HEALTHCHECK_CMD ||
				 check->kind == JACO_HEALTHCHECK_SHELL);
}

static void rule_from_overlay(const struct jaco_service *service, struct health_rule *rule)
{
	const struct jaco_probe *probe = &service->probe;

	rule->kind = probe->kind == JACO_PROBE_HTTP  ? HEALTH_HTTP
		     : probe->kind == JACO_PROBE_TCP ? HEALTH_TCP
						     : HEALTH_ENGINE;
	rule->gate_ms = service->rollout.timeout_ms;
	rule->port = probe->port ? probe->port : service->default_probe_port;
	jaco_str_copy(rule->path, sizeof(rule->path), probe->path ? probe->path : "/");
	rule->expect_min = probe->expect_min ? probe->expect_min : 200;
	rule->expect_max = probe->expect_max ? probe->expect_max : 399;
	if (probe->interval_ms > 0)
		rule->interval_ms = probe->interval_ms;
	if (probe->timeout_ms > 0)
		rule->timeout_ms = probe->timeout_ms;
	if (probe->retries > 0)
		rule->retries = probe->retries;
}

void health_rule_of(const struct jaco_service *service, bool is_isolated,
		    struct health_rule *out_rule)
{
	struct health_rule rule = {.kind = HEALTH_SETTLE,
				   .interval_ms = HEALTH_INTERVAL_MS,
				   .timeout_ms = HEALTH_TIMEOUT_MS,
				   .retries = HEALTH_RETRIES};

	if (service->probe.kind != JACO_PROBE_NONE) {
		rule_from_overlay(service, &rule);
	} else if (has_compose_test(&service->healthcheck)) {
		rule.kind = HEALTH_ENGINE;
	} else if (service->default_probe_port) {
		rule.kind = HEALTH_TCP;
		rule.port = service->default_probe_port;
	}
	/* A probe needs an address and a port; without them only the process itself can be
	 * watched. */
	if ((rule.kind == HEALTH_TCP || rule.kind == HEALTH_HTTP) && (is_isolated || !rule.port))
		rule.kind = HEALTH_SETTLE;
	if (service->is_one_shot && rule.kind != HEALTH_ENGINE)
		rule.kind = HEALTH_SETTLE;
	*out_rule = rule;
}

void health_begin(struct health *h, const struct health_rule *rule, bool was_good, int64_t now_ms)
{
	*h = (struct health){.verdict = was_good ? HEALTH_GOOD : HEALTH_UNKNOWN,
			     .started_ms = now_ms,
			     .next_ms = now_ms};
	if (rule->kind == HEALTH_ENGINE)
		h->next_ms = INT64_MAX;
	else if (rule->kind == HEALTH_SETTLE)
		h->next_ms = was_good ? INT64_MAX : now_ms + HEALTH_SETTLE_MS;
}

static void schedule(struct health *h, const struct health_rule *rule, int64_t now_ms)
{
	bool is_fast = h->verdict == HEALTH_UNKNOWN && h->tries < HEALTH_FAST_TRIES;

	h->next_ms = now_ms + (is_fast ? HEALTH_FAST_INTERVAL_MS : rule->interval_ms);
}

/* Never good since the start, and the gate's patience is over. */
static bool is_overdue(const struct health *h, const struct health_rule *rule, int64_t now_ms)
{
	return h->verdict == HEALTH_UNKNOWN && rule->gate_ms > 0 &&
	       now_ms - h->started_ms >= rule->gate_ms;
}

void health_on_probe(struct health *h, const struct health_rule *rule, bool is_ok,
		     const char *output, int64_t now_ms)
{
	h->tries++;
	if (is_ok) {
		h->verdict = HEALTH_GOOD;
		h->fails = 0;
		h->output[0] = '\0';
	} else {
		h->fails++;
		jaco_str_copy(h->output, sizeof(h->output), output ? output : "");
		if ((h->verdict == HEALTH_GOOD && h->fails >= rule->retries) ||
		    is_overdue(h, rule, now_ms))
			h->verdict = HEALTH_BAD;
	}
	schedule(h, rule, now_ms);
}

void health_on_engine(struct health *h, const struct health_rule *rule, enum engine_health health,
		      const char *output)
{
	if (rule->kind != HEALTH_ENGINE)
		return;
	switch (health) {
	case ENGINE_HEALTH_NONE: /* the image has no check after all: running is what we know */
	case ENGINE_HEALTH_GOOD:
		h->verdict = HEALTH_GOOD;
		h->output[0] = '\0';
		return;
	case ENGINE_HEALTH_STARTING: /* start_period and retries are the engine's to count */
		return;
	case ENGINE_HEALTH_BAD:
		h->verdict = HEALTH_BAD;
		jaco_str_copy(h->output, sizeof(h->output), output ? output : "");
		return;
	}
}

void health_on_tick(struct health *h, const struct health_rule *rule, int64_t now_ms)
{
	if (rule->kind == HEALTH_SETTLE && h->verdict == HEALTH_UNKNOWN &&
	    now_ms - h->started_ms >= HEALTH_SETTLE_MS) {
		h->verdict = HEALTH_GOOD;
		h->next_ms = INT64_MAX;
	}
}

bool health_is_probe_due(const struct health *h, const struct health_rule *rule, int64_t now_ms)
{
	return (rule->kind == HEALTH_TCP || rule->kind == HEALTH_HTTP) && now_ms >= h->next_ms;
}
