/* SPDX-License-Identifier: Apache-2.0
 *
 * spread.h - one call to the same daemon of every member, its answers merged: logs come from where
 * the replicas are, volumes are removed where they lie (spec/runtime.md section 6).
 *
 * The question goes over the peers' links, and events come back with a window: at most
 * SPREAD_WINDOW bytes of one call are under way, so that a busy log neither fills memory nor holds
 * up raft. */
#pragma once

#include "daemons/raftd/raftd.h"

#define SPREAD_WINDOW 65536

struct spread;

struct spread *spread_new(struct raftd *raftd);
void spread_free(struct spread *spread);

/* Does @method go to all members? */
bool spread_takes(const char *method);

/* Ask every member, this one included; @call is answered when all have answered.  Of a stream, what
 * a member cannot send is a line that says so; of anything else it is the error.
 * Errors: UNAVAILABLE - the daemon is not running here, or a member is not heard. */
int spread_call(struct raftd *raftd, struct jaco_call *call, const char *daemon, const void *params,
		size_t n, struct jaco_err *err);

/* From the links. */
void spread_on_ask(struct raftd *raftd, struct link_peer *peer, const struct wire_raft_ask *msg);
void spread_on_told(struct raftd *raftd, struct link_peer *peer, const struct wire_raft_told *msg);
void spread_on_taken(struct raftd *raftd, struct link_peer *peer,
		     const struct wire_raft_taken *msg);
void spread_peer_down(struct raftd *raftd, struct link_peer *peer);
