/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_interpolate.c - any text as a template, strict and lenient. */
#include "libjaco/model/manifest/interpolate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_unset(void *ctx, const char *name)
{
	*(size_t *)ctx += *name != '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(&arena);
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_BOUND(1 << 20);
	const char *text = jaco_arena_strndup(&arena, (const char *)data, size);
	struct jaco_err err = JACO_ERR_INIT;
	size_t n_unset = 0;

	jaco_vars_set(&vars, "A", "value");
	jaco_vars_set(&vars, "E", "");
	(void)jaco_interpolate_text(&out, text, &vars, false, on_unset, &n_unset, &err);
	(void)jaco_interpolate_text(&out, text, &vars, true, on_unset, &n_unset, &err);
	return 0;
}
