/* SPDX-License-Identifier: Apache-2.0
 *
 * internal.h - the state behind core.h and what its parts ask of each other.
 *
 * core.c        feeds events to the parts and gathers their actions
 * election.c    who leads
 * replication.c the leader's side of the log: what each peer has and gets next
 * append.c      the follower's side of the log
 * membership.c  which configuration is in force, changing it
 * snapshot.c    moving a state that is no longer in the log
 * read.c        reads that must not be stale
 * rules.c       what safety hangs on
 * log.c conf.c  values */
#pragma once

#include "daemons/raftd/core/core.h"
#include "daemons/raftd/core/log.h"
#include "libjaco/base/arena.h"

enum peer_vote { PEER_SILENT, PEER_GRANTED, PEER_REFUSED };

struct flight {
	uint64_t last; /* index of its last entry */
	uint32_t bytes;
};

/* Append messages without an answer, oldest first. */
struct inflight {
	struct flight *ring;
	uint32_t cap, head, n;
	uint64_t bytes;
};

struct peer {
	uint64_t id;
	bool is_voter;
	enum peer_vote vote; /* in the election this node stands in */
	enum core_peer_state state;
	uint64_t match;       /* durable there */
	uint64_t next;        /* next entry to send */
	uint64_t commit_sent; /* commit it can have learnt from us */
	uint64_t heard;       /* time of its last answer */
	uint64_t round;       /* newest read round it answered */
	uint64_t round_sent;
	uint64_t attempt; /* at agreeing; answers to earlier ones say nothing about this one */
	bool probing; /* CORE_PROBE: one is under way, wait for its answer or the next heartbeat */
	bool heartbeat_due;
	struct inflight inflight;
	uint64_t snap_index; /* CORE_SNAPSHOT: which, how far acknowledged, is a chunk under way */
	uint64_t snap_offset;
	uint64_t snap_sent;
	bool snap_waiting;
};

struct waiting_read {
	uint64_t token;
	uint64_t index;
	uint64_t round;
	bool confirmed;
};

struct held {
	struct core_message msg; /* without entries */
	uint64_t after;          /* write it waits for */
};

/* Rounds whose sending time is remembered for the lease. */
#define CORE_ROUNDS 16
/* Answers waiting for the disk; beyond, they are lost like on a bad network. */
#define CORE_HELD_MAX 64

struct core {
	struct core_options opt;
	uint64_t now;
	uint64_t prng;

	/* What the disk must keep. */
	uint64_t term, vote;
	uint64_t hard_seq; /* write that holds them */
	bool hard_dirty;
	struct log log;

	/* Writes. */
	uint64_t write_seq;   /* last one handed out */
	uint64_t durable_seq; /* last one on disk */
	uint64_t write_next;  /* first entry not handed out */
	uint64_t write_truncate;
	bool write_reset;

	/* Standing. */
	enum core_role role;
	uint64_t leader;
	uint64_t commit;
	uint64_t applied;
	uint64_t handed;   /* last entry given to the owner to apply */
	uint64_t heard;    /* follower: last sign of the leader */
	bool is_new;       /* since the start no leader was heard and no election tried */
	bool sticky_start; /* a lease of before our restart may be running until then */
	uint64_t election_at;
	bool votes_due; /* candidate whose vote requests wait for the disk */
	bool vote_transfer;

	/* Follower: one acknowledgement for everything that arrived. */
	struct {
		uint64_t to; /* 0: none owed */
		uint64_t verified;
		uint64_t sent;
		uint64_t round, attempt;
		bool due;
	} ack;

	/* Membership. */
	struct core_conf conf;      /* in force */
	struct core_conf base_conf; /* in force at the base */
	uint64_t *conf_at;          /* indexes of configuration entries in the log */
	size_t n_conf_at, cap_conf_at;
	bool self_votes;
	struct peer peers[JACO_NODES_MAX];
	size_t n_peers;

	/* Leader. */
	uint64_t term_start; /* index of the no-op */
	uint64_t heartbeat_at;
	/* when a commit that no entries told is told alone; UINT64_MAX: all know */
	uint64_t tell_at;
	uint64_t uncommitted_bytes;
	uint64_t attempts; /* at agreeing, with anyone: no peer sees a number twice */
	bool commit_due; /* something may be committed */
	uint64_t transfer;
	uint64_t transfer_until;
	bool transfer_sent;

	/* Reads. */
	struct waiting_read *reads; /* ring */
	size_t cap_reads, head_reads, n_reads;
	size_t n_confirmed;
	uint64_t round; /* newest */
	bool round_due; /* it has not been sent yet */
	uint64_t rounds_sent_at[CORE_ROUNDS];
	bool lease_broken; /* a TIMEOUT_NOW of this term is out */

