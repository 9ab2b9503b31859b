/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h - the smallest change that turns what the kernel has into what it should have.
 *
 * Pure.  Elements of hash sets are added and removed singly; anything else that differs (a rule, a
 * chain, a set's shape or size, the pool) replaces the whole table in one transaction. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemons/fwd-nft/ruleset.h"

struct plan_change {
	const struct ruleset_set *set; /* of the desired ruleset */
	const struct ruleset_elem *elem;
	bool is_removal;
};

struct plan {
	bool is_replacement; /* then @changes is empty */
	struct plan_change *changes; /* removals of a set stand before its additions */
	size_t n_changes;
	size_t cap;
};

#define PLAN_INIT ((struct plan){.changes = NULL})

/* @present NULL: there is no table.  The plan borrows from both rulesets. */
void plan_make(struct plan *plan, const struct ruleset *desired, const struct ruleset *present);

/* Nothing to do? */
bool plan_is_empty(const struct plan *plan);

void plan_fini(struct plan *plan);
#define plan_cleanup plan_fini
