/* SPDX-License-Identifier: Apache-2.0
 *
 * standalone.c - see standalone.h. */
#include "daemons/dnsd/standalone.h"

#include <jansson.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define TIMEOUT_DEFAULT_MS  2000
#define TCP_IDLE_DEFAULT_MS 10000
#define TCP_CONNECTIONS     256
#define TCP_CONNECTIONS_MAX 10000
#define CACHE_BYTES         (10u * 1024 * 1024)
#define CACHE_BYTES_MAX     (1024u * 1024 * 1024)
#define WHERE_BYTES         128

struct reader {
	struct jaco_arena *arena;
	struct jaco_err *err;
	bool failed;               /* sticky: later reads yield nothing */
	json_t *nodes;             /* name -> state, or NULL */
};

JACO_PRINTF(2, 3)
static void fail(struct reader *r, const char *fmt, ...)
{
	char text[JACO_ERR_TEXT_MAX];
	va_list args;

	if (r->failed)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut at the error's own length */
	va_end(args);
	r->failed = true;
	jaco_err_set(r->err, JACO_VALIDATION_FAILED, "%s", text);
}

/* Only these keys, which end with NULL. */
static void check_keys(struct reader *r, json_t *object, const char *where, const char *const *keys)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object)) {
		fail(r, "%s: wants an object", where);
		return;
	}
	json_object_foreach(object, key, value)
	{
		size_t i = 0;

		while (keys[i] && !jaco_str_eq(keys[i], key))
			i++;
		if (!keys[i])
			fail(r, "%s: unknown key \"%s\"", where, key);
	}
}

static const char *read_text(struct reader *r, json_t *object, const char *key, const char *where,
			     const char *otherwise)
{
	json_t *value = json_object_get(object, key);

	if (!value && otherwise)
		return *otherwise ? otherwise : NULL;
	if (!json_is_string(value) || json_string_length(value) == 0 ||
	    strlen(json_string_value(value)) != json_string_length(value)) {
		fail(r, "%s.%s: wants a text", where, key);
		return "";
	}
	return jaco_arena_strdup(r->arena, json_string_value(value));
}

#define OPTIONAL ""

static json_t *read_array(struct reader *r, json_t *object, const char *key, const char *where)
{
	json_t *value = json_object_get(object, key);

	if (value && !json_is_array(value))
		fail(r, "%s.%s: wants a list", where, key);
	return r->failed ? NULL : value;
}

static uint64_t read_number(struct reader *r, json_t *object, const char *key, const char *where,
			    uint64_t otherwise, uint64_t max)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		return otherwise;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max) {
		fail(r, "%s.%s: wants a number from 0 to %llu", where, key,
		     (unsigned long long)max);
		return otherwise;
	}
	return (uint64_t)json_integer_value(value);
}

static bool read_bool(struct reader *r, json_t *object, const char *key, const char *where,
		      bool otherwise)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		return otherwise;
	if (!json_is_boolean(value))
		fail(r, "%s.%s: wants true or false", where, key);
	return json_is_true(value);
}

static int64_t read_duration(struct reader *r, json_t *object, const char *key, const char *where,
			     int64_t otherwise)
{
	json_t *value = json_object_get(object, key);
	int64_t ms = otherwise;

	if (value && (!json_is_string(value) ||
		      !jaco_duration_parse(json_string_value(value), &ms) || ms <= 0))
		fail(r, "%s.%s: wants a duration such as \"2s\"", where, key);
	return ms;
}

static const char *const *read_texts(struct reader *r, json_t *object, const char *key,
				     const char *where, size_t *out_n)
{
	json_t *array = read_array(r, object, key, where);
	size_t n = json_array_size(array);
	const char **texts = jaco_arena_alloc_n(r->arena, n + 1, sizeof(*texts));

	for (size_t i = 0; i < n && !r->failed; i++) {
		json_t *item = json_array_get(array, i);

		if (!json_is_string(item))
			fail(r, "%s.%s[%zu]: wants a text", where, key, i);
		else
			texts[i] = jaco_arena_strdup(r->arena, json_string_value(item));
	}
	*out_n = r->failed ? 0 : n;
	return texts;
}

static struct jaco_cidr *read_cidrs(struct reader *r, json_t *object, const char *key,
				    const char *where, size_t *out_n)
{
	size_t n;
	const char *const *texts = read_texts(r, object, key, where, &n);
	struct jaco_cidr *cidrs = jaco_arena_alloc_n(r->arena, n + 1, sizeof(*cidrs));
	struct jaco_err err;

	for (size_t i = 0; i < n; i++)
		if (jaco_cidr_parse(texts[i], &cidrs[i], &err) < 0)
			fail(r, "%s.%s[%zu]: %s", where, key, i, err.text);
	*out_n = r->failed ? 0 : n;
	return cidrs;
}

