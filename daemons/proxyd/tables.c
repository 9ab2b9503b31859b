/* SPDX-License-Identifier: Apache-2.0
 *
 * tables.c - see tables.h. */
#include "daemons/proxyd/tables.h"

#include <stdlib.h>
#include <string.h>

#include "daemons/proxyd/config.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/wire/wire.h"


static const char maintenance_page[] =
	"<!doctype html><title>Maintenance</title><h1>Down for maintenance</h1>\n";

/* --- replicas --- */

static bool is_reachable(const struct jaco_view *view, const char *host)
{
	const struct wire_obs_liveness *l = jaco_view_getf(view, "/obs/node/%s/liveness", host);

	return !l || l->state != JACO_LIVENESS_UNREACHABLE;
}

/* What the scheduler wants of one generation, or NULL. */
static const struct wire_replica_gen *desired_gen(const struct jaco_view *view,
						  const struct wire_obs_replica *obs,
						  uint32_t generation)
{
	const struct wire_replica *r =
		JACO_HAS(obs, obs_replica, index)
			? jaco_view_getf(view, "/replica/%s/%s/%llu", obs->deployment, obs->service,
					 (unsigned long long)obs->index)
			: jaco_view_getf(view, "/replica/%s/%s/%s", obs->deployment, obs->service,
					 obs->host);

	for (size_t i = 0; r && i < r->generations.n; i++)
		if (r->generations.v[i].generation == generation &&
		    strcmp(r->generations.v[i].host, obs->host) == 0)
			return &r->generations.v[i];
	return NULL;
}

static struct tables_replica replica_of(const struct wire_obs_replica *obs,
					const struct wire_obs_gen *gen)
{
	struct tables_replica r = {.id = obs->id, .deployment = obs->deployment,
				   .service = obs->service, .host = obs->host,
				   .generation = gen->generation};

	for (size_t i = 0; i < gen->addresses.n && !r.has_ip; i++)
		r.has_ip = netmatch_ip_parse(gen->addresses.v[i].address, &r.ip);
	return r;
}

static bool is_serving(const struct wire_obs_gen *gen)
{
	return gen->healthy && (gen->state == JACO_REPLICA_RUNNING ||
				gen->state == JACO_REPLICA_UPDATING);
}

static int by_service(const void *a, const void *b)
{
	const struct tables_replica *x = a, *y = b;
	int order = strcmp(x->deployment, y->deployment);

	if (order == 0)
		order = strcmp(x->service, y->service);
	if (order == 0)
		order = strcmp(x->id, y->id);
	return order ? order : (int)x->generation - (int)y->generation;
}

static void read_replicas(const struct jaco_view *view, struct jaco_arena *arena,
			  struct tables *out)
{
	const struct jaco_view_entry *entry;
	size_t cap_serving = 0, cap_draining = 0;

	JACO_VIEW_FOREACH(view, "/obs/replica/", entry) {
		const struct wire_obs_replica *obs = entry->msg;
		bool reachable = is_reachable(view, obs->host);

		for (size_t i = 0; i < obs->generations.n; i++) {
			const struct wire_obs_gen *gen = &obs->generations.v[i];
			const struct wire_replica_gen *want =
				desired_gen(view, obs, gen->generation);
			struct tables_replica r = replica_of(obs, gen);

			if (want && want->intent == JACO_INTENT_DRAIN) {
				out->draining = jaco_arena_grow(arena, out->draining, &cap_draining,
								out->n_draining + 1, sizeof(r));
				out->draining[out->n_draining++] = r;
			} else if (want && reachable && r.has_ip && is_serving(gen)) {
				out->serving = jaco_arena_grow(arena, out->serving, &cap_serving,
							       out->n_serving + 1, sizeof(r));
				out->serving[out->n_serving++] = r;
			}
		}
	}
	if (out->n_serving)
		qsort(out->serving, out->n_serving, sizeof(*out->serving), by_service);
}

/* The first serving replica of a service; *@out_n of them follow each other. */
static const struct tables_replica *replicas_of(const struct tables *tables, const char *deployment,
						const char *service, size_t *out_n)
{
	struct tables_replica want = {.deployment = deployment, .service = service, .id = ""};
	size_t lo = 0, hi = tables->n_serving;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (by_service(&tables->serving[mid], &want) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (hi = lo; hi < tables->n_serving &&
		      strcmp(tables->serving[hi].deployment, deployment) == 0 &&
		      strcmp(tables->serving[hi].service, service) == 0; hi++)
		;
	*out_n = hi - lo;
	return &tables->serving[lo];
}

/* --- ports and certificates --- */

static void add_port(struct jaco_arena *arena, struct tables *out, size_t *cap,
		     const struct wire_tcproute *r, const char *address)
{
	struct tables_port *port;

	out->ports = jaco_arena_grow(arena, out->ports, cap, out->n_ports + 1, sizeof(*out->ports));
	port = &out->ports[out->n_ports++];
	*port = (struct tables_port){
		.protocol = r->protocol == JACO_PROTOCOL_UDP ? TABLES_UDP : TABLES_TCP,
		.port = (uint16_t)r->port, .deployment = r->deployment, .service = r->service,
		.target_port = (uint16_t)r->target_port, .local_only = r->host_mode,
	};
	(void)jaco_str_format(port->address, sizeof(port->address),
			      strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, port->port);
}

static bool is_local(const struct tables *tables, const struct wire_tcproute *r, const char *host)
{
	size_t n;
	const struct tables_replica *list = replicas_of(tables, r->deployment, r->service, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].host, host) == 0)
			return true;
	return false;
}

