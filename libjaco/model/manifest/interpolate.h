/* SPDX-License-Identifier: Apache-2.0
 *
 * interpolate.h - $V, ${V} and their modifiers, as compose reads them (spec/manifests.md 3.1).
 *
 * Pure. */
#pragma once

#include "libjaco/base/buf.h"
#include "libjaco/model/manifest/finding.h"
#include "libjaco/model/manifest/vars.h"
#include "libjaco/model/manifest/yaml.h"

/* What a whole document may grow to: values are the caller's, but a small file may repeat them. */
#define JACO_INTERPOLATE_BYTES_MAX (4 * 1024 * 1024)

/* Called for each variable that is unset and has no default. */
typedef void (*jaco_interpolate_unset_fn)(void *ctx, const char *name);

/* Append the text with its variables replaced.  @is_lenient: a $ that begins no variable stays (env
 * files); otherwise it is an error.  Returns 0, or VALIDATION_FAILED with "required variable V is
 * missing a value: m" or "invalid template: ...". */
int jaco_interpolate_text(struct jaco_buf *out, const char *text, const struct jaco_vars *vars,
			  bool is_lenient, jaco_interpolate_unset_fn on_unset, void *ctx,
			  struct jaco_err *err);

/* Every scalar value of @root in place; keys stay.  Unset names are warned about once per name,
 * across calls with the same @warned. */
void jaco_interpolate_tree(struct jaco_yaml_node *root, const struct jaco_vars *vars,
			   struct jaco_vars *warned, struct jaco_findings *findings);
