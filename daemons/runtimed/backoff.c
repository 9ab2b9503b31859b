/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/backoff.h"

void backoff_fail(struct backoff *b, int64_t now_ms, int64_t max_ms)
{
	int64_t wait = BACKOFF_FIRST_MS;

	for (uint32_t i = 0; i < b->count && wait < max_ms; i++)
		wait *= 2;
	if (wait > max_ms)
		wait = max_ms;
	if (b->count < UINT32_MAX - 1)
		b->count++;
	b->next_ms = now_ms + wait;
}

bool backoff_forgive(struct backoff *b, int64_t since_ms, int64_t now_ms)
{
	if (b->count == 0 || now_ms - since_ms < BACKOFF_FORGIVE_MS)
		return false;
	*b = BACKOFF_INIT;
	return true;
}

bool backoff_is_due(const struct backoff *b, int64_t now_ms)
{
	return now_ms >= b->next_ms;
}

bool backoff_is_exhausted(const struct backoff *b, uint32_t budget)
{
	return budget != BACKOFF_NO_BUDGET && b->count > budget;
}
