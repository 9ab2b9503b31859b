/* SPDX-License-Identifier: Apache-2.0
 *
 * overlay_route.c - routes: of jaco.yaml. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/overlay.h"
#include "libjaco/model/name.h"

struct route_form {
	struct jaco_route r;
	bool tls_is_set;
};

static void fill_domain(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct route_form *form = out;
	const char *text = NULL;
	char *folded;
	struct jaco_err err;

	if (!jaco_read_text(read, node, &text) || !text)
		return;
	folded = jaco_arena_strdup(read->arena, text);
	jaco_name_fold_domain(folded);
	form->r.domain = folded;
	form->r.pos = node->pos;
	if (jaco_name_check_domain(folded, true, &err) < 0)
		jaco_read_error(read, node->pos, NULL, "%s", err.text);
}

static void fill_path(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct route_form *form = out;
	const char *text = NULL;
	size_t n;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	n = strlen(text);
	if (*text != '/' || n > JACO_PATH_MAX || strpbrk(text, " ?#\t\r\n\\") ||
	    strstr(text, "//") || strstr(text, "/../") || strstr(text, "/./") ||
	    jaco_str_ends(text, "/..") || jaco_str_ends(text, "/.")) {
		jaco_read_error(read, node->pos, "write a prefix of whole segments such as /api",
				"\"%.80s\" is not a path prefix", text);
		return;
	}
	if (n > 1 && text[n - 1] == '/')
		n--;
	form->r.path = jaco_arena_strndup(read->arena, text, n);
}

static void fill_port(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	(void)jaco_read_port(read, node, out);
}

static const struct jaco_key_row tls_rows[] = {
	{"cert", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_route, tls_cert), NULL},
	{"key", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_route, tls_key), NULL},
	{NULL},
};

static void fill_tls(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct route_form *form = out;

	form->tls_is_set = true;
	if (node->kind == JACO_YAML_MAP) {
		form->r.tls = JACO_TLS_CERT;
		jaco_read_rows(read, node, tls_rows, &form->r, "tls");
		if (!form->r.tls_cert || !form->r.tls_key)
			jaco_read_error(read, node->pos, "write {cert: ..., key: ...}",
					"an own certificate needs cert and key");
		return;
	}
	if (!jaco_read_is_scalar(read, node))
		return;
	if (strcmp(node->text, "auto") == 0)
		form->r.tls = JACO_TLS_AUTO;
	else if (strcmp(node->text, "off") == 0 || strcmp(node->text, "false") == 0)
		form->r.tls = JACO_TLS_OFF;
	else
		jaco_read_error(read, node->pos, "use auto, off or {cert: ..., key: ...}",
				"\"%.40s\" is not a tls mode", node->text);
}

static void fill_code(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	int64_t code;

	if (!jaco_read_i64(read, node, 300, 399, &code))
		return;
	if (code != 301 && code != 302 && code != 303 && code != 307 && code != 308)
		jaco_read_error(read, node->pos, "use 301, 302, 303, 307 or 308",
				"%lld is not a redirect status", (long long)code);
	else
		*(uint16_t *)out = (uint16_t)code;
}

static void fill_to(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	const char *text = NULL;

	if (!jaco_read_text(read, node, &text))
		return;
	if (!text ||
	    (!jaco_str_starts(text, "http://") && !jaco_str_starts(text, "https://") &&
	     *text != '/') ||
	    strpbrk(text, " \t\r\n"))
		jaco_read_error(read, node->pos, "write https://example.com or /path",
				"\"%.80s\" is not a place to redirect to", text ? text : "");
	else
		*(const char **)out = text;
}

static const struct jaco_key_row redirect_rows[] = {
	{"code", JACO_HONOURED, fill_code, offsetof(struct jaco_route, redirect_code), NULL},
	{"to", JACO_HONOURED, fill_to, offsetof(struct jaco_route, redirect_to), NULL},
	{NULL},
};

static void fill_redirect(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_route *route = out;

	if (node->kind == JACO_YAML_SCALAR) {
		fill_to(read, node, &route->redirect_to);
		return;
	}
	if (!jaco_read_is_map(read, node))
		return;
	jaco_read_rows(read, node, redirect_rows, route, "redirect");
	if (!jaco_yaml_get(node, "to"))
		jaco_read_error(read, node->pos, "add to: https://example.com",
				"a redirect needs a target");
}

static bool is_header_name(const char *text)
{
	/* RFC 9110 section 5.6.2: token */
	return *text && strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(text);
}

static const struct jaco_key_row edit_rows[] = {
	{"remove", JACO_HONOURED, jaco_fill_set, offsetof(struct jaco_header_edit, remove), NULL},
	{"set", JACO_HONOURED, jaco_fill_pairs, offsetof(struct jaco_header_edit, set), NULL},
	{NULL},
};

