/* SPDX-License-Identifier: Apache-2.0
 *
 * One exchange is one `struct engine_call`: what was asked, how its reply is read (`finish`), and
 * whom to tell.  Streams are cut into lines as they arrive. */
#include "daemons/runtimed/engine.h"

#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include <jansson.h>

#include "daemons/runtimed/engine_json.h"
#include "daemons/runtimed/json_out.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/http.h"

#define QUICK_MS       10000       /* what an engine answers from memory */
#define SLOW_MS        120000      /* create, start, remove: disks and slow storage drivers */
#define STOP_MARGIN_MS 60000       /* beyond the grace period */
#define LIST_MAX       (16u << 20) /* ENGINE_CONTAINERS_MAX with their labels */
#define INSPECT_MAX    (4u << 20)
#define LINE_MAX_BYTES (1u << 20) /* an event carries all labels of its container */

struct engine {
	struct jaco_http *http;
	char *socket;
	struct engine_info info;
	TAILQ_HEAD(, engine_call) calls;
};

typedef void finish_fn(struct engine_call *call, const struct jaco_http_reply *reply,
		       struct jaco_err *err);

struct engine_call {
	struct engine *engine;
	TAILQ_ENTRY(engine_call) entry;
	struct jaco_http_call *http;
	finish_fn *finish;
	union {
		engine_done_fn *plain;
		engine_id_fn *id;
		engine_container_fn *container;
		engine_network_fn *network;
	} done;
	union {
		void (*container)(void *ctx, const struct engine_container *c);
		void (*network)(void *ctx, const struct engine_network *net);
		void (*event)(void *ctx, const struct engine_event *event);
		void (*progress)(void *ctx, const struct engine_pull_line *line);
	} each;
	void *ctx;
	char filter[ENGINE_CLUSTER_BYTES];
	struct jaco_buf line;        /* of a stream, incomplete */
	struct demux demux;          /* of a log */
	struct jaco_err stream_err;  /* what a stream said went wrong */
	struct jaco_strings queue;   /* volumes still to remove; owned */
};

static void call_free(struct engine_call *call)
{
	TAILQ_REMOVE(&call->engine->calls, call, entry);
	jaco_buf_fini(&call->line);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(call->demux.lines); i++)
		jaco_buf_fini(&call->demux.lines[i]);
	for (size_t i = 0; i < call->queue.n; i++)
		jaco_free((char *)call->queue.items[i]);
	jaco_free(call->queue.items);
	jaco_free(call);
}

void engine_cancel(struct engine_call *call)
{
	if (!call)
		return;
	jaco_http_cancel(call->http);
	call_free(call);
}

void engine_pause(struct engine_call *call, bool on)
{
	jaco_http_pause(call->http, on);
}

static struct engine_call *call_new(struct engine *engine, finish_fn *finish, void *ctx)
{
	struct engine_call *call = jaco_alloc(sizeof(*call));

	call->engine = engine;
	call->finish = finish;
	call->ctx = ctx;
	call->line = JACO_BUF_BOUND(LINE_MAX_BYTES);
	TAILQ_INSERT_TAIL(&engine->calls, call, entry);
	return call;
}

/* The engine's refusal as an error. */
static void refuse(const struct jaco_http_reply *reply, struct jaco_err *err)
{
	char text[ENGINE_TEXT_BYTES];

	engine_json_message(reply->body, reply->body_bytes, text);
	jaco_err_set(err, JACO_DOCKER_ERROR, "engine: %s (HTTP %d)", *text ? text : "no reason given",
		     reply->status);
}

static void on_reply(void *ctx, const struct jaco_http_reply *reply, const struct jaco_err *why)
{
	struct engine_call *call = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	call->http = NULL;
	if (why)
		jaco_err_set(&err, why->code, "engine at %s: %s", call->engine->socket, why->text);
	else if (reply->status >= 400)
		refuse(reply, &err);
	call->finish(call, reply, &err);
}

/* What most requests need; @path begins with "/" and is escaped where it must be. */
static void send(struct engine_call *call, const char *method, const struct jaco_buf *path,
		 struct jaco_http_request request)
{
	static const char *const json[] = {"Content-Type: application/json", NULL};
	struct engine *engine = call->engine;
	jaco_auto(jaco_buf) struct jaco_buf url = JACO_BUF_INIT;

