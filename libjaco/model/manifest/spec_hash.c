/* SPDX-License-Identifier: Apache-2.0
 *
 * spec_hash.c - hashes over canonical forms: of one service, of a manifest, of a plan. */
#include "libjaco/model/manifest/spec_hash.h"

#include <inttypes.h>
#include <string.h>

#include "libjaco/base/digest.h"
#include "libjaco/base/str.h"
#include "libjaco/model/manifest/read.h"

void jaco_spec_hash_feed(struct jaco_buf *out, const struct jaco_pairs *pairs)
{
	jaco_buf_printf(out, "%zu\n", pairs->n);
	for (size_t i = 0; i < pairs->n; i++) {
		size_t n_key = strlen(pairs->items[i].key);
		size_t n_value = strlen(pairs->items[i].value);

		jaco_buf_printf(out, "%zu:%zu:", n_key, n_value);
		jaco_buf_add(out, pairs->items[i].key, n_key);
		jaco_buf_add(out, pairs->items[i].value, n_value);
	}
}

void jaco_spec_hash_set(struct jaco_service *service, struct jaco_arena *scratch)
{
	jaco_auto(jaco_buf) struct jaco_buf bytes = JACO_BUF_INIT;
	struct jaco_pairs pairs = jaco_service_canon(service, scratch);

	jaco_buf_add_str(&bytes, "jaco spec 1\n");
	jaco_spec_hash_feed(&bytes, &pairs);
	jaco_sha256_text(bytes.data, bytes.n, service->spec_hash);
}

static void add(struct jaco_arena *arena, struct jaco_pairs *pairs, const char *key,
		const char *value)
{
	if (value)
		pairs->items[pairs->n++] = (struct jaco_pair){.key = key, .value = value};
	(void)arena;
}

static void add_opt(struct jaco_arena *arena, struct jaco_pairs *pairs, const char *key,
		    struct jaco_opt_i64 value)
{
	if (value.is_set)
		add(arena, pairs, key, jaco_arena_printf(arena, "%" PRId64, value.value));
}

static void add_edit(struct jaco_arena *arena, struct jaco_pairs *pairs, const char *key,
		     const struct jaco_header_edit *edit)
{
	for (size_t i = 0; i < edit->set.n; i++)
		add(arena, pairs,
		    jaco_arena_printf(arena, "headers.%s.set.%s", key, edit->set.items[i].key),
		    edit->set.items[i].value);
	for (size_t i = 0; i < edit->remove.n; i++)
		add(arena, pairs,
		    jaco_arena_printf(arena, "headers.%s.remove.%s", key, edit->remove.items[i]),
		    "");
}

static void add_rest(struct jaco_arena *arena, struct jaco_pairs *pairs,
		     const struct jaco_route *route)
{
	for (size_t i = 0; i < route->n_basic_auth; i++)
		add(arena, pairs,
		    jaco_arena_printf(arena, "basic_auth.%s", route->basic_auth[i].user),
		    route->basic_auth[i].password_hash);
	for (size_t i = 0; i < route->n_allow; i++) {
		char text[JACO_CIDR_TEXT_BYTES];

		jaco_cidr_render(text, route->allow[i]);
		add(arena, pairs, jaco_arena_printf(arena, "allow.%s", text), "");
	}
	if (route->has_health)
		add(arena, pairs, "health",
		    jaco_arena_printf(arena, "%s %u-%u %" PRId64 " %" PRId64 " %u",
				      route->health.path ? route->health.path : "",
				      route->health.expect_min, route->health.expect_max,
				      route->health.interval_ms, route->health.timeout_ms,
				      route->health.retries));
	if (route->sticky_cookie)
		add(arena, pairs, "sticky",
		    jaco_arena_printf(arena, "%s %" PRId64, route->sticky_cookie,
				      route->sticky_ttl_ms));
}

struct jaco_pairs jaco_route_canon(const struct jaco_route *route, struct jaco_arena *arena)
{
	size_t n = 24 + route->request_headers.set.n + route->request_headers.remove.n +
		   route->response_headers.set.n + route->response_headers.remove.n +
		   route->n_basic_auth + route->n_allow;
	struct jaco_pairs pairs = {.items = jaco_arena_alloc_n(arena, n, sizeof(*pairs.items))};

