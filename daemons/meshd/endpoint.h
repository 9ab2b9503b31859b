/* SPDX-License-Identifier: Apache-2.0
 *
 * endpoint.h - which of a peer's known addresses to use.
 *
 * Pure.  WireGuard learns where a peer is from its packets (roaming); what it learned is not
 * overwritten while the handshake is fresh.  What came from the record follows the record.  A
 * handshake is renewed every two minutes while there is traffic and keepalives see to that, so 275
 * s without one means the path is broken. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENDPOINT_STALE_MS                                                                          \
	(275 * 1000) /* REJECT_AFTER_TIME * 1.5 + 5 s; WireGuard paper section 6.1 */
#define ENDPOINT_TRY_MS   (15 * 1000)  /* how long each candidate gets */

/*
 * @known            addresses the peer publishes, best first
 * @current          what the device has, "" when nothing
 * @has_moved        the peer publishes another first address than before, and @current came from it
 * @handshake_age_ms since the last handshake; < 0 never
 * @in_use_ms        since we set @current; the age of the peer when it was never set
 * @stale_ms         ENDPOINT_STALE_MS, or less in tests; candidates then get less time as well
 *
 * Returns the address to set, borrowed from @known, or NULL: leave it.
 */
const char *endpoint_pick(const char *const *known, size_t n, const char *current, bool has_moved,
			  int64_t handshake_age_ms, int64_t in_use_ms, int64_t stale_ms);

/* Is @current one of @known? */
bool endpoint_is_known(const char *const *known, size_t n, const char *current);
