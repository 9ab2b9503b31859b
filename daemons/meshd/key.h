/* SPDX-License-Identifier: Apache-2.0
 *
 * key.h - the node's WireGuard key: made once, never leaves the node. */
#pragma once

#include <stdint.h>

#include "daemons/meshd/plan.h"
#include "libjaco/base/err.h"
#include "libjaco/base/str.h"

#define KEY_TEXT_BYTES JACO_BASE64_BYTES(MESH_KEY_BYTES)

/* Read the private key at @path (base64, as wg(8) writes it), or make one there with mode 0600.
 * Errors: INTERNAL; VALIDATION_FAILED - the file is no key: it is left for a person to look at. */
int key_load(const char *path, uint8_t out_private[static MESH_KEY_BYTES], struct jaco_err *err);

/* The public key of @private: X25519, RFC 7748 section 6.1. */
int key_public(const uint8_t private_key[static MESH_KEY_BYTES],
	       uint8_t out_public[static MESH_KEY_BYTES], struct jaco_err *err);

/* Base64 text to key; false when it is none. */
bool key_parse(const char *text, uint8_t out[static MESH_KEY_BYTES]);

/* Write @key as base64 with its terminating NUL. */
void key_render(char out_text[static KEY_TEXT_BYTES], const uint8_t key[static MESH_KEY_BYTES]);
