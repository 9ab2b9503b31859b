/* SPDX-License-Identifier: Apache-2.0
 *
 * config.c - see config.h. */
#include "daemons/proxyd/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define PLACE_BYTES   160

/* What is being read, and where in the document. */
struct reader {
	struct config *config;
	json_t *services;
	config_id_fn *id;
	char place[PLACE_BYTES];
	struct jaco_err *err;
};

static int wrong(struct reader *r, const char *key, const char *what)
{
	return jaco_err_set(r->err, JACO_VALIDATION_FAILED, "%s%s%s: %s", r->place,
			    r->place[0] && key[0] ? "." : "", key, what);
}

static int check_keys(struct reader *r, json_t *object, const char *const *known)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return wrong(r, "", "must be an object");
	json_object_foreach(object, key, value) {
		const char *near;
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i])
			continue;
		near = jaco_str_nearest(key, known);
		return near ? jaco_err_set(r->err, JACO_VALIDATION_FAILED,
					   "%s%s%s: unknown key; did you mean \"%s\"?", r->place,
					   r->place[0] ? "." : "", key, near)
			    : wrong(r, key, "unknown key");
	}
	return 0;
}

#define KEYS(r, object, ...) check_keys(r, object, (const char *const[]){__VA_ARGS__, NULL})

static int get_text(struct reader *r, json_t *object, const char *key, const char **out)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		return 0;
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return wrong(r, key, "must be a string");
	*out = jaco_arena_strdup(&r->config->arena, json_string_value(value));
	return 0;
}

static int get_bool(struct reader *r, json_t *object, const char *key, bool *out)
{
	json_t *value = json_object_get(object, key);

	if (value && !json_is_boolean(value))
		return wrong(r, key, "must be true or false");
	if (value)
		*out = json_is_true(value);
	return 0;
}

static int get_int(struct reader *r, json_t *object, const char *key, int64_t min, int64_t max,
		   int64_t *out)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return jaco_err_set(r->err, JACO_VALIDATION_FAILED, "%s%s%s: must be %lld to %lld",
				    r->place, r->place[0] ? "." : "", key, (long long)min,
				    (long long)max);
	*out = json_integer_value(value);
	return 0;
}

static int get_duration(struct reader *r, json_t *object, const char *key, int64_t *out_ms)
{
	const char *text = NULL;

	if (get_text(r, object, key, &text) < 0)
		return -(int)r->err->code;
	if (text && (!jaco_duration_parse(text, out_ms) || *out_ms <= 0 || *out_ms > INT32_MAX))
		return wrong(r, key, "must be a duration such as \"30s\"");
	return 0;
}

/* --- services --- */

static bool is_eligible(json_t *replica)
{
	const char *state = json_string_value(json_object_get(replica, "state"));

	return (!state || strcmp(state, "running") == 0) &&
	       !json_is_false(json_object_get(replica, "healthy"));
}

static int check_replica(struct reader *r, json_t *replica)
{
	const char *address = NULL, *state = NULL, *id = NULL;
	struct netmatch_ip ip;
	bool healthy;
	int64_t port;

	if (KEYS(r, replica, "id", "address", "port", "state", "healthy") < 0 ||
	    get_text(r, replica, "address", &address) < 0 ||
	    get_text(r, replica, "state", &state) < 0 || get_text(r, replica, "id", &id) < 0 ||
	    get_bool(r, replica, "healthy", &healthy) < 0 ||
	    get_int(r, replica, "port", 1, 65535, &port) < 0)
		return -(int)r->err->code;
	if (!address || !netmatch_ip_parse(address, &ip))
		return wrong(r, "address", "must be an IP address");
	return 0;
}

static int check_services(struct reader *r)
{
	const char *name;
	json_t *service, *replica;
	size_t i;

	if (!r->services)
		return 0;
	if (!json_is_object(r->services))
		return wrong(r, "services", "must be an object");
	json_object_foreach(r->services, name, service) {
		json_t *list = json_object_get(service, "replicas");

		(void)jaco_str_format(r->place, PLACE_BYTES, "services.%s", name);
		if (KEYS(r, service, "replicas") < 0)
			return -(int)r->err->code;
		if (list && !json_is_array(list))
			return wrong(r, "replicas", "must be an array");
		json_array_foreach(list, i, replica) {
			(void)jaco_str_format(r->place, PLACE_BYTES, "services.%s.replicas[%zu]",
					      name, i);
			if (check_replica(r, replica) < 0)
				return -(int)r->err->code;
		}
	}
	r->place[0] = '\0';
	return 0;
}

