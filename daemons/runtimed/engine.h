/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.h - a container engine over its unix socket: Docker Engine API, or Podman's compatible
 * API.
 *
 * Every call is asynchronous and answers exactly once, from the loop, unless it is cancelled; @err
 * is NULL on success.  Ids and names given to it may come from anywhere: they are escaped.
 * Errors, everywhere: UNAVAILABLE - no connection; TIMEOUT; DOCKER_ERROR - the engine refused, in
 * its words.  Others are named at the call. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/runtimed/create.h"
#include "daemons/runtimed/demux.h"
#include "daemons/runtimed/engine_types.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"

#define ENGINE_API_MINOR_MIN 40 /* Docker 19.03, Podman 3 */
#define ENGINE_API_MINOR_MAX 48 /* Docker 28: nothing newer is needed */

struct engine;
struct engine_call;

typedef void engine_done_fn(void *ctx, const struct jaco_err *err);
typedef void engine_id_fn(void *ctx, const char *id, const struct jaco_err *err);
/* @container NULL without error: there is none. */
typedef void engine_container_fn(void *ctx, const struct engine_container *container,
				 const struct jaco_err *err);
typedef void engine_network_fn(void *ctx, const struct engine_network *network,
			       const struct jaco_err *err);

struct engine *engine_new(struct jaco_loop *loop, const char *socket_path);

/* Cancels everything under way. */
void engine_free(struct engine *engine);

/* As of the last engine_hello(). */
const struct engine_info *engine_info(const struct engine *engine);
const char *engine_socket(const struct engine *engine);

/* Forget the call: no callback follows.  NULL is fine. */
void engine_cancel(struct engine_call *call);

/* Agree on a version by /_ping, then ask /version.  Errors: DOCKER_ERROR - we share no version,
 * with both in the text. */
struct engine_call *engine_hello(struct engine *engine, engine_done_fn *done, void *ctx);

/* Every container whose jaco.cluster_id is @cluster_id, one by one, then @done. */
struct engine_call *engine_container_list(struct engine *engine, const char *cluster_id,
					  void (*each)(void *ctx, const struct engine_container *c),
					  engine_done_fn *done, void *ctx);
struct engine_call *engine_container_inspect(struct engine *engine, const char *id,
					     engine_container_fn *done, void *ctx);

/* @body from create_container_json(); @platform may be NULL.  Errors: IMAGE_NOT_FOUND; CONFLICT -
 * the name is taken. */
struct engine_call *engine_container_create(struct engine *engine, const char *name,
					    const char *platform, const struct jaco_buf *body,
					    engine_id_fn *done, void *ctx);
struct engine_call *engine_container_start(struct engine *engine, const char *id,
					   engine_done_fn *done, void *ctx);

/* The container's own stop signal and, after @grace_s, SIGKILL.  Not running and not there count as
 * done.  @grace_s < 0: what the container was created with. */
struct engine_call *engine_container_stop(struct engine *engine, const char *id, int grace_s,
					  engine_done_fn *done, void *ctx);

/* By force; its volumes stay.  Not there counts as done. */
struct engine_call *engine_container_remove(struct engine *engine, const char *id,
					    engine_done_fn *done, void *ctx);

/* Unpack a tar archive at "/" of a container, running or not. */
struct engine_call *engine_container_put(struct engine *engine, const char *id,
					 const struct jaco_buf *tar, engine_done_fn *done,
					 void *ctx);

struct engine_call *engine_network_inspect(struct engine *engine, const char *name,
					   engine_network_fn *done, void *ctx);
struct engine_call *engine_network_create(struct engine *engine,
					  const struct create_network_spec *spec,
					  engine_done_fn *done, void *ctx);
struct engine_call *engine_network_list(struct engine *engine, const char *cluster_id,
					void (*each)(void *ctx, const struct engine_network *net),
					engine_done_fn *done, void *ctx);

/* Not there counts as done.  Errors: CONFLICT - containers are attached. */
struct engine_call *engine_network_remove(struct engine *engine, const char *name,
					  engine_done_fn *done, void *ctx);

/* @body from create_connect_json(). */
struct engine_call *engine_network_connect(struct engine *engine, const char *name,
					   const struct jaco_buf *body, engine_done_fn *done,
					   void *ctx);

/* Errors: IMAGE_NOT_FOUND. */
struct engine_call *engine_image_inspect(struct engine *engine, const char *image,
					 engine_id_fn *done, void *ctx);

/* @auth: the value of X-Registry-Auth, or NULL.  @progress may be NULL.  Errors: IMAGE_PULL_FAILED
 * in the registry's words. */
struct engine_call *engine_image_pull(struct engine *engine, const char *image,
				      const char *platform, const char *auth,
				      void (*progress)(void *ctx,
						       const struct engine_pull_line *line),
				      engine_done_fn *done, void *ctx);

/* Container events until the connection ends; @done then tells why. */
struct engine_call *engine_events(struct engine *engine, const char *cluster_id,
				  void (*on_event)(void *ctx, const struct engine_event *event),
				  engine_done_fn *done, void *ctx);

struct engine_logs_options {
	bool follow;
	int64_t since_s;  /* 0: from the beginning */
	int64_t tail;     /* lines; < 0: all */
	bool is_raw;      /* the container has a terminal */
};

/* Lines with the engine's time in front (demux_time_prefix()). */
struct engine_call *engine_logs(struct engine *engine, const char *id,
				const struct engine_logs_options *options, demux_line_fn *on_line,
				engine_done_fn *done, void *ctx);

/* Hold a stream back while its reader is slow. */
void engine_pause(struct engine_call *call, bool on);

/* Remove the volumes labelled with this cluster and @deployment, and nothing else. */
struct engine_call *engine_volumes_remove(struct engine *engine, const char *cluster_id,
					  const char *deployment, engine_done_fn *done, void *ctx);

/* --- engine_podman.c: what Podman says differently --- */

/* Podman's compatible API cannot switch its own DNS and masquerading off: networks are made by the
 * native one.  Path below the socket, and its body. */
#define ENGINE_PODMAN_NETWORK_PATH "/v4.0.0/libpod/networks/create"
void engine_podman_network_json(const struct create_network_spec *spec, struct jaco_buf *out);

/* Podman takes neither labels nor a driver's options of a volume from its container: the volumes of
 * @container (its create body) are made before it.  Appends a body for "/volumes/create" each to
 * empty
 * @out, which owns them. */
void engine_podman_volumes(const struct jaco_buf *container, struct jaco_strings *out);

/* The status Docker would answer with: Podman calls much 500 whose cause, at the end of its
 * message, is that something is not there or in use. */
int engine_podman_status(int status, const char *message);

/* The image with its tag spelled out: an engine pulls every tag of a name without one. */
void engine_image_tagged(const char *image, struct jaco_buf *out);
