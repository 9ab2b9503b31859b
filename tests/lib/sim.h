/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.h - a raft cluster under a virtual clock, on a bad network, with bad disks.
 *
 * Everything that happens follows from the seed.  sim.c is the world, sim_check.c what must hold in
 * it after every step; who makes things go wrong is the caller (tests/sim/chaos.c). */
#pragma once

#include "libjaco/base/buf.h"
#include "tests/lib/raft_host.h"

enum { SIM_NODES_MAX = 7 };

/* How bad the world of one seed is; times in microseconds, chances in 1/1000. */
struct sim_profile {
	size_t n_nodes;  /* of which the first n_voters found the cluster */
	size_t n_voters;
	struct core_options options; /* without id and seed */
	size_t chunk_bytes;
	unsigned lose, duplicate, late;
	uint64_t delay, delay_late;
	uint64_t disk;
	unsigned drift; /* of clocks */
};

struct sim;

struct sim_node {
	struct sim *sim;
	uint64_t id;
	struct host host;
	uint64_t restart_at;   /* 0: not planned */
	uint64_t paused_until; /* like SIGSTOP */
	uint64_t tick_at;
	uint64_t slow_until;
	bool disk_fails; /* at the next write */
	/* Its clock: local = clock_local + (now - clock_global) * rate / 1000. */
	uint64_t clock_local, clock_global, rate;
	uint64_t life; /* counts starts */
	enum core_role role;
	uint64_t commit;
	uint64_t hard_term, hard_vote; /* newest ones it wrote */
};

struct sim_message {
	uint64_t at, order;
	struct host_message message;
};

/* A write or a read some client waits for. */
struct sim_call {
	uint64_t node, life;
	uint64_t index, term; /* write */
	uint64_t floor;       /* read: everything applied anywhere when it was asked */
	bool done;
};

/* What the cluster has agreed on, as first applied by anyone. */
struct sim_golden {
	struct core_entry *entry;
	uint64_t known_by; /* committed in this term or before */
	size_t n_data;     /* ordinary entries up to here */
};

/* Every entry ever written to a log: what log matching compares. */
struct sim_seen {
	uint64_t index, term, prev_term;
	uint64_t hash;
};

struct sim_stats {
	uint64_t virtual_us, steps, messages, lost, duplicated, cut, late;
	uint64_t crashes, torn, disk_failures, slow_disks, clock_jumps, pauses, partitions;
	uint64_t elections, transfers, changes, compactions, installs;
	uint64_t writes, acked, reads, reads_answered;
};

struct sim {
	uint64_t seed, prng;
	struct sim_profile profile;
	uint64_t now, order;
	struct sim_node nodes[SIM_NODES_MAX];
	bool cut[SIM_NODES_MAX][SIM_NODES_MAX];
	uint64_t last_at[SIM_NODES_MAX][SIM_NODES_MAX]; /* links keep their order, mostly */
	struct sim_message *heap;
	size_t n_heap, cap_heap;
	struct sim_call *writes, *reads;
	size_t n_writes, cap_writes, n_reads, cap_reads;
	size_t first_open_write;
	struct sim_golden *golden; /* by index, [0] unused */
	size_t n_golden, cap_golden;
	struct sim_seen *seen; /* open hash */
	size_t n_seen, cap_seen;
	uint64_t *leaders; /* by term */
	size_t cap_leaders;
	uint64_t last_acked;
	struct sim_stats stats;
	bool failed;
	char failure[256];
	bool tracing;
	struct jaco_buf trace;
};

void sim_init(struct sim *sim, uint64_t seed, const struct sim_profile *profile, bool tracing);
void sim_fini(struct sim *sim);

/* Run until the virtual clock shows @until or something was violated. */
void sim_run(struct sim *sim, uint64_t until);

uint64_t sim_below(struct sim *sim, uint64_t bound);     /* 0 .. bound - 1 */
bool sim_chance(struct sim *sim, unsigned permille);

/* Faults; each does nothing where it makes no sense. */
void sim_crash(struct sim *sim, struct sim_node *node, uint64_t down_us);
void sim_restart(struct sim *sim, struct sim_node *node);
void sim_clock_jump(struct sim *sim, struct sim_node *node, uint64_t ahead_us);
void sim_clock_rate(struct sim *sim, struct sim_node *node, uint64_t permille);
void sim_pause(struct sim *sim, struct sim_node *node, uint64_t us);

/* What people do. */
bool sim_write(struct sim *sim, struct sim_node *node, uint64_t value);
bool sim_read(struct sim *sim, struct sim_node *node);
bool sim_change(struct sim *sim, struct sim_node *node, enum core_change change, uint64_t id);
void sim_transfer(struct sim *sim, struct sim_node *node, uint64_t to);
void sim_campaign(struct sim *sim, struct sim_node *node);
void sim_compact(struct sim *sim, struct sim_node *node, uint64_t keep);

struct sim_node *sim_leader(struct sim *sim); /* of the highest term, or NULL */

void sim_trace(struct sim *sim, const char *fmt, ...) JACO_PRINTF(2, 3);

/* ---- sim_check.c ---- */

void sim_violated(struct sim *sim, const char *fmt, ...) JACO_PRINTF(2, 3);
extern const struct host_hooks sim_hooks;
/* After every step of @node. */
void sim_check(struct sim *sim, struct sim_node *node);
/* All members hold all that was agreed on. */
void sim_check_healed(struct sim *sim);
