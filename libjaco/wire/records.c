/* SPDX-License-Identifier: Apache-2.0
 *
 * records.c - field by field from the manifest to the store's records. */
#include "libjaco/wire/records.h"

#include <string.h>

#include "libjaco/base/str.h"

#define NANO_PER_MILLI 1000000

static struct wire_strs to_strs(const struct jaco_strings *strings, struct jaco_arena *arena)
{
	struct wire_strs strs = {.n = strings->n};

	strs.v = jaco_arena_alloc_n(arena, strings->n + 1, sizeof(*strs.v));
	for (size_t i = 0; i < strings->n; i++)
		strs.v[i] = strings->items[i];
	return strs;
}

static struct wire_dict to_dict(const struct jaco_pairs *pairs, struct jaco_arena *arena)
{
	struct wire_dict dict = {.n = pairs->n};

	dict.v = jaco_arena_alloc_n(arena, pairs->n + 1, sizeof(*dict.v));
	for (size_t i = 0; i < pairs->n; i++)
		dict.v[i] = (struct wire_pair){pairs->items[i].key, pairs->items[i].value};
	return dict;
}

static enum jaco_protocol to_protocol(enum jaco_proto proto)
{
	switch (proto) {
	case JACO_PROTO_TCP:
		return JACO_PROTOCOL_TCP;
	case JACO_PROTO_UDP:
		break;
	}
	return JACO_PROTOCOL_UDP;
}

static enum jaco_depend_condition to_condition(enum jaco_condition condition)
{
	switch (condition) {
	case JACO_CONDITION_STARTED:
		return JACO_DEPEND_STARTED;
	case JACO_CONDITION_HEALTHY:
		return JACO_DEPEND_HEALTHY;
	case JACO_CONDITION_COMPLETED:
		break;
	}
	return JACO_DEPEND_COMPLETED;
}

static const char *to_constraint(const struct jaco_constraint *constraint, struct jaco_arena *arena)
{
	const char *sign = constraint->is_negated ? "!=" : "==";

	switch (constraint->subject) {
	case JACO_CONSTRAINT_HOSTNAME:
		return jaco_arena_printf(arena, "node.hostname %s %s", sign, constraint->value);
	case JACO_CONSTRAINT_LABEL:
		return jaco_arena_printf(arena, "node.labels.%s %s %s", constraint->label, sign,
					 constraint->value);
	case JACO_CONSTRAINT_ARCH:
		return jaco_arena_printf(arena, "node.platform.arch %s %s", sign,
					 constraint->value);
	case JACO_CONSTRAINT_OS:
		break;
	}
	return jaco_arena_printf(arena, "node.platform.os %s %s", sign, constraint->value);
}

static int64_t to_max_restarts(const struct jaco_restart *restart)
{
	switch (restart->kind) {
	case JACO_RESTART_NO:
		return 0;
	case JACO_RESTART_ON_FAILURE:
		return restart->max_attempts ? restart->max_attempts : JACO_RESTART_BUDGET;
	case JACO_RESTART_ALWAYS:
		break;
	}
	return restart->is_set ? -1 : JACO_RESTART_BUDGET;
}

static const char *to_network_mode(const struct jaco_service *service, struct jaco_arena *arena)
{
	switch (service->network_mode) {
	case JACO_NETMODE_NONE:
		return "none";
	case JACO_NETMODE_HOST:
		return "host";
	case JACO_NETMODE_SERVICE:
		return jaco_arena_printf(arena, "service:%s", service->network_service);
	case JACO_NETMODE_NETWORKS:
		break;
	}
	return NULL;
}

