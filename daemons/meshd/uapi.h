/* SPDX-License-Identifier: Apache-2.0
 *
 * uapi.h - the text protocol of userspace WireGuard (wireguard.com/xplatform, "Cross-platform
 * userspace implementation"): what get=1 answers, what set=1 takes.
 *
 * Pure.  Answers come from a process we started, and are parsed as hostile all the same. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemons/meshd/plan.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

#define UAPI_ANSWER_MAX  (4 * 1024 * 1024)
#define UAPI_PEERS_MAX   1024
#define UAPI_ALLOWED_MAX 65536 /* of all peers */

/* Length of the first complete answer in @text (it ends with an empty line), 0: more is to come. */
size_t uapi_complete(const char *text, size_t n);

/*
 * Parse one complete answer to get=1.  Unknown keys are skipped (newer implementations); IPv6
 * allowed addresses are skipped too, so they never equal anything desired and are replaced.
 *
 * Errors: PARSE_FAILED - not key=value, a value out of its range, or too many of something;
 *         INTERNAL - the implementation answered errno != 0.
 */
int uapi_parse(const char *text, size_t n, struct jaco_arena *arena, struct mesh_device *out,
	       struct jaco_err *err);

/* The errno of a set=1 answer as an error; 0 when it was taken. */
int uapi_parse_result(const char *text, size_t n, struct jaco_err *err);

/* Append the whole request: set=1, the steps, an empty line. */
void uapi_render(struct jaco_buf *out, const struct mesh_plan *plan,
		 const struct mesh_device *desired);
