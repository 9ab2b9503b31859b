/* SPDX-License-Identifier: Apache-2.0
 *
 * core.h - consensus as a function: events in, actions out.
 *
 * Decides who leads, what is in the log, what is committed and who is a member.  Never touches a
 * socket, a clock, a file, a thread or a log, and never calls back: the owner feeds what happened,
 * then collects what has to be done.
 *
 *	core_tick(core, now);                         time is an argument, in the owner's unit
 *	core_receive(core, &msg);                     ... any number of events ...
 *	core_propose(core, entry, &index, &err);
 *	core_collect(core, &todo);                    one batch of actions for all of them
 *	  send todo.messages                          at once: what must wait is not in there yet
 *	  store todo.write, flush, core_durable(core, todo.write.seq)
 *	  apply todo.apply, core_applied(core, last)
 *	  answer todo.reads
 *
 * Many events before one collect is the way to be fast: a thousand proposals then cost one disk
 * write, and one message per peer.  Everything core_collect() hands out is borrowed and good until
 * the next call that takes a non-const core; entries can be kept with core_entry_ref().
 *
 * Durability is the core's business: a vote, an acknowledgement, the leader's own count in a
 * commit leave only after core_durable() covered the write they rest on.  The owner only has to
 * perform writes in the order of their `seq` and to say when one is on disk; it may have several
 * under way.
 *
 * Memory is bounded by the log since its base (the owner compacts), by the limits in core_options
 * and by JACO_NODES_MAX members.
 *
 * References "thesis n" are to D. Ongaro, Consensus: Bridging Theory and Practice, 2014. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"
#include "libjaco/base/limits.h"

struct core;

/* ---- entries ------------------------------------------------------------------------------ */

enum core_entry_kind {
	CORE_ENTRY_DATA, /* the owner's bytes */
	CORE_ENTRY_NOOP, /* a leader's first entry of its term, empty (thesis 6.4) */
	CORE_ENTRY_CONF, /* a configuration, core_conf_pack() form, in force once in the log */
};

/* One log entry; immutable once index and term are set, shared by counting, one thread. */
struct core_entry {
	uint64_t index; /* set by the core for proposals, by the owner for what it loads */
	uint64_t term;
	uint32_t refs;
	uint32_t bytes; /* of data */
	enum core_entry_kind kind;
	uint8_t data[];
};

/* A proposal of @bytes to be filled in by the owner; one reference. */
struct core_entry *core_entry_new(uint32_t bytes) __attribute__((returns_nonnull));

/* An entry as it stands on a disk or came over a wire; the data is copied; one reference. */
struct core_entry *core_entry_load(enum core_entry_kind kind, uint64_t index, uint64_t term,
				   const void *data, uint32_t bytes)
	__attribute__((returns_nonnull));

struct core_entry *core_entry_ref(struct core_entry *entry);
void core_entry_unref(struct core_entry *entry); /* NULL is fine */

/* ---- configurations ----------------------------------------------------------------------- */

struct core_member {
	uint64_t id; /* never 0, never used again for another machine */
	bool is_voter;
};

/* Who counts.  Sorted by id, no id twice. */
struct core_conf {
	size_t n;
	struct core_member members[JACO_NODES_MAX];
};

#define CORE_CONF_PACKED_MAX (JACO_NODES_MAX * 9)

/* Add or change one member, keeping the order.  Errors: LIMIT_EXCEEDED. */
int core_conf_set(struct core_conf *conf, uint64_t id, bool is_voter, struct jaco_err *err);
void core_conf_remove(struct core_conf *conf, uint64_t id);
const struct core_member *core_conf_find(const struct core_conf *conf, uint64_t id);
size_t core_conf_voters(const struct core_conf *conf);

/* The bytes of a CORE_ENTRY_CONF: per member id (8, little endian) and suffrage (1). */
size_t core_conf_pack(const struct core_conf *conf, uint8_t out[static CORE_CONF_PACKED_MAX]);
/* Errors: PARSE_FAILED - size, order, a zero id or a suffrage other than 0 or 1. */
int core_conf_unpack(struct core_conf *conf, const void *data, size_t bytes, struct jaco_err *err);

