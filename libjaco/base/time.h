/* SPDX-License-Identifier: Apache-2.0
 *
 * time.h - instants and durations.
 *
 * `struct jaco_time` is a point on the monotonic clock (or on a simulator's); wall time is a plain
 * int64_t of milliseconds since the epoch, used only for what people read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jaco_time {
	int64_t ns;
};

#define JACO_MS 1000000LL
#define JACO_S  1000000000LL

struct jaco_time jaco_time_now(void); /* CLOCK_MONOTONIC */
int64_t jaco_time_wall_ms(void);      /* CLOCK_REALTIME */

/* Another machine's wall clock (any number) minus ours, milliseconds; INT64_MAX: further than
 * that. */
int64_t jaco_time_skew_ms(uint64_t theirs_ms);

static inline struct jaco_time jaco_time_add_ms(struct jaco_time t, int64_t ms)
{
	return (struct jaco_time){.ns = t.ns + ms * JACO_MS};
}

/* a - b in milliseconds, rounded down. */
static inline int64_t jaco_time_diff_ms(struct jaco_time a, struct jaco_time b)
{
	return (a.ns - b.ns) / JACO_MS;
}

static inline bool jaco_time_before(struct jaco_time a, struct jaco_time b)
{
	return a.ns < b.ns;
}

/* "500ms" "30s" "5m" "1h" "7d" and sums as compose writes them ("1m30s"); false otherwise.  A bare
 * number is refused. */
bool jaco_duration_parse(const char *text, int64_t *out_ms);

/* Shortest exact form: "90s" is "1m30s", "60000ms" is "1m". */
#define JACO_DURATION_TEXT_BYTES 40
void jaco_duration_render(char out[static JACO_DURATION_TEXT_BYTES], int64_t ms);

/* RFC 3339 in UTC with seconds: "2026-11-21T23:40:31Z". */
#define JACO_RFC3339_BYTES 32
void jaco_rfc3339_render(char out[static JACO_RFC3339_BYTES], int64_t wall_ms);
bool jaco_rfc3339_parse(const char *text, int64_t *out_wall_ms);
