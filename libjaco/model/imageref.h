/* SPDX-License-Identifier: Apache-2.0
 *
 * imageref.h - image references and registry credentials.
 *
 * Pure.  References as in the distribution specification: [host[:port]/]path[:tag][@digest], where
 * the first part is a host only when it holds a dot or a colon or is "localhost".  Without a host
 * it is docker.io, and a single-part path there lives under library/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "libjaco/base/limits.h"

#define JACO_REGKEY_BYTES (JACO_IMAGE_MAX + 32)

/* Could an engine accept @image? */
bool jaco_imageref_is_valid(const char *image);

/* "docker.io/library/nginx" of "nginx:1.25": canonical host and path without tag and digest.  False
 * when it is no reference. */
bool jaco_imageref_repository(const char *image, char out[static JACO_REGKEY_BYTES]);

/* Canonical credential key of what a person typed at login: scheme, user, query, fragment, /v1/ and
 * /v2/ and trailing slashes dropped, lower case, default port dropped, index.docker.io,
 * registry-1.docker.io and registry.hub.docker.com become docker.io.  False when nothing is left or
 * it does not fit. */
bool jaco_imageref_registry_key(const char *text, char out[static JACO_REGKEY_BYTES]);

/* The index of the key that serves @image: the longest one that is a whole-segment prefix of its
 * repository, else the only key of its host; -1 when none. */
long jaco_imageref_match(const char *image, const char *const *keys, size_t n_keys);

/* The host[:port] of a key or reference, as the engine's X-Registry-Auth serveraddress. */
bool jaco_imageref_server(const char *text, char out[static JACO_REGKEY_BYTES]);
