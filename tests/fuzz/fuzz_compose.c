/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_compose.c - any bytes as a compose file, through the whole client side and then the
 * server's: both must agree, and every finding must have a place. */
#include <stdlib.h>
#include <string.h>

#include "libjaco/model/manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static int read_input(void *ctx, const char *path, struct jaco_arena *arena,
		      struct jaco_document *out, struct jaco_err *err)
{
	static const char jaco[] = "deployment: fuzz\n";
	static const char env[] = "A=1\nB='x'\n";
	const struct input *input = ctx;

	(void)arena;
	if (strcmp(path, "jaco.yaml") == 0)
		*out = (struct jaco_document){path, jaco, sizeof(jaco) - 1};
	else if (strcmp(path, "compose.yaml") == 0)
		*out = (struct jaco_document){path, (const char *)input->data, input->size};
	else if (strstr(path, "env"))
		*out = (struct jaco_document){path, env, sizeof(env) - 1};
	else
		return jaco_err_set(err, JACO_UNAVAILABLE, "no such file");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct input input = {data, size};
	static const char *const profiles[] = {"*"};
	struct jaco_manifest_options options = {.jaco_path = "jaco.yaml",
						.cwd = "/srv",
						.home = "/root",
						.profiles = profiles,
						.n_profiles = 1,
						.read = read_input,
						.read_ctx = &input};
	struct jaco_findings findings = JACO_FINDINGS_INIT(&arena);
	struct jaco_findings again = JACO_FINDINGS_INIT(&arena);
	struct jaco_resolved resolved = {0};
	const struct jaco_manifest *manifest = NULL;
	struct jaco_err err = JACO_ERR_INIT;
	char mine[JACO_HASH_MAX + 1];
	char theirs[JACO_HASH_MAX + 1];

	if (jaco_manifest_resolve(&options, &findings, &resolved, &err) < 0) {
		for (size_t i = 0; i < findings.n; i++)
			if (findings.items[i].pos.line == 0)
				abort();
		return 0;
	}
	if (resolved.compose.n > JACO_YAML_BYTES_MAX)
		return 0;
	if (jaco_manifest_load(&resolved.jaco, &resolved.compose, &again, &manifest, &err) < 0)
		abort();
	jaco_manifest_hash(resolved.manifest, mine);
	jaco_manifest_hash(manifest, theirs);
	if (strcmp(mine, theirs) != 0 || jaco_manifest_diff(manifest, resolved.manifest, &arena).n)
		abort();
	return 0;
}
