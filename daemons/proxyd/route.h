/* SPDX-License-Identifier: Apache-2.0
 *
 * route.h - which route a request belongs to: the immutable table.
 *
 * Pure but for the reference count.  A table is built once (route_table_new, _endpoint, _add,
 * _seal) and never changes; requests hold the one they began with.  Host: exact before wildcard
 * before "*"; then the longest path prefix on whole segments.  Both steps are hash lookups, so the
 * number of routes does not matter.  spec/ingress.md section 1. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/proxyd/balance.h"
#include "daemons/proxyd/http1.h"
#include "daemons/proxyd/netmatch.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"

#define ROUTE_HOST_BYTES  264
#define ROUTE_DEPTH_MAX   64  /* path segments that can matter */

/* What holds where nothing is said, spec/ingress.md. */
#define ROUTE_CONNECT_MS   5000
#define ROUTE_RESPONSE_MS  60000   /* until the response head */
#define ROUTE_IDLE_MS      300000  /* of a response or a tunnel */
#define ROUTE_L4_IDLE_MS   3600000 /* of a published TCP port */
#define ROUTE_STICKY_TTL_S 3600

/* One replica's address and port; index in table->endpoints. */
struct route_endpoint {
	struct netmatch_ip ip;
	uint16_t port;
	const char *name; /* replica id */
	uint64_t id;      /* stable over tables and nodes: sticky cookies carry it */
};

enum route_tls { ROUTE_TLS_OFF, ROUTE_TLS_AUTO, ROUTE_TLS_CERT };

struct route_header {
	const char *name;
	const char *value;
	uint16_t name_n, value_n;
};

struct route_header_ops {
	const struct route_header *set;    /* replaces every field of that name */
	const struct route_header *remove; /* value unused */
	uint16_t n_set, n_remove;
};

struct route_user {
	const char *name;
	const char *hash; /* crypt(5) */
};

struct route_stats;

struct route {
	uint32_t index;      /* in table->routes */
	const char *domain;  /* lower case */
	const char *path;    /* normalised, no trailing '/'; "" is everything */
	uint16_t path_n;
	const char *service; /* "deployment/service"; NULL for a pure redirect */
	uint16_t port;
	bool strip_path;
	enum route_tls tls;
	const char *redirect_to; /* NULL: none */
	uint16_t redirect_code;
	struct route_header_ops request, response;
	const struct route_user *users;
	uint16_t n_users;
	const struct netmatch *allow;
	uint16_t n_allow;
	uint64_t max_body;   /* 0: no bound */
	uint32_t connect_ms, response_ms, idle_ms;
	enum balance_kind balance;
	const char *hash_header;   /* NULL: by client address */
	const char *sticky_cookie; /* NULL: off */
	uint32_t sticky_ttl_s;
	const char *maintenance;   /* page text; NULL: off */
	const uint32_t *targets;   /* eligible endpoints */
	uint32_t n_targets;
	struct route_stats *stats; /* borrowed from the daemon; may be NULL */
};

/* A published TCP or UDP port. */
struct route_l4 {
	uint64_t id;               /* of its listener */
	const char *service;
	const uint32_t *targets;
	uint32_t n_targets;
	uint32_t connect_ms, idle_ms;
	bool send_proxy;           /* PROXY version 2 to the replica */
};

struct route_host;
struct route_slot;

struct route_table {
	uint64_t generation;
	atomic_uint refs;
	struct jaco_arena arena;
	const struct route **routes;
	uint32_t n_routes;
	struct route_endpoint *endpoints;
	uint32_t n_endpoints;
	const struct netmatch *trusted;
	uint32_t n_trusted;
	struct route_l4 *l4;       /* by id */
	uint32_t n_l4;
	/* builder and lookup state */
	size_t cap_routes, cap_endpoints, cap_l4;
	uint32_t *endpoint_slots;
	size_t n_endpoint_slots;
	struct route_host *hosts;
	size_t n_hosts, cap_hosts;
	struct route_slot *host_slots, *path_slots;
	size_t host_mask, path_mask;
};

/* One reference, owned by the caller. */
struct route_table *route_table_new(uint64_t generation);
struct route_table *route_table_ref(struct route_table *table);
void route_table_unref(struct route_table *take_table);

/* Index of that endpoint; equal (address, port) is one endpoint. */
uint32_t route_table_endpoint(struct route_table *table, const struct netmatch_ip *ip,
			      uint16_t port, const char *name);

/*
 * Add a copy of @spec; its strings are copied, `path` and `domain` are normalised, `index` is set.
 * Errors: VALIDATION_FAILED - domain or path malformed; ROUTE_CONFLICT - (domain, path) exists.
 */
int route_table_add(struct route_table *table, const struct route *spec, struct jaco_err *err);

void route_table_add_l4(struct route_table *table, const struct route_l4 *spec);

/* NULL: that port is not published any more. */
const struct route_l4 *route_table_l4(const struct route_table *table, uint64_t id);

/* Networks whose forwarding fields and PROXY headers are believed; copied. */
void route_table_trust(struct route_table *table, const struct netmatch *nets, size_t n);

/* No more additions; lookups work afterwards. */
void route_table_seal(struct route_table *table);

/* Host without port and trailing dot, lower case.  Returns the length, 0 when it does not fit. */
size_t route_host_normalise(struct http1_span authority, char out[static ROUTE_HOST_BYTES]);

/*
 * The form a path is matched in: unreserved octets decoded, hex digits upper case, empty and dot
 * segments resolved (RFC 3986 sections 6.2.2 and 5.2.4); "%2F" stays.  @out has room for @n.
 * Returns its length.
 */
size_t route_path_normalise(const char *path, size_t n, char *out);

/* Is the path equal to its normalised form? */
bool route_path_is_normal(const char *path, size_t n);

struct route_match {
	const struct route *route;  /* NULL: the host is known but no path fits */
	bool is_host_known;
	struct http1_span rest;     /* what goes upstream as the path: stripped when strip_path */
};

/* @scratch has room for the path's bytes and one more; @out->rest may point into it. */
void route_find(const struct route_table *table, struct http1_span host, struct http1_span path,
		char *scratch, struct route_match *out);

/* Does any route of that host want TLS, i.e. may a certificate be asked for? */
bool route_host_exists(const struct route_table *table, struct http1_span host);
