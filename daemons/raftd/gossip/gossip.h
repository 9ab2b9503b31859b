/* SPDX-License-Identifier: Apache-2.0
 *
 * gossip.h - spreads the observed plane and notices silence.
 *
 * A change of an own record is pushed to every connected member at once, at a bounded rate.  Every
 * two seconds each node tells one number over all it holds to one member; when that holds something
 * else they exchange what they have per owner, then the records of the owners that differ, so that
 * nothing stays lost.  Works without quorum.
 *
 * A member is suspect after half of unreachable_after in silence, and unreachable after all of it
 * unless others hear it (probe.h).  Time in which this process did not run is nobody's silence.
 *
 * /obs/node/<host>/liveness is each node's own opinion of the others and is never sent. */
#pragma once

#include "daemons/raftd/link/link.h"

struct raftd;

struct gossip {
	struct raftd *raftd;
	struct jaco_timer push;   /* what was published in this pass goes out together */
	struct jaco_timer round;  /* digest and failure detector */
	struct jaco_time pushed_at, rounded_at;
	int64_t push_rest_ms;     /* from then: the bound of the rate */
	uint64_t pushed;          /* records->changes up to which own records went out */
	size_t turn;              /* whose turn a digest is */
	uint64_t n_merged;
};

void gossip_init(struct gossip *gossip, struct raftd *raftd);
void gossip_fini(struct gossip *gossip);

/* An own record changed. */
void gossip_published(struct gossip *gossip);

/* A member is connected: tell it all own records. */
void gossip_peer_up(struct gossip *gossip, struct link_peer *peer);
void gossip_on_records(struct gossip *gossip, struct link_peer *peer,
		       const struct wire_raft_gossip *msg);
void gossip_on_digest(struct gossip *gossip, struct link_peer *peer,
		      const struct wire_raft_digest *msg);

/* Members changed: withdraw what belonged to those that are none any more. */
void gossip_members_changed(struct gossip *gossip);
