/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_answer.c - differences and findings as messages, within the bound of one. */
#include "daemons/raftd/api/plan_answer.h"

#include <string.h>

#include "libjaco/base/limits.h"
#include "libjaco/wire/finding.h"

/* Of an answer to an apply (def/raftd.def). */
#define CHANGES_MAX        2048
#define CHANGE_FIELDS_MAX  64
#define CHANGE_FIELD_BYTES 256   /* a longer one tells people nothing */
#define ROW_BYTES          24    /* names and lengths around a text */
#define ANSWER_RESERVE     65536 /* for everything else in it */

struct plan {
	const struct jaco_manifest *manifest;
	struct jaco_arena *arena;
};

static const char *object_name(const struct jaco_change_item *item, struct jaco_arena *arena)
{
	static const char *const words[] = {[JACO_CHANGE_SERVICE] = "service",
					    [JACO_CHANGE_ROUTE] = "route",
					    [JACO_CHANGE_PORT] = "port",
					    [JACO_CHANGE_NETWORK] = "network",
					    [JACO_CHANGE_VOLUME] = "volume"};

	return jaco_arena_printf(arena, "%s %.200s", words[item->kind], item->name);
}

static enum jaco_difference to_difference(enum jaco_change change)
{
	switch (change) {
	case JACO_CHANGE_ADDED:
		return JACO_DIFF_ADDED;
	case JACO_CHANGE_REMOVED:
		return JACO_DIFF_REMOVED;
	case JACO_CHANGE_CHANGED:
		break;
	}
	return JACO_DIFF_CHANGED;
}

static const char *effect_of(const struct plan *plan, const struct jaco_change_item *item)
{
	const struct jaco_service *service;

	if (item->kind != JACO_CHANGE_SERVICE)
		return NULL;
	if (item->change == JACO_CHANGE_REMOVED)
		return "its replicas are drained and removed";
	service = jaco_manifest_service(plan->manifest, item->name);
	if (item->change == JACO_CHANGE_ADDED)
		return jaco_arena_printf(plan->arena, "%u %s", service ? service->replicas : 0,
					 service && service->replicas == 1 ? "replica starts"
									   : "replicas start");
	if (!item->recreates)
		return "containers are left alone";
	return service && service->rollout.order == JACO_ORDER_STOP_FIRST
		       ? "containers are replaced, old one stopped first: a gap is expected"
		       : "containers are replaced, new one started first";
}

/* Bytes @n of the answer's message, if there is still room. */
static bool take_room(size_t *room, size_t n)
{
	if (n > *room)
		return false;
	*room -= n;
	return true;
}

static size_t bytes_of(const char *text)
{
	return text ? strlen(text) + ROW_BYTES : 0;
}

static bool add_change(const struct plan *plan, const struct jaco_change_item *item, size_t *room,
		       struct wire_applied *out)
{
	struct jaco_arena *arena = plan->arena;
	struct wire_change change = {.kind = to_difference(item->change),
				     .object = object_name(item, arena),
				     .effect = effect_of(plan, item)};

	if (!take_room(room, ROW_BYTES + bytes_of(change.object) + bytes_of(change.effect)))
		return false;
	change.fields.v = jaco_arena_alloc_n(arena, item->n_fields + 1, sizeof(*change.fields.v));
	for (size_t k = 0; k < item->n_fields && change.fields.n < CHANGE_FIELDS_MAX; k++)
		if (strlen(item->fields[k].key) <= CHANGE_FIELD_BYTES &&
		    take_room(room, bytes_of(item->fields[k].key)))
			change.fields.v[change.fields.n++] = item->fields[k].key;
	out->changes.v[out->changes.n++] = change;
	return true;
}

static bool add_finding(const struct plan *plan, const struct jaco_finding *finding, size_t *room,
			struct wire_applied *out)
{
	struct wire_finding msg = jaco_finding_to_wire(finding, plan->arena);

	if (!take_room(room, 2 * ROW_BYTES + bytes_of(msg.message) + bytes_of(msg.file) +
				     bytes_of(msg.field) + bytes_of(msg.remedy)))
		return false;
	out->findings.v[out->findings.n++] = msg;
	return true;
}

void plan_answer_fill(const struct jaco_manifest *manifest, const struct jaco_diff *diff,
		      const struct jaco_findings *findings, struct jaco_arena *arena,
		      struct wire_applied *out)
{
	struct plan plan = {manifest, arena};
	size_t room = JACO_MESSAGE_MAX - ANSWER_RESERVE;

	out->deployment = manifest->deployment;
	out->findings.v = jaco_arena_alloc_n(arena, findings->n + 1, sizeof(*out->findings.v));
	for (size_t i = 0; i < findings->n; i++)
		out->omitted += !add_finding(&plan, &findings->items[i], &room, out);
	out->changes.v = jaco_arena_alloc_n(arena, diff->n + 1, sizeof(*out->changes.v));
	for (size_t i = 0; i < diff->n; i++)
		out->omitted += out->changes.n >= CHANGES_MAX ||
				!add_change(&plan, &diff->items[i], &room, out);
}
