/* SPDX-License-Identifier: Apache-2.0
 *
 * route.c - building and searching the route table.
 *
 * Two open-addressing hash tables: host name -> host, and (host, path prefix) -> route.  A request
 * costs one host lookup (two more for wildcard and "*") and at most one path lookup per segment
 * that some route of this host has, whatever the number of routes. */
#include "daemons/proxyd/route.h"

#include <stdlib.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define FNV_START 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

struct route_host {
	const char *name;
	size_t name_n;
	uint64_t hash;
	unsigned depth;            /* most segments of any of its paths */
	const struct route *root;  /* path "" */
};

struct route_slot {
	uint64_t hash;
	uint32_t index; /* + 1; 0 is empty */
};

static uint64_t fnv(uint64_t hash, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (uint8_t)p[i]) * FNV_PRIME;
	return hash;
}

struct route_table *route_table_new(uint64_t generation)
{
	struct route_table *table = jaco_alloc(sizeof(*table));

	table->generation = generation;
	atomic_init(&table->refs, 1);
	table->arena = JACO_ARENA_INIT;
	return table;
}

struct route_table *route_table_ref(struct route_table *table)
{
	atomic_fetch_add_explicit(&table->refs, 1, memory_order_relaxed);
	return table;
}

void route_table_unref(struct route_table *take_table)
{
	if (!take_table ||
	    atomic_fetch_sub_explicit(&take_table->refs, 1, memory_order_acq_rel) > 1)
		return;
	jaco_free(take_table->endpoint_slots);
	jaco_free(take_table->endpoints);
	jaco_free(take_table->hosts);
	jaco_free(take_table->host_slots);
	jaco_free(take_table->path_slots);
	jaco_free(take_table->routes);
	jaco_free(take_table->l4);
	jaco_arena_fini(&take_table->arena);
	jaco_free(take_table);
}

/* --- endpoints --- */

static uint64_t endpoint_id(const struct netmatch_ip *ip, uint16_t port)
{
	uint64_t hash = fnv(FNV_START, (const char *)ip->b, sizeof(ip->b));

	return fnv(hash, (const char *)&port, sizeof(port));
}

static void rehash_endpoints(struct route_table *table)
{
	size_t n = table->n_endpoint_slots ? table->n_endpoint_slots * 2 : 64;

	jaco_free(table->endpoint_slots);
	table->endpoint_slots = jaco_alloc_n(n, sizeof(*table->endpoint_slots));
	table->n_endpoint_slots = n;
	for (uint32_t i = 0; i < table->n_endpoints; i++) {
		size_t at = table->endpoints[i].id & (n - 1);

		while (table->endpoint_slots[at])
			at = (at + 1) & (n - 1);
		table->endpoint_slots[at] = i + 1;
	}
}

uint32_t route_table_endpoint(struct route_table *table, const struct netmatch_ip *ip,
			      uint16_t port, const char *name)
{
	uint64_t id = endpoint_id(ip, port);
	size_t at;

	if ((table->n_endpoints + 1) * 2 > table->n_endpoint_slots)
		rehash_endpoints(table);
	at = id & (table->n_endpoint_slots - 1);
	for (; table->endpoint_slots[at]; at = (at + 1) & (table->n_endpoint_slots - 1)) {
		const struct route_endpoint *e = &table->endpoints[table->endpoint_slots[at] - 1];

		if (e->port == port && memcmp(&e->ip, ip, sizeof(*ip)) == 0)
			return table->endpoint_slots[at] - 1;
	}
	table->endpoints = jaco_grow(table->endpoints, &table->cap_endpoints,
				     table->n_endpoints + 1, sizeof(*table->endpoints));
	table->endpoints[table->n_endpoints] = (struct route_endpoint){
		.ip = *ip, .port = port, .id = id,
		.name = jaco_arena_strdup(&table->arena, name),
	};
	table->endpoint_slots[at] = ++table->n_endpoints;
	return table->n_endpoints - 1;
}

/* --- normal forms --- */

size_t route_host_normalise(struct http1_span authority, char out[static ROUTE_HOST_BYTES])
{
	size_t n = authority.n;

	if (n == 0 || n >= ROUTE_HOST_BYTES)
		return 0;
	if (authority.p[0] == '[') {
		const char *close = memchr(authority.p, ']', n);

		n = close ? (size_t)(close - authority.p) + 1 : n;
	} else {
		const char *colon = memchr(authority.p, ':', n);

		n = colon ? (size_t)(colon - authority.p) : n;
	}
	if (n > 1 && authority.p[n - 1] == '.')
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = jaco_ascii_lower(authority.p[i]);
	out[n] = '\0';
	return n;
}

bool route_path_is_normal(const char *path, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (path[i] == '%')
			return false;
		if (path[i] == '/' && i + 1 < n && (path[i + 1] == '/' || path[i + 1] == '.'))
			return false;
	}
	return true;
}

