/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_archive.c - the container of a backup from hostile bytes, whole and in pieces, and its
 * meta.json. */
#include <stdint.h>

#include "libjaco/io/archive.h"
#include "libjaco/wire/print.h"
#include "libjaco/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int on_content(void *ctx, const char *name, uint64_t size, const void *data, size_t n,
		      struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_backup_meta meta;
	json_t *json;

	(void)ctx;
	(void)name;
	(void)size;
	json = n ? json_loadb(data, n, 0, NULL) : NULL;
	if (json)
		(void)jaco_json_to_msg(&wire_backup_meta_desc, json, &arena, &meta, err);
	json_decref(json);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t step = n > 0 ? 1 + data[n - 1] : 1;
	struct jaco_unarchive *un = jaco_unarchive_new(NULL, on_content, NULL);
	struct jaco_err err = JACO_ERR_INIT;
	int rc = 0;

	for (size_t at = 0; rc >= 0 && at < n; at += step)
		rc = jaco_unarchive_feed(un, data + at, n - at < step ? n - at : step, &err);
	if (rc >= 0)
		(void)jaco_unarchive_end(un, &err);
	jaco_unarchive_free(un);
	return 0;
}
