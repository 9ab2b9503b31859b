/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - one walk over two sorted element lists. */
#include "daemons/fwd-nft/plan.h"

#include "daemons/fwd-nft/drift.h"
#include "libjaco/base/mem.h"

static void add_change(struct plan *plan, const struct ruleset_set *set,
		       const struct ruleset_elem *elem, bool is_removal)
{
	plan->changes = jaco_grow(plan->changes, &plan->cap, plan->n_changes + 1,
				  sizeof(plan->changes[0]));
	plan->changes[plan->n_changes++] = (struct plan_change){set, elem, is_removal};
}

struct gather {
	struct plan *plan;
	const struct ruleset_set *set;
	struct plan added; /* appended after the removals */
};

static void on_difference(const struct ruleset_elem *meant, const struct ruleset_elem *seen,
			  void *ctx)
{
	struct gather *gather = ctx;

	if (seen)
		add_change(gather->plan, gather->set, seen, true);
	if (meant)
		add_change(&gather->added, gather->set, meant, false);
}

static void plan_set(struct plan *plan, const struct ruleset_set *desired,
		     const struct ruleset_set *present)
{
	struct gather gather = {.plan = plan, .set = desired};

	drift_walk_elems(desired, present, on_difference, &gather);
	for (size_t i = 0; i < gather.added.n_changes; i++)
		add_change(plan, desired, gather.added.changes[i].elem, false);
	plan_fini(&gather.added);
}

void plan_make(struct plan *plan, const struct ruleset *desired, const struct ruleset *present)
{
	plan->n_changes = 0;
	plan->is_replacement = !present || !drift_is_same_shape(desired, present, NULL);
	for (size_t i = 0; i < desired->n_sets && !plan->is_replacement; i++) {
		const struct ruleset_set *set = &desired->sets[i];
		size_t before = plan->n_changes;

		plan_set(plan, set, ruleset_find_set(present, set->name));
		if (set->is_interval && plan->n_changes > before)
			plan->is_replacement = true;
	}
	if (plan->is_replacement)
		plan->n_changes = 0;
}

bool plan_is_empty(const struct plan *plan)
{
	return !plan->is_replacement && plan->n_changes == 0;
}

void plan_fini(struct plan *plan)
{
	if (!plan)
		return;
	jaco_free(plan->changes);
	*plan = PLAN_INIT;
}
