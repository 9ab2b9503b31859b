/* SPDX-License-Identifier: Apache-2.0
 *
 * spec_hash.h - canonical pairs to SHA-256.  Internal to the manifest readers. */
#pragma once

#include "libjaco/base/buf.h"
#include "libjaco/model/manifest/manifest.h"

/* Append @pairs so that no two different lists give the same bytes: lengths before texts. */
void jaco_spec_hash_feed(struct jaco_buf *out, const struct jaco_pairs *pairs);

/* Fill service->spec_hash. */
void jaco_spec_hash_set(struct jaco_service *service, struct jaco_arena *scratch);

/* The pairs of a route, for hash and diff. */
struct jaco_pairs jaco_route_canon(const struct jaco_route *route, struct jaco_arena *arena);
