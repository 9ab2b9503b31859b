/* SPDX-License-Identifier: Apache-2.0
 *
 * rotate.h - another WireGuard key for this node, without a gap longer than a handshake.
 *
 * The new key waits in a file beside the old one while the node record tells the others its public
 * half.  When the record as committed names it, the file takes the old one's place, the device gets
 * it and every peer is made anew, which sends a handshake at once; the others do the same when they
 * hear of the record.  Whoever comes second reaches the other, so the gap is one commit apart and
 * one handshake long, whatever the order.  A crash at any point leaves files and record that say
 * how to go on. */
#pragma once

#include "libjaco/base/err.h"

struct meshd;

/* Go on with a rotation that an earlier run began.  Errors: those of key_load(). */
int rotate_open(struct meshd *meshd, struct jaco_err *err);

/* Begin one, unless one is under way. */
int rotate_begin(struct meshd *meshd, struct jaco_err *err);

/* Begin one when the node record asks for it, end one when the record names the new key. */
void rotate_follow(struct meshd *meshd);
