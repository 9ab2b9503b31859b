/* SPDX-License-Identifier: Apache-2.0
 *
 * integrity.h - is the state of this node, and of each other member, the one that was agreed on
 * (spec/operations.md, "State integrity")?
 *
 * Every 30 s a node says in /obs/node/<self>/state what its hash is and was at a round index, and
 * compares what the others said with its own trail (kv/trail.h).  Once an hour it reads its whole
 * committed state, a little at a time, and compares the sum with the hash that was kept current:
 * what a disk changed is found by the node itself.  Measured: 0.3 us of hashing per key of 200
 * bytes, so 30 ms of CPU an hour for 100,000 of them; 64 KiB of memory; a record of 150 bytes to
 * each member every 30 s while there are writes.
 *
 * Whoever is doubted (doubt.h) is named by cluster.status, the same on every node; a doubted node
 * makes no snapshot and no backup, and hands leadership over. */
#pragma once

#include "daemons/raftd/disk/state.h"
#include "daemons/raftd/kv/digest.h"
#include "daemons/raftd/kv/trail.h"
#include "libjaco/base/limits.h"
#include "libjaco/io/loop.h"

struct raftd;

struct integrity {
	struct raftd *raftd;
	struct jaco_timer tell;  /* publish and compare */
	struct jaco_timer read;  /* the next piece of the state */
	struct trail trail;
	struct state_snapshot snapshot; /* that is being read; .txn NULL: none is */
	struct digest sum;
	uint64_t n_keys;
	uint64_t checked;        /* ms since the epoch, 0: never */
	char damage[JACO_TEXT_MAX]; /* what was found on this disk; "": nothing */
	bool is_doubted;
};

void integrity_init(struct raftd *raftd);
void integrity_fini(struct raftd *raftd);

/* The store is open; it is about to be closed, for good or for another. */
void integrity_begin(struct raftd *raftd);
void integrity_end(struct raftd *raftd);

/* Why member @host is doubted, memory from @arena; NULL: it is not. */
const char *integrity_doubt(struct raftd *raftd, struct jaco_arena *arena, const char *host);