static int hex_value(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static bool is_unreserved(char c)
{
	return jaco_ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* Percent-decode what means the same decoded. */
static size_t decode_unreserved(const char *path, size_t n, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (path[i] != '%' || n - i < 3) {
			out[k++] = path[i];
			continue;
		}
		int value = hex_value(path[i + 1]) << 4 | hex_value(path[i + 2]);

		if (is_unreserved((char)value)) {
			out[k++] = (char)value;
		} else {
			out[k++] = '%';
			out[k++] = hex[value >> 4 & 15];
			out[k++] = hex[value & 15];
		}
		i += 2;
	}
	return k;
}

/* In place: the write position never passes the read position. */
static size_t resolve_segments(char *path, size_t n)
{
	size_t k = 0, i = 0;
	bool ends_open = false; /* the result keeps a final '/' */

	while (i < n) {
		size_t start, len;

		while (i < n && path[i] == '/')
			i++;
		for (start = i; i < n && path[i] != '/'; i++)
			;
		len = i - start;
		ends_open = len == 0;
		if (len == 1 && path[start] == '.') {
			ends_open = true;
		} else if (len == 2 && path[start] == '.' && path[start + 1] == '.') {
			while (k > 0 && path[--k] != '/')
				;
			ends_open = true;
		} else if (len > 0) {
			path[k++] = '/';
			memmove(path + k, path + start, len);
			k += len;
		}
	}
	if (k == 0 || ends_open)
		path[k++] = '/';
	return k;
}

size_t route_path_normalise(const char *path, size_t n, char *out)
{
	return resolve_segments(out, decode_unreserved(path, n, out));
}

/* --- building --- */

static const char *copy(struct route_table *table, const char *text)
{
	return text ? jaco_arena_strdup(&table->arena, text) : NULL;
}

static const struct route_header *copy_headers(struct route_table *table,
					       const struct route_header *from, size_t n)
{
	struct route_header *to;

	if (n == 0)
		return NULL;
	to = jaco_arena_alloc_n(&table->arena, n, sizeof(*to));
	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].name = copy(table, from[i].name);
		to[i].value = copy(table, from[i].value);
		to[i].name_n = (uint16_t)strlen(from[i].name);
		to[i].value_n = (uint16_t)(from[i].value ? strlen(from[i].value) : 0);
	}
	return to;
}

static void copy_ops(struct route_table *table, struct route_header_ops *ops)
{
	ops->set = copy_headers(table, ops->set, ops->n_set);
	ops->remove = copy_headers(table, ops->remove, ops->n_remove);
}

static bool is_domain(const char *text, size_t n)
{
	if (n == 0 || n > 253)
		return false;
	if (n == 1 && text[0] == '*')
		return true;
	if (n > 2 && text[0] == '*' && text[1] == '.') {
		text += 2;
		n -= 2;
	}
	return http1_is_authority(text, n) && (text[0] == '[' || !memchr(text, ':', n));
}

static struct route_host *host_get(struct route_table *table, const char *name, size_t n)
{
	uint64_t hash = fnv(FNV_START, name, n);

	if (table->host_slots)
		for (size_t at = hash & table->host_mask; table->host_slots[at].index;
		     at = (at + 1) & table->host_mask) {
			struct route_host *h = &table->hosts[table->host_slots[at].index - 1];

			if (h->hash == hash && h->name_n == n && memcmp(h->name, name, n) == 0)
				return h;
		}
	return NULL;
}

static void slot_put(struct route_slot *slots, size_t mask, uint64_t hash, uint32_t index)
{
	size_t at = hash & mask;

	while (slots[at].index)
		at = (at + 1) & mask;
	slots[at] = (struct route_slot){.hash = hash, .index = index + 1};
}

static void grow_hosts(struct route_table *table)
{
	size_t n = table->host_mask ? (table->host_mask + 1) * 2 : 64;

	jaco_free(table->host_slots);
	table->host_slots = jaco_alloc_n(n, sizeof(*table->host_slots));
	table->host_mask = n - 1;
	for (size_t i = 0; i < table->n_hosts; i++)
		slot_put(table->host_slots, table->host_mask, table->hosts[i].hash, (uint32_t)i);
}

static struct route_host *host_add(struct route_table *table, const char *name, size_t n)
{
	struct route_host *host = host_get(table, name, n);

	if (host)
		return host;
	if ((table->n_hosts + 1) * 2 > table->host_mask)
		grow_hosts(table);
	table->hosts = jaco_grow(table->hosts, &table->cap_hosts, table->n_hosts + 1,
				 sizeof(*table->hosts));
	host = &table->hosts[table->n_hosts];
	*host = (struct route_host){.name = jaco_arena_strndup(&table->arena, name, n),
				    .name_n = n, .hash = fnv(FNV_START, name, n)};
	slot_put(table->host_slots, table->host_mask, host->hash, (uint32_t)table->n_hosts++);
	return host;
}

