/* SPDX-License-Identifier: Apache-2.0
 *
 * tar.h - configs and secrets of a service as the archive that an engine unpacks at "/".
 *
 * Pure.  Format: POSIX.1-2008 ustar (pax utility, "ustar Interchange Format"). */
#pragma once

#include "libjaco/base/buf.h"
#include "libjaco/model/manifest/service.h"

/* Whether an archive unpacked into the new container shows @file in the running one: not below a
 * read-only root, which engines do not unpack into, not where a mount will cover it, and not under
 * a name too long for the format.  Such files are bound instead (files.h). */
bool tar_reaches(const struct jaco_service *service, const struct jaco_file *file);

/* A user or group id as compose writes it; 0 when it was not written. */
uint32_t tar_number(const char *text);

/* Append the whole archive.  Files without content (external ones) and those that it does not reach
 * are left out; false when none is in it. */
bool tar_files(const struct jaco_service *service, struct jaco_buf *out);

/* Append one file; @path is absolute and at most 255 bytes.  False: it does not fit the format. */
bool tar_add(struct jaco_buf *out, const char *path, uint32_t mode, uint32_t uid, uint32_t gid,
	     const void *data, size_t n);
void tar_end(struct jaco_buf *out);
