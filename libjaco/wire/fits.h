/* SPDX-License-Identifier: Apache-2.0
 *
 * fits.h - whether what an apply would write has room in the store.  Pure.
 *
 * Asked by `jaco validate` as well as by admission, so that nothing is called valid which an apply
 * must refuse.  The bounds are those of the messages (def/state.def) and of base/limits.h. */
#pragma once

#include "libjaco/model/manifest/manifest.h"

/*
 * Pack and read back every record that applying @manifest writes, at its largest, and add
 * limit_exceeded to @findings for what does not fit, at the service or route it belongs to.
 *
 * @jaco, @compose  the documents as they are sent; only their sizes are looked at
 *
 * Returns as jaco_manifest_load().
 */
int jaco_fits_check(const struct jaco_manifest *manifest, const struct jaco_document *jaco,
		    const struct jaco_document *compose, struct jaco_findings *findings,
		    struct jaco_err *err);