/* ---- messages ----------------------------------------------------------------------------- */

enum core_message_type {
	CORE_PREVOTE_REQ,  /* term (of the election it would start), index, log_term (last entry) */
	CORE_PREVOTE_RESP, /* ok; term: asked for when ok, else the answerer's */
	CORE_VOTE_REQ,     /* index, log_term (last entry), transfer */
	CORE_VOTE_RESP,    /* ok */
	CORE_APP_REQ,      /* index, log_term (entry before), commit, entries (none: heartbeat) */
	CORE_APP_RESP,     /* ok: index = match.  Not ok: index = refused one, hint, hint_term */
	CORE_SNAP_REQ,     /* index, log_term, conf; offset, data, n_data, done: one chunk */
	CORE_SNAP_RESP, /* index, hint = offset of the chunk, offset where the next has to start */
	CORE_TIMEOUT_NOW, /* start an election at once (thesis 3.10) */
};
#define CORE_MESSAGE_TYPES (CORE_TIMEOUT_NOW + 1)

/* Flat, because it maps one to one onto the wire; unused fields are zero. */
struct core_message {
	enum core_message_type type;
	uint64_t from, to;
	uint64_t term;
	uint64_t index, log_term;
	uint64_t commit;
	/* Of append messages, echoed in the answer: the newest read round (thesis 6.4), and which
	 * of the leader's attempts to agree with this follower it belongs to. */
	uint64_t round, attempt;
	uint64_t hint, hint_term;
	bool ok;
	bool transfer;
	struct core_entry *const *entries;
	size_t n_entries;
	const struct core_conf *conf;
	/* One chunk.  The sending owner fills data, n_data and done for the bytes from `offset` of
	 * its snapshot at `index`; the receiving owner verifies the whole before it hands in the
	 * chunk that is `done`. */
	uint64_t offset;
	const uint8_t *data;
	size_t n_data;
	bool done;
};

/* "app_req" and so on. */
const char *core_message_name(enum core_message_type type);

/* ---- start -------------------------------------------------------------------------------- */

struct core_options {
	uint64_t id;
	uint64_t seed;         /* election times */
	uint32_t election; /* least silence before an election; drawn from [n, 2n).  Unit of now */
	uint32_t heartbeat;    /* < election */
	bool prevote;          /* thesis 9.6 */
	bool check_quorum; /* leader steps down, followers stick to theirs (thesis 6.2, 4.2.3) */
	bool lease_reads;  /* answer reads inside a lease; needs check_quorum and clocks that run
				* alike within a quarter of `election` (thesis 6.4.1) */
	uint32_t linger;   /* < election: how long followers may wait to hear of a commit, for the
				* entries that will tell them anyway; 0: they are told at once */
	bool apply_early;      /* hand out committed entries this disk does not have yet */
	uint32_t max_inflight; /* append messages to one peer without an answer */
	uint32_t max_inflight_bytes;
	uint32_t max_batch_bytes; /* of one append message; a single larger entry still goes */
	uint64_t max_uncommitted_bytes; /* proposals beyond are refused */
	uint32_t max_reads;             /* waiting reads */
};

/* 150 ms of silence in milliseconds, everything on, bounds for nodes of a few hundred MB. */
#define CORE_OPTIONS_DEFAULT                                                                       \
	((struct core_options){.election = 150, .heartbeat = 50, .prevote = true,                  \
			       .check_quorum = true, .max_inflight = 256,                          \
			       .max_inflight_bytes = 8 << 20, .max_batch_bytes = 256 << 10,        \
			       .max_uncommitted_bytes = 64 << 20, .max_reads = 1 << 16})

/* What the disk holds.  A first start is all zero with the founding configuration (or an empty one
 * on a node that is about to be added). */