static const struct route *path_get(const struct route_table *table, const struct route_host *host,
				    uint64_t hash, const char *path, size_t n)
{
	for (size_t at = hash & table->path_mask; table->path_slots[at].index;
	     at = (at + 1) & table->path_mask) {
		const struct route *r;

		if (table->path_slots[at].hash != hash)
			continue;
		r = table->routes[table->path_slots[at].index - 1];
		if (r->path_n == n && memcmp(r->path, path, n) == 0 &&
		    r->domain == host->name)
			return r;
	}
	return NULL;
}

static void grow_paths(struct route_table *table)
{
	size_t n = table->path_mask ? (table->path_mask + 1) * 2 : 64;

	jaco_free(table->path_slots);
	table->path_slots = jaco_alloc_n(n, sizeof(*table->path_slots));
	table->path_mask = n - 1;
	for (uint32_t i = 0; i < table->n_routes; i++) {
		const struct route *r = table->routes[i];
		uint64_t hash = fnv(FNV_START, r->domain, strlen(r->domain));

		slot_put(table->path_slots, table->path_mask, fnv(hash, r->path, r->path_n), i);
	}
}

/* Path in the form lookups use: normalised, without a final '/'. */
static int normal_path(struct route_table *table, const char *text, struct route *route,
		       struct jaco_err *err)
{
	size_t n = text ? strlen(text) : 0;
	char *out = jaco_arena_alloc(&table->arena, n + 2);

	if (n > 0 && (text[0] != '/' || n > 1024 || !http1_is_path(text, n)))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "path \"%s\" is malformed", text);
	n = n ? route_path_normalise(text, n, out) : 0;
	if (n > 0 && out[n - 1] == '/')
		n--;
	out[n] = '\0';
	route->path = out;
	route->path_n = (uint16_t)n;
	return 0;
}

static unsigned segments(const char *path, size_t n)
{
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += path[i] == '/';
	return count;
}

int route_table_add(struct route_table *table, const struct route *spec, struct jaco_err *err)
{
	struct route *route = jaco_arena_memdup(&table->arena, spec, sizeof(*spec));
	struct http1_span name = {spec->domain, (uint32_t)strlen(spec->domain)};
	char domain[ROUTE_HOST_BYTES];
	struct route_host *host;
	uint64_t hash;
	size_t n;

	if (!is_domain(name.p, name.n))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "domain \"%s\" is malformed",
				    spec->domain);
	n = route_host_normalise(name, domain);
	if (normal_path(table, spec->path, route, err) < 0)
		return jaco_err_wrap(err, "route %s", domain);
	if (segments(route->path, route->path_n) > ROUTE_DEPTH_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "path \"%s\" is too deep",
				    route->path);
	host = host_add(table, domain, n);
	route->domain = host->name;
	hash = fnv(host->hash, route->path, route->path_n);
	if ((table->n_routes + 1) * 2 > table->path_mask)
		grow_paths(table);
	if (path_get(table, host, hash, route->path, route->path_n))
		return jaco_err_set(err, JACO_ROUTE_CONFLICT, "route %s%s exists twice", domain,
				    route->path);
	route->service = copy(table, spec->service);
	route->redirect_to = copy(table, spec->redirect_to);
	route->hash_header = copy(table, spec->hash_header);
	route->sticky_cookie = copy(table, spec->sticky_cookie);
	route->maintenance = copy(table, spec->maintenance);
	copy_ops(table, &route->request);
	copy_ops(table, &route->response);
	if (spec->n_users) {
		struct route_user *users = jaco_arena_alloc_n(&table->arena, spec->n_users,
							      sizeof(*users));

		for (size_t i = 0; i < spec->n_users; i++)
			users[i] = (struct route_user){copy(table, spec->users[i].name),
						       copy(table, spec->users[i].hash)};
		route->users = users;
	}
	if (spec->n_allow)
		route->allow = jaco_arena_memdup(&table->arena, spec->allow,
						 spec->n_allow * sizeof(*spec->allow));
	if (spec->n_targets)
		route->targets = jaco_arena_memdup(&table->arena, spec->targets,
						   spec->n_targets * sizeof(*spec->targets));
	if (route->path_n == 0)
		host->root = route;
	host->depth = JACO_MAX(host->depth, segments(route->path, route->path_n));
	route->index = table->n_routes;
	table->routes = jaco_grow(table->routes, &table->cap_routes, table->n_routes + 1,
				  sizeof(*table->routes));
	table->routes[table->n_routes] = route;
	slot_put(table->path_slots, table->path_mask, hash, table->n_routes++);
	return 0;
}