	if (engine->info.api_major && !jaco_str_starts(jaco_buf_str(path), "/v"))
		jaco_buf_printf(&url, "http://engine/v%u.%u%s", engine->info.api_major,
				engine->info.api_minor, jaco_buf_str(path));
	else
		jaco_buf_printf(&url, "http://engine%s", jaco_buf_str(path));
	request.method = method;
	request.url = jaco_buf_str(&url);
	request.unix_path = engine->socket;
	if (request.body && !request.headers)
		request.headers = json;
	call->http = jaco_http_start(engine->http, &request, on_reply, call);
}

static void add_path(struct jaco_buf *path, const char *before, const char *name, const char *after)
{
	jaco_buf_add_str(path, before);
	jaco_http_escape(path, name);
	jaco_buf_add_str(path, after);
}

/* {"label":["jaco.cluster_id=<id>"]}, escaped, as a query value. */
static void add_filter(struct jaco_buf *path, json_t *take_filter)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	json_out_dump(take_filter, false, &text);
	json_decref(take_filter);
	jaco_buf_add_str(path, "filters=");
	jaco_http_escape(path, jaco_buf_str(&text));
}

static json_t *cluster_filter(const char *cluster_id)
{
	return json_pack("{s:[o]}", "label", json_sprintf("jaco.cluster_id=%s", cluster_id));
}

/* --- endings --- */

static void tell(struct engine_call *call, const struct jaco_err *err)
{
	engine_done_fn *done = call->done.plain;
	void *ctx = call->ctx;

	call_free(call);
	done(ctx, err->code ? err : NULL);
}

static void finish_plain(struct engine_call *call, const struct jaco_http_reply *reply,
			 struct jaco_err *err)
{
	(void)reply;
	tell(call, err);
}

/* 404 and 304 mean that there is nothing left to do. */
static void finish_idempotent(struct engine_call *call, const struct jaco_http_reply *reply,
			      struct jaco_err *err)
{
	if (reply && reply->status == 404)
		jaco_err_clear(err);
	if (reply && (reply->status == 403 || reply->status == 409))
		err->code = JACO_CONFLICT;
	tell(call, err);
}

static void tell_id(struct engine_call *call, const char *id, const struct jaco_err *err)
{
	engine_id_fn *done = call->done.id;
	void *ctx = call->ctx;

	call_free(call);
	done(ctx, err->code ? NULL : id, err->code ? err : NULL);
}

static void finish_id(struct engine_call *call, const struct jaco_http_reply *reply,
		      struct jaco_err *err)
{
	char id[ENGINE_ID_BYTES] = "";

	if (reply && reply->status == 404)
		err->code = JACO_IMAGE_NOT_FOUND;
	else if (reply && reply->status == 409)
		err->code = JACO_CONFLICT;
	if (err->code == JACO_OK)
		(void)engine_json_id(reply->body, reply->body_bytes, id, err);
	tell_id(call, id, err);
}

static void finish_container(struct engine_call *call, const struct jaco_http_reply *reply,
			     struct jaco_err *err)
{
	engine_container_fn *done = call->done.container;
	void *ctx = call->ctx;
	struct engine_container container;
	bool is_absent = reply && reply->status == 404;

	if (is_absent)
		jaco_err_clear(err);
	else if (err->code == JACO_OK)
		(void)engine_json_container(reply->body, reply->body_bytes, &container, err);
	call_free(call);
	done(ctx, err->code || is_absent ? NULL : &container, err->code ? err : NULL);
}

static void finish_network(struct engine_call *call, const struct jaco_http_reply *reply,
			   struct jaco_err *err)
{
	engine_network_fn *done = call->done.network;
	void *ctx = call->ctx;
	struct engine_network network;
	bool is_absent = reply && reply->status == 404;

	if (is_absent)
		jaco_err_clear(err);
	else if (err->code == JACO_OK)
		(void)engine_json_network(reply->body, reply->body_bytes, &network, err);
	call_free(call);
	done(ctx, err->code || is_absent ? NULL : &network, err->code ? err : NULL);
}

/* --- hello --- */

static void finish_version(struct engine_call *call, const struct jaco_http_reply *reply,
			   struct jaco_err *err)
{
	if (err->code == JACO_OK)
		(void)engine_json_version(reply->body, reply->body_bytes, &call->engine->info, err);
	tell(call, err);
}