static void fill_edit(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_header_edit *edit = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_map(read, node))
		return;
	jaco_read_rows(read, node, edit_rows, edit, "headers");
	for (size_t i = 0; i < edit->set.n; i++)
		if (!is_header_name(edit->set.items[i].key) ||
		    strpbrk(edit->set.items[i].value, "\r\n"))
			jaco_read_error(read, node->pos, "write Name: value on one line",
					"\"%.60s\" is not a header", edit->set.items[i].key);
	for (size_t i = 0; i < edit->remove.n; i++)
		if (!is_header_name(edit->remove.items[i]))
			jaco_read_error(read, node->pos, "write a header name",
					"\"%.60s\" is not a header", edit->remove.items[i]);
}

static const struct jaco_key_row headers_rows[] = {
	{"request", JACO_HONOURED, fill_edit, offsetof(struct jaco_route, request_headers), NULL},
	{"response", JACO_HONOURED, fill_edit, offsetof(struct jaco_route, response_headers), NULL},
	{NULL},
};

static void fill_headers(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, headers_rows, out, "headers");
}

static const struct jaco_key_row user_rows[] = {
	{"password_hash", JACO_HONOURED, jaco_fill_text,
	 offsetof(struct jaco_basic_user, password_hash), NULL},
	{"user", JACO_HONOURED, jaco_fill_text, offsetof(struct jaco_basic_user, user), NULL},
	{NULL},
};

static void fill_basic_auth(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_route *route = out;

	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node))
		return;
	route->basic_auth =
		jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*route->basic_auth));
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_node *item = node->entries[i].value;
		struct jaco_basic_user *user = &route->basic_auth[route->n_basic_auth];

		jaco_read_push_index(read, i);
		if (jaco_read_is_map(read, item)) {
			jaco_read_rows(read, item, user_rows, user, "a user");
			if (!user->user || strchr(user->user, ':') || !user->password_hash ||
			    *user->password_hash != '$')
				jaco_read_error(
					read, item->pos,
					"write {user: ops, password_hash: \"$2y$...\"}",
					"a user needs a name without \":\" and a crypt(3) hash");
			else
				route->n_basic_auth++;
		}
		jaco_read_pop(read);
	}
}

static void fill_allow(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_route *route = out;
	struct jaco_strings items;

	if (!jaco_read_strings(read, node, &items))
		return;
	route->allow = jaco_arena_alloc_n(read->arena, items.n + 1, sizeof(*route->allow));
	for (size_t i = 0; i < items.n; i++) {
		struct jaco_err err;
		uint32_t addr;

		if (jaco_ipv4_parse(items.items[i], &addr))
			route->allow[route->n_allow++] = (struct jaco_cidr){addr, 32};
		else if (jaco_cidr_parse(items.items[i], &route->allow[route->n_allow], &err) == 0)
			route->n_allow++;
		else
			jaco_read_error(read,
					node->kind == JACO_YAML_SEQ ? node->entries[i].value->pos
								    : node->pos,
					NULL, "%s", err.text);
	}
}

#define T(member) offsetof(struct jaco_route, member)

static const struct jaco_key_row timeout_rows[] = {
	{"connect", JACO_HONOURED, jaco_fill_duration, T(connect_ms), NULL},
	{"idle", JACO_HONOURED, jaco_fill_duration, T(idle_ms), NULL},
	{"response", JACO_HONOURED, jaco_fill_duration, T(response_ms), NULL},
	{NULL},
};

static void fill_timeouts(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	if (!jaco_read_is_unset(node) && jaco_read_is_map(read, node))
		jaco_read_rows(read, node, timeout_rows, out, "timeouts");
}

static void fill_balance(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_route *route = out;
	const char *text = NULL;
	size_t n;

	if (!jaco_read_text(read, node, &text) || !text || !*text)
		return;
	n = strlen(text);
	if (strcmp(text, "least") == 0) {
		route->balance = JACO_BALANCE_LEAST;
	} else if (strcmp(text, "round") == 0) {
		route->balance = JACO_BALANCE_ROUND;
	} else if (strcmp(text, "random") == 0) {
		route->balance = JACO_BALANCE_RANDOM;
	} else if (strcmp(text, "hash(ip)") == 0) {
		route->balance = JACO_BALANCE_HASH_IP;
	} else if (jaco_str_starts(text, "hash(") && text[n - 1] == ')') {
		route->balance = JACO_BALANCE_HASH_HEADER;
		route->balance_header = jaco_arena_strndup(read->arena, text + 5, n - 6);
		if (!is_header_name(route->balance_header))
			jaco_read_error(read, node->pos, "write hash(X-User)",
					"\"%.60s\" is not a header", route->balance_header);
	} else {
		jaco_read_error(read, node->pos,
				"use least, round, random, hash(ip) or hash(<header>)",
				"\"%.40s\" is not a balance", text);
	}
}

struct sticky_form {
	const char *cookie;
	struct jaco_opt_i64 ttl;
};

static const struct jaco_key_row sticky_rows[] = {
	{"cookie", JACO_HONOURED, jaco_fill_text, offsetof(struct sticky_form, cookie), NULL},
	{"ttl", JACO_HONOURED, jaco_fill_duration, offsetof(struct sticky_form, ttl), NULL},
	{NULL},
};

