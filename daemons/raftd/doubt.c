/* SPDX-License-Identifier: Apache-2.0
 *
 * doubt.c - two sides are counted. */
#include "daemons/raftd/doubt.h"

void doubt_judge(struct doubt_fact *facts, size_t n)
{
	size_t n_same = 0, n_differ = 0;

	for (size_t i = 0; i < n; i++) {
		n_same += !facts[i].is_damaged && facts[i].verdict == DOUBT_SAME;
		n_differ += !facts[i].is_damaged && facts[i].verdict == DOUBT_DIFFERS;
	}
	for (size_t i = 0; i < n; i++) {
		struct doubt_fact *fact = &facts[i];

		fact->is_doubted = fact->is_damaged;
		if (fact->is_damaged || n_differ == 0)
			continue;
		fact->is_doubted = (fact->verdict == DOUBT_SAME && n_same <= n_differ) ||
				   (fact->verdict == DOUBT_DIFFERS && n_differ <= n_same);
	}
}