static int agree(struct engine_info *info, const char *offered, struct jaco_err *err)
{
	uint64_t minor = 0;

	if (!offered || !jaco_str_starts(offered, "1.") ||
	    !jaco_str_to_u64(offered + 2, 100000, &minor) || minor < ENGINE_API_MINOR_MIN)
		return jaco_err_set(err, JACO_DOCKER_ERROR,
				    "the engine speaks API %.16s, we speak 1.%d to 1.%d",
				    offered ? offered : "of no version", ENGINE_API_MINOR_MIN,
				    ENGINE_API_MINOR_MAX);
	info->api_major = 1;
	info->api_minor = (unsigned)JACO_MIN(minor, ENGINE_API_MINOR_MAX);
	return 0;
}

static void finish_ping(struct engine_call *call, const struct jaco_http_reply *reply,
			struct jaco_err *err)
{
	struct engine_info info = {.server_version = ""};
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	const char *server;

	if (err->code == JACO_OK)
		(void)agree(&info, jaco_http_header(reply->call, "Api-Version"), err);
	if (err->code != JACO_OK) {
		tell(call, err);
		return;
	}
	server = jaco_http_header(reply->call, "Server");
	info.is_podman = server && jaco_str_starts(server, "Libpod/");
	call->engine->info = info;
	call->finish = finish_version;
	jaco_buf_add_str(&path, "/version");
	send(call, "GET", &path, (struct jaco_http_request){.timeout_ms = QUICK_MS});
}

struct engine_call *engine_hello(struct engine *engine, engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_ping, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	engine->info = (struct engine_info){.server_version = ""};
	jaco_buf_add_str(&path, "/_ping");
	send(call, "GET", &path, (struct jaco_http_request){.timeout_ms = QUICK_MS});
	return call;
}

/* --- containers --- */

static void finish_containers(struct engine_call *call, const struct jaco_http_reply *reply,
			      struct jaco_err *err)
{
	if (err->code == JACO_OK)
		(void)engine_json_container_list(reply->body, reply->body_bytes, call->filter,
						 call->each.container, call->ctx, err);
	tell(call, err);
}

struct engine_call *engine_container_list(struct engine *engine, const char *cluster_id,
					  void (*each)(void *ctx, const struct engine_container *c),
					  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_containers, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	call->each.container = each;
	jaco_str_copy(call->filter, sizeof(call->filter), cluster_id);
	jaco_buf_add_str(&path, "/containers/json?all=1&");
	add_filter(&path, cluster_filter(cluster_id));
	send(call, "GET", &path,
	     (struct jaco_http_request){.timeout_ms = SLOW_MS, .body_max = LIST_MAX});
	return call;
}

struct engine_call *engine_container_inspect(struct engine *engine, const char *id,
					     engine_container_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_container, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.container = done;
	add_path(&path, "/containers/", id, "/json");
	send(call, "GET", &path,
	     (struct jaco_http_request){.timeout_ms = SLOW_MS, .body_max = INSPECT_MAX});
	return call;
}

struct engine_call *engine_container_create(struct engine *engine, const char *name,
					    const char *platform, const struct jaco_buf *body,
					    engine_id_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_id, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.id = done;
	add_path(&path, "/containers/create?name=", name, "");
	if (platform)
		add_path(&path, "&platform=", platform, "");
	send(call, "POST", &path,
	     (struct jaco_http_request){
		     .timeout_ms = SLOW_MS, .body = body->data, .body_bytes = body->n});
	return call;
}

struct engine_call *engine_container_start(struct engine *engine, const char *id,
					   engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_plain, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	add_path(&path, "/containers/", id, "/start");
	send(call, "POST", &path, (struct jaco_http_request){.timeout_ms = SLOW_MS});
	return call;
}

struct engine_call *engine_container_stop(struct engine *engine, const char *id, int grace_s,
					  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_idempotent, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	add_path(&path, "/containers/", id, "/stop");
	if (grace_s >= 0)
		jaco_buf_printf(&path, "?t=%d", grace_s);
	/* Without @grace_s only the engine knows how long it takes; the caller's drain is bounded by
	 * what compose said, so this is merely against an engine that hangs. */
	send(call, "POST", &path,
	     (struct jaco_http_request){.timeout_ms = grace_s < 0 ? 3600 * 1000
								  : grace_s * 1000 + STOP_MARGIN_MS});
	return call;
}

