/* SPDX-License-Identifier: Apache-2.0
 *
 * backoff.h - how long to wait before trying again, and when to stop trying.
 *
 * Pure; times are monotonic milliseconds.  Restarts: 1 s doubling to 60 s, forgiven after 60 s of
 * running (spec/scheduling.md section 5).  Pulls: 1 s doubling to 1 h (spec/runtime.md section
 * 2). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_FIRST_MS       1000
#define BACKOFF_RESTART_MAX_MS (60 * 1000)
#define BACKOFF_PULL_MAX_MS    (3600 * 1000)
#define BACKOFF_FORGIVE_MS     (60 * 1000)
#define BACKOFF_BUDGET         3        /* restarts, unless compose says otherwise */
#define BACKOFF_NO_BUDGET      UINT32_MAX /* restart: always */

struct backoff {
	uint32_t count;  /* failures without forgiveness between */
	int64_t next_ms; /* not before; 0: at once */
};

#define BACKOFF_INIT ((struct backoff){.count = 0})

/* One more failure at @now_ms; the next try may be at b->next_ms. */
void backoff_fail(struct backoff *b, int64_t now_ms, int64_t max_ms);

/* It has run since @since_ms: forgive when that is long enough.  True when something was
 * forgiven. */
bool backoff_forgive(struct backoff *b, int64_t since_ms, int64_t now_ms);

/* A try may be made now. */
bool backoff_is_due(const struct backoff *b, int64_t now_ms);

/* @budget tries have failed in a row. */
bool backoff_is_exhausted(const struct backoff *b, uint32_t budget);
