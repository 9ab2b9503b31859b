/* SPDX-License-Identifier: Apache-2.0
 *
 * join_token.h - the one opaque string that lets a machine join.  Pure.
 *
 *   jaco1.<base64url of "<CA fingerprint>,<secret>,<address>[,<address>...]">
 *
 * The joining node checks who answers by the fingerprint before it sends the secret. */
#pragma once

#include <stdbool.h>

#include "daemons/raftd/link/identity.h"
#include "libjaco/base/limits.h"

#define JOIN_TOKEN_MAX     4096
#define JOIN_SECRET_BYTES  32
#define JOIN_ADDRESSES_MAX 16

struct join_token {
	char ca_fingerprint[IDENTITY_FINGERPRINT_TEXT];
	char secret[2 * JOIN_SECRET_BYTES + 1];
	char addresses[JOIN_ADDRESSES_MAX][JACO_ADDR_MAX + 1];
	size_t n_addresses;
};

void join_token_render(const struct join_token *token, char out_text[static JOIN_TOKEN_MAX + 1]);

/* Errors: TOKEN_INVALID - not whole, not one of ours. */
int join_token_parse(const char *text, struct join_token *out_token, struct jaco_err *err);

/* The same from its parts.  Errors: TOKEN_INVALID - not 64 hex characters; VALIDATION_FAILED - too
 * long an address. */
int join_token_compose(const char *ca_fingerprint, const char *secret, const char *address,
		       struct join_token *out_token, struct jaco_err *err);

/* The oldest version of JACO that may join: the one whose records and messages are read here. */
#define JOIN_VERSION_OLDEST "0.1.0"

/* Is the version @version ("1.2.3", what follows a number is ignored) before @oldest?  What is no
 * version is older than any. */
bool join_version_is_older(const char *version, const char *oldest);