struct engine_call *engine_container_remove(struct engine *engine, const char *id,
					    engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_idempotent, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	add_path(&path, "/containers/", id, "?force=1");
	send(call, "DELETE", &path, (struct jaco_http_request){.timeout_ms = SLOW_MS});
	return call;
}

struct engine_call *engine_container_put(struct engine *engine, const char *id,
					 const struct jaco_buf *tar, engine_done_fn *done,
					 void *ctx)
{
	static const char *const headers[] = {"Content-Type: application/x-tar", NULL};
	struct engine_call *call = call_new(engine, finish_plain, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	add_path(&path, "/containers/", id, "/archive?path=%2F");
	send(call, "PUT", &path,
	     (struct jaco_http_request){.timeout_ms = SLOW_MS,
					.headers = headers,
					.body = tar->data,
					.body_bytes = tar->n});
	return call;
}

/* --- networks --- */

struct engine_call *engine_network_inspect(struct engine *engine, const char *name,
					   engine_network_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_network, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.network = done;
	add_path(&path, "/networks/", name, "");
	send(call, "GET", &path,
	     (struct jaco_http_request){.timeout_ms = QUICK_MS, .body_max = INSPECT_MAX});
	return call;
}

struct engine_call *engine_network_create(struct engine *engine,
					  const struct create_network_spec *spec,
					  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_plain, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf body = JACO_BUF_INIT;

	call->done.plain = done;
	if (engine->info.is_podman) {
		jaco_buf_add_str(&path, ENGINE_PODMAN_NETWORK_PATH);
		engine_podman_network_json(spec, &body);
	} else {
		jaco_buf_add_str(&path, "/networks/create");
		create_network_json(spec, &engine->info, &body);
	}
	send(call, "POST", &path,
	     (struct jaco_http_request){
		     .timeout_ms = SLOW_MS, .body = body.data, .body_bytes = body.n});
	return call;
}

static void finish_networks(struct engine_call *call, const struct jaco_http_reply *reply,
			    struct jaco_err *err)
{
	if (err->code == JACO_OK)
		(void)engine_json_network_list(reply->body, reply->body_bytes, call->filter,
					       call->each.network, call->ctx, err);
	tell(call, err);
}

struct engine_call *engine_network_list(struct engine *engine, const char *cluster_id,
					void (*each)(void *ctx, const struct engine_network *net),
					engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_networks, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	call->each.network = each;
	jaco_str_copy(call->filter, sizeof(call->filter), cluster_id);
	jaco_buf_add_str(&path, "/networks?");
	add_filter(&path, cluster_filter(cluster_id));
	send(call, "GET", &path,
	     (struct jaco_http_request){.timeout_ms = QUICK_MS, .body_max = LIST_MAX});
	return call;
}

struct engine_call *engine_network_remove(struct engine *engine, const char *name,
					  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_idempotent, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	add_path(&path, "/networks/", name, "");
	send(call, "DELETE", &path, (struct jaco_http_request){.timeout_ms = SLOW_MS});
	return call;
}

struct engine_call *engine_network_connect(struct engine *engine, const char *name,
					   const struct jaco_buf *body, engine_done_fn *done,
					   void *ctx)
{
	struct engine_call *call = call_new(engine, finish_plain, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	add_path(&path, "/networks/", name, "/connect");
	send(call, "POST", &path,
	     (struct jaco_http_request){
		     .timeout_ms = SLOW_MS, .body = body->data, .body_bytes = body->n});
	return call;
}

/* --- images --- */

void engine_image_tagged(const char *image, struct jaco_buf *out)
{
	const char *slash = strrchr(image, '/');

	jaco_buf_add_str(out, image);
	if (!strchr(image, '@') && !strchr(slash ? slash : image, ':'))
		jaco_buf_add_str(out, ":latest");
}

struct engine_call *engine_image_inspect(struct engine *engine, const char *image,
					 engine_id_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_id, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.id = done;
	add_path(&path, "/images/", image, "/json");
	send(call, "GET", &path,
	     (struct jaco_http_request){.timeout_ms = QUICK_MS, .body_max = INSPECT_MAX});
	return call;
}

/* Cut a stream into lines for @on_line; a line beyond its bound is dropped. */
static void feed_lines(struct engine_call *call, const char *data, size_t n,
		       void (*on_line)(struct engine_call *call, const char *line, size_t n))
{
	while (n > 0) {
		const char *end = memchr(data, '\n', n);
		size_t part = end ? (size_t)(end - data) : n;

		jaco_buf_add(&call->line, data, part);
		if (end) {
			if (call->line.n > 0 && !call->line.overflow)
				on_line(call, call->line.data, call->line.n);
			jaco_buf_reset(&call->line);
			part++;
		}
		data += part;
		n -= part;
	}
}

static void on_pull_line(struct engine_call *call, const char *text, size_t n)
{
	struct engine_pull_line line;
	struct jaco_err err = JACO_ERR_INIT;

	if (engine_json_pull(text, n, &line, &err) < 0)
		return; /* progress is decoration; the outcome is asked for separately */
	if (line.error[0])
		jaco_err_set(&call->stream_err, JACO_IMAGE_PULL_FAILED, "%s", line.error);
	else if (call->each.progress)
		call->each.progress(call->ctx, &line);
}

static void on_pull_data(void *ctx, struct jaco_http_call *http, const void *data, size_t n)
{
	(void)http;
	feed_lines(ctx, data, n, on_pull_line);
}

static void finish_pull(struct engine_call *call, const struct jaco_http_reply *reply,
			struct jaco_err *err)
{
	char text[ENGINE_TEXT_BYTES];

	if (reply && reply->status >= 400) {
		engine_json_message(reply->body, reply->body_bytes, text);
		jaco_err_set(err, JACO_IMAGE_PULL_FAILED, "%s", text);
	} else if (err->code == JACO_OK) {
		*err = call->stream_err;
	}
	tell(call, err);
}

struct engine_call *engine_image_pull(struct engine *engine, const char *image,
				      const char *platform, const char *auth,
				      void (*progress)(void *ctx,
						       const struct engine_pull_line *line),
				      engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_pull, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf tagged = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf header = JACO_BUF_INIT;
	const char *headers[2] = {NULL, NULL};

	call->done.plain = done;
	call->each.progress = progress;
	engine_image_tagged(image, &tagged);
	add_path(&path, "/images/create?fromImage=", jaco_buf_str(&tagged), "");
	if (platform)
		add_path(&path, "&platform=", platform, "");
	if (auth) {
		jaco_buf_printf(&header, "X-Registry-Auth: %s", auth);
		headers[0] = jaco_buf_str(&header);
	}
	send(call, "POST", &path,
	     (struct jaco_http_request){.headers = headers, .on_data = on_pull_data});
	if (header.data)
		jaco_wipe(header.data, header.n);
	return call;
}

/* --- streams --- */

static void on_event_line(struct engine_call *call, const char *text, size_t n)
{
	struct engine_event event;
	struct jaco_err err = JACO_ERR_INIT;

	/* An event that cannot be read is not lost: the listing every 30 s corrects (runtime.md 1). */
	if (engine_json_event(text, n, &event, &err) == 0)
		call->each.event(call->ctx, &event);
}

static void on_event_data(void *ctx, struct jaco_http_call *http, const void *data, size_t n)
{
	(void)http;
	feed_lines(ctx, data, n, on_event_line);
}

static void finish_stream(struct engine_call *call, const struct jaco_http_reply *reply,
			  struct jaco_err *err)
{
	(void)reply;
	if (err->code == JACO_OK)
		jaco_err_set(err, JACO_UNAVAILABLE, "engine at %s: the event stream ended",
			     call->engine->socket);
	tell(call, err);
}

struct engine_call *engine_events(struct engine *engine, const char *cluster_id,
				  void (*on_event)(void *ctx, const struct engine_event *event),
				  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_stream, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	json_t *filter = cluster_filter(cluster_id);

	json_object_set_new(filter, "type", json_pack("[s]", "container"));
	call->done.plain = done;
	call->each.event = on_event;
	jaco_buf_add_str(&path, "/events?");
	add_filter(&path, filter);
	send(call, "GET", &path, (struct jaco_http_request){.on_data = on_event_data});
	return call;
}

static void on_log_data(void *ctx, struct jaco_http_call *http, const void *data, size_t n)
{
	struct engine_call *call = ctx;

	(void)http;
	if (call->stream_err.code == JACO_OK)
		(void)demux_feed(&call->demux, data, n, &call->stream_err);
}

static void finish_logs(struct engine_call *call, const struct jaco_http_reply *reply,
			struct jaco_err *err)
{
	(void)reply;
	demux_fini(&call->demux);
	if (err->code == JACO_OK)
		*err = call->stream_err;
	tell(call, err);
}

struct engine_call *engine_logs(struct engine *engine, const char *id,
				const struct engine_logs_options *options, demux_line_fn *on_line,
				engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_logs, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	demux_init(&call->demux, options->is_raw, on_line, ctx);
	add_path(&path, "/containers/", id, "/logs?stdout=1&stderr=1&timestamps=1");
	if (options->follow)
		jaco_buf_add_str(&path, "&follow=1");
	if (options->since_s > 0)
		jaco_buf_printf(&path, "&since=%" PRId64, options->since_s);
	if (options->tail >= 0)
		jaco_buf_printf(&path, "&tail=%" PRId64, options->tail);
	send(call, "GET", &path, (struct jaco_http_request){.on_data = on_log_data});
	return call;
}

/* --- volumes --- */

static void remove_next_volume(struct engine_call *call);

static void finish_volume(struct engine_call *call, const struct jaco_http_reply *reply,
			  struct jaco_err *err)
{
	bool is_absent = reply && reply->status == 404;

	if (err->code != JACO_OK && !is_absent && call->stream_err.code == JACO_OK)
		call->stream_err = *err; /* go on with the others, tell the first */
	remove_next_volume(call);
}

static void remove_next_volume(struct engine_call *call)
{
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	jaco_auto(jaco_ptr) char *name = NULL;

	if (call->queue.n == 0) {
		struct jaco_err err = call->stream_err;

		tell(call, &err);
		return;
	}
	name = (char *)call->queue.items[--call->queue.n];
	add_path(&path, "/volumes/", name, "");
	call->finish = finish_volume;
	send(call, "DELETE", &path, (struct jaco_http_request){.timeout_ms = SLOW_MS});
}

static void finish_volumes(struct engine_call *call, const struct jaco_http_reply *reply,
			   struct jaco_err *err)
{
	size_t cap = 0, i;
	json_t *root, *entry;

	if (err->code != JACO_OK) {
		tell(call, err);
		return;
	}
	root = json_loadb(reply->body, reply->body_bytes, 0, NULL);
	json_array_foreach(json_object_get(root, "Volumes"), i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "Name"));
		const json_t *labels = json_object_get(entry, "Labels");

		if (!name || !jaco_str_eq(json_string_value(json_object_get(labels,
									  "jaco.cluster_id")),
					  call->filter))
			continue;
		call->queue.items = jaco_grow(call->queue.items, &cap, call->queue.n + 1,
					      sizeof(*call->queue.items));
		call->queue.items[call->queue.n++] = jaco_strdup(name);
	}
	json_decref(root);
	remove_next_volume(call);
}