/* Endpoints of a service's eligible replicas; a replica's own port wins over @port. */
static int targets(struct reader *r, const char *name, int64_t port, const uint32_t **out,
		   uint32_t *out_n)
{
	json_t *service = json_object_get(r->services, name);
	json_t *list = json_object_get(service, "replicas"), *replica;
	uint32_t *to =
		jaco_arena_alloc_n(&r->config->arena, json_array_size(list) + 1, sizeof(*to));
	size_t i;

	*out_n = 0;
	if (!service)
		return wrong(r, "service", "is not among the services");
	json_array_foreach(list, i, replica) {
		const char *id = json_string_value(json_object_get(replica, "id"));
		const char *address = json_string_value(json_object_get(replica, "address"));
		json_int_t own = json_integer_value(json_object_get(replica, "port"));
		struct netmatch_ip ip;

		if (!own && !port)
			return wrong(r, "port", "is missing, and a replica has none");
		if (!is_eligible(replica))
			continue;
		(void)netmatch_ip_parse(address, &ip);
		to[(*out_n)++] = route_table_endpoint(
			r->config->table, &ip, (uint16_t)(own ? own : port), id ? id : address);
	}
	*out = to;
	return 0;
}

/* --- routes --- */

static int get_headers(struct reader *r, json_t *object, const char *key,
		       struct route_header_ops *ops)
{
	json_t *rules = json_object_get(object, key);
	json_t *set = json_object_get(rules, "set"), *removed = json_object_get(rules, "remove");
	json_t *value;
	struct route_header *list;
	const char *name;
	size_t i;

	if (!rules)
		return 0;
	if (KEYS(r, rules, "set", "remove") < 0)
		return -(int)r->err->code;
	list = jaco_arena_alloc_n(&r->config->arena, json_object_size(set) + 1, sizeof(*list));
	ops->set = list;
	json_object_foreach(set, name, value) {
		const char *text = json_string_value(value);

		if (!http1_is_token(name, strlen(name)) || !text ||
		    !http1_is_value(text, strlen(text)) ||
		    strlen(text) != json_string_length(value))
			return wrong(r, "headers", "a name or value is malformed");
		list[ops->n_set++] = (struct route_header){.name = name, .value = text};
	}
	list = jaco_arena_alloc_n(&r->config->arena, json_array_size(removed) + 1, sizeof(*list));
	ops->remove = list;
	json_array_foreach(removed, i, value) {
		name = json_string_value(value);
		if (!name || !http1_is_token(name, strlen(name)))
			return wrong(r, "headers", "a name is malformed");
		list[ops->n_remove++] = (struct route_header){.name = name};
	}
	return 0;
}

static int get_networks(struct reader *r, json_t *list, const char *key, struct netmatch **out,
			size_t *out_n)
{
	json_t *value;
	size_t i;

	*out_n = 0;
	if (list && !json_is_array(list))
		return wrong(r, key, "must be an array");
	*out = jaco_arena_alloc_n(&r->config->arena, json_array_size(list) + 1, sizeof(**out));
	json_array_foreach(list, i, value) {
		if (!json_is_string(value) ||
		    netmatch_parse(json_string_value(value), &(*out)[i], r->err) < 0)
			return wrong(r, key, "must name networks such as \"10.0.0.0/8\"");
		(*out_n)++;
	}
	return 0;
}

static int get_users(struct reader *r, json_t *list, struct route *route)
{
	struct route_user *users;
	json_t *value;
	size_t i;

	if (list && !json_is_array(list))
		return wrong(r, "basic_auth", "must be an array");
	users = jaco_arena_alloc_n(&r->config->arena, json_array_size(list) + 1, sizeof(*users));
	route->users = users;
	json_array_foreach(list, i, value) {
		const char *name = NULL, *hash = NULL;

		if (KEYS(r, value, "user", "password_hash") < 0 ||
		    get_text(r, value, "user", &name) < 0 ||
		    get_text(r, value, "password_hash", &hash) < 0)
			return -(int)r->err->code;
		if (!name || !hash || strchr(name, ':'))
			return wrong(r, "basic_auth", "needs user and password_hash");
		users[route->n_users++] = (struct route_user){name, hash};
	}
	return 0;
}

int config_balance(const char *text, struct jaco_arena *arena, struct route *route,
		   struct jaco_err *err)
{
	static const struct {
		const char *name;
		enum balance_kind kind;
	} kinds[] = {{"two", BALANCE_TWO}, {"least", BALANCE_LEAST}, {"round", BALANCE_ROUND},
		     {"random", BALANCE_RANDOM}};
	size_t n = strlen(text);

