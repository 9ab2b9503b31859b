/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_net.h"

#include <string.h>

#include "cli/report.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/model/cidr.h"

/* --- paths --- */

static const struct wire_obs_peer *find_peer(const struct wire_obs_mesh *mesh, const char *host)
{
	for (size_t i = 0; mesh && i < mesh->peers.n; i++)
		if (jaco_str_eq(mesh->peers.v[i].host, host))
			return &mesh->peers.v[i];
	return NULL;
}

/* Why @host cannot say what it hears, or NULL. */
static const char *why_silent(const struct jaco_view *view, const char *host,
			      const struct wire_obs_mesh *mesh, struct jaco_arena *arena)
{
	const struct wire_obs_liveness *live = jaco_view_getf(view, "/obs/node/%s/liveness", host);

	if (live && live->state == JACO_LIVENESS_UNREACHABLE)
		return jaco_arena_printf(arena, "%s is unreachable", host);
	if (!mesh)
		return jaco_arena_printf(arena, "%s has not said anything yet", host);
	if (!jaco_str_eq(mesh->state, "ready"))
		return jaco_arena_printf(arena, "no mesh on %s: %s", host,
					 mesh->message ? mesh->message : mesh->state);
	return NULL;
}

static void judge(struct wire_mesh_row *row, const struct wire_obs_peer *heard,
		  const char *silent, struct jaco_arena *arena)
{
	if (silent || !heard) {
		row->verdict = "unknown";
		row->message = silent ? silent
				      : jaco_arena_printf(arena, "%s does not know %s yet", row->to,
							  row->from);
	} else if (!heard->hears) {
		row->verdict = "lost";
		row->since = heard->heard;
		row->message = jaco_arena_printf(arena,
						 heard->heard ? "%s hears nothing from %s any more"
							      : "%s never heard of %s",
						 row->to, row->from);
	} else if (row->loss_permille >= REPORT_LOSSY_PERMILLE && row->loss_permille < 1000) {
		row->verdict = "lossy";
		row->message = jaco_arena_printf(arena, "%u.%u %% lost there and back",
						 row->loss_permille / 10, row->loss_permille % 10);
	} else {
		row->verdict =
			"ok"; /* all probes lost, yet heard: the way back is the broken one */
	}
}

static struct wire_mesh_row make_path(const struct jaco_view *view, const char *from,
				      const char *to, struct jaco_arena *arena)
{
	const struct wire_obs_mesh *sender = jaco_view_getf(view, "/obs/node/%s/mesh", from);
	const struct wire_obs_mesh *receiver = jaco_view_getf(view, "/obs/node/%s/mesh", to);
	const struct wire_obs_peer *sent = find_peer(sender, to);
	const char *silent = why_silent(view, to, receiver, arena);
	struct wire_mesh_row row = {.from = from, .to = to};

	if (!silent && !why_silent(view, from, sender, arena) && sent) {
		row.rtt_us = sent->rtt_us;
		row.loss_permille = sent->loss_permille;
		row.mtu = sent->mtu;
		row.endpoint = sent->endpoint;
		if (sent->handshake_age_ms >= 0)
			row.handshake = (uint64_t)(jaco_time_wall_ms() - sent->handshake_age_ms);
	}
	judge(&row, find_peer(receiver, from), silent, arena);
	return row;
}

struct wire_mesh_row *report_mesh(const struct jaco_view *view, struct jaco_arena *arena,
				  size_t *out_n)
{
	const struct jaco_view_entry *from, *to;
	struct wire_mesh_row *rows = NULL;
	size_t cap = 0;

	*out_n = 0;
	JACO_VIEW_FOREACH(view, "/node/", from) {
		for (size_t i = jaco_view_lower(view, "/node/"); jaco_view_below(view, i, "/node/");
		     i++) {
			to = view->v[i];
			if (to == from)
				continue;
			rows = jaco_arena_grow(arena, rows, &cap, *out_n + 1, sizeof(*rows));
			rows[(*out_n)++] =
				make_path(view, ((const struct wire_node *)from->msg)->host,
					  ((const struct wire_node *)to->msg)->host, arena);
		}
	}
	return rows;
}

/* --- scopes --- */

