/* SPDX-License-Identifier: Apache-2.0
 *
 * alone.h - `jaco-proxyd --standalone FILE`: the proxy without a cluster. */
#pragma once

#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"

/* Read and check @path, start nothing. */
int alone_check(const char *path, struct jaco_err *err);

/* Serve until SIGTERM or SIGINT (requests under way are finished first); SIGHUP reads the file
 * again, and keeps the old tables when it is wrong.  @loop has no handlers for these signals. */
int alone_run(struct jaco_loop *loop, const char *path, struct jaco_err *err);