static void read_ports(const struct jaco_view *view, const char *host, struct jaco_arena *arena,
		       struct tables *out)
{
	const struct jaco_view_entry *entry;
	size_t cap = 0;

	JACO_VIEW_FOREACH(view, "/tcproute/", entry) {
		const struct wire_tcproute *r = entry->msg;
		struct netmatch_ip ip;

		if (r->port == 0 || r->port > 65535 || r->target_port == 0 ||
		    r->target_port > 65535)
			continue;
		if (r->host_mode && !is_local(out, r, host))
			continue;
		if (r->host_ip && netmatch_ip_parse(r->host_ip, &ip)) {
			add_port(arena, out, &cap, r, r->host_ip);
		} else {
			add_port(arena, out, &cap, r, "0.0.0.0");
			add_port(arena, out, &cap, r, "::");
		}
	}
}

static void read_certificates(const struct jaco_view *view, struct jaco_arena *arena,
			      struct tables *out)
{
	const struct jaco_view_entry *entry;
	size_t cap = 0;

	JACO_VIEW_FOREACH(view, "/route/", entry) {
		const struct wire_route *r = entry->msg;
		size_t i = 0;

		if (r->tls != JACO_TLS_CERT || !r->cert || r->cert[0] != '/' || !r->key ||
		    r->key[0] != '/')
			continue;
		while (i < out->n_certificates && strcmp(out->certificates[i].cert, r->cert) != 0)
			i++;
		if (i < out->n_certificates)
			continue;
		out->certificates =
			jaco_arena_grow(arena, out->certificates, &cap, out->n_certificates + 1,
					sizeof(*out->certificates));
		out->certificates[out->n_certificates++] =
			(struct tables_certificate){r->cert, r->key};
	}
}

static void digest_entries(struct jaco_buf *buf, const struct jaco_view *view, const char *prefix)
{
	const struct jaco_view_entry *entry;

	JACO_VIEW_FOREACH(view, prefix, entry)
		jaco_buf_printf(buf, "%s %llu\n", entry->key, (unsigned long long)entry->revision);
}

void tables_read(const struct jaco_view *view, const char *host, struct jaco_arena *arena,
		 struct tables *out)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	char ip[NETMATCH_TEXT_BYTES];

	*out = (struct tables){.serving = NULL};
	read_replicas(view, arena, out);
	read_ports(view, host, arena, out);
	read_certificates(view, arena, out);
	digest_entries(&buf, view, "/route/");
	digest_entries(&buf, view, "/tcproute/");
	digest_entries(&buf, view, "/cert/");
	for (size_t i = 0; i < out->n_serving; i++) {
		(void)netmatch_ip_render(ip, &out->serving[i].ip);
		jaco_buf_printf(&buf, "%s %u %s %s\n", out->serving[i].id,
				out->serving[i].generation, out->serving[i].host, ip);
	}
	jaco_sha256(jaco_buf_str(&buf), buf.n, out->digest);
}

/* --- routes --- */

struct builder {
	const struct tables *tables;
	const char *host;
	struct route_table *table;
	struct jaco_arena arena;
};

static const uint32_t *targets(struct builder *b, const char *deployment, const char *service,
			       uint16_t port, bool local_only, uint32_t *out_n)
{
	size_t n;
	const struct tables_replica *list = replicas_of(b->tables, deployment, service, &n);
	uint32_t *to = jaco_arena_alloc_n(&b->arena, n + 1, sizeof(*to));

	*out_n = 0;
	for (size_t i = 0; i < n; i++)
		if (!local_only || strcmp(list[i].host, b->host) == 0)
			to[(*out_n)++] =
				route_table_endpoint(b->table, &list[i].ip, port, list[i].id);
	return to;
}

