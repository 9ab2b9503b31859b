/* SPDX-License-Identifier: Apache-2.0
 *
 * http1.c - the head parser.
 *
 * Two passes on purpose: the scan touches each arriving byte once and decides only "is the head
 * complete", so a client that sends one byte per packet costs no more than its bytes; the parse
 * then runs without resumable state, which keeps every rule of the grammar in one place. */
#include "daemons/proxyd/http1.h"

#include <string.h>

/* Character classes, RFC 9110 section 5.6.2 and 5.5, RFC 3986 appendix A. */
enum {
	C_TOKEN = 1,  /* tchar */
	C_VALUE = 2,  /* field-vchar, SP, HTAB, obs-text */
	C_PATH = 4,   /* visible ASCII without " # < > ? \ % */
	C_QUERY = 8,  /* visible ASCII without # */
	C_HOST = 16,  /* unreserved and sub-delims of reg-name, without % */
	C_REASON = C_VALUE,
};

static uint8_t classes[256];

static void mark(const char *chars, uint8_t class)
{
	for (; *chars; chars++)
		classes[(uint8_t)*chars] |= class;
}

__attribute__((constructor)) static void fill_classes(void)
{
	for (int c = 0x21; c < 0x7f; c++)
		classes[c] |= C_VALUE | C_PATH | C_QUERY;
	for (int c = 0x80; c < 0x100; c++)
		classes[c] |= C_VALUE;
	classes[' '] |= C_VALUE;
	classes['\t'] |= C_VALUE;
	for (const char *c = "\"#<>?\\%"; *c; c++)
		classes[(uint8_t)*c] &= (uint8_t)~C_PATH;
	classes['#'] &= (uint8_t)~C_QUERY;
	for (int c = 'a'; c <= 'z'; c++) {
		classes[c] |= C_TOKEN | C_HOST;
		classes[c - 32] |= C_TOKEN | C_HOST;
	}
	mark("0123456789", C_TOKEN | C_HOST);
	mark("!#$%&'*+-.^_`|~", C_TOKEN);
	mark("-._~", C_HOST);
}

static inline bool is(char c, uint8_t class)
{
	return classes[(uint8_t)c] & class;
}

static bool all(const char *text, size_t n, uint8_t class)
{
	for (size_t i = 0; i < n; i++)
		if (!is(text[i], class))
			return false;
	return true;
}

static inline bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* @lower holds letters, digits and '-' only, for which |0x20 folds case among token characters. */
static bool same_nocase(const char *text, const char *lower, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((text[i] | 0x20) != lower[i])
			return false;
	return true;
}

static int refuse(struct http1_head *head, int status, const char *why)
{
	head->why = why;
	return status;
}

bool http1_is_token(const char *text, size_t n)
{
	return n > 0 && all(text, n, C_TOKEN);
}

bool http1_is_value(const char *text, size_t n)
{
	return all(text, n, C_VALUE);
}

bool http1_is_path(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is(text[i], C_PATH))
			continue;
		if (text[i] != '%' || n - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2]) ||
		    (text[i + 1] == '0' && text[i + 2] == '0'))
			return false;
		i += 2;
	}
	return true;
}

bool http1_is_query(const char *text, size_t n)
{
	return all(text, n, C_QUERY);
}

