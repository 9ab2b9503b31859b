/* SPDX-License-Identifier: Apache-2.0
 *
 * How many replicas there should be, and which (spec/scheduling.md section 2).
 *
 * The lowest indices stay when there are too many; a new one takes the next number of the service's
 * counter, which never goes back, so a name never means two things in the logs. */
#include <inttypes.h>
#include <string.h>

#include "daemons/schedd/plan.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/buf.h"
#include "libjaco/model/ids.h"

/* What ran beside it leaves with it; what was only remembered is forgotten. */
void scale_leave(struct plan_pass *pass, size_t i, const char *why)
{
	struct world_replica *replica = &pass->work[i];

	if (replica->phase == WORLD_LEAVING)
		return;
	if (replica->now.generation == 0) {
		pass->is_dropped[i] = true;
		pass->why[i] = why;
		return;
	}
	if (replica->phase != WORLD_STARTING && replica->phase != WORLD_YIELDING)
		replica->old = (struct world_shape){.host = ""};
	plan_enter(pass, i, WORLD_LEAVING, why);
}

static void stay(struct plan_pass *pass, size_t i)
{
	if (pass->work[i].phase != WORLD_LEAVING)
		return;
	pass->work[i].old = (struct world_shape){.host = ""};
	plan_enter(pass, i, WORLD_SETTLED, "wanted again");
}

static size_t add(struct plan_pass *pass)
{
	struct jaco_arena *arena = pass->plan->arena;
	size_t i = pass->n_work++, cap = pass->cap_work;

	pass->work = jaco_arena_grow(arena, pass->work, &pass->cap_work, i + 1,
				     sizeof(*pass->work));
	if (pass->cap_work != cap) {
		size_t cap_flags = cap, cap_why = cap;

		pass->is_dropped = jaco_arena_grow(arena, pass->is_dropped, &cap_flags,
						   pass->cap_work, sizeof(*pass->is_dropped));
		pass->why = jaco_arena_grow(arena, pass->why, &cap_why, pass->cap_work,
					    sizeof(*pass->why));
	}
	pass->is_dropped[i] = false;
	pass->why[i] = NULL;
	pass->work[i] = (struct world_replica){
		.deployment = pass->deployment,
		.service = pass->name,
		.now = {.host = "", .spec_hash = "", .image = ""},
		.old = {.host = ""},
		.code = "",
		.message = "",
	};
	return i;
}

static const char *missing_hosts(struct plan_pass *pass)
{
	const struct world_service *service = pass->service;
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;

	for (size_t i = 0; i < service->n_hosts; i++) {
		const struct world_node *node = world_node(pass->world, service->hosts[i]);

		if (node && placement_is_eligible(pass->placement,
						  (size_t)(node - pass->world->nodes)))
			continue;
		if (node && pass->placement->loads[node - pass->world->nodes].n_of_service)
			continue; /* it has its share */
		jaco_buf_printf(&buf, "%s%s", buf.n ? ", " : "", service->hosts[i]);
	}
	return jaco_arena_printf(pass->plan->arena, "hosts that cannot take it: %s",
				 buf.n ? jaco_buf_str(&buf) : "none is free");
}

static void place(struct plan_pass *pass, size_t i)
{
	struct world_replica *replica = &pass->work[i];
	const char *code = "no_eligible_node", *message;
	struct placement_reasons reasons;
	size_t node = placement_choose(pass->placement, replica->index, &reasons);

	if (node != PLACEMENT_NONE) {
		placement_add(pass->placement, node);
		plan_place(pass, i, node);
		plan_enter(pass, i, WORLD_SETTLED, "placed");
		return;
	}
	message = placement_explain(pass->placement, &reasons);
	if (pass->service->placement == WORLD_HOSTS) {
		code = "cannot_satisfy_host_placement";
		message = missing_hosts(pass);
	}
	if (strcmp(replica->code, code) == 0 && strcmp(replica->message, message) == 0)
		return;
	plan_enter(pass, i, WORLD_PENDING, "no node can take it");
	replica->code = code;
	replica->message = message;
}

static void scale_counted(struct plan_pass *pass)
{
	const struct world_service *service = pass->service;
	size_t n_wanted = service->replicas, n_kept = 0;
	char id[JACO_REPLICA_ID_BYTES];

	if (service->placement == WORLD_HOSTS && service->per_host)
		n_wanted = service->per_host * service->n_hosts;
	for (size_t i = 0; i < pass->n_work; i++) {
		if (pass->is_dropped[i])
			continue;
		if (pass->work[i].is_global) {
			scale_leave(pass, i, "placement changed");
		} else if (n_kept < n_wanted) {
			stay(pass, i);
			n_kept++;
		} else {
			scale_leave(pass, i, "scaled down");
		}
	}
	for (; n_kept < n_wanted; n_kept++) {
		size_t i = add(pass);

		pass->work[i].index = pass->next_index++;
		JACO_ASSERT(jaco_replica_id_render(id, pass->deployment, pass->name,
						   pass->work[i].index));
		pass->work[i].id = jaco_arena_strdup(pass->plan->arena, id);
	}
	for (size_t i = 0; i < pass->n_work; i++)
		if (!pass->is_dropped[i] && pass->work[i].phase == WORLD_PENDING &&
		    pass->work[i].now.generation == 0)
			place(pass, i);
}

static bool has_global_on(const struct plan_pass *pass, const char *host)
{
	for (size_t i = 0; i < pass->n_before; i++)
		if (pass->work[i].is_global && !pass->is_dropped[i] &&
		    strcmp(pass->work[i].now.host, host) == 0)
			return true;
	return false;
}

static void scale_global(struct plan_pass *pass)
{
	char id[JACO_REPLICA_ID_BYTES];

	for (size_t i = 0; i < pass->n_work; i++) {
		const struct world_node *node = world_node(pass->world, pass->work[i].now.host);

		if (pass->is_dropped[i])
			continue;
		if (!pass->work[i].is_global)
			scale_leave(pass, i, "placement changed");
		else if (node && node->intent == WORLD_DRAINING)
			scale_leave(pass, i, "node is draining");
		else if (node && !placement_may_stay(pass->placement, node))
			scale_leave(pass, i, "node is no longer allowed");
		else
			stay(pass, i);
	}
	for (size_t n = 0; n < pass->world->n_nodes; n++) {
		const char *host = pass->world->nodes[n].name;
		size_t i;

		if (has_global_on(pass, host) || !placement_is_eligible(pass->placement, n))
			continue;
		i = add(pass);
		pass->work[i].is_global = true;
		JACO_ASSERT(jaco_replica_id_render_host(id, pass->deployment, pass->name, host));
		pass->work[i].id = jaco_arena_strdup(pass->plan->arena, id);
		placement_add(pass->placement, n);
		plan_place(pass, i, n);
		plan_enter(pass, i, WORLD_SETTLED, "placed");
	}
}

void scale_pass(struct plan_pass *pass)
{
	if (pass->service->placement == WORLD_GLOBAL)
		scale_global(pass);
	else
		scale_counted(pass);
}
