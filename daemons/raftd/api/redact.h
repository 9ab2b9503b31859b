/* SPDX-License-Identifier: Apache-2.0
 *
 * redact.h - a revision without what may be secret in it: pure. */
#pragma once

#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/wire/wire.h"

#define REDACTED "(redacted)"

/* The record @packed with both documents rendered anew: values of environment, of build arguments and
 * of inline secrets and configs are replaced, names stay.  What cannot be read is left out whole. */
int redact_revision(const void *packed, size_t n, struct jaco_arena *arena, struct jaco_buf *out,
		    struct jaco_err *err);
