/* SPDX-License-Identifier: Apache-2.0
 *
 * files.h - configs and secrets that the engine binds into the container.
 *
 * Most are put into the new container as an archive (tar.h).  Where that cannot work - a read-only
 * root, or a target inside a mount (tar_reaches()) - they lie below <run_dir>/runtimed/files, which
 * is memory, with the owner and mode that were asked for, and are bound read-only.  Before every
 * start they are there again: a reboot empties the directory, the container stays. */
#pragma once

#include "libjaco/base/err.h"
#include "libjaco/model/manifest/service.h"

struct runtimed;
struct slot;

#define FILES_DIR_BYTES 512

/* The directory of one generation of a replica: made when it is needed. */
void files_dir(const struct slot *slot, char out[static FILES_DIR_BYTES]);

/* Write the files of @slot's service that must be bound; nothing when there are none.
 * Errors: INTERNAL with sys_errno. */
int files_write(const struct slot *slot, struct jaco_err *err);

/* Their end, with the container's. */
void files_remove(const struct slot *slot);

/* What belongs to no slot any more, once after our start: replicas that went while we were away. */
void files_sweep(struct runtimed *rt);