	for (size_t i = 0; i < JACO_ARRAY_SIZE(kinds); i++)
		if (strcmp(text, kinds[i].name) == 0) {
			route->balance = kinds[i].kind;
			return 0;
		}
	if (n < 7 || strncmp(text, "hash(", 5) != 0 || text[n - 1] != ')' ||
	    !http1_is_token(text + 5, n - 6))
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"balance \"%s\" is none of two, least, round, random, hash(ip), "
			"hash(<header>)",
			text);
	route->balance = BALANCE_HASH;
	if (strcmp(text, "hash(ip)") != 0)
		route->hash_header = jaco_arena_strndup(arena, text + 5, n - 6);
	return 0;
}

static int get_tls(struct reader *r, json_t *object, struct route *route)
{
	json_t *tls = json_object_get(object, "tls");
	const char *text = json_string_value(tls);

	route->tls = ROUTE_TLS_AUTO;
	if (!tls || (text && strcmp(text, "auto") == 0))
		return 0;
	if (text && strcmp(text, "off") == 0)
		route->tls = ROUTE_TLS_OFF;
	else if (text && strcmp(text, "cert") == 0)
		route->tls = ROUTE_TLS_CERT;
	else
		return wrong(r, "tls", "must be auto, off or cert");
	return 0;
}

static int get_timeouts(struct reader *r, json_t *object, struct route *route)
{
	json_t *timeouts = json_object_get(object, "timeouts");
	int64_t connect = ROUTE_CONNECT_MS, response = ROUTE_RESPONSE_MS, idle = ROUTE_IDLE_MS;

	if (timeouts && (KEYS(r, timeouts, "connect", "response", "idle") < 0 ||
			 get_duration(r, timeouts, "connect", &connect) < 0 ||
			 get_duration(r, timeouts, "response", &response) < 0 ||
			 get_duration(r, timeouts, "idle", &idle) < 0))
		return -(int)r->err->code;
	route->connect_ms = (uint32_t)connect;
	route->response_ms = (uint32_t)response;
	route->idle_ms = (uint32_t)idle;
	return 0;
}

static int get_redirect(struct reader *r, json_t *object, struct route *route)
{
	json_t *redirect = json_object_get(object, "redirect");
	int64_t code = 308;

	if (!redirect)
		return 0;
	if (KEYS(r, redirect, "to", "code") < 0 ||
	    get_text(r, redirect, "to", &route->redirect_to) < 0 ||
	    get_int(r, redirect, "code", 301, 308, &code) < 0)
		return -(int)r->err->code;
	if (!route->redirect_to || !http1_is_value(route->redirect_to, strlen(route->redirect_to)))
		return wrong(r, "redirect.to", "must be a URL");
	if (code > 303 && code < 307)
		return wrong(r, "redirect.code", "must be 301, 302, 303, 307 or 308");
	route->redirect_code = (uint16_t)code;
	return 0;
}

static int get_sticky(struct reader *r, json_t *object, struct route *route)
{
	json_t *sticky = json_object_get(object, "sticky");
	int64_t ttl = ROUTE_STICKY_TTL_S * 1000;

	if (!sticky)
		return 0;
	if (KEYS(r, sticky, "cookie", "ttl") < 0 ||
	    get_text(r, sticky, "cookie", &route->sticky_cookie) < 0 ||
	    get_duration(r, sticky, "ttl", &ttl) < 0)
		return -(int)r->err->code;
	if (!route->sticky_cookie || strlen(route->sticky_cookie) > 64 ||
	    !http1_is_token(route->sticky_cookie, strlen(route->sticky_cookie)))
		return wrong(r, "sticky.cookie", "must be a cookie name");
	route->sticky_ttl_s = (uint32_t)(ttl / 1000);
	return 0;
}

static int get_maintenance(struct reader *r, json_t *object, struct route *route)
{
	json_t *value = json_object_get(object, "maintenance");

	if (json_is_string(value))
		return get_text(r, object, "maintenance", &route->maintenance);
	if (value && !json_is_boolean(value))
		return wrong(r, "maintenance", "must be true, false or the page's text");
	if (json_is_true(value))
		route->maintenance = "Down for maintenance.\n";
	return 0;
}