static bool is_port(const char *text, size_t n)
{
	unsigned port = 0;

	if (n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	return port <= 65535;
}

bool http1_is_authority(const char *text, size_t n)
{
	size_t host = 0;

	if (n == 0 || n > HTTP1_HOST_MAX)
		return false;
	if (text[0] == '[') {
		for (host = 1; host < n && (is_hex(text[host]) || text[host] == ':' ||
					    text[host] == '.'); host++)
			;
		if (host < 4 - 1 || host >= n || text[host++] != ']')
			return false;
	} else {
		while (host < n && is(text[host], C_HOST))
			host++;
		if (host == 0)
			return false;
	}
	if (host == n)
		return true;
	return text[host] == ':' && is_port(text + host + 1, n - host - 1);
}

bool http1_parse_length(const char *text, size_t n, uint64_t *out_length)
{
	uint64_t value = 0;

	if (n == 0 || n > HTTP1_LENGTH_DIGITS)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*out_length = value;
	return true;
}

/* --- finding the end --- */

int http1_skip_blank(const char *data, size_t n)
{
	if (n == 0 || data[0] != '\r')
		return 0;
	if (n == 1)
		return -1;
	return data[1] == '\n' ? 2 : 0;
}

int http1_scan(struct http1_scan *scan, const char *data, size_t n)
{
	while (scan->at < n) {
		const char *nl = memchr(data + scan->at, '\n', n - scan->at);
		size_t end = nl ? (size_t)(nl - data) : n;

		if (end - scan->line > HTTP1_LINE_MAX + 1 || end >= HTTP1_HEAD_MAX)
			return -400;
		if (!nl) {
			scan->at = (uint32_t)n;
			return 0;
		}
		if (end == scan->line || data[end - 1] != '\r')
			return -400;
		scan->at = (uint32_t)end + 1;
		if (end - 1 == scan->line)
			return (int)scan->at;
		scan->line = scan->at;
		if (++scan->lines > HTTP1_FIELDS_MAX + 1)
			return -400;
	}
	return 0;
}

/* --- fields --- */

static const struct {
	const char *name;
	uint8_t n;
} owned[HTTP1_F_END] = {
#define X(id, text) [HTTP1_F_##id] = {text, sizeof(text) - 1},
	HTTP1_FIELDS(X)
#undef X
};

#define OWNED_NAME_MAX 19 /* proxy-authorization */

/* Ids grouped by length: first[n] .. first[n + 1] in by_length. */
static uint8_t by_length[HTTP1_F_END];
static uint8_t first[OWNED_NAME_MAX + 2];

__attribute__((constructor)) static void fill_owned(void)
{
	uint8_t k = 0;

	for (unsigned n = 0; n <= OWNED_NAME_MAX; n++) {
		first[n] = k;
		for (uint8_t id = HTTP1_F_OTHER + 1; id < HTTP1_F_ALIAS; id++)
			if (owned[id].n == n)
				by_length[k++] = id;
	}
	first[OWNED_NAME_MAX + 1] = k;
}

static bool same_but_underscore(const char *text, const char *lower, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((text[i] == '_' ? '-' : text[i] | 0x20) != lower[i])
			return false;
	return true;
}

enum http1_field_id http1_field_id(const char *name, size_t n)
{
	if (n > OWNED_NAME_MAX)
		return HTTP1_F_OTHER;
	for (uint8_t i = first[n]; i < first[n + 1]; i++) {
		uint8_t id = by_length[i];

		if ((name[0] | 0x20) == owned[id].name[0] && same_nocase(name, owned[id].name, n))
			return id;
	}
	if (memchr(name, '_', n))
		for (uint8_t i = first[n]; i < first[n + 1]; i++)
			if (same_but_underscore(name, owned[by_length[i]].name, n))
				return HTTP1_F_ALIAS;
	return HTTP1_F_OTHER;
}

/* @p..@end are complete lines, each with its CRLF. */
static int parse_fields(struct http1_head *head, const char *p, const char *end)
{
	while (p < end) {
		struct http1_field *field = &head->fields[head->n_fields];
		const char *stop;

		if (head->n_fields == HTTP1_FIELDS_MAX)
			return refuse(head, 400, "too many fields");
		field->name = p;
		while (is(*p, C_TOKEN))
			p++;
		if (p == field->name || *p != ':')
			return refuse(head, 400, "malformed field name");
		field->name_n = (uint16_t)(p - field->name);
		for (p++; *p == ' ' || *p == '\t'; p++)
			;
		field->value = p;
		while (is(*p, C_VALUE))
			p++;
		if (p[0] != '\r' || p[1] != '\n')
			return refuse(head, 400, "control character in a field value");
		for (stop = p; stop > field->value && (stop[-1] == ' ' || stop[-1] == '\t'); stop--)
			;
		field->value_n = (uint16_t)(stop - field->value);
		field->id = (uint8_t)http1_field_id(field->name, field->name_n);
		head->n_fields++;
		p += 2;
	}
	return 0;
}

const struct http1_field *http1_find(const struct http1_head *head, enum http1_field_id id)
{
	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == id)
			return &head->fields[i];
	return NULL;
}

/* The next element of a comma list; empty elements are skipped (RFC 9110 section 5.6.1). */
static bool next_element(const char **at, const char *end, struct http1_span *out)
{
	const char *p = *at;
	const char *stop;

	while (p < end && (*p == ',' || *p == ' ' || *p == '\t'))
		p++;
	if (p == end)
		return false;
	out->p = p;
	while (p < end && *p != ',')
		p++;
	*at = p;
	for (stop = p; stop > out->p && (stop[-1] == ' ' || stop[-1] == '\t'); stop--)
		;
	out->n = (uint32_t)(stop - out->p);
	return true;
}

