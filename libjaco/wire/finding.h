/* SPDX-License-Identifier: Apache-2.0
 *
 * finding.h - a finding of the manifest readers as a message, for servers and for -o json. */
#pragma once

#include "libjaco/model/manifest/finding.h"
#include "libjaco/wire/wire.h"

/* Borrows the texts of @finding; the rest is from @arena.  The code of a warning is
 * "difference". */
struct wire_finding jaco_finding_to_wire(const struct jaco_finding *finding,
					 struct jaco_arena *arena);
