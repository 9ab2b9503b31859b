/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_uapi - the answers of a userspace WireGuard. */
#include "daemons/meshd/uapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct mesh_device device, none = {.n_peers = 0};
	struct jaco_buf buf = JACO_BUF_INIT;
	struct mesh_plan plan;

	(void)uapi_complete((const char *)data, n);
	(void)uapi_parse_result((const char *)data, n, &err);
	if (uapi_parse((const char *)data, n, &arena, &device, &err) == 0) {
		plan_peers(&plan, &device, &none, &arena);
		uapi_render(&buf, &plan, &device);
	}
	jaco_buf_fini(&buf);
	jaco_arena_fini(&arena);
	return 0;
}