static void copy_ops(struct builder *b, const struct wire_dict *set,
		     const struct wire_strs *removed, struct route_header_ops *out)
{
	struct route_header *list =
		jaco_arena_alloc_n(&b->arena, set->n + removed->n + 1, sizeof(*list));
	size_t n = 0;

	out->set = list;
	for (size_t i = 0; i < set->n; i++)
		if (http1_is_token(set->v[i].key, strlen(set->v[i].key)) &&
		    http1_is_value(set->v[i].value, strlen(set->v[i].value)))
			list[n++] = (struct route_header){.name = set->v[i].key,
							  .value = set->v[i].value};
	out->n_set = (uint16_t)n;
	out->remove = list + n;
	for (size_t i = 0; i < removed->n; i++)
		list[n++] = (struct route_header){.name = removed->v[i]};
	out->n_remove = (uint16_t)removed->n;
}

static int copy_rules(struct builder *b, const struct wire_route *r, struct route *out,
		      struct jaco_err *err)
{
	struct route_user *users =
		jaco_arena_alloc_n(&b->arena, r->basic_auth.n + 1, sizeof(*users));
	struct netmatch *allow = jaco_arena_alloc_n(&b->arena, r->allow.n + 1, sizeof(*allow));

	for (size_t i = 0; i < r->basic_auth.n; i++)
		users[i] = (struct route_user){r->basic_auth.v[i].user,
					       r->basic_auth.v[i].password_hash};
	out->users = users;
	out->n_users = (uint16_t)r->basic_auth.n;
	for (size_t i = 0; i < r->allow.n; i++)
		if (netmatch_parse(r->allow.v[i], &allow[i], err) < 0)
			return -(int)err->code;
	out->allow = allow;
	out->n_allow = (uint16_t)r->allow.n;
	copy_ops(b, &r->request_set, &r->request_remove, &out->request);
	copy_ops(b, &r->response_set, &r->response_remove, &out->response);
	return r->balance ? config_balance(r->balance, &b->arena, out, err) : 0;
}

static enum route_tls tls_of(const struct wire_route *r)
{
	return r->tls == JACO_TLS_OFF ? ROUTE_TLS_OFF :
	       r->tls == JACO_TLS_CERT ? ROUTE_TLS_CERT : ROUTE_TLS_AUTO;
}

static int add_route(struct builder *b, const struct wire_route *r, struct jaco_err *err)
{
	struct route route = {
		.domain = r->domain, .path = r->path, .port = (uint16_t)r->port,
		.strip_path = r->strip_path, .tls = tls_of(r),
		.redirect_to = r->redirect_to,
		.redirect_code = (uint16_t)(r->redirect_code ? r->redirect_code : 308),
		.max_body = r->max_body,
		.connect_ms = r->connect_ms ? r->connect_ms : ROUTE_CONNECT_MS,
		.response_ms = r->response_ms ? r->response_ms : ROUTE_RESPONSE_MS,
		.idle_ms = r->idle_ms ? r->idle_ms : ROUTE_IDLE_MS,
		.sticky_cookie = r->sticky_cookie,
		.sticky_ttl_s = r->sticky_ttl_s ? r->sticky_ttl_s : ROUTE_STICKY_TTL_S,
		.maintenance = r->maintenance ? maintenance_page : NULL,
	};

	if (r->service && !r->redirect_to) {
		route.service = jaco_arena_printf(&b->arena, "%s/%s", r->deployment, r->service);
		route.targets = targets(b, r->deployment, r->service, route.port, false,
					&route.n_targets);
	}
	if (copy_rules(b, r, &route, err) < 0 || route_table_add(b->table, &route, err) < 0)
		return jaco_err_wrap(err, "route %s%s", r->domain, r->path);
	return 0;
}

static void add_ports(struct builder *b, tables_id_fn *id)
{
	for (size_t i = 0; i < b->tables->n_ports; i++) {
		const struct tables_port *p = &b->tables->ports[i];
		struct route_l4 l4 = {.id = id(p->protocol, p->address),
				      .connect_ms = ROUTE_CONNECT_MS,
				      .idle_ms = ROUTE_L4_IDLE_MS};

		l4.service = jaco_arena_printf(&b->arena, "%s/%s", p->deployment, p->service);
		l4.targets = targets(b, p->deployment, p->service, p->target_port, p->local_only,
				     &l4.n_targets);
		route_table_add_l4(b->table, &l4);
	}
}

struct route_table *tables_build(const struct jaco_view *view, const struct tables *tables,
				 const char *host, const struct netmatch *trusted, size_t n_trusted,
				 uint64_t generation, tables_id_fn *id, size_t *out_rejected,
				 struct jaco_err *err)
{
	struct builder b = {.tables = tables, .host = host, .table = route_table_new(generation),
			    .arena = JACO_ARENA_INIT};
	const struct jaco_view_entry *entry;

	*out_rejected = 0;
	JACO_VIEW_FOREACH(view, "/route/", entry)
		if (add_route(&b, entry->msg, err) < 0)
			++*out_rejected;
	add_ports(&b, id);
	route_table_trust(b.table, trusted, n_trusted);
	route_table_seal(b.table);
	jaco_arena_fini(&b.arena);
	return b.table;
}
