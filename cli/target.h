/* SPDX-License-Identifier: Apache-2.0
 *
 * target.h - which cluster a command talks to: the control socket of this machine, or servers far
 * away (spec/cluster.md section 3).
 *
 * The first of these decides: --socket or --root; --server; --context; JACO_CONTEXT; JACO_SOCKET or
 * JACO_ROOT; the context in use; the control socket. */
#pragma once

#include "cli/cli.h"

/* Fill cli->remote when the servers are far away; cli->is_remote says so.
 * Errors: VALIDATION_FAILED - no CA, no token, no such context: nothing is ever sent unverified. */
int target_choose(struct cli *cli, struct jaco_err *err);
void target_fini(struct cli *cli);