struct wire_scope_row *report_scopes(const struct jaco_view *view, struct jaco_arena *arena,
				     size_t *out_n)
{
	struct wire_scope_row *rows = NULL, *row;
	const struct jaco_view_entry *entry;
	size_t cap = 0, cap_subnets = 0;

	*out_n = 0;
	JACO_VIEW_FOREACH(view, "/subnet/", entry) { /* /subnet/<deployment>/<network>/<host> */
		const struct wire_subnet *subnet = entry->msg;

		row = *out_n ? &rows[*out_n - 1] : NULL;
		if (!row || !jaco_str_eq(row->deployment, subnet->deployment) ||
		    !jaco_str_eq(row->network, subnet->network)) {
			rows = jaco_arena_grow(arena, rows, &cap, *out_n + 1, sizeof(*rows));
			row = &rows[(*out_n)++];
			*row = (struct wire_scope_row){.scope = subnet->scope,
						       .deployment = subnet->deployment,
						       .network = subnet->network};
			cap_subnets = 0;
		}
		row->internal = row->internal || subnet->internal;
		row->subnets.v = jaco_arena_grow(arena, row->subnets.v, &cap_subnets,
						 row->subnets.n + 1, sizeof(*row->subnets.v));
		row->subnets.v[row->subnets.n++] = (struct wire_pair){subnet->host, subnet->cidr};
	}
	return rows;
}

/* --- exposure --- */

struct exposure {
	const struct jaco_view *view;
	struct jaco_arena *arena;
	struct wire_exposure_row *rows;
	size_t n, cap;
};

static void expose(struct exposure *e, const char *node, const char *kind, const char *what,
		   const char *to, const char *from)
{
	e->rows = jaco_arena_grow(e->arena, e->rows, &e->cap, e->n + 1, sizeof(*e->rows));
	e->rows[e->n++] = (struct wire_exposure_row){
		.node = node, .kind = kind, .what = what, .to = to, .from = from};
}

static const char *allowed_clients(const struct wire_route *route, struct jaco_arena *arena)
{
	const char *text = "everybody";

	for (size_t i = 0; i < route->allow.n; i++)
		text = i ? jaco_arena_printf(arena, "%s, %s", text, route->allow.v[i])
			 : route->allow.v[0];
	if (route->basic_auth.n)
		text = jaco_arena_printf(arena, "%s with a password", text);
	return text;
}

static void expose_routes(struct exposure *e, const char *node)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(e->view, "/route/", entry) {
		const struct wire_route *route = entry->msg;
		const char *what = jaco_arena_printf(e->arena, "%s://%s%s",
						     route->tls == JACO_TLS_OFF ? "http" : "https",
						     route->domain, route->path);
		const char *to =
			route->service
				? jaco_arena_printf(e->arena, "%s/%s:%u", route->deployment,
						    route->service, route->port)
				: jaco_arena_printf(e->arena, "redirect by %s", route->deployment);

		expose(e, node, "route", what, to, allowed_clients(route, e->arena));
	}
}

static bool has_replica(const struct jaco_view *view, const char *deployment, const char *service,
			const char *node, struct jaco_arena *arena)
{
	size_t n;
	struct wire_replica_row *rows = report_replicas(view, deployment, service, arena, &n);

	for (size_t i = 0; i < n; i++)
		if (jaco_str_eq(rows[i].node, node))
			return true;
	return false;
}

static void expose_ports(struct exposure *e, const char *node)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(e->view, "/tcproute/", entry) {
		const struct wire_tcproute *port = entry->msg;
		const char *at = port->host_ip ? port->host_ip : "0.0.0.0";

		if (port->host_mode &&
		    !has_replica(e->view, port->deployment, port->service, node, e->arena))
			continue;
		expose(e, node, "port",
		       jaco_arena_printf(e->arena, "%s:%u/%s", at, port->port,
					 jaco_enum_word(&jaco_protocol_enum, (int)port->protocol)),
		       jaco_arena_printf(e->arena, "%s/%s:%u", port->deployment, port->service,
					 port->target_port),
		       jaco_str_starts(at, "127.") ? "this node" : "everybody");
	}
}

