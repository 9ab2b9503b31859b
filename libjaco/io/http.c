/* SPDX-License-Identifier: Apache-2.0
 *
 * http.c - libcurl behind http.h.  Nothing else in the tree includes a curl header.
 *
 * curl forbids calling back into a multi handle from inside its callbacks (write, header, socket,
 * timer).  So while `depth` > 0 a new exchange is only queued and a cancelled one only marked; both
 * are carried out on the way out, in settle(). */
#include "libjaco/io/http.h"

#include <string.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define CONNECT_TIMEOUT_MS 10000
#define IDLE_CONNECTIONS   8L

enum call_state { CALL_QUEUED, CALL_ACTIVE, CALL_ENDED };

struct jaco_http_call {
	struct jaco_http *http;
	TAILQ_ENTRY(jaco_http_call) entry;
	enum call_state state;
	CURL *easy;
	CURLcode result;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	struct jaco_buf body;
	struct jaco_buf header_text; /* "name\0value\0..." */
	size_t n_headers;
	int status;
	bool is_cancelled;
	bool is_paused;
	bool is_too_large;
	void (*on_data)(void *ctx, struct jaco_http_call *call, const void *data, size_t n);
	jaco_http_done_fn *on_done;
	void *ctx;
	char why[CURL_ERROR_SIZE];
};

struct watch {
	struct jaco_io io;
	struct jaco_http *http;
	TAILQ_ENTRY(watch) entry;
};

struct jaco_http {
	struct jaco_loop *loop;
	CURLM *multi;
	struct jaco_timer timer;  /* curl's */
	struct jaco_timer settle; /* ours: queued work */
	unsigned depth;           /* inside curl, or inside settle() */
	TAILQ_HEAD(, jaco_http_call) calls;
	TAILQ_HEAD(, watch) watches;
};

static void call_free(struct jaco_http_call *call)
{
	struct jaco_http *http = call->http;

	TAILQ_REMOVE(&http->calls, call, entry);
	if (call->state == CALL_ACTIVE)
		curl_multi_remove_handle(http->multi, call->easy);
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	curl_slist_free_all(call->connect_to);
	jaco_buf_fini(&call->body);
	jaco_buf_fini(&call->header_text);
	jaco_free(call);
}

static void note_status(struct jaco_http_call *call)
{
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	call->status = (int)status;
}

static int fill_error(struct jaco_http_call *call, struct jaco_err *err)
{
	const char *why = call->why[0] ? call->why : curl_easy_strerror(call->result);

	if (call->is_too_large)
		return jaco_err_set(err, JACO_MESSAGE_TOO_LARGE, "http: the reply is too large");
	if (call->result == CURLE_OPERATION_TIMEDOUT)
		return jaco_err_set(err, JACO_TIMEOUT, "http: %s", why);
	return jaco_err_set(err, JACO_UNAVAILABLE, "http: %s", why);
}

static void finish(struct jaco_http_call *call)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_http_reply reply = {.status = call->status,
					.body = jaco_buf_str(&call->body),
					.body_bytes = call->body.n,
					.call = call};

	if (call->result != CURLE_OK || call->is_too_large)
		fill_error(call, &err);
	call->http->depth++; /* a callback that cancels its own call only marks it */
	if (!call->is_cancelled)
		call->on_done(call->ctx, err.code ? NULL : &reply, err.code ? &err : NULL);
	call->http->depth--;
	call_free(call);
}

static void collect_ended(struct jaco_http *http)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(http->multi, &left))) {
		struct jaco_http_call *call = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		call->result = msg->data.result;
		note_status(call);
		curl_multi_remove_handle(http->multi, call->easy);
		call->state = CALL_ENDED;
	}
}

/* Start what is queued, end what has ended.  Callbacks run from here only, so they may do anything
 * but free the client; what they queue is found by the next round. */
static void settle(struct jaco_http *http)
{
	struct jaco_http_call *call;
	bool again = true;

	if (http->depth > 0) {
		jaco_timer_arm_if_idle(&http->settle, 0);
		return;
	}
	while (again) {
		again = false;
		collect_ended(http);
		TAILQ_FOREACH(call, &http->calls, entry)
		{
			if (call->is_cancelled || call->state == CALL_ENDED) {
				finish(call);
				again = true;
				break;
			}
			if (call->state != CALL_QUEUED)
				continue;
			http->depth++;
			call->state = CALL_ACTIVE;
			if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
				call->result = CURLE_FAILED_INIT;
				call->state = CALL_ENDED;
				again = true;
			}
			http->depth--;
		}
	}
}

static void act(struct jaco_http *http, curl_socket_t fd, int mask)
{
	int running;

	http->depth++;
	(void)curl_multi_socket_action(http->multi, fd, mask, &running);
	http->depth--;
	settle(http);
}

