/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_dotenv.c - any bytes as an env file, with quotes and raw. */
#include "libjaco/model/manifest/dotenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_vars) struct jaco_vars outer = JACO_VARS_INIT(&arena);
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(&arena);
	jaco_auto(jaco_vars) struct jaco_vars raw = JACO_VARS_INIT(&arena);
	struct jaco_err err = JACO_ERR_INIT;

	jaco_vars_set(&outer, "OUT", "outer");
	vars.outer = &outer;
	(void)jaco_dotenv_parse("f", (const char *)data, size, &vars, &err);
	(void)jaco_dotenv_parse_raw("f", (const char *)data, size, &raw, &err);
	(void)jaco_vars_list(&vars, &arena);
	return 0;
}
