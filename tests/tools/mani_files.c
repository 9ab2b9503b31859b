/* SPDX-License-Identifier: Apache-2.0
 *
 * mani_files.c - reading whole files for the manifest tests. */
#include "tests/tools/mani_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/limits.h"

int mani_read_file(void *ctx, const char *path, struct jaco_arena *arena, struct jaco_document *out,
		   struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf data = JACO_BUF_BOUND(2 * JACO_YAML_BYTES_MAX);
	char chunk[16384];
	size_t n;
	FILE *file = fopen(path, "re");

	(void)ctx;
	if (!file)
		return jaco_err_set(err, errno == ENOENT ? JACO_UNAVAILABLE : JACO_INTERNAL,
				    "%.200s: %s", path, strerror(errno));
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		jaco_buf_add(&data, chunk, n);
	if (ferror(file)) {
		(void)fclose(file);
		return jaco_err_set(err, JACO_INTERNAL, "%.200s: cannot be read", path);
	}
	(void)fclose(file);
	out->name = path;
	out->n = data.n;
	out->data = jaco_arena_memdup(arena, jaco_buf_str(&data), data.n + 1);
	return 0;
}
