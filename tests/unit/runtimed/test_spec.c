/* SPDX-License-Identifier: Apache-2.0
 *
 * Manifests are parsed once, and never taken for those of another deployment of the same name. */
#include "daemons/runtimed/spec.h"

#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"
#include "libjaco/wire/wire.h"
#include "tests/lib/test.h"

static void put_revision(struct jaco_view *view, uint64_t stored, const char *compose)
{
	static const char jaco[] = "deployment: shop\nacme: off\n";
	struct wire_revision record = {.deployment = "shop", .number = 1, .time = 1,
				       .author = "x",
				       .jaco = {.data = jaco, .n = strlen(jaco)},
				       .compose = {.data = compose, .n = strlen(compose)}};
	jaco_auto(jaco_buf) struct jaco_buf raw = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_pack(&raw, &wire_revision_desc, &record, &err), &err);
	JT_OK(jaco_view_put(view, "/revision/shop/1", stored, raw.data, raw.n, &err), &err);
}

static const char *image_of(const struct spec *spec)
{
	return jaco_manifest_service(spec->manifest, "web")->image;
}

JT_CASE(a_deployment_made_again_under_its_name_is_read_again)
{
	struct spec_cache cache = TAILQ_HEAD_INITIALIZER(cache);
	struct jaco_view view = {.n = 0};
	const struct spec *first, *second;

	put_revision(&view, 5, "services:\n  web: {image: old}\n");
	first = spec_get(&cache, &view, "shop", 1);
	JT_TRUE(first && first->manifest);
	JT_TRUE(spec_get(&cache, &view, "shop", 1) == first);
	put_revision(&view, 9, "services:\n  web: {image: new}\n");
	second = spec_get(&cache, &view, "shop", 1);
	JT_TRUE(second && second->manifest);
	JT_STR(image_of(second), "new");
	JT_STR(image_of(first), "old"); /* borrowed until the sweep */
	spec_sweep(&cache);
	JT_TRUE(spec_get(&cache, &view, "shop", 1) == second);
	spec_fini(&cache);
	while (view.n > 0) {
		struct jaco_arena gone = view.v[--view.n]->arena;

		jaco_arena_fini(&gone);
	}
	jaco_free(view.v);
}

JT_MAIN(JT_RUN(a_deployment_made_again_under_its_name_is_read_again))