struct core_start {
	uint64_t term, vote;
	uint64_t base_index, base_term; /* last entry inside the owner's snapshot */
	struct core_conf conf;          /* in force at base_index */
	struct core_entry *const *entries; /* base_index + 1 and on; the core takes references */
	size_t n_entries;
	uint64_t commit;  /* known committed: applied or more; 0 when not kept */
	uint64_t applied; /* in the owner's state, >= base_index */
};

/* Errors: VALIDATION_FAILED - options or a log that cannot be (gaps, falling terms). */
int core_new(struct core **out_core, const struct core_options *options, uint64_t now,
	     const struct core_start *start, struct jaco_err *err);
void core_free(struct core *core);

/* ---- events ------------------------------------------------------------------------------- */

/* Time has passed.  @now never falls; a smaller one counts as no time. */
void core_tick(struct core *core, uint64_t now);

/* When core_tick() has to be called at the latest; UINT64_MAX: nothing is waiting for time. */
uint64_t core_deadline(const struct core *core);

/* A message from a peer whose identity (msg->from) the owner has verified.  Entries are shared, not
 * copied.  Anything impossible in it is ignored.  Safe with lost, late, doubled, swapped ones. */
void core_receive(struct core *core, const struct core_message *msg);

/* Append @take_entry (a CORE_ENTRY_DATA from core_entry_new()), consumed on failure too.  Its term
 * is core_status.term.  It is committed when an apply action shows this index with this term.
 * Errors: NO_LEADER - ask core_status.leader; UNAVAILABLE - leadership is being handed over;
 * TOO_MANY_REQUESTS - max_uncommitted_bytes. */
int core_propose(struct core *core, struct core_entry *take_entry, uint64_t *out_index,
		 struct jaco_err *err);

enum core_change {
	CORE_SET_VOTER,   /* add a voter or promote a learner */
	CORE_SET_LEARNER, /* add a learner or demote a voter */
	CORE_REMOVE,
};

/* Change one member (thesis 4.1).  A leader that removes itself steps down once that is committed.
 * Errors: NO_LEADER; UNAVAILABLE - nothing of this term is committed yet, a hand-over is under way;
 * CONFLICT - the previous change is not committed; VALIDATION_FAILED - no change, or no voter
 * would be left; NODE_NOT_FOUND; LIMIT_EXCEEDED. */
int core_change(struct core *core, enum core_change change, uint64_t id, uint64_t *out_index,
		struct jaco_err *err);

/* Hand leadership to voter @to (thesis 3.10); gives up after one election time.
 * Errors: NO_LEADER; NODE_NOT_FOUND - not another voter. */
int core_transfer(struct core *core, uint64_t to, struct jaco_err *err);

/* Stand for election now, as if the timer had run out.  Nothing happens on a leader or
 * non-voter. */
void core_campaign(struct core *core);

/* Linearizable read (ReadIndex, thesis 6.4): @token comes back in core_actions.reads when the
 * owner's state may be read.  With lease_reads, core_tick() has to be called just before.  Errors:
 * NO_LEADER, TOO_MANY_REQUESTS. */
int core_read(struct core *core, uint64_t token, struct jaco_err *err);

/* All writes up to @seq are on stable storage. */
void core_durable(struct core *core, uint64_t seq);

/* The owner's state holds all entries up to @index. */
void core_applied(struct core *core, uint64_t index);

/* The owner's snapshot covers @index; drop the log up to there.
 * Errors: VALIDATION_FAILED - not applied or not durable yet, or already gone. */
int core_compact(struct core *core, uint64_t index, struct jaco_err *err);

/* A snapshot at @index (base .. applied) can be sent: the answer to core_actions.snapshot_wanted.
 * The owner keeps it until core_is_sending() is false or it offers another.
 * Errors: VALIDATION_FAILED. */
int core_offer(struct core *core, uint64_t index, struct jaco_err *err);

/* The snapshot that was arriving is damaged: ask for it from its first byte again.  The sender
 * knows when it is asked: hand in the chunk that showed it all the same, unless that is the first
 * one. */
void core_arriving_failed(struct core *core);

/* Somebody at @id waits for what is committed here: it need not linger. */
void core_tell(struct core *core, uint64_t id);

