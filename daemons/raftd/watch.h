/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.h - snapshot, then every change in order, to as many readers as there are; both planes.
 *
 * One bounded history of changes serves everybody: a reader holds only its place in it.  A reader
 * whose socket is full is left alone and goes on from its place later; when the history has moved
 * past that place it is told to start over, so no reader can make raftd buffer without bound.
 *
 * A snapshot is sent in batches while the state moves on: what changes meanwhile is sent again from
 * the history before "synced", so what the reader holds then is exactly the state of that
 * revision. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemons/raftd/gossip/record.h"
#include "daemons/raftd/kv/machine.h"
#include "libjaco/io/loop.h"
#include "libjaco/wire/rpc.h"

#define WATCH_HISTORY_BYTES (4u * 1024 * 1024)
#define WATCH_PREFIXES_MAX  32
#define WATCH_LAG_MS        20 /* how soon a full socket is tried again */
/* What a run of raftd said or was told is kept this long after the next run began, by the other
 * members and by the watchers of its node: its daemons say it again. */
#define WATCH_OLD_RUN_MS    30000

struct watch_change; /* one change of either plane */

struct watch_reader {
	TAILQ_ENTRY(watch_reader) link;
	struct watch_hub *hub;
	struct jaco_call *call; /* NULL: being freed */
	char *prefixes[WATCH_PREFIXES_MAX];
	size_t n_prefixes;
	bool is_snapshot;     /* still sending one */
	bool is_synced;       /* has been told so */
	size_t at_prefix;     /* of the snapshot */
	char after[JACO_KEY_MAX + 1]; /* last key sent of that prefix */
	uint64_t next;        /* position in the history */
};
TAILQ_HEAD(watch_readers, watch_reader);

struct watch_hub {
	struct machine *machine;
	struct records *records;
	/* Takes out of an entry what that caller may not see.  NULL: everybody sees everything. */
	void (*veil)(const struct jaco_call *call, struct wire_entry *entry,
		     struct jaco_arena *arena);
	struct watch_change *ring[JACO_WATCH_HISTORY];
	uint64_t first; /* positions first .. next - 1 are held */
	uint64_t next;
	size_t bytes;
	uint64_t known_from; /* desired revisions above this one are all in the history */
	struct watch_readers readers;
	size_t n_readers;
	struct jaco_loop *loop;
	struct jaco_time began;
	struct jaco_timer lag;
	uint64_t n_resyncs;
	struct jaco_arena arena;
};

void watch_init(struct watch_hub *hub, struct jaco_loop *loop, struct machine *machine,
		struct records *records);
void watch_fini(struct watch_hub *hub);

/* A change of the desired plane (machine_on_change). */
void watch_note(void *hub, const struct machine_change *change);

/* A change of the observed plane. */
void watch_note_record(struct watch_hub *hub, const struct record *record);

/* Deliver what was noted. */
void watch_pump(struct watch_hub *hub);

/* The history no longer continues what readers hold (a snapshot was installed): all start over. */
void watch_reset(struct watch_hub *hub);

/* Serve @call from now on; the caller has checked rights.  Ends when its connection does, or with
 * the error of a state that cannot be read. */
void watch_serve(struct watch_hub *hub, struct jaco_call *call, const struct wire_watch *req);
