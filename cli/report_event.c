/* SPDX-License-Identifier: Apache-2.0
 *
 * report_event.c - one change of the state as a sentence. */
#include "cli/report_event.h"

#include <string.h>

#include "cli/report.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/str.h"

#define REASON_SHOWN 200 /* bytes of a rollout's reason: its sentence, not the log lines below it */

static const char *say_deployment(const void *msg, struct jaco_arena *arena)
{
	const struct wire_deployment *deployment = msg;
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_BOUND(1024);

	if (deployment->deleting)
		return "being removed";
	jaco_buf_printf(&text, "revision %llu", (unsigned long long)deployment->revision);
	for (size_t i = 0; i < deployment->services.n; i++) {
		const struct wire_service *service = &deployment->services.v[i];

		jaco_buf_printf(&text, "%s %s ", i ? "," : ":", service->name);
		if (service->placement == JACO_PLACE_GLOBAL)
			jaco_buf_add_str(&text, "on every node");
		else
			jaco_buf_printf(&text, "%u", service->replicas);
	}
	return jaco_arena_strdup(arena, jaco_buf_str(&text));
}

static const char *say_replica(const void *msg, struct jaco_arena *arena)
{
	const struct wire_replica *replica = msg;
	const char *text = "";

	if (replica->message)
		return jaco_arena_printf(arena, "pending: %s", replica->message);
	if (!replica->generations.n)
		return "pending";
	for (size_t i = 0; i < replica->generations.n; i++) {
		const struct wire_replica_gen *gen = &replica->generations.v[i];

		text = jaco_arena_printf(arena, "%s%sgeneration %u %s on %s", text, i ? ", " : "",
					 gen->generation,
					 gen->intent == JACO_INTENT_RUN ? "is to run"
										: "is to drain",
					 gen->host);
	}
	return text;
}

static const char *say_rollout(const void *msg, struct jaco_arena *arena)
{
	const struct wire_rollout *rollout = msg;
	const char *word = jaco_enum_word(&jaco_rollout_state_enum, (int)rollout->state);
	size_t n = rollout->reason ? strcspn(rollout->reason, "\n") : 0;

	return jaco_arena_printf(arena, "%s, %u of %u%s%.*s", word, rollout->done, rollout->total,
				 n ? ": " : "", (int)(n < REASON_SHOWN ? n : REASON_SHOWN),
				 n ? rollout->reason : "");
}

static const char *say_node(const void *msg, struct jaco_arena *arena)
{
	const struct wire_node *node = msg;
	const char *word = jaco_enum_word(&jaco_node_intent_enum, (int)node->intent);

	if (node->lost)
		return jaco_arena_printf(arena, "%s, given up as lost", word);
	if (node->drain_message)
		return jaco_arena_printf(arena, "%s: %s", word, node->drain_message);
	if (node->drain_left)
		return jaco_arena_printf(arena, "%s, %u replicas left", word, node->drain_left);
	return word;
}

static const char *say_route(const void *msg, struct jaco_arena *arena)
{
	const struct wire_route *route = msg;

	if (route->redirect_to)
		return jaco_arena_printf(arena, "redirects to %s", route->redirect_to);
	return jaco_arena_printf(arena, "to %s/%s:%u%s", route->deployment, route->service,
				 route->port, route->maintenance ? ", in maintenance" : "");
}

static const char *say_tcproute(const void *msg, struct jaco_arena *arena)
{
	const struct wire_tcproute *route = msg;

	return jaco_arena_printf(arena, "to %s/%s:%u", route->deployment, route->service,
				 route->target_port);
}

static const char *say_subnet(const void *msg, struct jaco_arena *arena)
{
	const struct wire_subnet *subnet = msg;

	return jaco_arena_printf(arena, "%s on bridge %s", subnet->cidr, subnet->bridge);
}

static const char *say_obs_replica(const void *msg, struct jaco_arena *arena)
{
	const struct wire_obs_replica *replica = msg;
	const char *text = "";

	for (size_t i = 0; i < replica->generations.n; i++) {
		const struct wire_obs_gen *gen = &replica->generations.v[i];
		struct wire_replica_row row = {.state = gen->state,
					       .healthy = gen->healthy,
					       .message = gen->message,
					       .waits_for = gen->waits_for};

		text = jaco_arena_printf(arena, "%s%s%s", text, i ? "; " : "",
					 report_state(&row, arena));
	}
	return *text ? text : "no container";
}

static const char *say_liveness(const void *msg, struct jaco_arena *arena)
{
	const struct wire_obs_liveness *live = msg;

	return jaco_arena_printf(arena, "%s%s",
				 jaco_enum_word(&jaco_liveness_enum, (int)live->state),
				 live->indirect ? ", heard by others only" : "");
}

