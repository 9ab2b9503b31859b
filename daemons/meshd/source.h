/* SPDX-License-Identifier: Apache-2.0
 *
 * source.h - packets of the tunnel leave from the advertised address, also when it is a secondary
 * one that no route would choose.
 *
 * WireGuard binds no address; the routing policy database chooses one for it: a rule for datagrams
 * that leave from wg_port, a table of our own with a route to each peer, copied from what the main
 * table says with another source (ip-rule(8)).  Where the main table chooses the advertised address
 * anyway there is no rule and no route of ours. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"

#define SOURCE_TABLE    0x4a41434fu /* "JACO": nobody's number */
#define SOURCE_PRIORITY 7400        /* before the main table, 32766 */

/* The kernel's way to @to: the source it would choose, the interface, the next hop (0: none). */
struct source_way {
	uint32_t to;
	uint32_t source, gateway;
	unsigned iface;
};

/* Whether @address is configured on this host. */
bool source_is_local(uint32_t address);

/*
 * Make datagrams from @port to the @n addresses of @peers leave from @address.  0: nothing of ours
 * is wanted.  Repeating it costs two dumps and changes nothing.
 * Errors: INTERNAL - rtnetlink refuses.
 */
int source_sync(uint32_t address, uint16_t port, const uint32_t *peers, size_t n,
		struct jaco_arena *arena, struct jaco_err *err);
