/* SPDX-License-Identifier: Apache-2.0
 *
 * redact.h - a revision without what may be secret in it: pure. */
#pragma once

#include "libjaco/base/arena.h"
#include "libjaco/base/buf.h"
#include "libjaco/wire/wire.h"

#define REDACTED "(redacted)"

/* The record @packed with both documents rendered anew: values of environments, build arguments,
 * labels, annotations and headers, commands, inline contents, options of drivers, password hashes
 * and everything below x-... are replaced; the names of what is a name and a value stay.  What
 * cannot be read is left out whole. */
int redact_revision(const void *packed, size_t n, struct jaco_arena *arena, struct jaco_buf *out,
		    struct jaco_err *err);

/* The route @packed without the values of its headers and without its password hashes. */
int redact_route(const void *packed, size_t n, struct jaco_arena *arena, struct jaco_buf *out,
		 struct jaco_err *err);