static const char *say_membership(const void *msg, struct jaco_arena *arena)
{
	(void)arena;
	return ((const struct wire_obs_membership *)msg)->message;
}

static const char *say_firewall(const void *msg, struct jaco_arena *arena)
{
	const struct wire_obs_firewall *firewall = msg;

	if (firewall->ready)
		return "ready";
	return jaco_arena_printf(arena, "not ready%s%s", firewall->message ? ": " : "",
				 firewall->message ? firewall->message : "");
}

static const char *say_dns(const void *msg, struct jaco_arena *arena)
{
	const struct wire_obs_dns *dns = msg;

	return jaco_arena_printf(arena, "serves %u gateways%s%s", dns->listeners,
				 dns->message ? ": " : "", dns->message ? dns->message : "");
}

static const char *say_ingress(const void *msg, struct jaco_arena *arena)
{
	const struct wire_obs_ingress *ingress = msg;
	const char *text = jaco_arena_printf(arena, "serves %zu replicas", ingress->serving.n);

	for (size_t i = 0; i < ingress->problems.n && i < 4; i++) {
		const struct wire_port_problem *problem = &ingress->problems.v[i];
		const char *protocol = jaco_enum_word(&jaco_protocol_enum, (int)problem->protocol);

		text = jaco_arena_printf(arena, "%s, not port %u/%s: %s", text, problem->port,
					 protocol,
					 problem->message ? problem->message : problem->code);
	}
	return text;
}

static const char *say_mesh(const void *msg, struct jaco_arena *arena)
{
	const struct wire_obs_mesh *mesh = msg;
	const char *text = jaco_arena_printf(arena, "%s%s%s%s%s", mesh->state,
					     mesh->backend ? ", WireGuard of the " : "",
					     mesh->backend ? mesh->backend : "",
					     mesh->message ? ": " : "",
					     mesh->message ? mesh->message : "");

	for (size_t i = 0; i < mesh->peers.n; i++)
		if (!mesh->peers.v[i].hears)
			text = jaco_arena_printf(arena, "%s, hears nothing of %s", text,
						 mesh->peers.v[i].host);
	return text;
}

static const char *say_engine(const void *msg, struct jaco_arena *arena)
{
	const struct wire_obs_engine *engine = msg;

	return jaco_arena_printf(arena, "%s%s%s%s%s%s%s", engine->state,
				 engine->kind ? ", " : "", engine->kind ? engine->kind : "",
				 engine->version ? " " : "", engine->version ? engine->version : "",
				 engine->message ? ": " : "",
				 engine->message ? engine->message : "");
}

/* The object is @noun and the key behind @prefix, each '/' of it written as @slash. */
static const struct {
	const struct jaco_desc *desc;
	const char *prefix;
	const char *noun;
	char slash;
	const char *(*say)(const void *msg, struct jaco_arena *arena);
} kinds[] = {
	{&wire_deployment_desc, "/deployment/", "deployment", '/', say_deployment},
	{&wire_replica_desc, "/replica/", "replica", '-', say_replica},
	{&wire_rollout_desc, "/rollout/", "rollout", '/', say_rollout},
	{&wire_node_desc, "/node/", "node", '/', say_node},
	{&wire_route_desc, "/route/", "route", '/', say_route},
	{&wire_tcproute_desc, "/tcproute/", "port", '/', say_tcproute},
	{&wire_subnet_desc, "/subnet/", "subnet", '/', say_subnet},
	{&wire_obs_replica_desc, "/obs/replica/", "replica", '/', say_obs_replica},
	{&wire_obs_liveness_desc, "/obs/node/", "node", ' ', say_liveness},
	{&wire_obs_membership_desc, "/obs/node/", "node", ' ', say_membership},
	{&wire_obs_firewall_desc, "/obs/node/", "node", ' ', say_firewall},
	{&wire_obs_dns_desc, "/obs/node/", "node", ' ', say_dns},
	{&wire_obs_ingress_desc, "/obs/node/", "node", ' ', say_ingress},
	{&wire_obs_mesh_desc, "/obs/node/", "node", ' ', say_mesh},
	{&wire_obs_engine_desc, "/obs/node/", "node", ' ', say_engine},
};

bool report_event(const char *key, const struct jaco_desc *desc, const void *msg,
		  struct jaco_arena *arena, struct report_event *out)
{
	char *object;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(kinds); i++) {
		if (kinds[i].desc != desc || !jaco_str_starts(key, kinds[i].prefix))
			continue;
		object = jaco_arena_strdup(arena, key + strlen(kinds[i].prefix));
		for (char *at = strchr(object, '/'); at; at = strchr(at + 1, '/'))
			*at = kinds[i].slash;
		out->object = jaco_arena_printf(arena, "%s %s", kinds[i].noun, object);
		out->what = msg ? kinds[i].say(msg, arena) : "gone";
		return true;
	}
	return false;
}
