/* SPDX-License-Identifier: Apache-2.0
 *
 * driver.h - the world of raft-driver (spec/raft-driver.md): nodes, a queue of messages, cuts. */
#pragma once

#include "libjaco/base/auto.h"
#include "tests/lib/raft_host.h"

enum { DRIVER_ARGS_MAX = 32 };

struct driver_node {
	uint64_t id;
	struct host host;
	struct core_read_answer *reads; /* all that may be answered */
	size_t n_reads, cap_reads;
};

struct driver_cut {
	uint64_t from, to;
};

struct driver {
	struct core_options options;
	struct driver_node **nodes;
	size_t n_nodes, cap_nodes;
	struct host_message *queue; /* oldest first */
	size_t n_queue, cap_queue;
	struct driver_cut *cuts;
	size_t n_cuts, cap_cuts;
	uint64_t tokens;
	char *args[DRIVER_ARGS_MAX]; /* of the line being done */
	size_t n_args;
	char word[16];
	struct jaco_buf out;
};

/* The node @id, or NULL. */
struct driver_node *driver_find(struct driver *d, uint64_t id);

bool driver_is_cut(const struct driver *d, uint64_t from, uint64_t to);

/* Let @node do all it has to do now: its messages are queued, its answered reads kept. */
void driver_run(struct driver *d, struct driver_node *node);

/* Message @i leaves the queue; the caller ends it. */
struct host_message driver_take(struct driver *d, size_t i);

/* Give @message to its receiver and end it.  Lost over a cut link or to a node that is down. */
void driver_hand_in(struct driver *d, struct host_message *message);

/* No node, message or cut is left. */
void driver_clear(struct driver *d);

/* {"ok":true} with @fmt's members, which hold numbers and our own words only. */
void driver_ok(struct driver *d, const char *fmt, ...) JACO_PRINTF(2, 3);

/* {"ok":false,"err":@word}; false. */
bool driver_err(struct driver *d, const char *word);

/* The same for what @node's core refused. */
void driver_failure(struct driver *d, const struct driver_node *node, const struct jaco_err *err);

/* The node of argument @i, or NULL after an error answer. */
struct driver_node *driver_node_arg(struct driver *d, size_t i, bool must_be_up);
