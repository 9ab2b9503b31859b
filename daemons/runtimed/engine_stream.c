/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_stream.c - what the engine answers bit by bit: pulls, events, logs; cut into lines as they
 * arrive. */
#include "daemons/runtimed/engine_call.h"

#include <inttypes.h>
#include <string.h>

#include "daemons/runtimed/engine_json.h"
#include "libjaco/base/str.h"

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
	engine_call_tell(call, err);
}

struct engine_call *engine_image_pull(struct engine *engine, const char *image,
				      const char *platform, const char *auth,
				      void (*progress)(void *ctx,
						       const struct engine_pull_line *line),
				      engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_pull, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf tagged = JACO_BUF_INIT;
	jaco_auto(jaco_buf) struct jaco_buf header = JACO_BUF_SECRET(0);
	const char *headers[2] = {NULL, NULL};

	call->done.plain = done;
	call->each.progress = progress;
	engine_image_tagged(image, &tagged);
	engine_call_path(&path, "/images/create?fromImage=", jaco_buf_str(&tagged), "");
	if (platform)
		engine_call_path(&path, "&platform=", platform, "");
	if (auth) {
		jaco_buf_printf(&header, "X-Registry-Auth: %s", auth);
		headers[0] = jaco_buf_str(&header);
	}
	engine_call_send(call, "POST", &path,
	     (struct jaco_http_request){.headers = headers, .on_data = on_pull_data});
	return call;
}

/* --- streams --- */

static void on_event_line(struct engine_call *call, const char *text, size_t n)
{
	struct engine_event event;
	struct jaco_err err = JACO_ERR_INIT;

	/* An event that cannot be read is not lost: the listing every 30 s corrects (runtime.md
	 * 1). */
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
	engine_call_tell(call, err);
}

struct engine_call *engine_events(struct engine *engine, const char *cluster_id,
				  void (*on_event)(void *ctx, const struct engine_event *event),
				  engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_stream, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	json_t *filter = engine_call_of_cluster(cluster_id);

	json_object_set_new(filter, "type", json_pack("[s]", "container"));
	call->done.plain = done;
	call->each.event = on_event;
	jaco_buf_add_str(&path, "/events?");
	engine_call_filter(&path, filter);
	engine_call_send(call, "GET", &path, (struct jaco_http_request){.on_data = on_event_data});
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
	engine_call_tell(call, err);
}

struct engine_call *engine_logs(struct engine *engine, const char *id,
				const struct engine_logs_options *options, demux_line_fn *on_line,
				engine_done_fn *done, void *ctx)
{
	struct engine_call *call = engine_call_new(engine, finish_logs, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;

	call->done.plain = done;
	demux_init(&call->demux, options->is_raw, on_line, ctx);
	engine_call_path(&path, "/containers/", id, "/logs?stdout=1&stderr=1&timestamps=1");
	if (options->follow)
		jaco_buf_add_str(&path, "&follow=1");
	if (options->since_s > 0)
		jaco_buf_printf(&path, "&since=%" PRId64, options->since_s);
	if (options->tail >= 0)
		jaco_buf_printf(&path, "&tail=%" PRId64, options->tail);
	engine_call_send(call, "GET", &path, (struct jaco_http_request){.on_data = on_log_data});
	return call;
}