static int get_max_body(struct reader *r, json_t *object, struct route *route)
{
	json_t *value = json_object_get(object, "max_body");
	const char *text = json_string_value(value);

	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		route->max_body = (uint64_t)json_integer_value(value);
		return 0;
	}
	if (value && (!text || !jaco_str_to_bytes(text, &route->max_body)))
		return wrong(r, "max_body", "must be a size such as \"64m\"");
	return 0;
}

static int read_route(struct reader *r, json_t *object)
{
	struct route route = {.redirect_code = 308};
	json_t *headers = json_object_get(object, "headers");
	const char *balance = NULL;
	struct netmatch *allow;
	size_t n_allow;
	int64_t port = 0;

	if (KEYS(r, object, "domain", "path", "service", "port", "tls", "strip_path", "redirect",
		 "headers", "basic_auth", "allow", "max_body", "timeouts", "balance", "sticky",
		 "maintenance") < 0 ||
	    get_text(r, object, "domain", &route.domain) < 0 ||
	    get_text(r, object, "path", &route.path) < 0 ||
	    get_text(r, object, "service", &route.service) < 0 ||
	    get_int(r, object, "port", 1, 65535, &port) < 0 || get_tls(r, object, &route) < 0 ||
	    get_bool(r, object, "strip_path", &route.strip_path) < 0 ||
	    get_redirect(r, object, &route) < 0 ||
	    get_users(r, json_object_get(object, "basic_auth"), &route) < 0 ||
	    get_networks(r, json_object_get(object, "allow"), "allow", &allow, &n_allow) < 0 ||
	    get_max_body(r, object, &route) < 0 || get_timeouts(r, object, &route) < 0 ||
	    get_text(r, object, "balance", &balance) < 0 || get_sticky(r, object, &route) < 0 ||
	    get_maintenance(r, object, &route) < 0)
		return -(int)r->err->code;
	if (headers && (KEYS(r, headers, "request", "response") < 0 ||
			get_headers(r, headers, "request", &route.request) < 0 ||
			get_headers(r, headers, "response", &route.response) < 0))
		return -(int)r->err->code;
	if (!route.domain)
		return wrong(r, "domain", "is missing");
	if (!route.service == !route.redirect_to)
		return wrong(r, "", "needs either service or redirect");
	route.port = (uint16_t)port;
	route.allow = allow;
	route.n_allow = (uint16_t)n_allow;
	if ((balance && config_balance(balance, &r->config->arena, &route, r->err) < 0) ||
	    (route.service &&
	     targets(r, route.service, port, &route.targets, &route.n_targets) < 0) ||
	    route_table_add(r->config->table, &route, r->err) < 0)
		return jaco_err_wrap(r->err, "%s", r->place);
	return 0;
}

/* --- the rest --- */

static int read_listener(struct reader *r, json_t *object, struct config_listener *out)
{
	static const char *const kinds[] = {"http", "https", "tcp", "udp"};
	struct route_l4 l4 = {0};
	const char *kind = NULL;
	int64_t port = 0, connect = ROUTE_CONNECT_MS, idle = ROUTE_L4_IDLE_MS;
	size_t k = 0;

	if (KEYS(r, object, "kind", "address", "service", "port", "connect", "idle", "send_proxy") <
		    0 ||
	    get_text(r, object, "kind", &kind) < 0 ||
	    get_text(r, object, "address", &out->address) < 0 ||
	    get_text(r, object, "service", &l4.service) < 0 ||
	    get_int(r, object, "port", 1, 65535, &port) < 0 ||
	    get_duration(r, object, "connect", &connect) < 0 ||
	    get_duration(r, object, "idle", &idle) < 0 ||
	    get_bool(r, object, "send_proxy", &l4.send_proxy) < 0)
		return -(int)r->err->code;
	while (k < 4 && !jaco_str_eq(kinds[k], kind))
		k++;
	if (k == 4)
		return wrong(r, "kind", "must be http, https, tcp or udp");
	out->kind = (enum config_kind)k;
	if (!out->address)
		return wrong(r, "address", "is missing");
	if (out->kind == CONFIG_HTTP || out->kind == CONFIG_HTTPS)
		return 0;
	if (!l4.service)
		return wrong(r, "service", "is missing");
	l4.id = r->id(out->kind, out->address);
	l4.connect_ms = (uint32_t)connect;
	l4.idle_ms = (uint32_t)idle;
	if (targets(r, l4.service, port, &l4.targets, &l4.n_targets) < 0)
		return -(int)r->err->code;
	route_table_add_l4(r->config->table, &l4);
	return 0;
}

