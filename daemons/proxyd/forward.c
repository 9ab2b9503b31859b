/* SPDX-License-Identifier: Apache-2.0
 *
 * forward.c - see forward.h. */
#include "daemons/proxyd/forward.h"

#include <string.h>

#include "libjaco/base/str.h"

#define OVERHEAD_BYTES 1024 /* everything we add besides route rules */

void forward_put(struct forward_out *out, const char *text, size_t n)
{
	if (JACO_UNLIKELY((size_t)(out->end - out->p) < n)) {
		out->overflow = true;
		return;
	}
	memcpy(out->p, text, n);
	out->p += n;
}

static void put_span(struct forward_out *out, struct http1_span span)
{
	forward_put(out, span.p, span.n);
}

static void put_field(struct forward_out *out, const char *name, size_t name_n, const char *value,
		      size_t value_n)
{
	if (JACO_UNLIKELY((size_t)(out->end - out->p) < name_n + value_n + 4)) {
		out->overflow = true;
		return;
	}
	memcpy(out->p, name, name_n);
	out->p += name_n;
	*out->p++ = ':';
	*out->p++ = ' ';
	memcpy(out->p, value, value_n);
	out->p += value_n;
	*out->p++ = '\r';
	*out->p++ = '\n';
}

void forward_put_u64(struct forward_out *out, uint64_t value)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	forward_put(out, digits + n, sizeof(digits) - n);
}

static void put_framing(struct forward_out *out, enum http1_framing framing, uint64_t length)
{
	switch (framing) {
	case HTTP1_LENGTH:
		FORWARD_LIT(out, "Content-Length: ");
		forward_put_u64(out, length);
		FORWARD_LIT(out, "\r\n");
		break;
	case HTTP1_CHUNKED:
		FORWARD_LIT(out, "Transfer-Encoding: chunked\r\n");
		break;
	case HTTP1_NO_BODY:
	case HTTP1_UNTIL_CLOSE:
		break;
	}
}

static bool is_named(const struct route_header *list, size_t n, const struct http1_field *field)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		if (list[i].name_n != field->name_n)
			continue;
		while (k < field->name_n &&
		       jaco_ascii_lower(field->name[k]) == jaco_ascii_lower(list[i].name[k]))
			k++;
		if (k == field->name_n)
			return true;
	}
	return false;
}

static bool is_ruled_out(const struct route_header_ops *ops, const struct http1_field *field)
{
	return (ops->n_remove && is_named(ops->remove, ops->n_remove, field)) ||
	       (ops->n_set && is_named(ops->set, ops->n_set, field));
}

static void put_set(struct forward_out *out, const struct route_header_ops *ops)
{
	for (size_t i = 0; i < ops->n_set; i++)
		put_field(out, ops->set[i].name, ops->set[i].name_n, ops->set[i].value,
			  ops->set[i].value_n);
}

/* --- requests --- */

enum verdict { PASS, DROP, APPEND };

static enum verdict judge_request_field(const struct http1_field *field,
					const struct forward_client *client, bool expects_continue)
{
	switch ((enum http1_field_id)field->id) {
	case HTTP1_F_OTHER:
	case HTTP1_F_AUTHORIZATION:
	case HTTP1_F_COOKIE:
	case HTTP1_F_DATE:
	case HTTP1_F_TRAILER:
		return PASS;
	case HTTP1_F_EXPECT:
		return expects_continue ? PASS : DROP;
	case HTTP1_F_VIA:
		return APPEND;
	case HTTP1_F_X_FORWARDED_FOR:
	case HTTP1_F_FORWARDED:
		return client->is_trusted ? APPEND : DROP;
	case HTTP1_F_X_FORWARDED_HOST:
	case HTTP1_F_X_FORWARDED_PORT:
	case HTTP1_F_X_FORWARDED_PROTO:
	case HTTP1_F_X_REAL_IP:
	case HTTP1_F_X_REQUEST_ID:
		return client->is_trusted ? PASS : DROP;
	case HTTP1_F_CONNECTION:
	case HTTP1_F_CONTENT_LENGTH:
	case HTTP1_F_HOST:
	case HTTP1_F_HTTP2_SETTINGS:
	case HTTP1_F_KEEP_ALIVE:
	case HTTP1_F_PROXY_AUTHENTICATE:
	case HTTP1_F_PROXY_AUTHORIZATION:
	case HTTP1_F_PROXY_CONNECTION:
	case HTTP1_F_TE:
	case HTTP1_F_TRANSFER_ENCODING:
	case HTTP1_F_UPGRADE:
	case HTTP1_F_ALIAS:
	case HTTP1_F_END:
		return DROP;
	}
	return DROP;
}

/* All earlier values of a list field and ours after them, as one field. */
static void put_list(struct forward_out *out, const struct http1_head *head,
		     enum http1_field_id id, bool with_earlier)
{
	if (!with_earlier)
		return;
	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == id && head->fields[i].value_n) {
			forward_put(out, head->fields[i].value, head->fields[i].value_n);
			FORWARD_LIT(out, ", ");
		}
}

