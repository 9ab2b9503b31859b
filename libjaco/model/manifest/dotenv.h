/* SPDX-License-Identifier: Apache-2.0
 *
 * dotenv.h - .env files (spec/manifests.md section 3.1).
 *
 * Pure.  A line is [export] KEY=VALUE; # begins a comment at the start of a line or after a blank;
 * 'single' quotes are literal, "double" ones take escapes and ${V}; both may span lines.  CR before
 * LF and a leading byte order mark are tolerated. */
#pragma once

#include "libjaco/base/err.h"
#include "libjaco/model/manifest/vars.h"

/* Read @text into @vars; ${V} sees earlier keys and @vars->outer.  A key without "=" takes its
 * value from there, or stays unset.  @name is the file, for messages. Errors: VALIDATION_FAILED -
 * "load environment file <name>: line N: ...". */
int jaco_dotenv_parse(const char *name, const char *text, size_t n, struct jaco_vars *vars,
		      struct jaco_err *err);

/* format: raw - KEY=VALUE as it stands, no quotes, no variables. */
int jaco_dotenv_parse_raw(const char *name, const char *text, size_t n, struct jaco_vars *vars,
			  struct jaco_err *err);
