/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve_ingress.c - published ports that the ingress owns: 80 and 443, and 443/udp beside it.
 *
 * Nothing but the ingress listens there.  A compose file that publishes them runs unmodified all
 * the same when jaco.yaml routes the service: the port is then one of the container's that is
 * documented, and a warning says what reaches it.  Without such a route the port is refused. */
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/resolve.h"

#define NAMED_MAX 3 /* routes a warning tells; the rest is counted */

/* The routes that lead to a container port behind 80 or 443 of one service. */
struct reach {
	const struct jaco_route **routes;
	size_t n;
	bool at_80, at_443; /* one leads to the port behind it */
};

static bool is_of_ingress(const struct jaco_port *port)
{
	return port->mode != JACO_PORT_EXPOSED && port->proto == JACO_PROTO_TCP &&
	       (port->published == 80 || port->published == 443);
}

static bool has_any(const struct jaco_service *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (is_of_ingress(&s->ports[i]))
			return true;
	return false;
}

static struct reach find_reach(const struct resolve *resolve, const struct jaco_service *s)
{
	const struct jaco_manifest *manifest = resolve->manifest;
	struct reach reach = {.routes = jaco_arena_alloc_n(resolve->read->arena,
							   manifest->n_routes + 1,
							   sizeof(const struct jaco_route *))};

	for (size_t i = 0; i < manifest->n_routes; i++) {
		const struct jaco_route *route = &manifest->routes[i];
		bool leads = false;

		if (!jaco_str_eq(route->service, s->name))
			continue;
		for (size_t j = 0; j < s->n_ports; j++) {
			if (!is_of_ingress(&s->ports[j]) || s->ports[j].target != route->port)
				continue;
			leads = true;
			reach.at_80 |= s->ports[j].published == 80;
			reach.at_443 |= s->ports[j].published == 443;
		}
		if (leads)
			reach.routes[reach.n++] = route;
	}
	return reach;
}

static bool leads_to(const struct reach *reach, uint16_t target)
{
	for (size_t i = 0; i < reach->n; i++)
		if (reach->routes[i]->port == target)
			return true;
	return false;
}

/* A route to the port behind it, or behind the other of the two: who serves 80 through the ingress
 * has its TLS on 443 too, whatever the container listens to there. */
static bool is_reached(const struct reach *reach, const struct jaco_port *port)
{
	return leads_to(reach, port->target) ||
	       (port->published == 443 ? reach->at_80 : reach->at_443);
}

/* "a.example to port 80, b.example/api to port 80 and 2 more"; "" when nothing is served there. */
static const char *name_routes(struct resolve *resolve, const struct reach *reach,
			       uint16_t published)
{
	const char *text = "";
	size_t n = 0;

	for (size_t i = 0; i < reach->n; i++) {
		const struct jaco_route *route = reach->routes[i];

		if (published == 443 && route->tls == JACO_TLS_OFF)
			continue;
		if (n++ < NAMED_MAX)
			text = jaco_arena_printf(
				resolve->read->arena, "%s%s%.80s%.40s to port %u", text,
				n > 1 ? ", " : "", route->domain,
				strcmp(route->path, "/") == 0 ? "" : route->path, route->port);
	}
	return n > NAMED_MAX ? jaco_arena_printf(resolve->read->arena, "%s and %zu more", text,
						 n - NAMED_MAX)
			     : text;
}

static const char *wider_than(struct resolve *resolve, const struct jaco_port *port)
{
	if (port->mode != JACO_PORT_HOST)
		return "";
	return port->host_ip ? jaco_arena_printf(resolve->read->arena,
						 ", on every node and not only at %s",
						 port->host_ip)
			     : ", on every node and not only its own";
}

static void leave_to_ingress(struct jaco_port *port)
{
	port->mode = JACO_PORT_EXPOSED;
	port->published = 0;
	port->host_ip = NULL;
}

static void tell_reached(struct resolve *resolve, const struct jaco_service *s,
			 const struct reach *reach, const struct jaco_port *port)
{
	const char *routes = name_routes(resolve, reach, port->published);

	if (*routes)
		jaco_resolve_warn(resolve, port->pos, s->name, "ports",
				  "port %u stays with JACO's ingress, which sends %s of the "
				  "service%s",
				  port->published, routes, wider_than(resolve, port));
	else
		jaco_resolve_warn(resolve, port->pos, s->name, "ports",
				  "port %u stays with JACO's ingress, where no route of the "
				  "service has TLS",
				  port->published);
}

/* What a route has to lead to so that @port is served: 443 is, as soon as 80 is. */
static uint16_t port_to_route(const struct jaco_service *s, const struct jaco_port *port)
{
	for (size_t i = 0; port->published == 443 && i < s->n_ports; i++)
		if (is_of_ingress(&s->ports[i]) && s->ports[i].published == 80)
			return s->ports[i].target;
	return port->target;
}

static void refuse(struct resolve *resolve, const struct jaco_service *s,
		   const struct jaco_port *port)
{
	bool has_routes = resolve->overlay->n_routes > 0;
	const char *remedy = jaco_arena_printf(
		resolve->read->arena,
		"add to %s{domain: ..., service: %.63s, port: %u}%s and leave the compose file as "
		"it is",
		has_routes ? "the routes of jaco.yaml: " : "jaco.yaml: routes: [", s->name,
		port_to_route(s, port), has_routes ? "" : "]");

	jaco_resolve_error(resolve, JACO_RESERVED_PORT, port->pos, s->name, "ports", remedy,
			   "port %u belongs to JACO's ingress", port->published);
}

/* HTTP/3 beside the HTTPS that the ingress has taken over; other 443/udp is published. */
static void leave_http3(struct resolve *resolve, struct jaco_service *s, uint16_t target)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		struct jaco_port *port = &s->ports[i];

		if (port->mode == JACO_PORT_EXPOSED || port->proto != JACO_PROTO_UDP ||
		    port->published != 443 || port->target != target)
			continue;
		jaco_resolve_warn(resolve, port->pos, s->name, "ports",
				  "port 443/udp is not published: JACO's ingress serves 443, "
				  "without HTTP/3");
		leave_to_ingress(port);
	}
}

void jaco_resolve_ingress_ports(struct resolve *resolve, struct jaco_service *s)
{
	struct reach reach;

	if (!has_any(s))
		return;
	reach = find_reach(resolve, s);
	for (size_t i = 0; i < s->n_ports; i++) {
		struct jaco_port *port = &s->ports[i];

		if (!is_of_ingress(port))
			continue;
		if (!is_reached(&reach, port)) {
			refuse(resolve, s, port);
		} else {
			tell_reached(resolve, s, &reach, port);
			if (port->published == 443)
				leave_http3(resolve, s, port->target);
		}
	}
	/* those refused too: nothing more is to be said of them */
	for (size_t i = 0; i < s->n_ports; i++)
		if (is_of_ingress(&s->ports[i]))
			leave_to_ingress(&s->ports[i]);
}