static bool span_is(struct http1_span span, const char *lower)
{
	size_t n = strlen(lower);

	return span.n == n && same_nocase(span.p, lower, n);
}

bool http1_is_nominated(const struct http1_head *head, const struct http1_field *field)
{
	if (!head->nominates)
		return false;
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->fields[i];
		const char *at = f->value;
		struct http1_span token;

		if (f->id != HTTP1_F_CONNECTION)
			continue;
		while (next_element(&at, f->value + f->value_n, &token)) {
			size_t k = 0;

			if (token.n != field->name_n)
				continue;
			while (k < token.n && (token.p[k] | 0x20) == (field->name[k] | 0x20))
				k++;
			if (k == token.n)
				return true;
		}
	}
	return false;
}

struct connection_options {
	bool close, keep_alive, upgrade;
};

static int read_connection(struct http1_head *head, const struct http1_field *field,
			   struct connection_options *options)
{
	const char *at = field->value;
	struct http1_span token;

	while (next_element(&at, field->value + field->value_n, &token)) {
		if (!http1_is_token(token.p, token.n))
			return refuse(head, 400, "malformed Connection");
		if (span_is(token, "close"))
			options->close = true;
		else if (span_is(token, "keep-alive"))
			options->keep_alive = true;
		else if (span_is(token, "upgrade"))
			options->upgrade = true;
		else
			head->nominates = true;
	}
	return 0;
}

/* RFC 9112 section 6.1: chunked last and once.  Another coding before it is well-formed, but we do
 * not have it. */
static int read_transfer_encoding(struct http1_head *head, const struct http1_field *field)
{
	const char *at = field->value;
	struct http1_span coding;
	bool chunked = false, other = false;

	if (field->value_n == 7 && same_nocase(field->value, "chunked", 7)) {
		head->framing = HTTP1_CHUNKED;
		return 0;
	}
	while (next_element(&at, field->value + field->value_n, &coding)) {
		if (chunked)
			return refuse(head, 400, "chunked is not the last transfer coding");
		if (!http1_is_token(coding.p, coding.n))
			return refuse(head, 400, "malformed transfer coding");
		if (span_is(coding, "chunked"))
			chunked = true;
		else
			other = true;
	}
	if (!chunked)
		return refuse(head, 400, "transfer coding without chunked");
	if (other)
		return refuse(head, 501, "unknown transfer coding");
	return refuse(head, 400, "malformed transfer coding");
}

static bool names_h2c(const struct http1_field *field)
{
	const char *at = field->value;
	struct http1_span protocol;

	while (next_element(&at, field->value + field->value_n, &protocol))
		if (span_is(protocol, "h2c"))
			return true;
	return false;
}

/* What the fields say about framing, persistence and the host; both directions. */
static int read_fields(struct http1_head *head, bool is_request)
{
	struct connection_options options = {0};
	bool has_host = false, has_length = false, has_coding = false, has_upgrade = false;
	int rc;

	for (size_t i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->fields[i];

		switch (f->id) {
		case HTTP1_F_HOST:
			if (!is_request)
				break;
			if (has_host)
				return refuse(head, 400, "two Host fields");
			if (!http1_is_authority(f->value, f->value_n))
				return refuse(head, 400, "malformed Host");
			has_host = true;
			if (!head->authority.n)
				head->authority = (struct http1_span){f->value, f->value_n};
			break;
		case HTTP1_F_CONTENT_LENGTH:
			if (has_length)
				return refuse(head, 400, "two Content-Length fields");
			if (!http1_parse_length(f->value, f->value_n, &head->length))
				return refuse(head, 400, "malformed Content-Length");
			has_length = true;
			break;
		case HTTP1_F_TRANSFER_ENCODING:
			if (has_coding)
				return refuse(head, 400, "two Transfer-Encoding fields");
			if (head->minor == 0)
				return refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
			rc = read_transfer_encoding(head, f);
			if (rc)
				return rc;
			has_coding = true;
			break;
		case HTTP1_F_CONNECTION:
			rc = read_connection(head, f, &options);
			if (rc)
				return rc;
			break;
		case HTTP1_F_UPGRADE:
			/* HTTP/2 on a connection we would only tunnel is a way past every rule
			 * here. */
			has_upgrade = f->value_n > 0 && !names_h2c(f);
			break;
		case HTTP1_F_EXPECT:
			if (!is_request)
				break;
			if (f->value_n != 12 || !same_nocase(f->value, "100-continue", 12))
				return refuse(head, 417, "unknown expectation");
			head->expects_continue = head->minor == 1;
			break;
		case HTTP1_F_TE:
			head->accepts_trailers = f->value_n == 8 &&
						 same_nocase(f->value, "trailers", 8);
			break;
		default:
			break;
		}
	}
	if (has_coding && has_length)
		return refuse(head, 400, "Content-Length together with Transfer-Encoding");
	if (is_request && head->minor == 1 && !has_host)
		return refuse(head, 400, "no Host");
	if (has_length)
		head->framing = HTTP1_LENGTH;
	head->keep_alive = !options.close && (head->minor == 1 || options.keep_alive);
	head->wants_upgrade = options.upgrade && has_upgrade && head->minor == 1;
	return 0;
}