static void on_settle(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	settle(ctx);
}

static void on_timer(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void on_io(struct jaco_io *io, unsigned events, void *ctx)
{
	struct watch *watch = ctx;
	int mask = (events & JACO_IO_READ ? CURL_CSELECT_IN : 0) |
		   (events & JACO_IO_WRITE ? CURL_CSELECT_OUT : 0);

	act(watch->http, io->fd, mask); /* may free @watch */
}

/* curl_multi_setopt(3) CURLMOPT_TIMERFUNCTION. */
static int set_timer(CURLM *multi, long ms, void *ctx)
{
	struct jaco_http *http = ctx;

	(void)multi;
	if (ms < 0)
		jaco_timer_disarm(&http->timer);
	else
		jaco_timer_arm(&http->timer, ms);
	return 0;
}

static void watch_free(struct watch *watch)
{
	TAILQ_REMOVE(&watch->http->watches, watch, entry);
	jaco_io_stop(&watch->io);
	jaco_free(watch);
}

/* CURLMOPT_SOCKETFUNCTION. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
	struct jaco_http *http = ctx;
	struct watch *watch = socket_ctx;
	unsigned events = (what & CURL_POLL_IN ? JACO_IO_READ : 0) |
			  (what & CURL_POLL_OUT ? JACO_IO_WRITE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch) {
			curl_multi_assign(http->multi, fd, NULL);
			watch_free(watch);
		}
		return 0;
	}
	if (watch) {
		jaco_io_set(&watch->io, events);
		return 0;
	}
	watch = jaco_alloc(sizeof(*watch));
	watch->http = http;
	watch->io.fd = -1;
	TAILQ_INSERT_TAIL(&http->watches, watch, entry);
	jaco_io_start(http->loop, &watch->io, fd, events, on_io, watch);
	curl_multi_assign(http->multi, fd, watch);
	return 0;
}

/* CURLOPT_WRITEFUNCTION. */
static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct jaco_http_call *call = ctx;

	n *= size;
	if (call->is_cancelled)
		return CURL_WRITEFUNC_ERROR;
	if (call->is_paused)
		return CURL_WRITEFUNC_PAUSE;
	note_status(call);
	if (call->on_data && call->status >= 200 && call->status < 300) {
		call->on_data(call->ctx, call, data, n);
		return call->is_cancelled ? CURL_WRITEFUNC_ERROR : n;
	}
	jaco_buf_add(&call->body, data, n);
	if (!call->body.overflow)
		return n;
	call->is_too_large = true;
	return CURL_WRITEFUNC_ERROR;
}

/* CURLOPT_HEADERFUNCTION: one whole line at a time; a status line begins a new set (100
 * Continue). */
static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct jaco_http_call *call = ctx;
	const char *colon, *value, *end;

	n *= size;
	end = data + n;
	if (n >= 5 && !memcmp(data, "HTTP/", 5)) {
		jaco_buf_reset(&call->header_text);
		call->n_headers = 0;
		return n;
	}
	colon = memchr(data, ':', n);
	if (!colon)
		return n; /* the empty line */
	value = colon + 1;
	while (value < end && jaco_ascii_is_space(*value))
		value++;
	while (end > value && jaco_ascii_is_space(end[-1]))
		end--;
	if (call->n_headers == JACO_HTTP_HEADERS_MAX || memchr(data, '\0', n))
		goto too_large;
	jaco_buf_add(&call->header_text, data, (size_t)(colon - data));
	jaco_buf_add_char(&call->header_text, '\0');
	jaco_buf_add(&call->header_text, value, (size_t)(end - value));
	jaco_buf_add_char(&call->header_text, '\0');
	if (call->header_text.overflow)
		goto too_large;
	call->n_headers++;
	return n;
too_large:
	call->is_too_large = true;
	return 0;
}

static bool set_body(CURL *easy, const struct jaco_http_request *request)
{
	const char *method = request->method ? request->method : "GET";

	if (jaco_str_eq(method, "GET") && !request->body)
		return true;
	if (jaco_str_eq(method, "HEAD"))
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
	/* COPYPOSTFIELDS needs the size first; an empty POST sends Content-Length: 0. */
	return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				(curl_off_t)request->body_bytes) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS,
				request->body ? request->body : "") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
}

static bool set_headers(struct jaco_http_call *call, const struct jaco_http_request *request)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (const char *const *h = request->headers; list && h && *h; h++) {
		struct curl_slist *longer = curl_slist_append(list, *h);

		if (!longer)
			curl_slist_free_all(list);
		list = longer;
	}
	call->headers = list;
	return list && curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, list) == CURLE_OK;
}