static bool is_address(char c)
{
	return jaco_ascii_is_alnum(c) || c == '.' || c == '-' || c == '_';
}

/* RFC 7239 section 4: values that are not tokens are quoted. */
static void put_forwarded(struct forward_out *out, const struct http1_head *head,
			  const struct forward_client *client)
{
	bool quote = false;

	for (size_t i = 0; i < head->authority.n; i++)
		quote |= !is_address(head->authority.p[i]);
	FORWARD_LIT(out, "Forwarded: ");
	put_list(out, head, HTTP1_F_FORWARDED, client->is_trusted);
	if (client->is_v6)
		FORWARD_LIT(out, "for=\"[");
	else
		FORWARD_LIT(out, "for=");
	forward_put(out, client->ip, client->ip_n);
	if (client->is_v6)
		FORWARD_LIT(out, "]\"");
	if (head->authority.n) {
		FORWARD_LIT(out, ";host=");
		if (quote)
			FORWARD_LIT(out, "\"");
		put_span(out, head->authority);
		if (quote)
			FORWARD_LIT(out, "\"");
	}
	if (client->is_tls)
		FORWARD_LIT(out, ";proto=https\r\n");
	else
		FORWARD_LIT(out, ";proto=http\r\n");
}

static bool keeps(const struct http1_head *head, const struct forward_client *client,
		  enum http1_field_id id)
{
	return client->is_trusted && http1_find(head, id) != NULL;
}

static void put_forwarding(struct forward_out *out, const struct http1_head *head,
			   const struct forward_client *client)
{
	FORWARD_LIT(out, "X-Forwarded-For: ");
	put_list(out, head, HTTP1_F_X_FORWARDED_FOR, client->is_trusted);
	forward_put(out, client->ip, client->ip_n);
	FORWARD_LIT(out, "\r\n");
	if (!keeps(head, client, HTTP1_F_X_FORWARDED_PROTO)) {
		if (client->is_tls)
			FORWARD_LIT(out, "X-Forwarded-Proto: https\r\n");
		else
			FORWARD_LIT(out, "X-Forwarded-Proto: http\r\n");
	}
	if (head->authority.n && !keeps(head, client, HTTP1_F_X_FORWARDED_HOST))
		put_field(out, "X-Forwarded-Host", 16, head->authority.p, head->authority.n);
	put_forwarded(out, head, client);
	if (!keeps(head, client, HTTP1_F_X_REQUEST_ID))
		put_field(out, "X-Request-Id", 12, client->request_id, FORWARD_ID_BYTES);
	FORWARD_LIT(out, "Via: ");
	put_list(out, head, HTTP1_F_VIA, true);
	if (head->minor)
		FORWARD_LIT(out, "1.1 jaco\r\n");
	else
		FORWARD_LIT(out, "1.0 jaco\r\n");
}

void forward_request(struct forward_out *out, const struct http1_head *head,
		     struct http1_span path, const struct forward_client *client,
		     const struct route *route, enum http1_framing framing, bool upgrade)
{
	const struct http1_field *protocol = upgrade ? http1_find(head, HTTP1_F_UPGRADE) : NULL;

	put_span(out, head->method_text);
	FORWARD_LIT(out, " ");
	put_span(out, path);
	put_span(out, head->query);
	FORWARD_LIT(out, " HTTP/1.1\r\n");
	put_field(out, "Host", 4, head->authority.p, head->authority.n);
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->fields[i];

		if (judge_request_field(f, client, head->expects_continue) != PASS ||
		    is_ruled_out(&route->request, f) || http1_is_nominated(head, f))
			continue;
		put_field(out, f->name, f->name_n, f->value, f->value_n);
	}
	put_forwarding(out, head, client);
	put_set(out, &route->request);
	if (protocol) {
		FORWARD_LIT(out, "Connection: upgrade\r\n");
		put_field(out, "Upgrade", 7, protocol->value, protocol->value_n);
	} else if (head->accepts_trailers) {
		FORWARD_LIT(out, "Connection: TE\r\nTE: trailers\r\n");
	}
	put_framing(out, framing, head->length);
	FORWARD_LIT(out, "\r\n");
}

/* --- responses --- */

static bool passes_to_client(const struct http1_field *field)
{
	switch ((enum http1_field_id)field->id) {
	case HTTP1_F_OTHER:
	case HTTP1_F_DATE:
	case HTTP1_F_TRAILER:
	case HTTP1_F_AUTHORIZATION:
	case HTTP1_F_COOKIE:
	case HTTP1_F_EXPECT:
	case HTTP1_F_FORWARDED:
	case HTTP1_F_HOST:
	case HTTP1_F_X_FORWARDED_FOR:
	case HTTP1_F_X_FORWARDED_HOST:
	case HTTP1_F_X_FORWARDED_PORT:
	case HTTP1_F_X_FORWARDED_PROTO:
	case HTTP1_F_X_REAL_IP:
	case HTTP1_F_X_REQUEST_ID:
	case HTTP1_F_VIA:
		return true;
	case HTTP1_F_CONNECTION:
	case HTTP1_F_CONTENT_LENGTH:
	case HTTP1_F_HTTP2_SETTINGS:
	case HTTP1_F_KEEP_ALIVE:
	case HTTP1_F_PROXY_AUTHENTICATE:
	case HTTP1_F_PROXY_AUTHORIZATION:
	case HTTP1_F_PROXY_CONNECTION:
	case HTTP1_F_TE:
	case HTTP1_F_TRANSFER_ENCODING:
	case HTTP1_F_UPGRADE:
	case HTTP1_F_ALIAS:
	case HTTP1_F_END:
		return false;
	}
	return false;
}

