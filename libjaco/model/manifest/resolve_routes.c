/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve_routes.c - routes and published ports of the whole deployment. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/resolve.h"

const char *jaco_proto_name(enum jaco_proto proto)
{
	return proto == JACO_PROTO_UDP ? "udp" : "tcp";
}

const char *jaco_tls_mode_name(enum jaco_tls_mode mode)
{
	return jaco_enum_word(&jaco_tls_mode_enum, (int)mode);
}

const char *jaco_balance_name(enum jaco_balance balance)
{
	switch (balance) {
	case JACO_BALANCE_LEAST:
		return "least";
	case JACO_BALANCE_ROUND:
		return "round";
	case JACO_BALANCE_RANDOM:
		return "random";
	case JACO_BALANCE_HASH_HEADER:
		return "hash(header)";
	case JACO_BALANCE_HASH_IP:
		return "hash(ip)";
	}
	return "";
}

static const char *route_path(struct resolve *resolve, size_t index, const char *key)
{
	return jaco_arena_printf(resolve->read->arena, "routes[%zu].%s", index, key);
}

static void check_target(struct resolve *resolve, size_t index)
{
	const struct jaco_route *route = &resolve->overlay->routes[index];
	struct compose_service *service;

	if (!route->service)
		return;
	service = jaco_resolve_find(resolve, route->service);
	if (!service)
		jaco_findings_error(resolve->read->findings, JACO_UNKNOWN_SERVICE, route->pos,
				    route_path(resolve, index, "service"),
				    "name a service of the compose file",
				    "service \"%.63s\" is not in the compose file", route->service);
	else if (service->s.network_mode != JACO_NETMODE_NETWORKS)
		jaco_findings_error(resolve->read->findings, JACO_VALIDATION_FAILED, route->pos,
				    route_path(resolve, index, "service"),
				    "route to a service with networks",
				    "service \"%.63s\" has no address of its own (network_mode %s)",
				    route->service, service->network_mode);
}

static int compare_routes(const void *a, const void *b)
{
	const struct jaco_route *left = a;
	const struct jaco_route *right = b;
	int by_domain = strcmp(left->domain, right->domain);

	return by_domain ? by_domain : strcmp(left->path, right->path);
}

static void check_pairs(struct resolve *resolve)
{
	struct jaco_manifest *manifest = resolve->manifest;

	for (size_t i = 1; i < manifest->n_routes; i++) {
		const struct jaco_route *before = &manifest->routes[i - 1];
		const struct jaco_route *route = &manifest->routes[i];

		if (strcmp(before->domain, route->domain) != 0)
			continue;
		if (strcmp(before->path, route->path) == 0)
			jaco_findings_error(resolve->read->findings, JACO_ROUTE_CONFLICT,
					    route->pos, "routes", "change the path, or remove one",
					    "%.120s%.120s is routed twice", route->domain,
					    route->path);
		if (before->tls != route->tls || !jaco_str_eq(before->tls_cert, route->tls_cert) ||
		    !jaco_str_eq(before->tls_key, route->tls_key))
			jaco_findings_error(
				resolve->read->findings, JACO_ROUTE_TLS_MIXED, route->pos, "routes",
				"write the same tls on every route of the domain",
				"domain %.120s has two tls modes, %s and %s", route->domain,
				jaco_tls_mode_name(before->tls), jaco_tls_mode_name(route->tls));
	}
}

void jaco_resolve_routes(struct resolve *resolve)
{
	const struct overlay *overlay = resolve->overlay;
	struct jaco_manifest *manifest = resolve->manifest;

	manifest->routes = jaco_arena_alloc_n(resolve->read->arena, overlay->n_routes + 1,
					      sizeof(*manifest->routes));
	for (size_t i = 0; i < overlay->n_routes; i++) {
		struct jaco_route route = overlay->routes[i];

		check_target(resolve, i);
		/* a wildcard name cannot be validated by HTTP-01, so its default is off */
		if (!overlay->tls_is_set[i] &&
		    (!overlay->acme || jaco_str_starts(route.domain, "*.")))
			route.tls = JACO_TLS_OFF;
		manifest->routes[manifest->n_routes++] = route;
	}
	if (manifest->n_routes > 1)
		qsort(manifest->routes, manifest->n_routes, sizeof(*manifest->routes),
		      compare_routes);
	check_pairs(resolve);
}

/* -- ports -------------------------------------------------------------------------------- */