static void set_networks(struct wire_service *out, const struct jaco_manifest *manifest,
			 const struct jaco_service *service, struct jaco_arena *arena)
{
	out->networks.v =
		jaco_arena_alloc_n(arena, service->n_attachments + 1, sizeof(*out->networks.v));
	for (size_t i = 0; i < service->n_attachments; i++) {
		const struct jaco_attachment *attachment = &service->attachments[i];
		const struct jaco_network *network =
			jaco_manifest_network(manifest, attachment->network);
		struct wire_service_network *to = &out->networks.v[out->networks.n++];
		size_t n = attachment->aliases.n;

		to->name = attachment->network;
		to->internal = network && network->is_internal;
		to->aliases.v = jaco_arena_alloc_n(arena, n + service->dns_names.n + 1,
						   sizeof(*to->aliases.v));
		for (size_t k = 0; k < n; k++)
			to->aliases.v[to->aliases.n++] = attachment->aliases.items[k];
		for (size_t k = 0; k < service->dns_names.n; k++)
			to->aliases.v[to->aliases.n++] = service->dns_names.items[k];
	}
}

static void set_depends(struct wire_service *out, const struct jaco_service *service,
			struct jaco_arena *arena)
{
	out->depends_on.v =
		jaco_arena_alloc_n(arena, service->n_depends_on + 1, sizeof(*out->depends_on.v));
	for (size_t i = 0; i < service->n_depends_on; i++) {
		const struct jaco_dependency *dependency = &service->depends_on[i];
		struct wire_depend *to = &out->depends_on.v[out->depends_on.n++];

		*to = (struct wire_depend){.service = dependency->service,
					   .condition = to_condition(dependency->condition),
					   .restart = dependency->restart};
		JACO_SET(to, depend, required, dependency->required);
	}
}

static const char *port_text(uint16_t port, enum jaco_proto proto, struct jaco_arena *arena)
{
	return jaco_arena_printf(arena, "%u/%s", port, jaco_proto_name(proto));
}

static const char *host_port_text(const struct jaco_port *port, struct jaco_arena *arena)
{
	const char *text = port_text(port->published, port->proto, arena);

	return port->host_ip ? jaco_arena_printf(arena, "%s@%s", text, port->host_ip) : text;
}

static void add_port(struct wire_strs *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], text) == 0)
			return;
	if (list->n < JACO_PORTS_PER_SERVICE)
		list->v[list->n++] = text;
}

/* The port that a probe would use comes first. */
static void set_ports(struct wire_service *out, const struct jaco_service *service,
		      struct jaco_arena *arena)
{
	out->expose.v = jaco_arena_alloc_n(arena, JACO_PORTS_PER_SERVICE, sizeof(*out->expose.v));
	out->host_ports.v =
		jaco_arena_alloc_n(arena, JACO_PORTS_PER_SERVICE, sizeof(*out->host_ports.v));
	if (service->default_probe_port)
		add_port(&out->expose,
			 port_text(service->default_probe_port, JACO_PROTO_TCP, arena));
	for (size_t i = 0; i < service->n_expose; i++)
		add_port(&out->expose, port_text(service->expose[i], JACO_PROTO_TCP, arena));
	for (size_t i = 0; i < service->n_ports; i++) {
		const struct jaco_port *port = &service->ports[i];

		add_port(&out->expose, port_text(port->target, port->proto, arena));
		if (port->mode == JACO_PORT_HOST)
			add_port(&out->host_ports, host_port_text(port, arena));
	}
}

static void set_resources(struct wire_service *out, const struct jaco_resources *resources)
{
	if (resources->reserved_nano_cpus.is_set)
		out->reserve_cpu_milli =
			(uint64_t)(resources->reserved_nano_cpus.value / NANO_PER_MILLI);
	if (resources->memory_reservation.is_set)
		out->reserve_memory = (uint64_t)resources->memory_reservation.value;
	if (resources->nano_cpus.is_set)
		out->limit_cpu_milli = (uint64_t)(resources->nano_cpus.value / NANO_PER_MILLI);
	if (resources->memory_bytes.is_set)
		out->limit_memory = (uint64_t)resources->memory_bytes.value;
}

static struct wire_rollout_policy *to_rollout(const struct jaco_service *service,
					      struct jaco_arena *arena)
{
	const struct jaco_rollout *rollout = &service->rollout;
	struct wire_rollout_policy *out = jaco_arena_alloc(arena, sizeof(*out));
	uint32_t all = JACO_MAX(service->replicas, 1u);

