/* SPDX-License-Identifier: Apache-2.0
 *
 * store.h - the desired plane of this node: the raft core, its disk and the state machine, driven
 * as one.
 *
 * Decides nothing about features: transactions in, outcomes and changes out.  Everything proposed
 * during one pass of the loop goes to disk in one flush (group commit): proposals arm the pump,
 * which runs when the pass has handled all ready sockets.
 *
 *   propose -> core -> [append, one fdatasync] -> committed -> applied -> on_done
 *
 * The state is committed to LMDB every second or STORE_COMMIT_ENTRIES, in a thread of its own; the
 * log keeps what is newer.  See disk/wal.h and disk/state.h for what a full disk does. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemons/raftd/core/core.h"
#include "daemons/raftd/disk/hard.h"
#include "daemons/raftd/disk/hold.h"
#include "daemons/raftd/disk/snapfile.h"
#include "daemons/raftd/disk/state.h"
#include "daemons/raftd/disk/wal.h"
#include "daemons/raftd/kv/machine.h"
#include "libjaco/io/loop.h"

#define STORE_COMMIT_MS      1000
#define STORE_COMMIT_ENTRIES 10000
#define STORE_COMMIT_BYTES   (2u << 20)  /* of memory that a commit gives back */
#define STORE_UNSAVED_MAX    (64u << 20) /* beyond that writers wait for the commit */
#define STORE_KEEP_ENTRIES   8192 /* that the state holds stay in memory, for members that lag */
#define STORE_KEEP_BYTES     UINT64_C(0x400000) /* of older log files that the state holds */

/* @result is set when the transaction was decided (committed or refused by a compare); otherwise
 * @err says why its fate is unknown or why it never was proposed. */
typedef void store_done_fn(void *ctx, const struct machine_result *result,
			   const struct jaco_err *err);
typedef void store_read_fn(void *ctx, const struct jaco_err *err);

struct store_pending {
	TAILQ_ENTRY(store_pending) link;
	uint64_t index; /* or the read's token */
	uint64_t term;
	store_done_fn *on_done;
	store_read_fn *on_read;
	void *ctx; /* NULL: the caller went away */
	bool is_decided;
	struct machine_result result; /* when decided */
};
TAILQ_HEAD(store_pendings, store_pending);

struct store_events {
	machine_on_change *on_change;      /* each applied change, in order */
	void (*on_applied)(void *ctx);     /* after a batch of them */
	void (*on_leadership)(void *ctx);  /* role, term, leader or configuration changed */
	void (*on_send)(void *ctx, const struct core_message *msg); /* may lose it; NULL: alone */
	void (*on_push)(void *ctx); /* what on_send() got has to leave now; NULL: it has left */
	void (*on_replaced)(void *ctx);    /* a snapshot took the place of everything */
	void *ctx;
};

struct store {
	struct jaco_loop *loop;
	struct store_events events;
	bool is_open;
	uint64_t raft_id; /* of this node */
	struct core *core;
	struct hard hard;
	struct wal wal;
	struct state state;
	struct machine machine;
	struct jaco_arena arena;   /* of one entry */
	struct jaco_buf packed;    /* a proposal while it is built */
	char dir[512];
	uint64_t offer_index;      /* of the snapshot file that peers are sent; 0: none */
	uint64_t offer_bytes;
	int offer_fd;              /* -1: none */
	struct hold hold;          /* entries that wait for room */
	size_t unwritten;          /* bytes proposed in this pass, not yet in the log */
	struct store_pendings writes;
	struct store_pendings reads;
	struct store_pendings done; /* answered once the core may be called again */
	uint64_t next_token;
	uint64_t durable_applied;  /* index in the last LMDB commit */
	uint64_t saving;           /* index in the one under way */
	uint64_t touch_max; /* bytes of the state's file that one commit shall write anew at most */
	uint64_t saving_base;      /* where the log may begin when it is done */
	struct jaco_time save_started;
	struct jaco_timer save;
	struct jaco_io saved;      /* it is done */
	struct jaco_timer pump;    /* the end of this pass */
	struct jaco_timer push;    /* the end of this pass, behind the callers' answers */
	bool is_push_due;          /* messages to peers wait for it */
	struct jaco_timer tick;    /* the core's next deadline */
	struct jaco_timer pour;    /* the next try to store what is held */
	struct jaco_time offers_from;    /* none is made before that */
	struct jaco_time snapshots_from; /* chunks before that find no room and are ignored */
	char full[256];            /* why writes are refused, "" when they are not */
	char doubt[256]; /* the owner's: why no snapshot may be made of this state, or "" */
	bool is_pumping;
	uint64_t n_commits;
	uint64_t commit_us;        /* duration of the last LMDB commit */
	uint64_t n_proposals;
	uint64_t n_entries_applied;
};

/* Is there a raft group in @dir? */
bool store_exists(const char *dir);

/* Make a raft group in @dir for this node, @raft_id: of a first node, its only voter, or (not
 * @is_founder) of one that will be told by others who is in it.  Crash-safe: until it is whole,
 * store_exists() says false. */
int store_create(const char *dir, uint64_t raft_id, bool is_founder, struct jaco_err *err);

/* Make a raft group in @dir from the snapshot file @path, which holds the state of @revision as it
 * was in @term; this node, its only voter, gets the number after that revision, which nobody has.
 * Errors: VALIDATION_FAILED - damaged, or of another revision. */
int store_restore(const char *dir, const char *path, uint64_t revision, uint64_t term,
		  char out_state_hash[static DIGEST_TEXT_BYTES], struct jaco_err *err);

/* Open, replay, start the core.  Errors: INTERNAL - the disk is damaged; the text says where. */
int store_open(struct store *store, struct jaco_loop *loop, const char *dir,
	       const struct store_events *events, struct jaco_err *err);

/* Fails what is pending, commits the state. */
void store_close(struct store *store);
#define store_cleanup store_close

/*
 * Propose a transaction.  @on_done is called exactly once, never from inside.
 * Errors: NO_LEADER; UNAVAILABLE - the disk is full; TOO_MANY_REQUESTS; those of txn_check().
 */
int store_propose(struct store *store, const struct txn *txn, store_done_fn *on_done, void *ctx,
		  struct jaco_err *err);

/* Call back when what was committed before now may be read here (ReadIndex). */
int store_read(struct store *store, store_read_fn *on_read, void *ctx, struct jaco_err *err);

/* A message from the peer @msg->from, whose identity the caller has verified. */
void store_receive(struct store *store, const struct core_message *msg);

/* There is a connection to a peer. */
void store_peer_found(struct store *store, uint64_t raft_id);

/* The connection to a peer broke: what was under way is lost. */
void store_peer_lost(struct store *store, uint64_t raft_id);

/* Peer @raft_id is being answered and needs what is committed here. */
void store_tell(struct store *store, uint64_t raft_id);

/* The state as it is now, to be read while writes go on.  Errors: UNAVAILABLE - the disk is
 * full. */
int store_snapshot(struct store *store, struct snapfile_source *out_source, struct jaco_err *err);

/* Change a member, hand leadership over; see core_change(), core_transfer(). */
int store_change(struct store *store, enum core_change change, uint64_t raft_id,
		 struct jaco_err *err);
int store_transfer(struct store *store, uint64_t raft_id, struct jaco_err *err);

/* The caller of everything pending with @ctx went away: its callbacks are not called. */
void store_forget(struct store *store, void *ctx);

/* Leader and term as the core knows them. */
struct core_status store_status(const struct store *store);
bool store_is_leader(const struct store *store);