/* --- the request line --- */

#define IS(text, n, word) ((n) == sizeof(word) - 1 && memcmp(text, word, sizeof(word) - 1) == 0)

enum http1_method http1_method_of(const char *text, size_t n)
{
	switch (n) {
	case 3:
		return IS(text, n, "GET") ? HTTP1_M_GET : IS(text, n, "PUT") ? HTTP1_M_PUT
								    : HTTP1_M_OTHER;
	case 4:
		return IS(text, n, "POST") ? HTTP1_M_POST : IS(text, n, "HEAD") ? HTTP1_M_HEAD
								      : HTTP1_M_OTHER;
	case 5:
		return IS(text, n, "PATCH") ? HTTP1_M_PATCH : IS(text, n, "TRACE") ? HTTP1_M_TRACE
									 : HTTP1_M_OTHER;
	case 6:
		return IS(text, n, "DELETE") ? HTTP1_M_DELETE : HTTP1_M_OTHER;
	case 7:
		return IS(text, n, "OPTIONS") ? HTTP1_M_OPTIONS :
		       IS(text, n, "CONNECT") ? HTTP1_M_CONNECT : HTTP1_M_OTHER;
	default:
		return HTTP1_M_OTHER;
	}
}

bool http1_is_idempotent(enum http1_method method)
{
	switch (method) {
	case HTTP1_M_GET:
	case HTTP1_M_HEAD:
	case HTTP1_M_PUT:
	case HTTP1_M_DELETE:
	case HTTP1_M_OPTIONS:
	case HTTP1_M_TRACE:
		return true;
	case HTTP1_M_OTHER:
	case HTTP1_M_POST:
	case HTTP1_M_PATCH:
	case HTTP1_M_CONNECT:
		return false;
	}
	return false;
}

/* "HTTP/1.x" exactly; a higher minor speaks 1.1 (RFC 9110 section 2.5). */
static int parse_version(struct http1_head *head, const char *text, size_t n)
{
	if (n != 8 || memcmp(text, "HTTP/", 5) != 0 || text[5] < '0' || text[5] > '9' ||
	    text[6] != '.' || text[7] < '0' || text[7] > '9')
		return refuse(head, 400, "malformed version");
	if (text[5] != '1')
		return refuse(head, 505, "version not supported");
	head->minor = text[7] != '0';
	return 0;
}

static int split_path(struct http1_head *head, const char *p, size_t n)
{
	const char *mark_at = memchr(p, '?', n);
	size_t path_n = mark_at ? (size_t)(mark_at - p) : n;

	head->path = (struct http1_span){p, (uint32_t)path_n};
	head->query = (struct http1_span){p + path_n, (uint32_t)(n - path_n)};
	if (!http1_is_path(p, path_n) || !http1_is_query(p + path_n, n - path_n))
		return refuse(head, 400, "malformed target");
	return 0;
}

/* "http://authority[/path][?query]": the authority wins over Host (RFC 9112 section 3.2.2). */
static int parse_absolute(struct http1_head *head, const char *p, size_t n)
{
	static const char slash[] = "/", star[] = "*";
	size_t skip = n > 7 && same_nocase(p, "http:", 5) && p[5] == '/' && p[6] == '/' ? 7 :
		      n > 8 && same_nocase(p, "https:", 6) && p[6] == '/' && p[7] == '/' ? 8 : 0;
	size_t end = skip;

	if (skip == 0)
		return refuse(head, 400, "malformed target");
	while (end < n && p[end] != '/' && p[end] != '?')
		end++;
	if (!http1_is_authority(p + skip, end - skip))
		return refuse(head, 400, "malformed authority");
	head->authority = (struct http1_span){p + skip, (uint32_t)(end - skip)};
	if (end < n && p[end] == '/')
		return split_path(head, p + end, n - end);
	head->path = (struct http1_span){slash, 1};
	if (end == n) {
		if (head->method == HTTP1_M_OPTIONS) /* RFC 9112 section 3.2.4 */
			head->path = (struct http1_span){star, 1};
		return 0;
	}
	head->query = (struct http1_span){p + end, (uint32_t)(n - end)};
	return http1_is_query(p + end, n - end) ? 0 : refuse(head, 400, "malformed target");
}

