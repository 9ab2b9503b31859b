/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_json.h - an engine's JSON, parsed into engine_types.h.
 *
 * Pure.  Unknown members are skipped (engines add them freely), a member of the wrong type or a
 * text beyond its bound is an error, and a container that lacks our labels is skipped in a listing.
 * Every parser answers DOCKER_ERROR and what was wrong; outputs are untouched on failure.
 * Reference: Docker Engine API v1.41 and the Podman compatibility layer. */
#pragma once

#include "daemons/runtimed/engine_types.h"
#include "libjaco/base/err.h"

/* "/containers/json": only containers whose jaco.cluster_id is @cluster_id are counted and given to
 * @on_container, one by one. */
int engine_json_container_list(const char *data, size_t n, const char *cluster_id,
			       void (*on_container)(void *ctx, const struct engine_container *c),
			       void *ctx, struct jaco_err *err);

/* "/containers/<id>/json". */
int engine_json_container(const char *data, size_t n, struct engine_container *out_container,
			  struct jaco_err *err);

/* "/networks/<id>", Docker's or Podman's answer. */
int engine_json_network(const char *data, size_t n, struct engine_network *out_network,
			struct jaco_err *err);

/* "/networks" with a label filter: those whose jaco.cluster_id is @cluster_id. */
int engine_json_network_list(const char *data, size_t n, const char *cluster_id,
			     void (*on_network)(void *ctx, const struct engine_network *net),
			     void *ctx, struct jaco_err *err);

/* One line of "/events". */
int engine_json_event(const char *data, size_t n, struct engine_event *out_event,
		      struct jaco_err *err);

/* One line of "/images/create". */
int engine_json_pull(const char *data, size_t n, struct engine_pull_line *out_line,
		     struct jaco_err *err);

/* {"Id": ...} of a create, or "Id" of an image. */
int engine_json_id(const char *data, size_t n, char out_id[static ENGINE_ID_BYTES],
		   struct jaco_err *err);

/* "/version": server version and whether it is Podman. */
int engine_json_version(const char *data, size_t n, struct engine_info *out_info,
			struct jaco_err *err);

/* The "message" (or "cause") of an error answer, else its first line, printable and cut. */
void engine_json_message(const char *data, size_t n, char out_text[static ENGINE_TEXT_BYTES]);