static void fill_sticky(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_route *route = out;
	struct sticky_form form = {0};

	if (jaco_read_is_unset(node) || !jaco_read_is_map(read, node))
		return;
	jaco_read_rows(read, node, sticky_rows, &form, "sticky");
	if (form.cookie && !is_header_name(form.cookie))
		jaco_read_error(read, node->pos, "write a plain word such as JACOID",
				"\"%.60s\" is not a cookie name", form.cookie);
	route->sticky_cookie = form.cookie ? form.cookie : "JACOID";
	route->sticky_ttl_ms = form.ttl.is_set ? form.ttl.value : 3600000;
}

static void fill_health(struct jaco_read *read, const struct jaco_yaml_node *node, void *out)
{
	struct jaco_route *route = out;

	if (jaco_read_is_unset(node))
		return;
	route->has_health = true;
	jaco_overlay_read_probe(read, node, true, &route->health);
}

static const struct jaco_key_row route_rows[] = {
	{"allow", JACO_HONOURED, fill_allow, 0, NULL},
	{"balance", JACO_HONOURED, fill_balance, 0, NULL},
	{"basic_auth", JACO_HONOURED, fill_basic_auth, 0, NULL},
	{"domain", JACO_HONOURED, fill_domain, 0, NULL},
	{"h2c", JACO_HONOURED, jaco_fill_bool, T(h2c), NULL},
	{"headers", JACO_HONOURED, fill_headers, 0, NULL},
	{"health", JACO_HONOURED, fill_health, 0, NULL},
	{"maintenance", JACO_HONOURED, jaco_fill_bool, T(maintenance), NULL},
	{"max_body", JACO_HONOURED, jaco_fill_size, T(max_body_bytes), NULL},
	{"path", JACO_HONOURED, fill_path, 0, NULL},
	{"port", JACO_HONOURED, fill_port, T(port), NULL},
	{"redirect", JACO_HONOURED, fill_redirect, 0, NULL},
	{"service", JACO_HONOURED, jaco_fill_text, T(service), NULL},
	{"sticky", JACO_HONOURED, fill_sticky, 0, NULL},
	{"strip_path", JACO_HONOURED, jaco_fill_bool, T(strip_path), NULL},
	{"timeouts", JACO_HONOURED, fill_timeouts, 0, NULL},
	{"tls", JACO_HONOURED, fill_tls, 0, NULL},
	{NULL},
};

static void check_route(struct jaco_read *read, const struct jaco_yaml_node *item,
			struct route_form *form)
{
	struct jaco_route *route = &form->r;
	bool has_redirect = jaco_yaml_get(item, "redirect") != NULL;

	if (!jaco_yaml_get(item, "domain"))
		jaco_read_error(read, item->pos, "add domain: shop.example.com",
				"a route needs a domain");
	if (has_redirect && (route->service || route->port))
		jaco_read_error(read, item->pos, "remove service: and port:, or redirect:",
				"a route has a redirect or a service, not both");
	else if (!has_redirect && !jaco_yaml_get(item, "service"))
		jaco_read_error(read, item->pos,
				"add service: or redirect:", "a route needs a service");
	else if (!has_redirect && !jaco_yaml_get(item, "port"))
		jaco_read_error(read, item->pos, "add port: with the container's port",
				"a route needs a port");
	if (route->domain && jaco_str_starts(route->domain, "*.") && form->tls_is_set &&
	    route->tls == JACO_TLS_AUTO)
		jaco_read_error(read, item->pos, "write tls: {cert: ..., key: ...} or tls: off",
				"a wildcard domain cannot have an automatic certificate");
}

void jaco_overlay_read_routes(struct jaco_read *read, const struct jaco_yaml_node *node,
			      struct overlay *out)
{
	if (jaco_read_is_unset(node) || !jaco_read_is_seq(read, node))
		return;
	if (node->n > JACO_ROUTES_PER_DEPLOYMENT) {
		jaco_read_error_code(read, JACO_LIMIT_EXCEEDED, node->pos, "split the deployment",
				     "%zu routes, at most %d fit into a deployment", node->n,
				     JACO_ROUTES_PER_DEPLOYMENT);
		return;
	}
	out->routes = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(*out->routes));
	out->tls_is_set = jaco_arena_alloc_n(read->arena, node->n + 1, sizeof(bool));
	for (size_t i = 0; i < node->n; i++) {
		const struct jaco_yaml_node *item = node->entries[i].value;
		struct route_form form = {.r = {.path = "/", .redirect_code = 308}};

		jaco_read_push_index(read, i);
		if (jaco_read_is_map(read, item)) {
			form.r.pos = item->pos;
			jaco_read_rows(read, item, route_rows, &form, "a route");
			check_route(read, item, &form);
			out->tls_is_set[out->n_routes] = form.tls_is_set;
			if (form.r.domain)
				out->routes[out->n_routes++] = form.r;
		}
		jaco_read_pop(read);
	}
}