static int parse_target(struct http1_head *head, const char *p, size_t n)
{
	if (n == 0)
		return refuse(head, 400, "no target");
	if (p[0] == '/')
		return split_path(head, p, n);
	if (n == 1 && p[0] == '*') {
		if (head->method != HTTP1_M_OPTIONS)
			return refuse(head, 400, "asterisk target without OPTIONS");
		head->path = (struct http1_span){p, 1};
		head->query = (struct http1_span){p + 1, 0};
		return 0;
	}
	return parse_absolute(head, p, n);
}

static int parse_request_line(struct http1_head *head, const char *p, const char *end)
{
	const char *stop = p;
	int rc;

	while (is(*stop, C_TOKEN))
		stop++;
	if (stop == p || *stop != ' ' || stop - p > HTTP1_METHOD_MAX)
		return refuse(head, 400, "malformed method");
	head->method_text = (struct http1_span){p, (uint32_t)(stop - p)};
	head->method = http1_method_of(p, (size_t)(stop - p));
	p = stop + 1;
	stop = memchr(p, ' ', (size_t)(end - p));
	if (!stop)
		return refuse(head, 400, "no version");
	rc = parse_version(head, stop + 1, (size_t)(end - stop - 1));
	if (rc)
		return rc;
	if (head->method == HTTP1_M_CONNECT)
		return refuse(head, 405, "CONNECT is not served");
	return parse_target(head, p, (size_t)(stop - p));
}

static void head_reset(struct http1_head *head)
{
	memset(head, 0, offsetof(struct http1_head, fields));
	head->why = NULL;
	head->authority.p = head->query.p = head->path.p = "";
}

int http1_parse_request(struct http1_head *head, const char *data, size_t n)
{
	const char *line_end = memchr(data, '\n', n);
	int rc;

	head_reset(head);
	if (!line_end || n < 4)
		return refuse(head, 400, "incomplete head");
	rc = parse_request_line(head, data, line_end - 1);
	if (rc)
		return rc;
	rc = parse_fields(head, line_end + 1, data + n - 2);
	return rc ? rc : read_fields(head, true);
}

/* --- the status line --- */

static int parse_status_line(struct http1_head *head, const char *p, const char *end)
{
	if (end - p < 12 || parse_version(head, p, 8) != 0 || p[8] != ' ')
		return refuse(head, 502, "malformed status line");
	for (int i = 9; i < 12; i++) {
		if (p[i] < '0' || p[i] > '9')
			return refuse(head, 502, "malformed status");
		head->status = (uint16_t)(head->status * 10 + (p[i] - '0'));
	}
	if (head->status < 100)
		return refuse(head, 502, "malformed status");
	p += 12;
	if (p < end && *p++ != ' ')
		return refuse(head, 502, "malformed status");
	head->reason = (struct http1_span){p, (uint32_t)(end - p)};
	return http1_is_value(p, (size_t)(end - p)) ? 0 : refuse(head, 502, "malformed reason");
}

int http1_parse_response(struct http1_head *head, const char *data, size_t n,
			 enum http1_method method)
{
	const char *line_end = memchr(data, '\n', n);

	head_reset(head);
	if (!line_end || n < 4)
		return refuse(head, 502, "incomplete head");
	head->framing = HTTP1_UNTIL_CLOSE;
	if (parse_status_line(head, data, line_end - 1) ||
	    parse_fields(head, line_end + 1, data + n - 2) || read_fields(head, false))
		return 502;
	if (method == HTTP1_M_HEAD || head->status < 200 || head->status == 204 ||
	    head->status == 304)
		head->framing = HTTP1_NO_BODY;
	if (head->framing == HTTP1_UNTIL_CLOSE)
		head->keep_alive = false;
	return 0;
}

int http1_parse_trailers(struct http1_head *head, const char *data, size_t n)
{
	head->n_fields = 0;
	head->why = NULL;
	return parse_fields(head, data, data + n);
}
