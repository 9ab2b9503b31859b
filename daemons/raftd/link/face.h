/* SPDX-License-Identifier: Apache-2.0
 *
 * face.h - which address of this machine "0.0.0.0" means (spec/cluster.md section 1). */
#pragma once

#include "libjaco/io/sock.h"

/* What to bind for @text of the option @key: an explicit host as it is; for 0.0.0.0 the private
 * face of this machine.  Errors: VALIDATION_FAILED - it has none, with the remedy. */
int face_resolve(const char *key, const char *text, struct jaco_addr *out, struct jaco_err *err);
