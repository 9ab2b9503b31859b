/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.h - SHA-256 (FIPS 180-4) through OpenSSL. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define JACO_SHA256_BYTES      32
#define JACO_SHA256_TEXT_BYTES (2 * JACO_SHA256_BYTES + 1)
#define JACO_SHA1_BYTES        20

void jaco_sha256(const void *data, size_t n, uint8_t out[static JACO_SHA256_BYTES]);

/* The digest as lower-case hex with its terminating NUL. */
void jaco_sha256_text(const void *data, size_t n, char out_text[static JACO_SHA256_TEXT_BYTES]);

/* For names that must stay short, never for trust (FIPS 180-4). */
void jaco_sha1(const void *data, size_t n, uint8_t out[static JACO_SHA1_BYTES]);

/* SHA-256 of what comes in pieces. */
struct jaco_sha256_run;
struct jaco_sha256_run *jaco_sha256_begin(void);
void jaco_sha256_add(struct jaco_sha256_run *run, const void *data, size_t n);
void jaco_sha256_end(struct jaco_sha256_run *take_run,
		     char out_text[static JACO_SHA256_TEXT_BYTES]);
