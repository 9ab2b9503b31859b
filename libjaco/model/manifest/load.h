/* SPDX-License-Identifier: Apache-2.0
 *
 * load.h - trees to a manifest: shared by the server's load and the client's resolve.
 *
 * Internal to the manifest readers. */
#pragma once

#include "libjaco/model/manifest/manifest.h"
#include "libjaco/model/manifest/yaml.h"

/* @jaco, @compose: NULL when the document did not parse (the finding is there already). */
int jaco_load_trees(const struct jaco_yaml_node *jaco, const struct jaco_yaml_node *compose,
		    struct jaco_findings *findings,
		    const struct jaco_manifest **out_manifest, struct jaco_err *err);

/* The name to put into engine names while the compose file is read; "" when it is not there. */
const char *jaco_load_deployment(const struct jaco_yaml_node *jaco);