static bool set_route(struct jaco_http_call *call, const struct jaco_http_request *request)
{
	CURL *easy = call->easy;
	CURLcode rc = CURLE_OK;

	if (request->unix_path)
		rc |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_path);
	if (request->ca_file)
		rc |= curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
	if (request->connect_to) {
		call->connect_to = curl_slist_append(NULL, request->connect_to);
		rc |= curl_easy_setopt(easy, CURLOPT_CONNECT_TO, call->connect_to);
	}
	if (!request->use_env_proxy)
		rc |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return rc == CURLE_OK;
}

static bool set_options(struct jaco_http_call *call, const struct jaco_http_request *request)
{
	CURL *easy = call->easy;
	CURLcode rc = CURLE_OK;

	rc |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->why);
	rc |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	rc |= curl_easy_setopt(easy, CURLOPT_URL, request->url);
	rc |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	rc |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	rc |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	rc |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	rc |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	rc |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			       (long)(request->connect_timeout_ms ? request->connect_timeout_ms
								  : CONNECT_TIMEOUT_MS));
	return rc == CURLE_OK && set_route(call, request) && set_body(easy, request) &&
	       set_headers(call, request);
}

struct jaco_http_call *jaco_http_start(struct jaco_http *http,
				       const struct jaco_http_request *request,
				       jaco_http_done_fn *on_done, void *ctx)
{
	struct jaco_http_call *call = jaco_alloc(sizeof(*call));
	size_t max = request->body_max ? request->body_max : JACO_HTTP_BODY_MAX_DEFAULT;

	*call = (struct jaco_http_call){.http = http,
					.easy = curl_easy_init(),
					.body = JACO_BUF_BOUND(max),
					.header_text = JACO_BUF_BOUND(JACO_HTTP_HEADER_BYTES_MAX),
					.on_data = request->on_data,
					.on_done = on_done,
					.ctx = ctx};
	JACO_ASSERT(call->easy);
	TAILQ_INSERT_TAIL(&http->calls, call, entry);
	if (!set_options(call, request)) {
		call->result = CURLE_URL_MALFORMAT;
		call->state = CALL_ENDED;
	}
	jaco_timer_arm_if_idle(&http->settle, 0);
	return call;
}

void jaco_http_cancel(struct jaco_http_call *call)
{
	if (!call)
		return;
	call->is_cancelled = true;
	if (call->http->depth > 0)
		jaco_timer_arm_if_idle(&call->http->settle, 0);
	else
		call_free(call);
}

void jaco_http_pause(struct jaco_http_call *call, bool on)
{
	if (call->is_paused == on)
		return;
	call->is_paused = on;
	if (on || call->state != CALL_ACTIVE)
		return;
	/* Unpausing delivers what curl kept, so it counts as being inside curl. */
	call->http->depth++;
	(void)curl_easy_pause(call->easy, CURLPAUSE_CONT);
	call->http->depth--;
	jaco_timer_arm_if_idle(&call->http->settle, 0);
}

const char *jaco_http_header(const struct jaco_http_call *call, const char *name)
{
	const char *at = jaco_buf_str(&call->header_text);

	for (size_t i = 0; i < call->n_headers; i++) {
		const char *value = at + strlen(at) + 1;

		if (jaco_str_eq_nocase(at, name))
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

int jaco_http_status(const struct jaco_http_call *call)
{
	return call->status;
}

void jaco_http_escape(struct jaco_buf *out, const char *text)
{
	for (; *text; text++) {
		if (jaco_ascii_is_alnum(*text) || strchr("-._~", *text))
			jaco_buf_add_char(out, *text);
		else
			jaco_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
	}
}

struct jaco_http *jaco_http_new(struct jaco_loop *loop)
{
	struct jaco_http *http = jaco_alloc(sizeof(*http));

	/* Reference-counted by curl; a process that never asks for HTTP pays nothing. */
	JACO_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	http->loop = loop;
	http->multi = curl_multi_init();
	JACO_ASSERT(http->multi);
	TAILQ_INIT(&http->calls);
	TAILQ_INIT(&http->watches);
	jaco_timer_init(loop, &http->timer, on_timer, http);
	jaco_timer_init(loop, &http->settle, on_settle, http);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
	return http;
}

void jaco_http_free(struct jaco_http *http)
{
	struct jaco_http_call *call;
	struct watch *watch;

	if (!http)
		return;
	while ((call = TAILQ_FIRST(&http->calls)))
		call_free(call);
	curl_multi_cleanup(http->multi);
	while ((watch = TAILQ_FIRST(&http->watches)))
		watch_free(watch);
	jaco_timer_fini(&http->timer);
	jaco_timer_fini(&http->settle);
	jaco_free(http);
	curl_global_cleanup();
}
