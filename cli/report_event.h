/* SPDX-License-Identifier: Apache-2.0
 *
 * report_event.h - one change of the state as a sentence for people.  Pure. */
#pragma once

#include "libjaco/base/arena.h"
#include "libjaco/wire/wire.h"

struct report_event {
	const char *object; /* "replica shop-web-0@n1", "node n2 firewall", "rollout shop/web" */
	const char *what;   /* "running, not healthy yet", "gone" */
};

/* What the record @msg of @desc below @key says; @msg NULL: it was deleted.  Counters and
 * generations are left out, so that a record published again with the same meaning gives the same
 * sentence.  False for what only machines read (node load, state hashes, keys of no keyspace).
 * @key and the strings of @msg are borrowed by @out, all else is @arena's. */
bool report_event(const char *key, const struct jaco_desc *desc, const void *msg,
		  struct jaco_arena *arena, struct report_event *out);
