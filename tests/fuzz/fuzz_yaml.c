/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_yaml.c - any bytes as YAML; what parses must render to text that parses to the same tree. */
#include <stdlib.h>

#include "libjaco/base/limits.h"
#include "libjaco/model/manifest/merge.h"
#include "libjaco/model/manifest/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct jaco_yaml_node *before =
		jaco_yaml_parse("f", (const char *)data, size, &arena, &findings);
	struct jaco_yaml_node *after;

	if (!before) {
		if (findings.n_errors == 0 || findings.items[0].pos.line == 0)
			abort();
		return 0;
	}
	jaco_merge_clean_tags(before);
	jaco_yaml_render(&text, before);
	if (text.n > JACO_YAML_BYTES_MAX)
		return 0;
	after = jaco_yaml_parse("g", jaco_buf_str(&text), text.n, &arena, &findings);
	if (!after || !jaco_merge_is_same(before, after))
		abort();
	return 0;
}
