/* SPDX-License-Identifier: Apache-2.0
 *
 * client.h - the client's side of a manifest: files, variables, folding.
 *
 * Internal to the manifest readers. */
#pragma once

#include "libjaco/model/manifest/manifest.h"
#include "libjaco/model/manifest/vars.h"
#include "libjaco/model/manifest/yaml.h"

struct jaco_client_file {
	const char *path;
	struct jaco_yaml_node *tree; /* interpolated, paths made local; NULL: it failed */
	struct jaco_client_file *next;
};

struct jaco_client {
	const struct jaco_manifest_options *options;
	struct jaco_arena *arena;
	struct jaco_findings *findings;
	const struct jaco_vars *vars;
	struct jaco_vars warned;
	struct jaco_client_file *files; /* read for extends */
	size_t n_includes;              /* files included so far, bounded */
	size_t n_copied;                /* nodes copied by extends, bounded */
	size_t n_bytes;                 /* read from files so far, bounded */
	size_t n_nodes;                 /* of the documents read so far, bounded */
};

/* "dir/path", or @path when absolute or @dir is empty. */
const char *jaco_client_join(struct jaco_arena *arena, const char *dir, const char *path);
const char *jaco_client_dir(struct jaco_arena *arena, const char *path);

/* Read a file through the caller's callback, all files together up to a bound.  Errors: UNAVAILABLE
 * - there is none; LIMIT_EXCEEDED. */
int jaco_client_fetch(struct jaco_client *client, const char *path, struct jaco_document *out,
		     struct jaco_err *err);

/* The same, or report at @pos and return false. */
bool jaco_client_read(struct jaco_client *client, const char *path, struct jaco_pos pos,
		      const char *key_path, struct jaco_document *out);

/* A compose document with its includes and extends resolved; NULL after a report.  @dir is what its
 * paths are relative to. */
struct jaco_yaml_node *jaco_client_load(struct jaco_client *client,
					const struct jaco_document *document, const char *dir,
					const struct jaco_vars *vars, unsigned depth);

/* The merged document: profiles, external networks, env_file, configs and secrets. */
void jaco_client_fold(struct jaco_client *client, struct jaco_yaml_node *root);

/* env_file of one service into its environment. */
void jaco_client_fold_environment(struct jaco_client *client, struct jaco_yaml_node *service,
				  const char *name);
