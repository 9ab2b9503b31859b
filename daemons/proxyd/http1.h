/* SPDX-License-Identifier: Apache-2.0
 *
 * http1.h - HTTP/1.x message heads, strictly.
 *
 * Pure.  A head is first looked for (http1_scan, incremental, linear in the bytes that arrive),
 * then parsed in one pass over the complete text.  Everything that two implementations could
 * understand differently is refused, not repaired: RFC 9112 sections 2 to 7, spec/ingress.md
 * section 1.  All spans borrow from the text given to the parser; it must stay in place while the
 * head is used. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/auto.h"

#define HTTP1_LINE_MAX    (16 * 1024) /* one line without its CRLF */
#define HTTP1_HEAD_MAX    (64 * 1024) /* the whole head with its blank line */
#define HTTP1_FIELDS_MAX  100
#define HTTP1_METHOD_MAX  32
#define HTTP1_HOST_MAX    262 /* 253 of a name, brackets, ":65535" */
#define HTTP1_LENGTH_DIGITS 18

struct http1_span {
	const char *p;
	uint32_t n;
};

/* Fields this proxy must understand or own.  X(ID, "lower-case name") */
#define HTTP1_FIELDS(X)                                                                            \
	X(AUTHORIZATION, "authorization")                                                          \
	X(CONNECTION, "connection")                                                                \
	X(CONTENT_LENGTH, "content-length")                                                        \
	X(COOKIE, "cookie")                                                                        \
	X(DATE, "date")                                                                            \
	X(EXPECT, "expect")                                                                        \
	X(FORWARDED, "forwarded")                                                                  \
	X(HOST, "host")                                                                            \
	X(HTTP2_SETTINGS, "http2-settings")                                                        \
	X(KEEP_ALIVE, "keep-alive")                                                                \
	X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                \
	X(PROXY_AUTHORIZATION, "proxy-authorization")                                              \
	X(PROXY_CONNECTION, "proxy-connection")                                                    \
	X(TE, "te")                                                                                \
	X(TRAILER, "trailer")                                                                      \
	X(TRANSFER_ENCODING, "transfer-encoding")                                                  \
	X(UPGRADE, "upgrade")                                                                      \
	X(VIA, "via")                                                                              \
	X(X_FORWARDED_FOR, "x-forwarded-for")                                                      \
	X(X_FORWARDED_HOST, "x-forwarded-host")                                                    \
	X(X_FORWARDED_PORT, "x-forwarded-port")                                                    \
	X(X_FORWARDED_PROTO, "x-forwarded-proto")                                                  \
	X(X_REAL_IP, "x-real-ip")                                                                  \
	X(X_REQUEST_ID, "x-request-id")

enum http1_field_id {
	HTTP1_F_OTHER,
#define X(id, name) HTTP1_F_##id,
	HTTP1_FIELDS(X)
#undef X
	HTTP1_F_ALIAS, /* an owned name spelled with '_': some servers read it as the owned one */
	HTTP1_F_END
};

struct http1_field {
	const char *name;
	const char *value; /* without surrounding blanks */
	uint16_t name_n;
	uint16_t value_n;
	uint8_t id; /* enum http1_field_id */
};

enum http1_method {
	HTTP1_M_OTHER,
	HTTP1_M_GET,
	HTTP1_M_HEAD,
	HTTP1_M_POST,
	HTTP1_M_PUT,
	HTTP1_M_DELETE,
	HTTP1_M_OPTIONS,
	HTTP1_M_TRACE,
	HTTP1_M_PATCH,
	HTTP1_M_CONNECT,
};

