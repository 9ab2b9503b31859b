/* SPDX-License-Identifier: Apache-2.0
 *
 * load.c - the server's way: two documents, as they were sent, to a manifest. */
#include "libjaco/model/manifest/load.h"

#include <stdlib.h>
#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/resolve.h"
#include "libjaco/model/manifest/spec_hash.h"
#include "libjaco/model/name.h"

const char *jaco_load_deployment(const struct jaco_yaml_node *jaco)
{
	const struct jaco_yaml_node *node = jaco_yaml_get(jaco, "deployment");
	struct jaco_err err;

	return node && node->kind == JACO_YAML_SCALAR &&
			       jaco_name_check_deployment(node->text, &err) == 0
		       ? node->text
		       : "";
}

int jaco_load_trees(const struct jaco_yaml_node *jaco, const struct jaco_yaml_node *compose,
		    struct jaco_findings *findings,
		    const struct jaco_manifest **out_manifest, struct jaco_err *err)
{
	struct jaco_read *read = jaco_arena_alloc(findings->arena, sizeof(*read));
	struct jaco_manifest *manifest = jaco_arena_alloc(findings->arena, sizeof(*manifest));
	jaco_auto(jaco_arena) struct jaco_arena scratch = JACO_ARENA_INIT;
	struct overlay overlay = {.acme = true};
	struct compose_doc doc = {0};

	if (jaco)
		findings->first_file = jaco->pos.file;
	read->arena = findings->arena;
	read->findings = findings;
	read->deployment = jaco_load_deployment(jaco);
	if (jaco)
		jaco_overlay_read(read, jaco, &overlay);
	if (compose)
		jaco_compose_read(read, compose, &doc);
	if (jaco && compose && doc.n_services > 0)
		jaco_resolve_run(&(struct resolve){
			.read = read, .overlay = &overlay, .compose = &doc, .manifest = manifest});
	jaco_findings_sort(findings);
	if (findings->n_errors > 0)
		return jaco_findings_to_err(findings, err);
	for (size_t i = 0; i < manifest->n_services; i++) {
		jaco_spec_hash_set(&manifest->services[i], &scratch);
		jaco_arena_reset(&scratch);
	}
	*out_manifest = manifest;
	return 0;
}

int jaco_manifest_load(const struct jaco_document *jaco, const struct jaco_document *compose,
		       struct jaco_findings *findings, const struct jaco_manifest **out_manifest,
		       struct jaco_err *err)
{
	const struct jaco_yaml_node *overlay_tree =
		jaco_yaml_parse(jaco->name, jaco->data, jaco->n, findings->arena, findings);
	const struct jaco_yaml_node *compose_tree = jaco_yaml_parse(
		compose->name, compose->data, compose->n, findings->arena, findings);

	return jaco_load_trees(overlay_tree, compose_tree, findings, out_manifest, err);
}

static int compare_service(const void *key, const void *item)
{
	return strcmp(key, ((const struct jaco_service *)item)->name);
}

const struct jaco_service *jaco_manifest_service(const struct jaco_manifest *manifest,
						 const char *name)
{
	return manifest->n_services ? bsearch(name, manifest->services, manifest->n_services,
					      sizeof(*manifest->services), compare_service)
				    : NULL;
}

const struct jaco_network *jaco_manifest_network(const struct jaco_manifest *manifest,
						 const char *name)
{
	for (size_t i = 0; i < manifest->n_networks; i++)
		if (strcmp(manifest->networks[i].name, name) == 0)
			return &manifest->networks[i];
	return NULL;
}

const struct jaco_volume *jaco_manifest_volume(const struct jaco_manifest *manifest,
					       const char *name)
{
	for (size_t i = 0; i < manifest->n_volumes; i++)
		if (strcmp(manifest->volumes[i].name, name) == 0)
			return &manifest->volumes[i];
	return NULL;
}