	add(arena, &pairs, "service", route->service);
	add(arena, &pairs, "port", jaco_arena_printf(arena, "%u", route->port));
	add(arena, &pairs, "tls", jaco_tls_mode_name(route->tls));
	add(arena, &pairs, "tls.cert", route->tls_cert);
	add(arena, &pairs, "tls.key", route->tls_key);
	add(arena, &pairs, "strip_path", route->strip_path ? "true" : NULL);
	add(arena, &pairs, "redirect", route->redirect_to);
	if (route->redirect_to)
		add(arena, &pairs, "redirect.code",
		    jaco_arena_printf(arena, "%u", route->redirect_code));
	add_edit(arena, &pairs, "request", &route->request_headers);
	add_edit(arena, &pairs, "response", &route->response_headers);
	add_opt(arena, &pairs, "max_body", route->max_body_bytes);
	add_opt(arena, &pairs, "timeouts.connect", route->connect_ms);
	add_opt(arena, &pairs, "timeouts.response", route->response_ms);
	add_opt(arena, &pairs, "timeouts.idle", route->idle_ms);
	add(arena, &pairs, "balance", jaco_balance_name(route->balance));
	add(arena, &pairs, "balance.header", route->balance_header);
	add(arena, &pairs, "maintenance", route->maintenance ? "on" : NULL);
	add(arena, &pairs, "h2c", route->h2c ? "true" : NULL);
	add_rest(arena, &pairs, route);
	jaco_pairs_sort(&pairs);
	return pairs;
}

static void feed_rest(struct jaco_buf *out, const struct jaco_manifest *manifest,
		      struct jaco_arena *scratch)
{
	for (size_t i = 0; i < manifest->n_routes; i++) {
		struct jaco_pairs pairs = jaco_route_canon(&manifest->routes[i], scratch);

		jaco_buf_printf(out, "route %s %s\n", manifest->routes[i].domain,
				manifest->routes[i].path);
		jaco_spec_hash_feed(out, &pairs);
	}
	for (size_t i = 0; i < manifest->n_networks; i++) {
		jaco_buf_printf(out, "network %s %d\n", manifest->networks[i].name,
				manifest->networks[i].is_internal);
		jaco_spec_hash_feed(out, &manifest->networks[i].labels);
	}
	for (size_t i = 0; i < manifest->n_volumes; i++) {
		jaco_buf_printf(out, "volume %s %s %d\n", manifest->volumes[i].name,
				manifest->volumes[i].engine_name, manifest->volumes[i].is_external);
		jaco_spec_hash_feed(out, &manifest->volumes[i].driver_opts);
		jaco_spec_hash_feed(out, &manifest->volumes[i].labels);
	}
}

void jaco_manifest_hash(const struct jaco_manifest *manifest, char out[static JACO_HASH_MAX + 1])
{
	jaco_auto(jaco_buf) struct jaco_buf bytes = JACO_BUF_INIT;
	jaco_auto(jaco_arena) struct jaco_arena scratch = JACO_ARENA_INIT;

	jaco_buf_printf(&bytes, "jaco manifest 1\n%s %d %s\n", manifest->deployment, manifest->acme,
			manifest->acme_email ? manifest->acme_email : "");
	for (size_t i = 0; i < manifest->n_services; i++) {
		const struct jaco_service *service = &manifest->services[i];
		struct jaco_pairs place = jaco_service_canon_place(service, &scratch);

		jaco_buf_printf(&bytes, "service %s %s\n", service->name, service->spec_hash);
		jaco_spec_hash_feed(&bytes, &place);
	}
	feed_rest(&bytes, manifest, &scratch);
	jaco_sha256_text(bytes.data, bytes.n, out);
}

void jaco_plan_hash(const struct jaco_manifest *after, uint64_t revision,
		    char out[static JACO_HASH_MAX + 1])
{
	char manifest[JACO_HASH_MAX + 1];
	char text[JACO_HASH_MAX + 64];

	jaco_manifest_hash(after, manifest);
	(void)jaco_str_format(text, sizeof(text), "jaco plan 1\n%" PRIu64 "\n%s", revision,
			      manifest);
	jaco_sha256_text(text, strlen(text), out);
}
