/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_volumes.c - volumes one after the other: those of a deployment, listed and removed; and
 * those that have to be made before their container. */
#include "daemons/runtimed/engine_call.h"

#include <string.h>

#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

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

		engine_call_tell(call, &err);
		return;
	}
	name = (char *)call->queue.items[--call->queue.n];
	engine_call_path(&path, "/volumes/", name, "");
	call->finish = finish_volume;
	engine_call_send(call, "DELETE", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_SLOW_MS});
}

static void finish_volumes(struct engine_call *call, const struct jaco_http_reply *reply,
			   struct jaco_err *err)
{
	size_t cap = 0, i;
	json_t *root, *entry;

	if (err->code != JACO_OK) {
		engine_call_tell(call, err);
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
	struct engine_call *call = engine_call_new(engine, finish_volumes, ctx);
	jaco_auto(jaco_buf) struct jaco_buf path = JACO_BUF_INIT;
	json_t *filter = engine_call_of_cluster(cluster_id);

	json_array_append_new(json_object_get(filter, "label"),
			      json_sprintf("jaco.deployment=%s", deployment));
	call->done.plain = done;
	jaco_str_copy(call->filter, sizeof(call->filter), cluster_id);
	jaco_buf_add_str(&path, "/volumes?");
	engine_call_filter(&path, filter);
	engine_call_send(call, "GET", &path,
			 (struct jaco_http_request){.timeout_ms = ENGINE_QUICK_MS,
						    .body_max = ENGINE_LIST_MAX});
	return call;
}

/* --- made before their container --- */

static void make_next_volume(struct engine_call *call);

static void finish_made(struct engine_call *call, const struct jaco_http_reply *reply,
			struct jaco_err *err)
{
	if (err->code == JACO_OK)
		make_next_volume(call); /* one that exists is success, whatever its labels */
	else
		call->then_finish(call, reply, err);
}

static void make_next_volume(struct engine_call *call)
{
	struct jaco_buf path = JACO_BUF_INIT;
	struct jaco_http_request request = {.timeout_ms = ENGINE_SLOW_MS};
	char *body;

	if (call->queue.n == 0) {
		call->finish = call->then_finish;
		request.body = call->then_body.data;
		request.body_bytes = call->then_body.n;
		engine_call_send(call, "POST", &call->then_path, request);
		return;
	}
	body = (char *)call->queue.items[--call->queue.n];
	call->finish = finish_made;
	jaco_buf_add_str(&path, "/volumes/create");
	request.body = body;
	request.body_bytes = strlen(body);
	engine_call_send(call, "POST", &path, request);
	jaco_buf_fini(&path);
	jaco_free(body);
}

void engine_call_after_volumes(struct engine_call *call, const struct jaco_buf *path,
			       const struct jaco_buf *body)
{
	jaco_buf_add(&call->then_path, path->data, path->n);
	jaco_buf_add(&call->then_body, body->data, body->n);
	call->then_finish = call->finish;
	make_next_volume(call);
}
