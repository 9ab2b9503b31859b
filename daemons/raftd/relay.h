/* SPDX-License-Identifier: Apache-2.0
 *
 * relay.h - the control socket answers for every daemon of this node: a method that raftd does not
 * have is passed on to the daemon that does, streams included. */
#pragma once

#include "daemons/raftd/raftd.h"

struct relay;

/* Connections are made when they are first needed. */
struct relay *relay_new(struct raftd *raftd);
void relay_free(struct relay *relay);

/* jaco_server.fallback.  Errors: UNKNOWN_METHOD; PERMISSION_DENIED; UNAVAILABLE - that daemon is
 * not running. */
int relay_call(void *ctx, struct jaco_call *call, const void *req, struct jaco_err *err);