void route_table_add_l4(struct route_table *table, const struct route_l4 *spec)
{
	struct route_l4 *l4;

	table->l4 = jaco_grow(table->l4, &table->cap_l4, table->n_l4 + 1, sizeof(*table->l4));
	l4 = &table->l4[table->n_l4++];
	*l4 = *spec;
	l4->service = copy(table, spec->service);
	if (spec->n_targets)
		l4->targets = jaco_arena_memdup(&table->arena, spec->targets,
						spec->n_targets * sizeof(*spec->targets));
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct route_l4 *)a)->id, y = ((const struct route_l4 *)b)->id;

	return x < y ? -1 : x > y;
}

const struct route_l4 *route_table_l4(const struct route_table *table, uint64_t id)
{
	struct route_l4 want = {.id = id};

	if (table->n_l4 == 0)
		return NULL;
	return bsearch(&want, table->l4, table->n_l4, sizeof(want), by_id);
}

void route_table_trust(struct route_table *table, const struct netmatch *nets, size_t n)
{
	if (n)
		table->trusted = jaco_arena_memdup(&table->arena, nets, n * sizeof(*nets));
	table->n_trusted = (uint32_t)n;
}

void route_table_seal(struct route_table *table)
{
	if (table->n_l4)
		qsort(table->l4, table->n_l4, sizeof(*table->l4), by_id);
	if (!table->host_slots)
		grow_hosts(table);
	if (!table->path_slots)
		grow_paths(table);
}

/* --- searching --- */

static const struct route_host *host_lookup(const struct route_table *table, const char *name,
					    size_t n)
{
	uint64_t hash = fnv(FNV_START, name, n);

	for (size_t at = hash & table->host_mask; table->host_slots[at].index;
	     at = (at + 1) & table->host_mask) {
		const struct route_host *h;

		if (table->host_slots[at].hash != hash)
			continue;
		h = &table->hosts[table->host_slots[at].index - 1];
		if (h->name_n == n && memcmp(h->name, name, n) == 0)
			return h;
	}
	return NULL;
}

/* Exact, then "*." for the first label (a wildcard stands for one label, like in certificates:
 * RFC 9525 section 6.3), then "*". */
static const struct route_host *host_find(const struct route_table *table, const char *name,
					  size_t n)
{
	const struct route_host *host = host_lookup(table, name, n);
	const char *dot;

	if (host)
		return host;
	dot = memchr(name, '.', n);
	if (dot && dot > name) {
		char wild[ROUTE_HOST_BYTES + 1];
		size_t rest = n - (size_t)(dot - name);

		wild[0] = '*';
		memcpy(wild + 1, dot, rest);
		host = host_lookup(table, wild, rest + 1);
		if (host)
			return host;
	}
	return host_lookup(table, "*", 1);
}

bool route_host_exists(const struct route_table *table, struct http1_span host)
{
	return host_find(table, host.p, host.n) != NULL;
}

/* @path is normal and begins with '/'. */
static const struct route *path_find(const struct route_table *table, const struct route_host *host,
				     const char *path, size_t n)
{
	uint64_t hashes[ROUTE_DEPTH_MAX];
	size_t ends[ROUTE_DEPTH_MAX];
	uint64_t hash = host->hash;
	unsigned depth = 0;

	for (size_t i = 1; i <= n && depth < host->depth; i++) {
		hash = (hash ^ (uint8_t)path[i - 1]) * FNV_PRIME;
		if (i > 1 && path[i - 1] != '/' && (i == n || path[i] == '/')) {
			hashes[depth] = hash;
			ends[depth++] = i;
		}
	}
	while (depth-- > 0) {
		const struct route *r = path_get(table, host, hashes[depth], path, ends[depth]);

		if (r)
			return r;
	}
	return host->root;
}

void route_find(const struct route_table *table, struct http1_span host, struct http1_span path,
		char *scratch, struct route_match *out)
{
	const struct route_host *h = host_find(table, host.p, host.n);
	struct http1_span normal = path;

	*out = (struct route_match){.rest = path, .is_host_known = h != NULL};
	if (!h)
		return;
	if (path.p[0] != '/' || h->depth == 0) { /* "*" matches the root route only */
		out->route = h->root;
		return;
	}
	if (!route_path_is_normal(path.p, path.n)) {
		normal.n = (uint32_t)route_path_normalise(path.p, path.n, scratch);
		normal.p = scratch;
	}
	out->route = path_find(table, h, normal.p, normal.n);
	if (!out->route || !out->route->strip_path || out->route->path_n == 0)
		return;
	out->rest = (struct http1_span){normal.p + out->route->path_n,
					normal.n - out->route->path_n};
	if (out->rest.n == 0)
		out->rest = (struct http1_span){"/", 1};
}
