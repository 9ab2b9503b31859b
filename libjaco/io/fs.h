/* SPDX-License-Identifier: Apache-2.0
 *
 * fs.h - files that are read bounded and replaced whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/err.h"

/* Create @path and missing parents with @mode. */
int jaco_fs_mkdirs(const char *path, mode_t mode, struct jaco_err *err);

/* Append the whole file to @out.  Errors: INTERNAL with sys_errno; LIMIT_EXCEEDED past @max
 * bytes. */
int jaco_fs_read(const char *path, size_t max, struct jaco_buf *out, struct jaco_err *err);

/* Write a temporary beside @path, fsync, rename, fsync the directory: readers see old or new. */
int jaco_fs_replace(const char *path, const void *data, size_t n, mode_t mode,
		    struct jaco_err *err);

/* The same without any flush: for caches that may be lost with the machine. */
int jaco_fs_replace_cache(const char *path, const void *data, size_t n, mode_t mode,
			  struct jaco_err *err);

/* Remove from @dir the temporaries that a process left which died inside a replace.  Those of
 * processes that live are left alone; a directory that cannot be read is nobody's loss. */
void jaco_fs_sweep(const char *dir);
int jaco_fs_sync_dir(const char *path, struct jaco_err *err);
bool jaco_fs_exists(const char *path);

/* Hold @path (created) for this process alone until the returned descriptor is closed, however the
 * process ends (flock(2)).  Waits up to @wait_ms for another holder that is just ending.
 * Errors: CONFLICT - another process holds it. */
int jaco_fs_lock(const char *path, int64_t wait_ms, struct jaco_err *err);