/* What a route or the lack of one answers at; published ports have rows of their own. */
static void expose_ingress(struct exposure *e, const char *node)
{
	const struct wire_obs_ingress *ingress =
		jaco_view_getf(e->view, "/obs/node/%s/ingress", node);

	for (size_t i = 0; ingress && i < ingress->listeners.n; i++) {
		const char *text = ingress->listeners.v[i];
		const char *colon = strrchr(text, ':');
		size_t at = colon ? jaco_view_lower(
					    e->view,
					    jaco_arena_printf(e->arena, "/tcproute/%s/", colon + 1))
				  : 0;

		if (colon &&
		    !jaco_view_below(e->view, at,
				     jaco_arena_printf(e->arena, "/tcproute/%s/", colon + 1)))
			expose(e, node, "ingress", jaco_arena_printf(e->arena, "%s/tcp", text),
			       "proxyd", "everybody: the routes, 404 for all else");
	}
}

static void expose_bridges(struct exposure *e, const char *node)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(e->view, "/subnet/", entry) {
		const struct wire_subnet *subnet = entry->msg;

		if (jaco_str_eq(subnet->host, node))
			expose(e, node, "bridge",
			       jaco_arena_printf(e->arena, "%s %s", subnet->cidr, subnet->bridge),
			       jaco_arena_printf(e->arena, "%s/%s", subnet->deployment,
						 subnet->network),
			       subnet->internal
				       ? "its scope and the nodes"
				       : "its scope, the nodes, and who has a route to it");
	}
}

struct wire_exposure_row *report_exposure(const struct jaco_view *view, struct jaco_arena *arena,
					  size_t *out_n)
{
	struct exposure e = {.view = view, .arena = arena};
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(view, "/node/", entry) {
		const struct wire_node *node = entry->msg;

		expose_ingress(&e, node->host);
		expose_routes(&e, node->host);
		expose_ports(&e, node->host);
		expose_bridges(&e, node->host);
		for (size_t i = 0; i < node->wg_endpoints.n; i++)
			expose(&e, node->host, "peer",
			       jaco_arena_printf(arena, "%s/udp", node->wg_endpoints.v[i]),
			       "the mesh", "members' keys");
		if (node->peer_addr)
			expose(&e, node->host, "peer",
			       jaco_arena_printf(arena, "%s/tcp", node->peer_addr), "raftd",
			       "members' certificates, join tokens");
		if (node->api_addr)
			expose(&e, node->host, "api",
			       jaco_arena_printf(arena, "%s/tcp", node->api_addr), "raftd",
			       "operators' tokens");
	}
	*out_n = e.n;
	return e.rows;
}

/* --- names --- */

static void add_replica(const struct wire_replica_row *row, struct jaco_arena *arena,
			struct report_end **ends, size_t *n, size_t *cap)
{
	for (size_t i = 0; i < row->addresses.n; i++) {
		const struct wire_replica_address *at = &row->addresses.v[i];

		*ends = jaco_arena_grow(arena, *ends, cap, *n + 1, sizeof(**ends));
		(*ends)[(*n)++] = (struct report_end){
			.name = jaco_arena_printf(arena, "%s %s", row->id, at->address),
			.address = at->address,
			.deployment = row->deployment,
			.network = at->network,
		};
	}
}

int report_ends(const struct jaco_view *view, const char *text, struct jaco_arena *arena,
		struct report_end **out, size_t *out_n, struct jaco_err *err)
{
	const char *slash = strchr(text, '/');
	struct wire_replica_row *rows;
	size_t n_rows, cap = 0;
	uint32_t address;

	*out = NULL;
	*out_n = 0;
	if (jaco_ipv4_parse(text, &address)) {
		*out = jaco_arena_alloc(arena, sizeof(**out));
		(*out)[(*out_n)++] = (struct report_end){.name = text, .address = text};
		return 0;
	}
	rows = report_replicas(view, NULL, NULL, arena, &n_rows);
	for (size_t i = 0; i < n_rows; i++) {
		bool is_service = slash && strlen(rows[i].deployment) == (size_t)(slash - text) &&
				  jaco_str_starts(text, rows[i].deployment) &&
				  jaco_str_eq(slash + 1, rows[i].service);

		if (is_service || jaco_str_eq(rows[i].id, text))
			add_replica(&rows[i], arena, out, out_n, &cap);
	}
	if (*out_n)
		return 0;
	return jaco_err_set(err, JACO_VALIDATION_FAILED,
			    "%s: no address, replica or DEPLOYMENT/SERVICE with an address", text);
}
