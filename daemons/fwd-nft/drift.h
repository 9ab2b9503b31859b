/* SPDX-License-Identifier: Apache-2.0
 *
 * drift.h - how what the kernel has differs from what was meant, for a program and for a person.
 *
 * Pure.  Counters, handles and the order in which sets were created do not count. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/base/buf.h"

/* @meant NULL: @seen should not be there.  @seen NULL: it is missing.  Both: their comments
 * differ. */
typedef void drift_elem_fn(const struct ruleset_elem *meant, const struct ruleset_elem *seen,
			   void *ctx);

/* Call @fn for each element that differs.  Both sets are sorted; @seen may be NULL (empty). */
void drift_walk_elems(const struct ruleset_set *meant, const struct ruleset_set *seen,
		      drift_elem_fn *fn, void *ctx);

/* The same sets, chains, hooks, policies and rules, whatever the elements.  @out_why (may be NULL)
 * gets "; "-separated findings. */
bool drift_is_same_shape(const struct ruleset *meant, const struct ruleset *seen,
			 struct jaco_buf *out_why);

/* Append all differences, at most a few of each kind; returns how many there are.  @seen NULL: the
 * table is missing. */
size_t drift_describe(struct jaco_buf *out, const struct ruleset *meant,
		      const struct ruleset *seen);