	*out = (struct wire_rollout_policy){
		.order = rollout->order,
		.parallel = rollout->parallel ? rollout->parallel : all,
		.timeout_ms = (uint32_t)rollout->timeout_ms,
		.drain_ms = (uint32_t)rollout->drain_ms,
		.monitor_ms = (uint32_t)rollout->monitor_ms,
		.delay_ms = (uint32_t)rollout->delay_ms,
		.on_failure = rollout->on_failure,
		.max_failure_permille = (uint32_t)(rollout->max_failure_ratio * 1000 + 0.5)};
	return out;
}

static void set_service(struct wire_service *out, const struct jaco_manifest *manifest,
			const struct jaco_service *service, struct jaco_arena *arena)
{
	*out = (struct wire_service){.name = service->name,
				     .image = service->image,
				     .spec_hash = jaco_arena_strdup(arena, service->spec_hash),
				     .replicas = service->replicas,
				     .per_host = service->per_host,
				     .placement = service->placement,
				     .hosts = to_strs(&service->hosts, arena),
				     .platform = service->platform,
				     .dns = to_strs(&service->dns, arena),
				     .network_mode = to_network_mode(service, arena),
				     .stateful = service->is_stateful,
				     .one_shot = service->is_one_shot,
				     .reschedule = !service->failover_stay,
				     .single = service->is_single,
				     .max_per_node = service->max_replicas_per_node,
				     .rollout = to_rollout(service, arena)};
	JACO_SET(out, service, max_restarts, to_max_restarts(&service->restart));
	out->constraints.v =
		jaco_arena_alloc_n(arena, service->n_constraints + 1, sizeof(*out->constraints.v));
	for (size_t i = 0; i < service->n_constraints; i++)
		out->constraints.v[out->constraints.n++] =
			to_constraint(&service->constraints[i], arena);
	set_networks(out, manifest, service, arena);
	set_depends(out, service, arena);
	set_ports(out, service, arena);
	set_resources(out, &service->resources);
}

/* All that @service waits for stand in the list already, or are not in this manifest. */
static bool is_ready(const struct jaco_manifest *manifest, const bool *is_placed,
		     const struct jaco_service *service)
{
	for (size_t i = 0; i < service->n_depends_on; i++) {
		const struct jaco_service *on =
			jaco_manifest_service(manifest, service->depends_on[i].service);

		if (on && !is_placed[on - manifest->services])
			return false;
	}
	return true;
}

struct wire_deployment *jaco_records_deployment(const struct jaco_manifest *manifest,
						struct jaco_arena *arena)
{
	struct wire_deployment *out = jaco_arena_alloc(arena, sizeof(*out));
	bool *is_placed = jaco_arena_alloc_n(arena, manifest->n_services + 1, sizeof(*is_placed));
	size_t n_before;

	out->name = manifest->deployment;
	out->acme_email = manifest->acme_email;
	out->services.v =
		jaco_arena_alloc_n(arena, manifest->n_services + 1, sizeof(*out->services.v));
	/* cycles were refused at load, so every round places at least one */
	do {
		n_before = out->services.n;
		for (size_t i = 0; i < manifest->n_services; i++) {
			if (is_placed[i] || !is_ready(manifest, is_placed, &manifest->services[i]))
				continue;
			set_service(&out->services.v[out->services.n++], manifest,
				    &manifest->services[i], arena);
			is_placed[i] = true;
		}
	} while (out->services.n < manifest->n_services && out->services.n > n_before);
	out->networks.v =
		jaco_arena_alloc_n(arena, manifest->n_networks + 1, sizeof(*out->networks.v));
	for (size_t i = 0; i < manifest->n_networks; i++)
		out->networks.v[out->networks.n++] =
			(struct wire_network){.name = manifest->networks[i].name,
					      .internal = manifest->networks[i].is_internal};
	return out;
}

static uint32_t to_ms(const struct jaco_opt_i64 *value)
{
	return value->is_set ? (uint32_t)value->value : 0;
}