static void put_status(struct forward_out *out, const struct http1_head *head)
{
	char code[3] = {(char)('0' + head->status / 100), (char)('0' + head->status / 10 % 10),
			(char)('0' + head->status % 10)};

	FORWARD_LIT(out, "HTTP/1.1 ");
	forward_put(out, code, 3);
	FORWARD_LIT(out, " ");
	put_span(out, head->reason);
	FORWARD_LIT(out, "\r\n");
}

/* Returns whether a Date passed. */
static bool put_response_fields(struct forward_out *out, const struct http1_head *head,
				const struct route *route)
{
	bool has_date = false;

	for (size_t i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->fields[i];

		if (!passes_to_client(f) || http1_is_nominated(head, f) ||
		    (route && is_ruled_out(&route->response, f)))
			continue;
		has_date |= f->id == HTTP1_F_DATE;
		put_field(out, f->name, f->name_n, f->value, f->value_n);
	}
	return has_date;
}

/* A length that describes a body which is not sent: answers to HEAD, and 304. */
static void put_described_length(struct forward_out *out, const struct http1_head *head)
{
	const struct http1_field *f = http1_find(head, HTTP1_F_CONTENT_LENGTH);

	if (f && head->status >= 200 && head->status != 204)
		put_field(out, "Content-Length", 14, f->value, f->value_n);
}

void forward_response(struct forward_out *out, const struct http1_head *head,
		      const struct forward_reply *reply)
{
	const struct http1_field *protocol;

	put_status(out, head);
	if (!put_response_fields(out, head, reply->route) && reply->date)
		put_field(out, "Date", 4, reply->date, strlen(reply->date));
	put_set(out, &reply->route->response);
	if (reply->sticky)
		put_field(out, "Set-Cookie", 10, reply->sticky, strlen(reply->sticky));
	FORWARD_LIT(out, "Via: 1.1 jaco\r\n");
	if (reply->upgrade) {
		protocol = http1_find(head, HTTP1_F_UPGRADE);
		FORWARD_LIT(out, "Connection: upgrade\r\n");
		if (protocol)
			put_field(out, "Upgrade", 7, protocol->value, protocol->value_n);
	} else if (!reply->keep_alive) {
		FORWARD_LIT(out, "Connection: close\r\n");
	} else if (reply->client_is_1_0) {
		FORWARD_LIT(out, "Connection: keep-alive\r\n");
	}
	if (reply->framing == HTTP1_NO_BODY)
		put_described_length(out, head);
	else
		put_framing(out, reply->framing, head->length);
	FORWARD_LIT(out, "\r\n");
}

void forward_interim(struct forward_out *out, const struct http1_head *head)
{
	put_status(out, head);
	(void)put_response_fields(out, head, NULL); /* a Date is not added to these */
	FORWARD_LIT(out, "\r\n");
}

/* Trailers may not change framing, routing, authentication or caching after the fact. */
static bool may_trail(const struct http1_field *field)
{
	static const char *const never[] = {
		"age", "cache-control", "content-encoding", "content-range", "content-type",
		"expires", "location", "max-forwards", "pragma", "range", "retry-after",
		"set-cookie", "vary", "warning", "www-authenticate",
	};

	if (field->id != HTTP1_F_OTHER)
		return false;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(never); i++) {
		size_t k = 0;

		while (k < field->name_n && never[i][k] == jaco_ascii_lower(field->name[k]))
			k++;
		if (k == field->name_n && never[i][k] == '\0')
			return false;
	}
	return true;
}

void forward_trailers(struct forward_out *out, const struct http1_head *trailers)
{
	for (size_t i = 0; i < trailers->n_fields; i++) {
		const struct http1_field *f = &trailers->fields[i];

		if (may_trail(f))
			put_field(out, f->name, f->name_n, f->value, f->value_n);
	}
	FORWARD_LIT(out, "\r\n");
}

static size_t ops_bytes(const struct route_header_ops *ops)
{
	size_t n = 0;

	for (size_t i = 0; i < ops->n_set; i++)
		n += ops->set[i].name_n + ops->set[i].value_n + 4u;
	return n;
}

size_t forward_bound(size_t head_bytes, const struct route *route)
{
	size_t rules = JACO_MAX(ops_bytes(&route->request), ops_bytes(&route->response));

	/* A field "a:b" grows by the blank we write; a host is repeated three times. */
	return head_bytes + HTTP1_FIELDS_MAX * 4 + 3 * HTTP1_HOST_MAX + OVERHEAD_BYTES + rules;
}
