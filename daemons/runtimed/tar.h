/* SPDX-License-Identifier: Apache-2.0
 *
 * tar.h - configs and secrets of a service as the archive that an engine unpacks at "/".
 *
 * Pure.  Format: POSIX.1-2008 ustar (pax utility, "ustar Interchange Format"). */
#pragma once

#include "libjaco/base/buf.h"
#include "libjaco/model/manifest/service.h"

/* Append the whole archive.  Files without content (external ones) are left out. */
void tar_files(const struct jaco_service *service, struct jaco_buf *out);

/* Append one file; @path is absolute and at most 255 bytes.  False: it does not fit the format. */
bool tar_add(struct jaco_buf *out, const char *path, uint32_t mode, uint32_t uid, uint32_t gid,
	     const void *data, size_t n);
void tar_end(struct jaco_buf *out);
