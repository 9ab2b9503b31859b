/* SPDX-License-Identifier: Apache-2.0
 *
 * token.h - is this an operator's token? */
#pragma once

#include "daemons/raftd/raftd.h"

/* Find the token with that plaintext.  Errors: TOKEN_INVALID, TOKEN_REVOKED, TOKEN_EXPIRED. */
int token_check(struct raftd *raftd, const char *plaintext, struct jaco_arena *arena,
		struct wire_token *out_token, struct jaco_err *err);

/* Does it still stand?  Errors: TOKEN_REVOKED, TOKEN_EXPIRED. */
int token_is_valid(const struct wire_token *token, struct jaco_err *err);
