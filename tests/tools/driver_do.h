/* SPDX-License-Identifier: Apache-2.0
 *
 * driver_do.h - the commands of raft-driver (spec/raft-driver.md).
 *
 * Each reads the arguments of d->args, does what it is called after and adds one line to d->out. */
#pragma once

#include "tests/tools/driver.h"

/* driver_nodes.c */
void do_hello(struct driver *d);
void do_reset(struct driver *d);
void do_node(struct driver *d);
void do_tick(struct driver *d);
void do_campaign(struct driver *d);
void do_propose(struct driver *d);
void do_conf(struct driver *d);
void do_transfer(struct driver *d);
void do_compact(struct driver *d);
void do_read(struct driver *d);
void do_reads(struct driver *d);
void do_crash(struct driver *d);
void do_restart(struct driver *d);
void do_sync(struct driver *d);
void do_state(struct driver *d);
void do_log(struct driver *d);
void do_applied(struct driver *d);

/* driver_net.c */
void do_msgs(struct driver *d);
void do_deliver(struct driver *d);
void do_drop(struct driver *d);
void do_dup(struct driver *d);
void do_reverse(struct driver *d);
void do_settle(struct driver *d);
void do_cut(struct driver *d);
void do_heal(struct driver *d);
void do_rpc(struct driver *d);