	/* Snapshots. */
	struct {
		uint64_t index, term; /* 0: none */
		struct core_conf conf;
	} offer;
	struct {
		uint64_t from, index; /* 0: none */
		uint64_t leader_term; /* its bytes may differ after the next election */
		uint64_t offset;      /* next byte expected */
	} arriving;
	bool chunk_due;
	struct core_chunk chunk;

	/* Actions being gathered. */
	bool collected; /* the last ones were handed out: start over */
	bool changed;
	bool snapshot_wanted;
	struct jaco_arena arena;
	struct core_message *out;
	size_t n_out, cap_out;
	struct core_read_answer *answers;
	size_t n_answers, cap_answers;
	struct held held[CORE_HELD_MAX];
	size_t n_held;
};

/* The write that changes made now will be part of. */
static inline uint64_t core_next_seq(const struct core *core)
{
	return core->write_seq + 1;
}

static inline bool core_hard_is_durable(const struct core *core)
{
	return core->hard_seq <= core->durable_seq;
}

/* ---- core.c ---- */

/* First thing in every event: forget the actions handed out before. */
void core_begin(struct core *core);
/* Queue @msg now. */
void core_send(struct core *core, const struct core_message *msg);
/* Queue @msg, without entries, once term and vote are on disk. */
void core_send_durable(struct core *core, const struct core_message *msg);
/* Queue @msg, without entries, once write @seq is on disk. */
void core_send_after(struct core *core, const struct core_message *msg, uint64_t seq);
void core_set_hard(struct core *core, uint64_t term, uint64_t vote);
void core_set_commit(struct core *core, uint64_t index);
struct peer *core_find_peer(struct core *core, uint64_t id);
/* The value that a majority of voters has reached; @own is this node's. */
uint64_t core_quorum(const struct core *core, uint64_t own,
		     uint64_t (*value)(const struct peer *peer));

/* ---- election.c ---- */

bool election_can_stand(const struct core *core);
void election_suspect(struct core *core);
void election_look_around(struct core *core);
void election_reset_timer(struct core *core);
void election_follow(struct core *core, uint64_t term, uint64_t leader);
void election_campaign(struct core *core, bool transfer);
void election_request_votes(struct core *core);
void election_check_quorum(struct core *core);
/* A live leader is known: an election would only disturb. */
bool election_is_settled(const struct core *core);
void election_on_request(struct core *core, const struct core_message *msg);
void election_on_response(struct core *core, const struct core_message *msg);
void election_on_timeout_now(struct core *core, const struct core_message *msg);

/* ---- replication.c ---- */

void replication_begin(struct core *core);
void replication_forget(struct peer *peer);
/* The log does not reach back to what @peer needs or it was just met: start over from @next. */
void replication_probe(struct core *core, struct peer *peer, uint64_t next);
void replication_on_response(struct core *core, const struct core_message *msg);
/* @peer has stored something and may not know that it is committed. */
bool replication_is_behind(const struct core *core, const struct peer *peer);
void replication_send(struct core *core);
void replication_commit(struct core *core);
void replication_heartbeat(struct core *core);
/* Append a new entry of this term as leader. */
void replication_append(struct core *core, struct core_entry *take_entry);

/* ---- append.c ---- */

void append_on_request(struct core *core, const struct core_message *msg);
void append_reject(struct core *core, const struct core_message *msg);
/* An acknowledgement of everything up to @verified, as far as it is stored; @due: now. */
void append_owe(struct core *core, const struct core_message *msg, uint64_t verified, bool due);
void append_acknowledge(struct core *core);

/* ---- membership.c ---- */

void membership_init(struct core *core, const struct core_conf *conf);
void membership_appended(struct core *core, const struct core_entry *entry);
void membership_truncated(struct core *core, uint64_t from);
void membership_compacted(struct core *core, uint64_t index);
void membership_reset(struct core *core, const struct core_conf *conf);
void membership_committed(struct core *core);
void membership_at(const struct core *core, uint64_t index, struct core_conf *out_conf);
bool membership_is_committed(const struct core *core);
/* This node is a voter in a configuration that may turn out to be the one in force. */
bool membership_may_vote(const struct core *core);

/* ---- snapshot.c ---- */

void snapshot_send(struct core *core, struct peer *peer);
void snapshot_tick(struct core *core);
void snapshot_on_request(struct core *core, const struct core_message *msg);
void snapshot_on_response(struct core *core, const struct core_message *msg);

/* ---- read.c ---- */

void read_begin(struct core *core);
void read_fail_all(struct core *core);
void read_confirm(struct core *core);
void read_answer(struct core *core);
void read_stamp_round(struct core *core);
