/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_host.h - an owner of a raft core for tests: a disk in memory that may be slow or lose what
 * was not flushed, and a state that is the list of applied entries.
 *
 * Used by tests/tools/raft-driver and by the simulator; raftd's own owner is another program. */
#pragma once

#include "daemons/raftd/core/core.h"
#include "libjaco/base/buf.h"

/* The replicated state: ordinary, non-empty entries in the order they were applied. */
struct host_state {
	struct core_entry **items;
	size_t n, cap;
};

void host_state_add(struct host_state *state, struct core_entry *item);
void host_state_copy(struct host_state *out, const struct host_state *from);
void host_state_fini(struct host_state *state);
void host_state_pack(const struct host_state *state, struct jaco_buf *out);
/* False when @data is not what host_state_pack() makes; @out is then empty. */
bool host_state_unpack(struct host_state *out, const void *data, size_t n);

/* What is on stable storage. */
struct host_disk {
	uint64_t term, vote, commit;
	uint64_t base_index, base_term;
	struct core_conf conf;
	struct host_state state; /* at base_index */
	struct core_entry **log;
	size_t n_log, cap_log;
};

/* One write that the disk has not finished. */
struct host_write {
	struct host_write *next;
	uint64_t seq; /* 0: a compaction, nobody waits for it */
	uint64_t due; /* the simulator's: when the disk will be done */
	bool hard;
	uint64_t term, vote, commit;
	bool rebase; /* base, conf and state below replace the disk's */
	bool reset;
	uint64_t base_index, base_term;
	struct core_conf conf;
	struct host_state state;
	uint64_t truncate_from;
	struct core_entry **entries;
	size_t n_entries;
};

/* What a simulator wants to see; any may be NULL. */
struct host_hooks {
	void (*on_apply)(void *ctx, const struct core_entry *entry);
	void (*on_write)(void *ctx, const struct core_write *write);
	void (*on_install)(void *ctx, uint64_t index);
};

struct host {
	struct core_options options;
	struct host_hooks hooks;
	void *hooks_ctx;
	struct core *core; /* NULL: down */
	uint64_t now;
	struct host_disk disk;
	struct host_write *writes, **writes_end; /* oldest first */
	bool auto_flush;    /* writes become durable at once */
	size_t chunk_bytes; /* of a snapshot per message */
	struct host_state state;
	struct host_state base_state; /* at the core's base */
	struct jaco_buf sending;      /* the offered snapshot */
	struct jaco_buf arriving;
	struct core_read_answer *reads; /* answered since the caller emptied it: n_reads = 0 */
	size_t n_reads, cap_reads;
};

void host_init(struct host *host, const struct core_options *options);
void host_fini(struct host *host);

/* From what the disk holds.  Errors: those of core_new(). */
int host_start(struct host *host, struct jaco_err *err);

/* Memory and unfinished writes are lost, except the first @n_kept writes and, torn, the first
 * @n_entries entries of the next one. */
void host_crash(struct host *host, size_t n_kept, size_t n_entries);

/* Carry out actions until there are none; each message goes to @send, borrowed. */
typedef void host_send(void *ctx, const struct core_message *msg);
void host_run(struct host *host, host_send *send, void *ctx);

/* The oldest write is on disk now. */
void host_flush_one(struct host *host);
size_t host_n_writes(const struct host *host);

/* Hand a message in; a snapshot whose bytes are wrong is refused here. */
void host_receive(struct host *host, const struct core_message *msg);

/* Snapshot at @index and cut the log there. */
int host_compact(struct host *host, uint64_t index, struct jaco_err *err);

/* A message that outlives the call it came from. */
struct host_message {
	struct core_message msg;
	struct core_conf conf;
	struct core_entry **entries;
	uint8_t *data;
};

void host_message_copy(struct host_message *out, const struct core_message *msg);
/* The message with its pointers inside @message, wherever that has been moved.  Borrowed. */
const struct core_message *host_message_get(struct host_message *message);
void host_message_fini(struct host_message *message);