static int read_limits(struct reader *r, json_t *object)
{
	struct config_limits *l = &r->config->limits;

	*l = (struct config_limits){30000, 75000, 60000, 60000, 2000};
	if (!object)
		return 0;
	(void)jaco_str_copy(r->place, PLACE_BYTES, "timeouts");
	if (KEYS(r, object, "head", "keepalive", "body", "upstream_idle", "linger") < 0 ||
	    get_duration(r, object, "head", &l->head_ms) < 0 ||
	    get_duration(r, object, "keepalive", &l->keepalive_ms) < 0 ||
	    get_duration(r, object, "body", &l->body_ms) < 0 ||
	    get_duration(r, object, "upstream_idle", &l->upstream_idle_ms) < 0 ||
	    get_duration(r, object, "linger", &l->linger_ms) < 0)
		return -(int)r->err->code;
	r->place[0] = '\0';
	return 0;
}

/* Call @fn for each element of an optional array, with the place set. */
static int each(struct reader *r, json_t *root, const char *key,
		int (*fn)(struct reader *r, json_t *value, size_t i))
{
	json_t *list = json_object_get(root, key), *value;
	size_t i;

	if (list && !json_is_array(list))
		return wrong(r, key, "must be an array");
	json_array_foreach(list, i, value) {
		(void)jaco_str_format(r->place, PLACE_BYTES, "%s[%zu]", key, i);
		if (fn(r, value, i) < 0)
			return -(int)r->err->code;
	}
	r->place[0] = '\0';
	return 0;
}

static int each_listener(struct reader *r, json_t *value, size_t i)
{
	r->config->n_listeners = i + 1;
	return read_listener(r, value, &r->config->listeners[i]);
}

static int each_route(struct reader *r, json_t *value, size_t i)
{
	(void)i;
	return read_route(r, value);
}

static int each_certificate(struct reader *r, json_t *value, size_t i)
{
	struct config_certificate *c = &r->config->certificates[i];

	r->config->n_certificates = i + 1;
	if (KEYS(r, value, "cert", "key") < 0 || get_text(r, value, "cert", &c->cert) < 0 ||
	    get_text(r, value, "key", &c->key) < 0)
		return -(int)r->err->code;
	return c->cert && c->key ? 0 : wrong(r, "", "needs cert and key");
}

static int read_root(struct reader *r, json_t *root)
{
	struct config *c = r->config;
	struct netmatch *trusted;
	size_t n_trusted;
	int64_t workers = 0;

	if (KEYS(r, root, "listeners", "services", "routes", "certificates", "trusted_proxies",
		 "timeouts", "workers") < 0)
		return -(int)r->err->code;
	r->services = json_object_get(root, "services");
	c->listeners = jaco_arena_alloc_n(&c->arena,
					  json_array_size(json_object_get(root, "listeners")) + 1,
					  sizeof(*c->listeners));
	c->certificates = jaco_arena_alloc_n(
		&c->arena, json_array_size(json_object_get(root, "certificates")) + 1,
		sizeof(*c->certificates));
	if (check_services(r) < 0 || each(r, root, "listeners", each_listener) < 0 ||
	    each(r, root, "routes", each_route) < 0 ||
	    each(r, root, "certificates", each_certificate) < 0 ||
	    read_limits(r, json_object_get(root, "timeouts")) < 0 ||
	    get_int(r, root, "workers", 0, 64, &workers) < 0 ||
	    get_networks(r, json_object_get(root, "trusted_proxies"), "trusted_proxies", &trusted,
			 &n_trusted) < 0)
		return -(int)r->err->code;
	c->workers = (uint64_t)workers;
	route_table_trust(c->table, trusted, n_trusted);
	route_table_seal(c->table);
	return 0;
}

int config_parse(const char *text, size_t n, uint64_t generation, config_id_fn *id,
		 struct config *out, struct jaco_err *err)
{
	struct jaco_err mine = JACO_ERR_INIT;
	struct reader r = {.config = out, .id = id, .err = err ? err : &mine};
	json_error_t where;
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
	int rc;

	*out = (struct config){.arena = JACO_ARENA_INIT};
	if (!root)
		return jaco_err_set(r.err, JACO_PARSE_FAILED, "line %d, column %d: %s", where.line,
				    where.column, where.text);
	out->table = route_table_new(generation);
	rc = read_root(&r, root);
	json_decref(root);
	if (rc < 0)
		config_fini(out);
	return rc;
}

void config_fini(struct config *config)
{
	route_table_unref(config->table);
	config->table = NULL;
	jaco_arena_fini(&config->arena);
}
