/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_overlay.c - any bytes as jaco.yaml beside a fixed compose file. */
#include <stdlib.h>

#include "libjaco/model/manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char compose[] =
		"services:\n  web: {image: x, ports: ['1000:1'], networks: [n]}\n"
		"  db: {image: y, volumes: ['d:/d']}\nvolumes: {d: }\n";
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct jaco_document jaco = {"jaco.yaml", (const char *)data, size};
	struct jaco_document document = {"compose.yaml", compose, sizeof(compose) - 1};
	struct jaco_cluster_facts facts = {.require_privileged_label = true};
	const struct jaco_manifest *manifest = NULL;
	struct jaco_err err = JACO_ERR_INIT;
	char hash[JACO_HASH_MAX + 1];

	if (jaco_manifest_load(&jaco, &document, &findings, &manifest, &err) < 0) {
		if (findings.n_errors == 0)
			abort();
		return 0;
	}
	jaco_manifest_hash(manifest, hash);
	(void)jaco_manifest_admit(manifest, &facts, &findings, &err);
	(void)jaco_manifest_diff(NULL, manifest, &arena);
	return 0;
}