struct wire_route *jaco_records_route(const struct jaco_route *route, const char *deployment,
				      uint64_t revision, struct jaco_arena *arena)
{
	struct wire_route *out = jaco_arena_alloc(arena, sizeof(*out));

	*out = (struct wire_route){.deployment = deployment,
				   .domain = route->domain,
				   .path = route->path,
				   .service = route->service,
				   .port = route->port,
				   .tls = route->tls,
				   .cert = route->tls_cert,
				   .key = route->tls_key,
				   .strip_path = route->strip_path,
				   .redirect_to = route->redirect_to,
				   .redirect_code = route->redirect_to ? route->redirect_code : 0,
				   .request_set = to_dict(&route->request_headers.set, arena),
				   .request_remove = to_strs(&route->request_headers.remove, arena),
				   .response_set = to_dict(&route->response_headers.set, arena),
				   .response_remove =
					   to_strs(&route->response_headers.remove, arena),
				   .connect_ms = to_ms(&route->connect_ms),
				   .response_ms = to_ms(&route->response_ms),
				   .idle_ms = to_ms(&route->idle_ms),
				   .sticky_cookie = route->sticky_cookie,
				   .sticky_ttl_s = (uint32_t)(route->sticky_ttl_ms / 1000),
				   .h2c = route->h2c,
				   .maintenance = route->maintenance,
				   .revision = revision};
	out->balance = route->balance == JACO_BALANCE_HASH_HEADER
			       ? jaco_arena_printf(arena, "hash(%s)", route->balance_header)
			       : jaco_balance_name(route->balance);
	if (route->max_body_bytes.is_set)
		JACO_SET(out, route, max_body, (uint64_t)route->max_body_bytes.value);
	out->basic_auth.v =
		jaco_arena_alloc_n(arena, route->n_basic_auth + 1, sizeof(*out->basic_auth.v));
	for (size_t i = 0; i < route->n_basic_auth; i++)
		out->basic_auth.v[out->basic_auth.n++] = (struct wire_basic_user){
			.user = route->basic_auth[i].user,
			.password_hash = route->basic_auth[i].password_hash};
	out->allow.v = jaco_arena_alloc_n(arena, route->n_allow + 1, sizeof(*out->allow.v));
	for (size_t i = 0; i < route->n_allow; i++) {
		char text[JACO_CIDR_TEXT_BYTES];

		jaco_cidr_render(text, route->allow[i]);
		out->allow.v[out->allow.n++] = jaco_arena_strdup(arena, text);
	}
	if (route->has_health) {
		out->health_path = route->health.path;
		out->health_interval_ms = (uint32_t)route->health.interval_ms;
		out->health_timeout_ms = (uint32_t)route->health.timeout_ms;
		out->health_expect = jaco_arena_printf(arena, "%u-%u", route->health.expect_min,
						       route->health.expect_max);
	}
	return out;
}

struct wire_tcproute *jaco_records_tcproute(const struct jaco_published *published,
					    const char *deployment, struct jaco_arena *arena)
{
	struct wire_tcproute *out = jaco_arena_alloc(arena, sizeof(*out));

	*out = (struct wire_tcproute){.port = published->port.published,
				      .protocol = to_protocol(published->port.proto),
				      .deployment = deployment,
				      .service = published->service,
				      .target_port = published->port.target,
				      .host_mode = published->port.mode == JACO_PORT_HOST,
				      .host_ip = published->port.host_ip};
	return out;
}

const char *jaco_records_route_key(const char *domain, const char *path, struct jaco_arena *arena)
{
	return jaco_arena_printf(arena, "/route/%s%s", domain, path);
}

const char *jaco_records_tcproute_prefix(enum jaco_proto proto, uint16_t port,
					 struct jaco_arena *arena)
{
	return jaco_arena_printf(arena, "/tcproute/%u/%s", port, jaco_proto_name(proto));
}

const char *jaco_records_tcproute_key(const struct jaco_port *port, struct jaco_arena *arena)
{
	const char *prefix = jaco_records_tcproute_prefix(port->proto, port->published, arena);

	return port->host_ip ? jaco_arena_printf(arena, "%s/%s", prefix, port->host_ip) : prefix;
}
