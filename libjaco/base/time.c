/* SPDX-License-Identifier: Apache-2.0
 *
 * time.c - clocks, durations and RFC 3339. */
#include "libjaco/base/time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "libjaco/base/fault.h"
#include "libjaco/base/str.h"

struct jaco_time jaco_time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct jaco_time){.ns = ts.tv_sec * JACO_S + ts.tv_nsec};
}

int64_t jaco_time_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / JACO_MS + CHAOS_NUMBER(wall_ahead, 0) -
	       CHAOS_NUMBER(wall_behind, 0);
}

int64_t jaco_time_skew_ms(uint64_t theirs_ms)
{
	int64_t skew;

	if (theirs_ms > INT64_MAX ||
	    __builtin_sub_overflow((int64_t)theirs_ms, jaco_time_wall_ms(), &skew))
		return INT64_MAX;
	return skew;
}

static const struct {
	const char *suffix;
	int64_t ms;
} units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

bool jaco_duration_parse(const char *text, int64_t *out_ms)
{
	int64_t total = 0;

	if (!*text)
		return false;
	while (*text) {
		size_t n = strspn(text, "0123456789");
		size_t m = strcspn(text + n, "0123456789");
		char digits[20];
		uint64_t value;
		size_t unit;

		if (n == 0 || n >= sizeof(digits))
			return false;
		memcpy(digits, text, n);
		digits[n] = '\0';
		for (unit = 0; unit < sizeof(units) / sizeof(units[0]); unit++)
			if (strlen(units[unit].suffix) == m &&
			    strncmp(units[unit].suffix, text + n, m) == 0)
				break;
		if (unit == sizeof(units) / sizeof(units[0]))
			return false;
		if (!jaco_str_to_u64(digits, (uint64_t)(INT64_MAX / units[unit].ms), &value))
			return false;
		if (total > INT64_MAX - (int64_t)value * units[unit].ms)
			return false;
		total += (int64_t)value * units[unit].ms;
		text += n + m;
	}
	*out_ms = total;
	return true;
}

void jaco_duration_render(char out[static JACO_DURATION_TEXT_BYTES], int64_t ms)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && ms > 0; i++) {
		int n;

		if (ms < units[i].ms)
			continue;
		n = snprintf(out + used, JACO_DURATION_TEXT_BYTES - used, "%lld%s",
			     (long long)(ms / units[i].ms), units[i].suffix);
		used += (size_t)n;
		ms %= units[i].ms;
	}
	if (used == 0)
		(void)jaco_str_copy(out, JACO_DURATION_TEXT_BYTES, "0s");
}

void jaco_rfc3339_render(char out[static JACO_RFC3339_BYTES], int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(out, JACO_RFC3339_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

bool jaco_rfc3339_parse(const char *text, int64_t *out_wall_ms)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (!end || *end)
		return false;
	*out_wall_ms = (int64_t)timegm(&tm) * 1000;
	return true;
}
