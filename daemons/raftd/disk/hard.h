/* SPDX-License-Identifier: Apache-2.0
 *
 * hard.h - term and vote on disk: what may never be forgotten, or a node votes twice.
 *
 * Two slots in one file, written in turn, each with a counter and a checksum: a torn write damages
 * the slot being written and leaves the one before it. */
#pragma once

#include <stdint.h>

#include "libjaco/base/err.h"

struct hard {
	int fd;
	uint64_t sequence;
	uint64_t term;
	uint64_t vote; /* 0 nobody */
};

/* Open or create @path.  Errors: INTERNAL - both slots are damaged. */
int hard_open(struct hard *hard, const char *path, struct jaco_err *err);
void hard_close(struct hard *hard);
#define hard_cleanup hard_close

/* Durable when it returns.  A failure is final, as for the log. */
int hard_save(struct hard *hard, uint64_t term, uint64_t vote, struct jaco_err *err);