/* How the end of a body is known (RFC 9112 section 6.3). */
enum http1_framing { HTTP1_NO_BODY, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

struct http1_head {
	enum http1_method method;       /* request */
	struct http1_span method_text;
	struct http1_span path;         /* begins with '/', or is "*" */
	struct http1_span query;        /* with its '?'; empty when there is none */
	struct http1_span authority; /* host[:port]: absolute-form's, else Host's; empty in 1.0 */
	uint16_t status;                /* response */
	struct http1_span reason;
	uint8_t minor;                  /* 0 or 1 */
	bool keep_alive;                /* what version and Connection say */
	bool wants_upgrade;             /* Connection: upgrade and an Upgrade field */
	bool expects_continue;
	bool accepts_trailers;          /* TE: trailers */
	bool nominates;                 /* Connection names fields beyond the usual ones */
	enum http1_framing framing;
	uint64_t length;                /* HTTP1_LENGTH */
	uint16_t n_fields;
	struct http1_field fields[HTTP1_FIELDS_MAX];
	const char *why;                /* after a refusal: what was wrong */
};

/* Position inside a head that is still arriving.  Zero it before the first byte. */
struct http1_scan {
	uint32_t at;    /* bytes examined */
	uint32_t line;  /* where the current line begins */
	uint16_t lines; /* complete lines */
};

/*
 * Look for the blank line that ends a head.
 *
 * @data  all bytes since the start of the head; earlier ones unchanged since the last call
 *
 * Returns the bytes of the head including the blank line, 0 when more must arrive, or a negative
 * HTTP status: a line without CR, too long, too many, or too much.
 */
int http1_scan(struct http1_scan *scan, const char *data, size_t n);

/* An empty line before a request is forgiven once (RFC 9112 section 2.2): 2, 0, or -1 when a lone
 * CR is all there is yet. */
int http1_skip_blank(const char *data, size_t n);

/*
 * Parse a complete request head (@n as http1_scan returned it).
 *
 * Returns 0, or the HTTP status to refuse it with: 400; 405 CONNECT; 417 an expectation other than
 * 100-continue; 501 a transfer coding we do not have; 505 another major version.
 */
int http1_parse_request(struct http1_head *head, const char *data, size_t n);

/*
 * Parse a complete response head to a request of @method.  Returns 0 or 502.
 * Framing follows RFC 9112 section 6.3, with ambiguous responses refused.
 */
int http1_parse_response(struct http1_head *head, const char *data, size_t n,
			 enum http1_method method);

/* Parse the lines of a trailer section (RFC 9112 section 7.1.2) into head->fields.  0 or 400. */
int http1_parse_trailers(struct http1_head *head, const char *data, size_t n);

/* Is @field named by a Connection field of @head?  (RFC 9110 section 7.6.1) */
bool http1_is_nominated(const struct http1_head *head, const struct http1_field *field);

/* The first field with that id, or NULL. */
const struct http1_field *http1_find(const struct http1_head *head, enum http1_field_id id);

/* The id of a field name, HTTP1_F_OTHER when we do not own it. */
enum http1_field_id http1_field_id(const char *name, size_t n);

/* May @method be sent twice with the effect of once? (RFC 9110 section 9.2.2) */
bool http1_is_idempotent(enum http1_method method);
enum http1_method http1_method_of(const char *text, size_t n);

/* Grammar used elsewhere: a token; a field value without control characters; a valid
 * host[:port]. */
bool http1_is_token(const char *text, size_t n);
bool http1_is_value(const char *text, size_t n);
bool http1_is_authority(const char *text, size_t n);
/* A path of visible ASCII with complete percent-encodings, without NUL, '#' or backslash. */
bool http1_is_path(const char *text, size_t n);
bool http1_is_query(const char *text, size_t n);
/* Digits only, at most HTTP1_LENGTH_DIGITS. */
bool http1_parse_length(const char *text, size_t n, uint64_t *out_length);

/* --- chunked bodies (RFC 9112 section 7.1) --- */

enum http1_chunk_state {
	HTTP1_CHUNK_SIZE,     /* before or inside the size */
	HTTP1_CHUNK_BLANK,    /* blanks after the size */
	HTTP1_CHUNK_EXT,      /* inside extensions */
	HTTP1_CHUNK_SIZE_LF,  /* CR of the size line seen */
	HTTP1_CHUNK_DATA,
	HTTP1_CHUNK_DATA_CR,
	HTTP1_CHUNK_DATA_LF,
	HTTP1_CHUNK_TRAILERS,
	HTTP1_CHUNK_DONE,
};

struct http1_chunked {
	enum http1_chunk_state state;
	uint8_t digits;        /* of the size so far */
	uint16_t blanks;
	uint32_t ext_bytes;    /* of the whole body */
	uint64_t left;         /* bytes of this chunk's data */
	struct http1_scan scan; /* trailer section */
};

enum http1_chunk_event {
	HTTP1_CHUNK_MORE,    /* @*used bytes of framing consumed; give more */
	HTTP1_CHUNK_PAYLOAD, /* after @*used bytes of framing come @*payload bytes of data */
	HTTP1_CHUNK_END, /* body complete; @*payload bytes of trailer lines before the blank line */
	HTTP1_CHUNK_BAD,
};

/*
 * Advance over framing.  @*used counts consumed framing bytes; for PAYLOAD the caller then takes
 * any part of the @*payload bytes and reports it with http1_chunked_took(); for END, @*used covers
 * everything before the trailer lines and the caller consumes @*payload + the two of the blank
 * line.
 */
enum http1_chunk_event http1_chunked_step(struct http1_chunked *dec, const char *data, size_t n,
					  size_t *used, size_t *payload);
void http1_chunked_took(struct http1_chunked *dec, size_t n);
