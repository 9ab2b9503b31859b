/* SPDX-License-Identifier: Apache-2.0
 *
 * route.h - the IPv4 routes of this host, by rtnetlink(7). */
#pragma once

#include <stddef.h>

#include "daemons/ipamd/pool.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"

#define ROUTE_MAX 65536 /* a full routing table is no reason to grow without bound */

/* Every unicast route of every table, memory from @arena.  Routes of type local and broadcast are
 * left out: they repeat what the connected route says. */
int route_list(struct jaco_arena *arena, struct pool_route **out_routes, size_t *out_n,
	       struct jaco_err *err);
