/* SPDX-License-Identifier: Apache-2.0
 *
 * alone.h - `jaco-dnsd --standalone FILE`: no raftd, any user, any port. */
#pragma once

#include "libjaco/base/err.h"

/* Serve what @path says until SIGTERM or SIGINT.  SIGHUP reads it again; a wrong file is logged and
 * the old tables stay.  SIGUSR1 writes the metrics to standard output. */
int alone_run(const char *path, struct jaco_err *err);

/* Only read @path. */
int alone_check(const char *path, struct jaco_err *err);
