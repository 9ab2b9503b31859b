/* SPDX-License-Identifier: Apache-2.0
 *
 * scope.h - what a token that may not do everything may do (spec/cluster.md section 3).
 *
 * A read-only token calls what only reads, and a dry run; revisions and routes reach it without
 * their values.
 * A scoped token acts on its deployments and reads the shape of the rest - names, states, routes -
 * but neither what is in other revisions nor what other containers print. */
#pragma once

#include "daemons/raftd/raftd.h"

/* jaco_server.admit.  Errors: PERMISSION_DENIED. */
int scope_admit(void *ctx, struct jaco_call *call, const struct jaco_method *method,
		const void *req, struct jaco_err *err);

/* May @call act on @deployment? */
int scope_check(const struct jaco_call *call, const char *deployment, struct jaco_err *err);

/* Take out of @entry what @call may not see: values of a revision and of a route, for who only
 * reads, and of routes that are not in its scope.  Copies live in @arena. */
void scope_veil(const struct jaco_call *call, struct wire_entry *entry, struct jaco_arena *arena);
