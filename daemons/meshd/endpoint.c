/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/endpoint.h"

#include <string.h>

bool endpoint_is_known(const char *const *known, size_t n, const char *current)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(known[i], current) == 0)
			return true;
	return false;
}

const char *endpoint_pick(const char *const *known, size_t n, const char *current, bool has_moved,
			  int64_t handshake_age_ms, int64_t in_use_ms, int64_t stale_ms)
{
	int64_t try_ms = stale_ms < ENDPOINT_TRY_MS ? stale_ms : ENDPOINT_TRY_MS;

	if (n == 0)
		return NULL;
	if (current[0] == '\0')
		return known[0];
	/* Its packets from the new address may be filtered, or the answers to ours keep it at the
	 * old one. */
	if (has_moved && strcmp(known[0], current) != 0)
		return known[0];
	if (handshake_age_ms >= 0 && handshake_age_ms < stale_ms)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(known[i], current) != 0)
			continue;
		if (n == 1 || in_use_ms < try_ms)
			return NULL;
		return known[(i + 1) % n];
	}
	return known[0];
}
