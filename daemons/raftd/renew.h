/* SPDX-License-Identifier: Apache-2.0
 *
 * renew.h - this node renews its certificate itself, when two thirds of its life are used
 * (spec/cluster.md section 2).
 *
 * Members know each other by key (/node/<host>.key_fingerprint), and the key stays: whoever was
 * away meanwhile knows this node still.  Every member can open the CA's key, so nobody has to be
 * asked, not even a majority, and a certificate that ran out while the node was off is renewed by
 * its next start.  Connections that stand are left alone; new ones use the new certificate. */
#pragma once

#include "libjaco/io/loop.h"

struct raftd;

void renew_init(struct raftd *raftd);
void renew_fini(struct raftd *raftd);

/* Look now, and from now on in time: before link_start(). */
void renew_look(struct raftd *raftd);
