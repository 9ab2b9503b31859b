/* SPDX-License-Identifier: Apache-2.0
 *
 * wheel.h - many timeouts that almost never happen.
 *
 * Pure: time is an argument.  Pushing a deadline further away, which every request does, only
 * writes a number; the entry is looked at again when its old slot comes by.  Resolution
 * WHEEL_TICK_MS. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_TICK_MS 64
#define WHEEL_SLOTS   512

struct wheel_entry;
typedef void wheel_fn(struct wheel_entry *entry);

struct wheel_entry {
	struct wheel_entry *prev, *next; /* NULL: not in the wheel */
	int64_t at_ms;
	int64_t slot_ms;                 /* when it will be looked at */
	wheel_fn *fn;
};

struct wheel {
	struct wheel_entry slots[WHEEL_SLOTS]; /* list heads */
	int64_t tick;                          /* last one run */
	size_t n;
};

void wheel_init(struct wheel *wheel, int64_t now_ms);

/* Call entry->fn once at or shortly after @at_ms. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, int64_t at_ms);
void wheel_cancel(struct wheel *wheel, struct wheel_entry *entry);

/* Run what is due.  Callbacks may set and cancel any entry. */
void wheel_run(struct wheel *wheel, int64_t now_ms);