static bool is_node_alive(struct reader *r, const char *host)
{
	const char *state = json_string_value(json_object_get(r->nodes, host));

	return !state || !jaco_str_eq(state, "unreachable");
}

static void read_replica(struct reader *r, json_t *object, const char *where,
			 const char *deployment, const char *service, struct zone_replica_spec *out)
{
	static const char *const keys[] = {"id",    "index", "host",    "address", "state",
					   "healthy", "draining", NULL};
	const char *address, *state;
	bool healthy, draining;

	check_keys(r, object, where, keys);
	if (r->failed)
		return;
	out->host = read_text(r, object, "host", where, "local");
	out->slot = json_object_get(object, "index")
			    ? jaco_arena_printf(r->arena, "%llu",
						(unsigned long long)read_number(
							r, object, "index", where, 0, UINT32_MAX))
			    : out->host;
	out->id = read_text(r, object, "id", where, OPTIONAL);
	if (!out->id)
		out->id = jaco_arena_printf(r->arena, "%s-%s-%s", deployment, service, out->slot);
	address = read_text(r, object, "address", where, OPTIONAL);
	if (address && !jaco_ipv4_parse(address, &out->addr))
		fail(r, "%s.address: \"%s\" is not an IPv4 address", where, address);
	state = read_text(r, object, "state", where, "running");
	healthy = read_bool(r, object, "healthy", where, true);
	draining = read_bool(r, object, "draining", where, false);
	out->is_eligible = jaco_str_eq(state, "running") && healthy && !draining &&
			   is_node_alive(r, out->host);
}

static void read_service(struct reader *r, json_t *object, const char *where,
			 const char *deployment, struct zone_service_spec *out)
{
	static const char *const keys[] = {"name", "aliases", "dns", "replicas", NULL};
	struct zone_replica_spec *replicas;
	json_t *array;

	check_keys(r, object, where, keys);
	if (r->failed)
		return;
	out->name = read_text(r, object, "name", where, NULL);
	out->aliases = read_texts(r, object, "aliases", where, &out->n_aliases);
	out->resolvers = read_texts(r, object, "dns", where, &out->n_resolvers);
	if (out->n_resolvers > STANDALONE_UPSTREAMS_MAX)
		fail(r, "%s.dns: wants at most %d servers", where, STANDALONE_UPSTREAMS_MAX);
	array = read_array(r, object, "replicas", where);
	replicas = jaco_arena_alloc_n(r->arena, json_array_size(array) + 1, sizeof(*replicas));
	for (size_t i = 0; i < json_array_size(array) && !r->failed; i++) {
		char place[WHERE_BYTES];

		(void)jaco_str_format(place, sizeof(place), "%s.replicas[%zu]", where, i);
		read_replica(r, json_array_get(array, i), place, deployment, out->name,
			     &replicas[i]);
	}
	out->replicas = replicas;
	out->n_replicas = json_array_size(array);
}

static void read_scope(struct reader *r, json_t *object, const char *where, struct zone_spec *out)
{
	static const char *const keys[] = {"deployment", "network",  "subnets",
					   "internal",   "services", NULL};
	struct zone_service_spec *services;
	json_t *array;

	check_keys(r, object, where, keys);
	if (r->failed)
		return;
	out->deployment = read_text(r, object, "deployment", where, NULL);
	out->network = read_text(r, object, "network", where, "default");
	out->subnets = read_cidrs(r, object, "subnets", where, &out->n_subnets);
	array = read_array(r, object, "services", where);
	services = jaco_arena_alloc_n(r->arena, json_array_size(array) + 1, sizeof(*services));
	for (size_t i = 0; i < json_array_size(array) && !r->failed; i++) {
		char place[WHERE_BYTES];

		(void)jaco_str_format(place, sizeof(place), "%s.services[%zu]", where, i);
		read_service(r, json_array_get(array, i), place, out->deployment, &services[i]);
	}
	out->services = services;
	out->n_services = json_array_size(array);
	out->is_served = true;
	out->is_internal = read_bool(r, object, "internal", where, false);
}

static void read_scopes(struct reader *r, json_t *root, struct zone_table_spec *out)
{
	json_t *array = read_array(r, root, "scopes", "file");
	size_t n = json_array_size(array);
	struct zone_spec *scopes = jaco_arena_alloc_n(r->arena, n + 1, sizeof(*scopes));

	for (size_t i = 0; i < n && !r->failed; i++) {
		char place[WHERE_BYTES];

		(void)jaco_str_format(place, sizeof(place), "scopes[%zu]", i);
		read_scope(r, json_array_get(array, i), place, &scopes[i]);
	}
	out->scopes = scopes;
	out->n_scopes = n;
	out->alias_zone = read_text(r, root, "alias_zone", "file", OPTIONAL);
	out->pool = read_cidrs(r, root, "pool", "file", &out->n_pool);
}

