/* SPDX-License-Identifier: Apache-2.0
 *
 * wait.h - live progress until a deployment is what was asked for. */
#pragma once

#include "cli/cli.h"

/* Print a line per change of state until every service of @deployment runs its current spec.
 * Errors: TIMEOUT; RESTART_EXHAUSTED and the other replica codes when a replica gave up, with its
 * last lines. */
int wait_converged(struct cli *cli, const char *deployment, int64_t timeout_ms,
		   struct jaco_err *err);

/* Until no replica of @deployment is left. */
int wait_gone(struct cli *cli, const char *deployment, int64_t timeout_ms, struct jaco_err *err);

/* Follow a drain that has been asked for, saying what moves, until the node is empty and cordoned.
 * The scheduler's limit ends it, so there is none here.
 * Errors: TIMEOUT (given up: drain_timeout), CONFLICT (called off), NODE_NOT_FOUND, UNAVAILABLE. */
int wait_drained(struct cli *cli, const char *host, struct jaco_err *err);
