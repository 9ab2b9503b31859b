/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_docker.c - the calls, and what is asked and answered whole: containers, networks,
 * images. */
#include "daemons/runtimed/engine_call.h"

#include <string.h>

#include "daemons/runtimed/engine_json.h"
#include "daemons/runtimed/json_out.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

static void call_free(struct engine_call *call)
{
	TAILQ_REMOVE(&call->engine->calls, call, entry);
	jaco_buf_fini(&call->line);
	jaco_buf_fini(&call->then_path);
	jaco_buf_fini(&call->then_body);
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

struct engine_call *engine_call_new(struct engine *engine, engine_finish_fn *finish, void *ctx)
{
	struct engine_call *call = jaco_alloc(sizeof(*call));

	call->engine = engine;
	call->finish = finish;
	call->ctx = ctx;
	call->line = JACO_BUF_BOUND(ENGINE_LINE_MAX_BYTES);
	TAILQ_INSERT_TAIL(&engine->calls, call, entry);
	return call;
}

/* The engine's refusal as an error, and as the status that Docker has for it. */
static void refuse(const struct engine *engine, struct jaco_http_reply *reply, struct jaco_err *err)
{
	char text[ENGINE_TEXT_BYTES];

	engine_json_message(reply->body, reply->body_bytes, text);
	if (engine->info.is_podman)
		reply->status = engine_podman_status(reply->status, text);
	jaco_err_set(err, JACO_DOCKER_ERROR, "engine: %s (HTTP %d)",
		     *text ? text : "no reason given", reply->status);
}

static void on_reply(void *ctx, const struct jaco_http_reply *reply, const struct jaco_err *why)
{
	struct engine_call *call = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_http_reply said;

	call->http = NULL;
	if (why) {
		jaco_err_set(&err, why->code, "engine at %s: %s", call->engine->socket, why->text);
		call->finish(call, NULL, &err);
		return;
	}
	said = *reply;
	if (said.status >= 400)
		refuse(call->engine, &said, &err);
	call->finish(call, &said, &err);
}

/* What most requests need; @path begins with "/" and is escaped where it must be. */
void engine_call_send(struct engine_call *call, const char *method, const struct jaco_buf *path,
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

void engine_call_path(struct jaco_buf *path, const char *before, const char *name,
		      const char *after)
{
	jaco_buf_add_str(path, before);
	jaco_http_escape(path, name);
	jaco_buf_add_str(path, after);
}

/* {"label":["jaco.cluster_id=<id>"]}, escaped, as a query value. */
void engine_call_filter(struct jaco_buf *path, json_t *take_filter)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	json_out_dump(take_filter, false, &text);
	json_decref(take_filter);
	jaco_buf_add_str(path, "filters=");
	jaco_http_escape(path, jaco_buf_str(&text));
}

json_t *engine_call_of_cluster(const char *cluster_id)
{
	return json_pack("{s:[o]}", "label", json_sprintf("jaco.cluster_id=%s", cluster_id));
}

/* --- endings --- */

void engine_call_tell(struct engine_call *call, const struct jaco_err *err)
{
	engine_done_fn *done = call->done.plain;
	void *ctx = call->ctx;

	call_free(call);
	done(ctx, err->code ? err : NULL);
}

void engine_call_finish(struct engine_call *call, const struct jaco_http_reply *reply,
			 struct jaco_err *err)
{
	(void)reply;
	engine_call_tell(call, err);
}

/* 404 and 304 mean that there is nothing left to do. */
static void finish_idempotent(struct engine_call *call, const struct jaco_http_reply *reply,
			      struct jaco_err *err)
{
	if (reply && reply->status == 404)
		jaco_err_clear(err);
	if (reply && (reply->status == 403 || reply->status == 409))
		err->code = JACO_CONFLICT;
	engine_call_tell(call, err);
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
	engine_call_tell(call, err);
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
		engine_call_tell(call, err);
		return;
	}
	server = jaco_http_header(reply->call, "Server");
	info.is_podman = server && jaco_str_starts(server, "Libpod/");
	call->engine->info = info;
	call->finish = finish_version;
	jaco_buf_add_str(&path, "/version");
	engine_call_send(call, "GET", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_QUICK_MS});
}

struct engine_call *engine_hello(struct engine *engine, engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_ping, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	engine->info = (struct engine_info){.server_version = ""};
	jaco_buf_add_str(&path, "/_ping");
	engine_call_send(call, "GET", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_QUICK_MS});
	return call;
}

/* --- containers --- */

static void finish_containers(struct engine_call *call, const struct jaco_http_reply *reply,
			      struct jaco_err *err)
{
	if (err->code == JACO_OK)
		(void)engine_json_container_list(reply->body, reply->body_bytes, call->filter,
						 call->each.container, call->ctx, err);
	engine_call_tell(call, err);
}

struct engine_call *engine_container_list(struct engine *engine, const char *cluster_id,
					  void (*each)(void *ctx, const struct engine_container *c),
					  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_containers, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	call->each.container = each;
	jaco_str_copy(call->filter, sizeof(call->filter), cluster_id);
	jaco_buf_add_str(&path, "/containers/json?all=1&");
	engine_call_filter(&path, engine_call_of_cluster(cluster_id));
	engine_call_send(call, "GET", &path,
	     (struct jaco_http_request){.timeout_ms = ENGINE_SLOW_MS, .body_max = ENGINE_LIST_MAX});
	return call;
}

