/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.h - asking others about a member that is silent here (SWIM: Das, Gupta, Motivala 2002).
 *
 * Three members that are connected are asked; each asks the silent one.  That one raises its number
 * above the one that is doubted, and only a higher number counts as a sign of life, so no old
 * answer can keep a dead node alive. */
#pragma once

#include "daemons/raftd/link/link.h"

/* Ask three others about @peer, which is silent. */
void probe_others(struct raftd *raftd, struct link_peer *peer);

/* A member asks (raft.probe). */
void probe_on_ask(struct raftd *raftd, struct link_call *call, const struct wire_raft_probe *msg);
