/* SPDX-License-Identifier: Apache-2.0
 *
 * seal.h - secrets in the replicated store: AES-256-GCM under a key that is only on the disks of
 * members (NIST SP 800-38D; a random 96-bit nonce per message).
 *
 * The name of the key it is stored under is authenticated with it, so that a sealed value cannot be
 * moved to another name. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

#define SEAL_KEY_BYTES   32
#define SEAL_NONCE_BYTES 12
#define SEAL_TAG_BYTES   16

/* Append nonce, ciphertext, tag to @out. */
int seal_close(const uint8_t key[static SEAL_KEY_BYTES], const char *name, const void *data,
	       size_t n, struct jaco_buf *out, struct jaco_err *err);

/* Append the plaintext to @out.  Errors: INTERNAL - damaged, moved, or sealed under another key. */
int seal_open(const uint8_t key[static SEAL_KEY_BYTES], const char *name, const void *data,
	      size_t n, struct jaco_buf *out, struct jaco_err *err);
