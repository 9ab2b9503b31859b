/* SPDX-License-Identifier: Apache-2.0
 *
 * alone.h - `jaco-dnsd --standalone FILE`: no raftd, any user, any port.
 *
 * SIGHUP reads the file again; a wrong one is logged and the old tables stay.  SIGUSR1 writes the
 * metrics to standard output. */
#pragma once

#include "daemons/dnsd/dnsd.h"
#include "daemons/dnsd/standalone.h"
#include "libjaco/base/err.h"

struct alone {
	const char *path;
	struct jaco_loop *loop;
	struct dnsd dnsd;
	struct standalone file; /* its table belongs to dnsd once applied */
	uint32_t serial;
	struct jaco_signal hup, usr1;
};

#define ALONE_INIT ((struct alone){.path = NULL})

/* Serve what @path says.  @path is kept by reference. */
int alone_open(struct alone *alone, struct jaco_loop *loop, const char *path, struct jaco_err *err);
void alone_close(struct alone *alone);
#define alone_cleanup alone_close

/* Only read @path. */
int alone_check(const char *path, struct jaco_err *err);
