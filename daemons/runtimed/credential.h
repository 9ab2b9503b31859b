/* SPDX-License-Identifier: Apache-2.0
 *
 * credential.h - which registry credential a pull uses (spec/runtime.md section 2).
 *
 * Pure. */
#pragma once

#include "libjaco/base/buf.h"
#include "libjaco/wire/wire.h"

/* "host[:port]/path" of an image reference, without tag and digest; Docker Hub's short names are
 * spelled out ("nginx" is "docker.io/library/nginx").  False when it does not fit. */
bool credential_repository(const char *image, char *out, size_t bytes);

/* The credential whose key is the longest path-aligned prefix of the image's repository; a host
 * with exactly one credential uses it for all its paths.  NULL: none.  Borrowed. */
const struct wire_registry_secret *credential_choose(const struct wire_registry_secrets *secrets,
						     const char *image);

/* Append the value of X-Registry-Auth (Docker Engine API, "Authentication").  Secret: wipe it. */
void credential_header(const struct wire_registry_secret *secret, struct jaco_buf *out);
