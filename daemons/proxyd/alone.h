/* SPDX-License-Identifier: Apache-2.0
 *
 * alone.h - `jaco-proxyd --standalone FILE`: the proxy without a cluster. */
#pragma once

#include "libjaco/base/err.h"

/* Read and check @path, start nothing. */
int alone_check(const char *path, struct jaco_err *err);

/* Serve until SIGTERM or SIGINT (requests under way are finished first); SIGHUP reads the file again,
 * and keeps the old tables when it is wrong. */
int alone_run(const char *path, struct jaco_err *err);
