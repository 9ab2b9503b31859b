/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.h - one hash of the whole state, kept current by each change.
 *
 * The sum, in four lanes of 64 bits, of SHA-256 over every (key, revision, value).  A sum does not
 * depend on the order of changes, so a state that was replayed, restored from a snapshot or built
 * by different batches has the same digest; replicas compare it at equal revisions.  It finds
 * divergence and damage, not forgery: nobody outside the cluster can choose what is in it. */
#pragma once

#include <stdint.h>

#include "daemons/raftd/kv/space.h"

#define DIGEST_BYTES      32
#define DIGEST_TEXT_BYTES (2 * DIGEST_BYTES + 1)

struct digest {
	uint64_t lanes[4];
};

/* @stored is the value as the space holds it, revision included. */
void digest_add(struct digest *digest, struct kv_bytes key, struct kv_bytes stored);
void digest_remove(struct digest *digest, struct kv_bytes key, struct kv_bytes stored);

/* Little-endian, as it is saved and sent. */
void digest_pack(const struct digest *digest, uint8_t out[static DIGEST_BYTES]);
void digest_unpack(struct digest *digest, const uint8_t bytes[static DIGEST_BYTES]);
void digest_text(const struct digest *digest, char out_text[static DIGEST_TEXT_BYTES]);
