/* SPDX-License-Identifier: Apache-2.0
 *
 * admit.c - see admit.h. */
#include "daemons/proxyd/admit.h"

#include <string.h>

#include "daemons/proxyd/auth.h"
#include "daemons/proxyd/tls.h"
#include "daemons/proxyd/worker.h"
#include "libjaco/base/str.h"

static void say(struct admit_verdict *v, uint16_t status, const char *reason, const char *body)
{
	v->is_answered = true;
	v->answer = (struct stream_answer){status, reason, v->fields[0] ? v->fields : NULL, body};
}

static const char *redirect_reason(uint16_t code)
{
	switch (code) {
	case 301:
		return "Moved Permanently";
	case 302:
		return "Found";
	case 303:
		return "See Other";
	case 307:
		return "Temporary Redirect";
	default:
		return "Permanent Redirect";
	}
}

static bool location(struct admit_verdict *v, const char *base, size_t base_n,
		     const struct http1_head *head)
{
	struct forward_out out = {v->fields, v->fields + sizeof(v->fields) - 1, false};

	FORWARD_LIT(&out, "Location: ");
	forward_put(&out, base, base_n);
	if (head) {
		forward_put(&out, head->path.p, head->path.n);
		forward_put(&out, head->query.p, head->query.n);
	}
	FORWARD_LIT(&out, "\r\n");
	*out.p = '\0';
	return !out.overflow;
}

/* Does the target name only scheme and host, so that path and query are to be kept? */
static bool is_bare_origin(const char *to)
{
	const char *host = strstr(to, "://");

	return host && !strpbrk(host + 3, "/?#");
}

static void redirect(struct admit_verdict *v, const struct route *route,
		     const struct http1_head *head)
{
	const char *to = route->redirect_to;

	if (location(v, to, strlen(to), is_bare_origin(to) ? head : NULL))
		say(v, route->redirect_code, redirect_reason(route->redirect_code), NULL);
	else
		say(v, 400, "Bad Request", NULL);
}

/* @host is normalised: its own port, if any, is not the one of HTTPS. */
static void to_https(struct admit_verdict *v, const struct admit_ask *ask, const char *host)
{
	char base[ROUTE_HOST_BYTES + 32];
	bool fits = ask->https_port == 443 ?
		jaco_str_format(base, sizeof(base), "https://%s", host) :
		jaco_str_format(base, sizeof(base), "https://%s:%u", host, ask->https_port);

	if (fits && location(v, base, strlen(base), ask->head))
		say(v, 308, "Permanent Redirect", NULL);
	else
		say(v, 400, "Bad Request", NULL);
}

static bool wants_https(const struct worker *w, const struct admit_ask *ask,
			const struct route *route, const char *host)
{
	static const char challenge[] = "/.well-known/acme-challenge/";

	if (ask->is_tls || route->tls == ROUTE_TLS_OFF || ask->https_port == 0 ||
	    !tls_has_certificate(w->tls, host))
		return false;
	return ask->head->path.n < sizeof(challenge) - 1 ||
	       memcmp(ask->head->path.p, challenge, sizeof(challenge) - 1) != 0;
}

static void ask_credentials(struct admit_verdict *v, const struct route *route)
{
	(void)jaco_str_format(v->fields, sizeof(v->fields),
			      "WWW-Authenticate: Basic realm=\"%s\", charset=\"UTF-8\"\r\n",
			      route->domain);
	say(v, 401, "Unauthorized", NULL);
}

void admit(struct worker *w, const struct admit_ask *ask, struct admit_verdict *v)
{
	const struct http1_head *head = ask->head;
	char host[ROUTE_HOST_BYTES] = "";
	struct http1_span name = {host, (uint32_t)route_host_normalise(head->authority, host)};
	const struct route *route;

	v->is_answered = false;
	v->fields[0] = '\0';
	route_find(w->hold->table, name, head->path, w->scratch, &v->match);
	route = v->match.route;
	if (!route) {
		WORKER_COUNT(w, not_found);
		say(v, 404, "Not Found", NULL);
	} else if (wants_https(w, ask, route, host)) {
		to_https(v, ask, host);
	} else if (route->n_allow && !netmatch_any(route->allow, route->n_allow, ask->ip)) {
		say(v, 403, "Forbidden", NULL);
	} else if (route->n_users && !auth_check(head, route)) {
		ask_credentials(v, route);
	} else if (route->maintenance) {
		(void)jaco_str_copy(v->fields, sizeof(v->fields), "Retry-After: 60\r\n");
		say(v, 503, "Service Unavailable", route->maintenance);
	} else if (route->redirect_to) {
		redirect(v, route, head);
	} else if (route->max_body && head->framing == HTTP1_LENGTH &&
		   head->length > route->max_body) {
		say(v, 413, "Content Too Large", NULL);
	}
}
