/* SPDX-License-Identifier: Apache-2.0
 *
 * raftmsg.h - the core's messages as raft.def carries them. */
#pragma once

#include "daemons/raftd/link/link.h"
#include "daemons/raftd/store.h"

void raftmsg_send(struct link_peer *peer, const struct core_message *msg);

/* Hand @msg to the core when it is what @from, whose certificate was checked, may say. */
void raftmsg_receive(struct store *store, uint64_t from, const struct wire_raft_message *msg);