struct engine_call *engine_container_inspect(struct engine *engine, const char *id,
					     engine_container_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_container, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.container = done;
	engine_call_path(&path, "/containers/", id, "/json");
	engine_call_send(call, "GET", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_SLOW_MS,
						    .body_max = ENGINE_INSPECT_MAX});
	return call;
}

struct engine_call *engine_container_create(struct engine *engine, const char *name,
					    const char *platform, const struct jaco_buf *body,
					    engine_id_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_id, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.id = done;
	engine_call_path(&path, "/containers/create?name=", name, "");
	if (platform)
		engine_call_path(&path, "&platform=", platform, "");
	if (engine->info.is_podman)
		engine_podman_volumes(body, &call->queue);
	engine_call_after_volumes(call, &path, body);
	return call;
}

struct engine_call *engine_container_start(struct engine *engine, const char *id,
					   engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, engine_call_finish, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	engine_call_path(&path, "/containers/", id, "/start");
	engine_call_send(call, "POST", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_SLOW_MS});
	return call;
}

struct engine_call *engine_container_stop(struct engine *engine, const char *id, int grace_s,
					  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_idempotent, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	engine_call_path(&path, "/containers/", id, "/stop");
	if (grace_s >= 0)
		jaco_buf_printf(&path, "?t=%d", grace_s);
	/* Without @grace_s only the engine knows how long it takes; the caller's drain is bounded
	 * by what compose said, so this is merely against an engine that hangs. */
	engine_call_send(call, "POST", &path,
			 (struct jaco_http_request){
				 .timeout_ms = grace_s < 0
						       ? 3600 * 1000
						       : grace_s * 1000 + ENGINE_STOP_MARGIN_MS});
	return call;
}

struct engine_call *engine_container_remove(struct engine *engine, const char *id,
					    engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_idempotent, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	engine_call_path(&path, "/containers/", id, "?force=1");
	engine_call_send(call, "DELETE", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_SLOW_MS});
	return call;
}

struct engine_call *engine_container_put(struct engine *engine, const char *id,
					 const struct jaco_buf *tar, engine_done_fn *done,
					 void *ctx)
{
	static const char *const headers[] = {"Content-Type: application/x-tar", NULL};
	struct engine_call *call = engine_call_new(engine, engine_call_finish, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	engine_call_path(&path, "/containers/", id, "/archive?path=%2F");
	engine_call_send(call, "PUT", &path,
	     (struct jaco_http_request){.timeout_ms = ENGINE_SLOW_MS,
					.headers = headers,
					.body = tar->data,
					.body_bytes = tar->n});
	return call;
}

/* --- networks --- */

struct engine_call *engine_network_inspect(struct engine *engine, const char *name,
					   engine_network_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_network, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.network = done;
	engine_call_path(&path, "/networks/", name, "");
	engine_call_send(call, "GET", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_QUICK_MS,
						    .body_max = ENGINE_INSPECT_MAX});
	return call;
}

struct engine_call *engine_network_create(struct engine *engine,
					  const struct create_network_spec *spec,
					  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, engine_call_finish, ctx);
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
	engine_call_send(call, "POST", &path,
	     (struct jaco_http_request){
		     .timeout_ms = ENGINE_SLOW_MS, .body = body.data, .body_bytes = body.n});
	return call;
}

static void finish_networks(struct engine_call *call, const struct jaco_http_reply *reply,
			    struct jaco_err *err)
{
	if (err->code == JACO_OK)
		(void)engine_json_network_list(reply->body, reply->body_bytes, call->filter,
					       call->each.network, call->ctx, err);
	engine_call_tell(call, err);
}

struct engine_call *engine_network_list(struct engine *engine, const char *cluster_id,
					void (*each)(void *ctx, const struct engine_network *net),
					engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_networks, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	call->each.network = each;
	jaco_str_copy(call->filter, sizeof(call->filter), cluster_id);
	jaco_buf_add_str(&path, "/networks?");
	engine_call_filter(&path, engine_call_of_cluster(cluster_id));
	engine_call_send(call, "GET", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_QUICK_MS,
						    .body_max = ENGINE_LIST_MAX});
	return call;
}

struct engine_call *engine_network_remove(struct engine *engine, const char *name,
					  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_idempotent, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	engine_call_path(&path, "/networks/", name, "");
	engine_call_send(call, "DELETE", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_SLOW_MS});
	return call;
}

struct engine_call *engine_network_connect(struct engine *engine, const char *name,
					   const struct jaco_buf *body, engine_done_fn *done,
					   void *ctx)
{
	struct engine_call *call = engine_call_new(engine, engine_call_finish, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	engine_call_path(&path, "/networks/", name, "/connect");
	engine_call_send(call, "POST", &path,
	     (struct jaco_http_request){
		     .timeout_ms = ENGINE_SLOW_MS, .body = body->data, .body_bytes = body->n});
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
	struct engine_call *call = engine_call_new(engine, finish_id, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.id = done;
	engine_call_path(&path, "/images/", image, "/json");
	engine_call_send(call, "GET", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_QUICK_MS,
						    .body_max = ENGINE_INSPECT_MAX});
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
