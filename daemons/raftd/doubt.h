/* SPDX-License-Identifier: Apache-2.0
 *
 * doubt.h - whose state is to be doubted when members hold different ones at one index
 * (spec/operations.md, "State integrity").
 *
 * Pure.  Equal logs give equal states, so one that differs is damaged.  Who is with the smaller
 * number is doubted, and with equal numbers everybody; one that found its own disk to be wrong
 * needs no comparison and does not count. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum doubt_verdict {
	DOUBT_UNKNOWN, /* nothing to compare yet */
	DOUBT_SAME,    /* as this node's */
	DOUBT_DIFFERS,
};

struct doubt_fact {
	enum doubt_verdict verdict;
	bool is_damaged; /* says so itself */
	bool is_doubted; /* the answer */
};

/* Fill in is_doubted; @facts has this node itself too, as DOUBT_SAME. */
void doubt_judge(struct doubt_fact *facts, size_t n);
