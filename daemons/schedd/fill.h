/* SPDX-License-Identifier: Apache-2.0
 *
 * fill.h - the world as the view knows it. */
#pragma once

#include "daemons/schedd/world.h"
#include "libjaco/base/arena.h"
#include "libjaco/daemon/view.h"

/* The prefixes a world is made from, NULL-terminated. */
extern const char *const fill_prefixes[];

/* @self is this node: it is reachable whatever gossip says.  The world borrows from @view and
 * @arena and is sorted. */
void fill_world(struct world *world, const struct jaco_view *view, const char *self,
		int64_t now_ms, int64_t reschedule_after_ms, struct jaco_arena *arena);