static uint16_t first_probe_port(const struct resolve *resolve, const struct jaco_service *s)
{
	for (size_t i = 0; i < resolve->overlay->n_routes; i++)
		if (jaco_str_eq(resolve->overlay->routes[i].service, s->name))
			return resolve->overlay->routes[i].port;
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].mode != JACO_PORT_EXPOSED && s->ports[i].proto == JACO_PROTO_TCP)
			return s->ports[i].target;
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == JACO_PROTO_TCP)
			return s->ports[i].target;
	return 0;
}

static int compare_ports(const void *a, const void *b)
{
	const struct jaco_port *left = a;
	const struct jaco_port *right = b;

	if (left->target != right->target)
		return left->target < right->target ? -1 : 1;
	if (left->proto != right->proto)
		return left->proto < right->proto ? -1 : 1;
	if (left->published != right->published)
		return left->published < right->published ? -1 : 1;
	if (left->mode != right->mode)
		return left->mode < right->mode ? -1 : 1;
	return strcmp(left->host_ip ? left->host_ip : "", right->host_ip ? right->host_ip : "");
}

static void sort_ports(struct resolve *resolve, struct jaco_service *s)
{
	size_t kept = 0;

	if (s->n_ports > 1)
		qsort(s->ports, s->n_ports, sizeof(*s->ports), compare_ports);
	for (size_t i = 0; i < s->n_ports; i++)
		if (kept == 0 || compare_ports(&s->ports[kept - 1], &s->ports[i]) != 0)
			s->ports[kept++] = s->ports[i];
	s->n_ports = kept;
	s->expose = jaco_arena_alloc_n(resolve->read->arena, kept + 1, sizeof(*s->expose));
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == JACO_PROTO_TCP &&
		    (s->n_expose == 0 || s->expose[s->n_expose - 1] != s->ports[i].target))
			s->expose[s->n_expose++] = s->ports[i].target;
}

static void check_port(struct resolve *resolve, struct compose_service *service,
		       struct jaco_port *port)
{
	struct jaco_service *s = &service->s;

	if (port->mode == JACO_PORT_EXPOSED)
		return;
	if (s->network_mode == JACO_NETMODE_HOST) {
		jaco_resolve_warn(resolve, port->pos, s->name, "ports",
				  "with network_mode host the port is the container's own: "
				  "documented, not published");
		port->mode = JACO_PORT_EXPOSED;
		port->published = 0;
		port->host_ip = NULL;
		return;
	}
	if (s->network_mode != JACO_NETMODE_NETWORKS)
		jaco_resolve_error(
			resolve, JACO_VALIDATION_FAILED, port->pos, s->name, "ports",
			s->network_mode == JACO_NETMODE_SERVICE
				? "publish the port on the service whose network is shared"
				: "remove the port, or network_mode",
			"the service has no address of its own (network_mode %s)",
			service->network_mode);
}

/* By port, protocol and address, those of every address first: what collides then stands beside
 * each other, or at the head of its group. */
static int compare_published(const void *a, const void *b)
{
	const struct jaco_published *left = a;
	const struct jaco_published *right = b;
	int by_address = strcmp(left->port.host_ip ? left->port.host_ip : "",
				right->port.host_ip ? right->port.host_ip : "");

	if (left->port.published != right->port.published)
		return left->port.published < right->port.published ? -1 : 1;
	if (left->port.proto != right->port.proto)
		return left->port.proto < right->port.proto ? -1 : 1;
	if (by_address != 0)
		return by_address;
	if (left->port.pos.line != right->port.pos.line)
		return left->port.pos.line < right->port.pos.line ? -1 : 1;
	return strcmp(left->service, right->service);
}

/* Two listeners on one port of one node: only different addresses of host mode can share it. */
static bool collides(const struct jaco_port *a, const struct jaco_port *b)
{
	if (a->published != b->published || a->proto != b->proto)
		return false;
	if (a->mode == JACO_PORT_HOST && b->mode == JACO_PORT_HOST && a->host_ip && b->host_ip)
		return strcmp(a->host_ip, b->host_ip) == 0;
	return true;
}

static void check_collisions(struct resolve *resolve)
{
	struct jaco_manifest *manifest = resolve->manifest;
	const struct jaco_published *head = manifest->published;

	for (size_t i = 1; i < manifest->n_published; i++) {
		const struct jaco_published *before = &manifest->published[i - 1];
		const struct jaco_published *port = &manifest->published[i];
		struct jaco_finding finding = {
			.code = JACO_PORT_CONFLICT,
			.severity = JACO_SEVERITY_ERROR,
			.pos = port->port.pos,
			.remedy = "choose another port",
			.detail_key = "owner",
		};

		if (head->port.published != port->port.published ||
		    head->port.proto != port->port.proto)
			head = port;
		if (!collides(&before->port, &port->port))
			before = head;
		if (before == port || !collides(&before->port, &port->port))
			continue;
		finding.path =
			jaco_arena_printf(resolve->read->arena, "services.%s.ports", port->service);
		finding.message = jaco_arena_printf(
			resolve->read->arena,
			"port %u/%s is published already by service \"%.63s\"",
			port->port.published, jaco_proto_name(port->port.proto), before->service);
		finding.detail_value = jaco_arena_printf(
			resolve->read->arena, "%s/%s", resolve->read->deployment, before->service);
		jaco_findings_add(resolve->read->findings, &finding);
	}
}