/* There is a link to @id.  A node that has started and heard of no leader asks the others soon
 * then: a leader that there is would be heard, and after a start of all nobody leads. */
void core_peer_found(struct core *core, uint64_t id);

/* The link to @id broke: what was under way to it is lost.  When it leads, it is suspected at once:
 * a process that died closes its connections long before its silence is conspicuous. */
void core_peer_lost(struct core *core, uint64_t id);

/* ---- actions ------------------------------------------------------------------------------ */

enum core_role { CORE_FOLLOWER, CORE_PRECANDIDATE, CORE_CANDIDATE, CORE_LEADER };

/* One atomic step for the disk, in this order: hard state, snapshot, truncation, entries. */
struct core_write {
	uint64_t seq; /* 0: nothing to store, no core_durable() wanted */
	bool hard;    /* term and vote changed */
	uint64_t term, vote;
	uint64_t commit; /* committed and on this disk; worth keeping, never worth a flush */
	bool reset;      /* the log is empty now and starts after the installed snapshot */
	uint64_t truncate_from; /* drop entries from here on first; 0: none */
	struct core_entry *const *entries;
	size_t n_entries;
};

/* A chunk of a snapshot that is arriving: bytes for [offset, offset + n_data) of a file that starts
 * again at offset 0.  With `install` set it is complete: replace the state machine by it, before
 * core_actions.apply and before core_durable(write.seq).  Stable with write.seq.  The log then ends
 * at `index` when write.reset is set, and keeps what it has after `index` when it is not. */
struct core_chunk {
	uint64_t from;
	uint64_t index, term;
	struct core_conf conf; /* in force at index */
	uint64_t offset;
	const uint8_t *data;
	size_t n_data;
	bool install;
};

struct core_read_answer {
	uint64_t token;
	uint64_t index; /* the state is at least here */
	bool ok;        /* false: leadership was lost, ask again elsewhere */
};

struct core_actions {
	const struct core_message *messages; /* fill in the data of each CORE_SNAP_REQ */
	size_t n_messages;
	struct core_write write;
	const struct core_chunk *chunk; /* or NULL */
	struct core_entry *const *apply; /* committed, in order, no gap */
	size_t n_apply;
	const struct core_read_answer *reads;
	size_t n_reads;
	bool snapshot_wanted; /* a peer is behind the log and there is no usable offer */
	bool changed;         /* role, term, leader or configuration */
};

void core_collect(struct core *core, struct core_actions *out_actions);

/* ---- looking in --------------------------------------------------------------------------- */

struct core_status {
	enum core_role role;
	uint64_t term, vote;
	uint64_t leader; /* 0: unknown */
	uint64_t commit, applied;
	uint64_t base_index, base_term; /* the log starts after this */
	uint64_t last_index, last_term;
	uint64_t durable_index;
	uint64_t log_bytes; /* data held since the base */
	uint64_t transfer;  /* hand-over under way to; 0: none */
	const struct core_conf *conf; /* newest in the log, committed or not.  Borrowed */
	bool conf_committed;
};

void core_status(const struct core *core, struct core_status *out_status);

enum core_peer_state { CORE_PROBE, CORE_REPLICATE, CORE_SNAPSHOT };

/* What a leader knows of a member. */
struct core_peer_status {
	uint64_t id;
	enum core_peer_state state;
	uint64_t match;     /* stored there */
	uint64_t heard_ago; /* since its last answer, in the unit of now */
	bool is_voter;
};

/* False when @id is not a member or this node does not lead. */
bool core_peer(const struct core *core, uint64_t id, struct core_peer_status *out_peer);

/* A snapshot offered earlier is still needed. */
bool core_is_sending(const struct core *core);

/* The entry at @index, or NULL outside the log.  Borrowed. */
struct core_entry *core_entry_at(const struct core *core, uint64_t index);

/* The configuration in force at @index (base .. last), for the owner's snapshot.  Errors:
 * VALIDATION_FAILED. */
int core_conf_at(const struct core *core, uint64_t index, struct core_conf *out_conf,
		 struct jaco_err *err);
