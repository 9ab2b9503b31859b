/* SPDX-License-Identifier: Apache-2.0
 *
 * gate.h - what firewall and DNS of this node have applied (architecture.md section 5.7).
 *
 * While raftd is there, their observed records say it.  Without raftd those records are old - after
 * a reboot even wrong - so then the two daemons are asked themselves, on their own sockets. */
#pragma once

#include "libjaco/io/loop.h"
#include "libjaco/wire/rpc.h"

struct runtimed;

#define GATE_ASK_MS 1000

struct gate_peer {
	struct runtimed *rt;
	struct jaco_client client;
	bool is_open;
	struct jaco_pending *rpc;
	uint64_t revision; /* 0: no answer or not ready */
};

struct gate {
	struct gate_peer firewall, dns;
	struct jaco_timer timer;
	bool is_asking;
};

struct gate_state {
	uint64_t firewall_revision, dns_revision;
	bool firewall_is_ready;
	const char *firewall_message; /* borrowed; NULL: nothing to say */
};

void gate_open(struct runtimed *rt);
void gate_close(struct runtimed *rt);

/* The present state; begins or ends asking the daemons themselves as needed. */
struct gate_state gate_read(struct runtimed *rt);
