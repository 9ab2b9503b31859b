/* SPDX-License-Identifier: Apache-2.0
 *
 * access.h - which role may read and write which keys; the table is libjaco/wire/def/state.def.
 *
 * Pure.  The role is the socket a caller came in by. */
#pragma once

#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/wire/wire.h"

/* May @role read everything below @prefix?  Errors: PERMISSION_DENIED, VALIDATION_FAILED - no such
 * keyspace. */
int access_read(uint32_t role, const char *prefix, struct jaco_err *err);

/* May @role write the key, or everything below the prefix? */
int access_write(uint32_t role, const char *key, struct jaco_err *err);

/* May @role make a change depend on @key?  Reading or writing it is enough. */
int access_compare(uint32_t role, const char *key, struct jaco_err *err);

/* Is @value a record of the keyspace of @key?  Errors: VALIDATION_FAILED with the field. */
int access_check_value(const char *key, const void *value, size_t n, struct jaco_arena *arena,
		       struct jaco_err *err);

/* Does an observed key belong to @host?  ("/obs/node/<host>/...", "/obs/replica/...@<host>")
 * Errors: PERMISSION_DENIED. */
int access_owner(const char *key, const char *host, struct jaco_err *err);