struct taken {
	bool tcp[65536], udp[65536];
};

static bool *taken_at(struct taken *taken, enum jaco_proto proto, unsigned port)
{
	return proto == JACO_PROTO_TCP ? &taken->tcp[port] : &taken->udp[port];
}

static void choose_port(struct resolve *resolve, const struct jaco_service *s,
			struct jaco_port *port, struct taken *taken)
{
	unsigned first = port->published;
	unsigned at = first;

	while (at < port->last && *taken_at(taken, port->proto, at))
		at++;
	if (*taken_at(taken, port->proto, at))
		at = first; /* the collision is reported */
	*taken_at(taken, port->proto, at) = true;
	jaco_resolve_warn(resolve, port->pos, s->name, "ports",
			  "port %u of the range %u-%u is published", at, first, port->last);
	port->published = (uint16_t)at;
	port->last = 0;
}

/* One container port with a range of host ports takes the first that is free in this deployment, as
 * the engine takes the first that is free on its host. */
static void choose_ports(struct resolve *resolve)
{
	struct compose_doc *doc = resolve->compose;
	struct taken *taken = jaco_arena_alloc(resolve->read->arena, sizeof(*taken));

	taken->tcp[80] = taken->tcp[443] = true;
	for (size_t i = 0; i < doc->n_services; i++)
		for (size_t j = 0; j < doc->services[i]->s.n_ports; j++) {
			const struct jaco_port *port = &doc->services[i]->s.ports[j];

			if (!port->last)
				*taken_at(taken, port->proto, port->published) = true;
		}
	for (size_t i = 0; i < doc->n_services; i++)
		for (size_t j = 0; j < doc->services[i]->s.n_ports; j++)
			if (doc->services[i]->s.ports[j].last)
				choose_port(resolve, &doc->services[i]->s,
					    &doc->services[i]->s.ports[j], taken);
}

static bool has_ranges(const struct compose_doc *doc)
{
	for (size_t i = 0; i < doc->n_services; i++)
		for (size_t j = 0; j < doc->services[i]->s.n_ports; j++)
			if (doc->services[i]->s.ports[j].last)
				return true;
	return false;
}

void jaco_resolve_ports(struct resolve *resolve)
{
	struct compose_doc *doc = resolve->compose;
	struct jaco_manifest *manifest = resolve->manifest;
	size_t n = 0;

	if (has_ranges(doc))
		choose_ports(resolve);
	for (size_t i = 0; i < doc->n_services; i++) {
		struct jaco_service *s = &doc->services[i]->s;

		for (size_t j = 0; j < s->n_ports; j++)
			check_port(resolve, doc->services[i], &s->ports[j]);
		if (s->network_mode == JACO_NETMODE_NETWORKS)
			jaco_resolve_ingress_ports(resolve, s);
		s->default_probe_port = first_probe_port(resolve, s);
		if (s->probe.kind == JACO_PROBE_HTTP && s->probe.port == 0 &&
		    s->default_probe_port == 0)
			jaco_resolve_error(
				resolve, JACO_VALIDATION_FAILED, s->pos, s->name, "health",
				"add port: to health in jaco.yaml",
				"the health check has no port: none is routed, published "
				"or exposed");
		sort_ports(resolve, s);
		n += s->n_ports;
	}
	manifest->published =
		jaco_arena_alloc_n(resolve->read->arena, n + 1, sizeof(*manifest->published));
	for (size_t i = 0; i < doc->n_services; i++) {
		const struct jaco_service *s = &doc->services[i]->s;

		for (size_t j = 0; j < s->n_ports; j++)
			if (s->ports[j].mode != JACO_PORT_EXPOSED)
				manifest->published[manifest->n_published++] =
					(struct jaco_published){s->name, s->ports[j]};
	}
	if (manifest->n_published > 1)
		qsort(manifest->published, manifest->n_published, sizeof(*manifest->published),
		      compare_published);
	check_collisions(resolve);
}