/* "shop/default" must be one of the scopes. */
static void bind_scope(struct reader *r, const char *where, char *scope,
		       const struct zone_table_spec *spec, struct standalone_listener *out)
{
	char *slash = strchr(scope, '/');

	if (slash)
		*slash = '\0';
	out->deployment = scope;
	out->network = slash ? slash + 1 : "default";
	for (size_t i = 0; i < spec->n_scopes; i++)
		if (jaco_str_eq(spec->scopes[i].deployment, out->deployment) &&
		    jaco_str_eq(spec->scopes[i].network, out->network))
			return;
	fail(r, "%s.scope: there is no scope %s/%s", where, out->deployment, out->network);
}

static void read_listeners(struct reader *r, json_t *root, const struct zone_table_spec *spec,
			   struct standalone *out)
{
	static const char *const keys[] = {"address", "scope", NULL};
	json_t *array = read_array(r, root, "listeners", "file");
	size_t n = json_array_size(array);

	if (n == 0 || n > STANDALONE_LISTENERS_MAX)
		fail(r, "file.listeners: wants 1 to %d listeners", STANDALONE_LISTENERS_MAX);
	out->listeners = jaco_arena_alloc_n(r->arena, n + 1, sizeof(*out->listeners));
	for (size_t i = 0; i < n && !r->failed; i++) {
		json_t *item = json_array_get(array, i);
		char place[WHERE_BYTES];

		(void)jaco_str_format(place, sizeof(place), "listeners[%zu]", i);
		check_keys(r, item, place, keys);
		out->listeners[i].address = read_text(r, item, "address", place, NULL);
		if (!r->failed)
			bind_scope(r, place,
				   jaco_arena_strdup(r->arena,
						     read_text(r, item, "scope", place, NULL)),
				   spec, &out->listeners[i]);
	}
	out->n_listeners = n;
}

static void read_root(struct reader *r, json_t *root, uint32_t serial, struct standalone *out)
{
	static const char *const keys[] = {
		"listeners",   "scopes",          "alias_zone",         "pool",
		"nodes",       "forwarders",      "forwarder_timeout",  "cache_bytes",
		"tcp_idle_timeout", "tcp_connections", NULL};
	struct zone_table_spec spec = {.serial = serial};

	check_keys(r, root, "file", keys);
	if (r->failed)
		return;
	r->nodes = json_object_get(root, "nodes");
	read_scopes(r, root, &spec);
	if (!r->failed)
		read_listeners(r, root, &spec, out);
	out->forwarders = (const char **)(uintptr_t)read_texts(r, root, "forwarders", "file",
							       &out->n_forwarders);
	if (out->n_forwarders > STANDALONE_UPSTREAMS_MAX)
		fail(r, "file.forwarders: at most %d", STANDALONE_UPSTREAMS_MAX);
	out->forwarder_timeout_ms =
		read_duration(r, root, "forwarder_timeout", "file", TIMEOUT_DEFAULT_MS);
	out->tcp_idle_ms = read_duration(r, root, "tcp_idle_timeout", "file", TCP_IDLE_DEFAULT_MS);
	out->tcp_connections = read_number(r, root, "tcp_connections", "file", TCP_CONNECTIONS,
					   TCP_CONNECTIONS_MAX);
	out->cache_bytes =
		read_number(r, root, "cache_bytes", "file", CACHE_BYTES, CACHE_BYTES_MAX);
	if (!r->failed && zone_table_build(&spec, &out->table, r->err) < 0)
		r->failed = true;
}

int standalone_parse(const char *text, size_t n, uint32_t serial, struct standalone *out,
		     struct jaco_err *err)
{
	struct standalone fresh = STANDALONE_INIT;
	struct reader reader = {.arena = &fresh.arena, .err = err};
	json_error_t where;
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);

	if (!root)
		return jaco_err_set(err, JACO_PARSE_FAILED, "line %d, column %d: %s", where.line,
				    where.column, where.text);
	read_root(&reader, root, serial, &fresh);
	json_decref(root);
	if (reader.failed) {
		standalone_fini(&fresh);
		return -(int)err->code;
	}
	*out = fresh;
	return 0;
}

void standalone_fini(struct standalone *standalone)
{
	zone_table_free(standalone->table);
	jaco_arena_fini(&standalone->arena);
	*standalone = STANDALONE_INIT;
}
