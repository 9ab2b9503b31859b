/* SPDX-License-Identifier: Apache-2.0
 *
 * mani_files.h - reading whole files for the manifest tests: the acting half that the library
 * lacks. */
#pragma once

#include "libjaco/model/manifest/manifest.h"

/* A jaco_manifest_read_fn; @ctx is unused. */
int mani_read_file(void *ctx, const char *path, struct jaco_arena *arena,
		   struct jaco_document *out, struct jaco_err *err);
