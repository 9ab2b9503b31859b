/* SPDX-License-Identifier: Apache-2.0
 *
 * wheel.c - see wheel.h. */
#include "daemons/proxyd/wheel.h"

#include "libjaco/base/auto.h"

void wheel_init(struct wheel *wheel, int64_t now_ms)
{
	for (size_t i = 0; i < WHEEL_SLOTS; i++)
		wheel->slots[i].prev = wheel->slots[i].next = &wheel->slots[i];
	wheel->tick = now_ms / WHEEL_TICK_MS;
	wheel->n = 0;
}

static void unlink_entry(struct wheel *wheel, struct wheel_entry *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->prev = entry->next = NULL;
	wheel->n--;
}

static void link_entry(struct wheel *wheel, struct wheel_entry *entry)
{
	int64_t tick = entry->at_ms / WHEEL_TICK_MS + 1;
	struct wheel_entry *slot;

	tick = JACO_MAX(tick, wheel->tick + 1);
	tick = JACO_MIN(tick, wheel->tick + WHEEL_SLOTS - 1);
	entry->slot_ms = tick * WHEEL_TICK_MS;
	slot = &wheel->slots[tick % WHEEL_SLOTS];
	entry->prev = slot->prev;
	entry->next = slot;
	slot->prev->next = entry;
	slot->prev = entry;
	wheel->n++;
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, int64_t at_ms)
{
	entry->at_ms = at_ms;
	if (entry->next) {
		if (at_ms >= entry->slot_ms - WHEEL_TICK_MS)
			return;
		unlink_entry(wheel, entry);
	}
	link_entry(wheel, entry);
}

void wheel_cancel(struct wheel *wheel, struct wheel_entry *entry)
{
	if (entry->next)
		unlink_entry(wheel, entry);
}

static void run_slot(struct wheel *wheel, struct wheel_entry *slot, int64_t now_ms)
{
	struct wheel_entry todo;

	if (slot->next == slot)
		return;
	/* Onto a list of its own: callbacks may cancel any of them, or add to this slot. */
	todo = *slot;
	todo.next->prev = &todo;
	todo.prev->next = &todo;
	slot->prev = slot->next = slot;
	while (todo.next != &todo) {
		struct wheel_entry *entry = todo.next;

		unlink_entry(wheel, entry);
		if (entry->at_ms > now_ms)
			link_entry(wheel, entry);
		else
			entry->fn(entry);
	}
}

void wheel_run(struct wheel *wheel, int64_t now_ms)
{
	int64_t target = now_ms / WHEEL_TICK_MS;

	if (target - wheel->tick > WHEEL_SLOTS)
		wheel->tick = target - WHEEL_SLOTS;
	while (wheel->tick < target) {
		wheel->tick++;
		run_slot(wheel, &wheel->slots[wheel->tick % WHEEL_SLOTS], now_ms);
	}
}
