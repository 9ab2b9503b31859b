/* SPDX-License-Identifier: Apache-2.0
 *
 * health.h - when a running container counts as healthy (spec/runtime.md section 3).
 *
 * Pure; times are monotonic milliseconds.  In this order: the overlay's probe, compose's
 * healthcheck (run by the engine), a TCP connect to the first routed, published or exposed port,
 * else running for 5 s.  One success makes a container good; only `retries` failures in a row make
 * it bad, so a single lost probe never takes a replica out of service.  Before the first success a
 * failure is no verdict: only a probe that somebody wrote ends a start that takes too long; one
 * that we inferred waits, because a slow first start is not a fault. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/runtimed/engine_types.h"
#include "libjaco/model/manifest/service.h"

#define HEALTH_SETTLE_MS        5000 /* "running for 5 s" */
#define HEALTH_INTERVAL_MS      2000
#define HEALTH_TIMEOUT_MS       5000
#define HEALTH_RETRIES          3
#define HEALTH_FAST_INTERVAL_MS                                                                    \
	100 /* until the first success: a start should not wait for a probe */
#define HEALTH_FAST_TRIES       20  /* then at the normal pace */

enum health_kind { HEALTH_SETTLE, HEALTH_ENGINE, HEALTH_TCP, HEALTH_HTTP };

struct health_rule {
	enum health_kind kind;
	uint16_t port;
	char path[JACO_PATH_MAX + 1];
	uint16_t expect_min, expect_max;
	int64_t interval_ms, timeout_ms;
	int64_t gate_ms; /* never good for that long since the start: bad; 0: for ever */
	uint32_t retries;
};

enum health_verdict { HEALTH_UNKNOWN, HEALTH_GOOD, HEALTH_BAD };

struct health {
	enum health_verdict verdict;
	uint32_t fails;    /* in a row */
	uint32_t tries;    /* since the start */
	int64_t started_ms;
	int64_t next_ms;   /* when to probe or look again; INT64_MAX: an event will tell */
	char output[ENGINE_TEXT_BYTES]; /* of the last failure */
};

/* The rule for a service.  @is_isolated: the container has no address to connect to. */
void health_rule_of(const struct jaco_service *service, bool is_isolated,
		    struct health_rule *out_rule);

/* The container was started (or adopted) at @now_ms.  @was_good: known from before our own
 * restart. */
void health_begin(struct health *h, const struct health_rule *rule, bool was_good, int64_t now_ms);

/* A probe answered; @output describes a failure. */
void health_on_probe(struct health *h, const struct health_rule *rule, bool is_ok,
		     const char *output, int64_t now_ms);

/* The engine's own check changed. */
void health_on_engine(struct health *h, const struct health_rule *rule, enum engine_health health,
		      const char *output);

/* Time passes: settling. */
void health_on_tick(struct health *h, const struct health_rule *rule, int64_t now_ms);

/* Whether a probe should be sent now. */
bool health_is_probe_due(const struct health *h, const struct health_rule *rule, int64_t now_ms);
