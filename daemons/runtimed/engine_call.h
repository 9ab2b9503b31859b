/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_call.h - one exchange with the engine: what was asked, how its reply is read (`finish`),
 * and whom to tell.  Internal to engine_docker.c, engine_stream.c and engine_volumes.c. */
#pragma once

#include <sys/queue.h>

#include <jansson.h>

#include "daemons/runtimed/engine.h"
#include "libjaco/io/http.h"

#define ENGINE_QUICK_MS       10000       /* what an engine answers from memory */
#define ENGINE_SLOW_MS        120000 /* create, start, remove: disks and slow storage drivers */
#define ENGINE_STOP_MARGIN_MS 60000       /* beyond the grace period */
#define ENGINE_LIST_MAX       (16u << 20) /* ENGINE_CONTAINERS_MAX with their labels */
#define ENGINE_INSPECT_MAX    (4u << 20)
#define ENGINE_LINE_MAX_BYTES (1u << 20) /* an event carries all labels of its container */

struct engine {
	struct jaco_http *http;
	char *socket;
	struct engine_info info;
	TAILQ_HEAD(, engine_call) calls;
};

typedef void engine_finish_fn(struct engine_call *call, const struct jaco_http_reply *reply,
		       struct jaco_err *err);

struct engine_call {
	struct engine *engine;
	TAILQ_ENTRY(engine_call) entry;
	struct jaco_http_call *http;
	engine_finish_fn *finish;
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
	struct jaco_strings queue;   /* volumes still to remove or to make; owned */
	struct jaco_buf then_path, then_body; /* what is asked once the volumes are made */
	engine_finish_fn *then_finish;
};

/* A call that @finish will end; done, each and the rest are the caller's to set. */
struct engine_call *engine_call_new(struct engine *engine, engine_finish_fn *finish, void *ctx);

/* Ask; @path begins with "/" and is escaped where it must be.  Method, URL and socket are filled
 * in. */
void engine_call_send(struct engine_call *call, const char *method, const struct jaco_buf *path,
		      struct jaco_http_request request);

/* Append @before, @name escaped, @after. */
void engine_call_path(struct jaco_buf *path, const char *before, const char *name,
		      const char *after);

/* Append "filters=" and the escaped JSON. */
void engine_call_filter(struct jaco_buf *path, json_t *take_filter);

/* {"label":["jaco.cluster_id=<id>"]} */
json_t *engine_call_of_cluster(const char *cluster_id);

/* The end: free @call and tell its owner, NULL instead of an @err without code. */
void engine_call_tell(struct engine_call *call, const struct jaco_err *err);

/* Make the volumes in call->queue, which may be none, then POST @body to @path and go on with
 * call->finish.  engine_volumes.c. */
void engine_call_after_volumes(struct engine_call *call, const struct jaco_buf *path,
			       const struct jaco_buf *body);

/* Nothing in the reply matters but its status. */
void engine_call_finish(struct engine_call *call, const struct jaco_http_reply *reply,
			struct jaco_err *err);
