/* SPDX-License-Identifier: Apache-2.0
 *
 * changes.h - what an apply changes, service by service, route by route, port by port.  Pure. */
#pragma once

#include "libjaco/model/manifest/manifest.h"

/* @before NULL: everything is added.  Memory from @arena. */
struct jaco_diff changes_between(const struct jaco_manifest *before,
				 const struct jaco_manifest *after, struct jaco_arena *arena);