struct engine_call *engine_volumes_remove(struct engine *engine, const char *cluster_id,
					  const char *deployment, engine_done_fn *done, void *ctx)
{
	struct engine_call *call = call_new(engine, finish_volumes, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	json_t *filter = cluster_filter(cluster_id);

	json_array_append_new(json_object_get(filter, "label"),
			      json_sprintf("jaco.deployment=%s", deployment));
	call->done.plain = done;
	jaco_str_copy(call->filter, sizeof(call->filter), cluster_id);
	jaco_buf_add_str(&path, "/volumes?");
	add_filter(&path, filter);
	send(call, "GET", &path,
	     (struct jaco_http_request){.timeout_ms = QUICK_MS, .body_max = LIST_MAX});
	return call;
}

/* --- life --- */

struct engine *engine_new(struct jaco_loop *loop, const char *socket_path)
{
	struct engine *engine = jaco_alloc(sizeof(*engine));

	TAILQ_INIT(&engine->calls);
	engine->http = jaco_http_new(loop);
	engine->socket = jaco_strdup(socket_path);
	return engine;
}

void engine_free(struct engine *engine)
{
	struct engine_call *call;

	if (!engine)
		return;
	while ((call = TAILQ_FIRST(&engine->calls)))
		engine_cancel(call);
	jaco_http_free(engine->http);
	jaco_free(engine->socket);
	jaco_free(engine);
}

const struct engine_info *engine_info(const struct engine *engine)
{
	return &engine->info;
}

const char *engine_socket(const struct engine *engine)
{
	return engine->socket;
}
