/* SPDX-License-Identifier: Apache-2.0
 *
 * client_files.c - one compose file: parsed, interpolated, its paths anchored, include and extends
 * resolved. */
#include <string.h>

#include "libjaco/base/limits.h"
#include "libjaco/base/str.h"
#include "libjaco/model/manifest/client.h"
#include "libjaco/model/manifest/compose.h"
#include "libjaco/model/manifest/dotenv.h"
#include "libjaco/model/manifest/interpolate.h"
#include "libjaco/model/manifest/merge.h"

#define INCLUDE_DEPTH_MAX 16
#define INCLUDES_MAX      200
#define EXTENDS_DEPTH_MAX 32
/* Of all files together; what is sent in the end is smaller by far.  One file named a thousand
 * times is read a thousand times, since what it means depends on who names it. */
#define BYTES_MAX         (4u * 1024 * 1024)
#define NODES_MAX         (2u * JACO_YAML_NODES_MAX)

const char *jaco_client_join(struct jaco_arena *arena, const char *dir, const char *path)
{
	if (jaco_str_starts(path, "./") && path[2])
		path += 2;
	if (*path == '/' || !*dir)
		return path;
	return jaco_arena_printf(arena, "%s%s%s", dir, jaco_str_ends(dir, "/") ? "" : "/", path);
}

const char *jaco_client_dir(struct jaco_arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return "";
	return slash == path ? "/" : jaco_arena_strndup(arena, path, (size_t)(slash - path));
}

int jaco_client_fetch(struct jaco_client *client, const char *path, struct jaco_document *out,
		     struct jaco_err *err)
{
	if (client->n_bytes <= BYTES_MAX) {
		int rc = client->options->read(client->options->read_ctx, path, client->arena, out,
					       err);

		if (rc < 0)
			return rc;
		client->n_bytes += out->n;
	}
	if (client->n_bytes > BYTES_MAX)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED,
				    "the files together have more than %u bytes", BYTES_MAX);
	return 0;
}

bool jaco_client_read(struct jaco_client *client, const char *path, struct jaco_pos pos,
		      const char *key_path, struct jaco_document *out)
{
	struct jaco_err err = JACO_ERR_INIT;
	int rc = jaco_client_fetch(client, path, out, &err);

	if (rc >= 0) {
		out->name = path;
		return true;
	}
	jaco_findings_error(client->findings, JACO_VALIDATION_FAILED, pos, key_path, NULL,
			    "%s%.300s", rc == -(int)JACO_UNAVAILABLE ? "no such file: " : "",
			    rc == -(int)JACO_UNAVAILABLE ? path : err.text);
	return false;
}

static void report(struct jaco_client *client, struct jaco_pos pos, const char *path,
		   const char *remedy, const char *message)
{
	jaco_findings_error(client->findings, JACO_VALIDATION_FAILED, pos, path, remedy, "%s",
			    message);
}

/* -- paths -------------------------------------------------------------------------------- */

static void prefix(struct jaco_client *client, struct jaco_yaml_node *node, const char *dir)
{
	if (node && node->kind == JACO_YAML_SCALAR && *node->text && !strstr(node->text, "://"))
		node->text = jaco_client_join(client->arena, dir, node->text);
}

static void anchor_env_files(struct jaco_client *client, struct jaco_yaml_node *node,
			     const char *dir)
{
	if (!node)
		return;
	prefix(client, node, dir);
	for (size_t i = 0; i < node->n; i++) {
		struct jaco_yaml_node *item = node->entries[i].value;

		prefix(client, item, dir);
		if (item->kind == JACO_YAML_MAP)
			prefix(client, jaco_yaml_get(item, "path"), dir);
	}
}

/* The absolute form of a bind source, or NULL when it cannot be known. */
static const char *absolute(struct jaco_client *client, const char *source, const char *dir)
{
	const struct jaco_manifest_options *options = client->options;
	const char *base = options->cwd;

	if (*source == '~' && (source[1] == '/' || !source[1]))
		return options->home ? jaco_compose_clean_path(
					       client->arena,
					       jaco_arena_printf(client->arena, "%s%s",
								 options->home, source + 1))
				     : NULL;
	if (*source != '.' || (*dir != '/' && !base))
		return NULL;
	base = *dir == '/' ? dir : jaco_client_join(client->arena, base, dir);
	return jaco_compose_clean_path(client->arena,
				       jaco_arena_printf(client->arena, "%s/%s", base, source));
}

static void warn_relative(struct jaco_client *client, struct jaco_pos pos, const char *service,
			  const char *source)
{
	jaco_findings_warn(client->findings, pos,
			   jaco_arena_printf(client->arena, "services.%.63s.volumes", service),
			   "a named volume or placement: hosts keeps the data with the service",
			   "the relative source is %.200s on the node where the replica runs",
			   source);
}

static void anchor_volume(struct jaco_client *client, struct jaco_yaml_node *item, const char *dir,
			  const char *service)
{
	struct jaco_yaml_node *source = item;
	const char *rest = "";
	const char *text;
	const char *path;

	if (item->kind == JACO_YAML_MAP) {
		const struct jaco_yaml_node *type = jaco_yaml_get(item, "type");

		source = jaco_yaml_get(item, "source");
		if (!source || source->kind != JACO_YAML_SCALAR ||
		    (type && type->kind == JACO_YAML_SCALAR && strcmp(type->text, "bind") != 0))
			return;
		text = source->text;
		if (type && *text && !strchr("/.~", *text))
			text = jaco_arena_printf(client->arena, "./%s", text);
	} else if (item->kind == JACO_YAML_SCALAR) {
		size_t n = strcspn(item->text, ":");

		text = jaco_arena_strndup(client->arena, item->text, n);
		rest = item->text + n;
		if (!*rest)
			return;
	} else {
		return;
	}
	path = absolute(client, text, dir);
	if (!path)
		return;
	warn_relative(client, item->pos, service, path);
	source->text = jaco_arena_printf(client->arena, "%s%s", path, rest);
}

static void anchor_service(struct jaco_client *client, struct jaco_yaml_entry *entry,
			   const char *dir)
{
	struct jaco_yaml_node *service = entry->value;
	struct jaco_yaml_node *volumes = jaco_yaml_get(service, "volumes");
	struct jaco_yaml_node *build = jaco_yaml_get(service, "build");

	anchor_env_files(client, jaco_yaml_get(service, "env_file"), dir);
	for (size_t i = 0; volumes && volumes->kind == JACO_YAML_SEQ && i < volumes->n; i++)
		anchor_volume(client, volumes->entries[i].value, dir, entry->key);
	if (build && build->kind == JACO_YAML_MAP)
		prefix(client, jaco_yaml_get(build, "context"), dir);
	else
		prefix(client, build, dir);
}

static void anchor_paths(struct jaco_client *client, struct jaco_yaml_node *root, const char *dir)
{
	static const char *const blobs[] = {"configs", "secrets"};
	struct jaco_yaml_node *services = jaco_yaml_get(root, "services");

	for (size_t i = 0; services && i < services->n; i++)
		if (services->entries[i].value->kind == JACO_YAML_MAP)
			anchor_service(client, &services->entries[i], dir);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(blobs); i++) {
		struct jaco_yaml_node *map = jaco_yaml_get(root, blobs[i]);

		for (size_t j = 0; map && map->kind == JACO_YAML_MAP && j < map->n; j++)
			if (map->entries[j].value->kind == JACO_YAML_MAP)
				prefix(client, jaco_yaml_get(map->entries[j].value, "file"), dir);
	}
}

/* -- extends ------------------------------------------------------------------------------ */

static struct jaco_yaml_node *parse(struct jaco_client *client,
				    const struct jaco_document *document, const char *dir,
				    const struct jaco_vars *vars)
{
	struct jaco_yaml_node *root;

	if (client->n_nodes > NODES_MAX)
		return NULL; /* was said */
	root = jaco_yaml_parse(document->name, document->data, document->n, client->arena,
			       client->findings);
	if (!root)
		return NULL;
	client->n_nodes += jaco_yaml_count(root);
	if (client->n_nodes > NODES_MAX) {
		report(client, root->pos, "", "include fewer or smaller files",
		       "the files together have too many nodes");
		return NULL;
	}
	jaco_interpolate_tree(root, vars, &client->warned, client->findings);
	anchor_paths(client, root, dir);
	return root;
}

static struct jaco_yaml_node *file_for_extends(struct jaco_client *client, const char *path,
					       struct jaco_pos pos, const struct jaco_vars *vars)
{
	struct jaco_client_file *file;
	struct jaco_document document;

	for (file = client->files; file; file = file->next)
		if (strcmp(file->path, path) == 0)
			return file->tree;
	file = jaco_arena_alloc(client->arena, sizeof(*file));
	*file = (struct jaco_client_file){.path = path, .next = client->files};
	client->files = file;
	if (jaco_client_read(client, path, pos, "", &document))
		file->tree = parse(client, &document, jaco_client_dir(client->arena, path), vars);
	return file->tree;
}

static bool read_extends(const struct jaco_yaml_node *extends, const char **out_service,
			 const char **out_file)
{
	const struct jaco_yaml_node *service = extends;
	const struct jaco_yaml_node *file = NULL;

	if (extends->kind == JACO_YAML_MAP) {
		service = jaco_yaml_get(extends, "service");
		file = jaco_yaml_get(extends, "file");
	}
	if (!service || service->kind != JACO_YAML_SCALAR || !*service->text ||
	    (file && file->kind != JACO_YAML_SCALAR))
		return false;
	*out_service = service->text;
	*out_file = file && *file->text ? file->text : NULL;
	return true;
}

/* The service @entry with what it extends below it; recursion is bounded by @depth. */
static void extend(struct jaco_client *client, struct jaco_yaml_node *root,
		   struct jaco_yaml_entry *entry, const struct jaco_vars *vars, unsigned depth)
{
	struct jaco_yaml_entry *extends = jaco_yaml_entry(entry->value, "extends");
	const char *path = jaco_arena_printf(client->arena, "services.%.63s.extends", entry->key);
	struct jaco_yaml_node *from = root;
	struct jaco_yaml_entry *base;
	struct jaco_yaml_node *copy;
	struct jaco_pos pos;
	const char *service;
	const char *file;

	if (!extends || jaco_yaml_is_null(extends->value))
		return;
	pos = extends->pos;
	if (depth > EXTENDS_DEPTH_MAX) {
		report(client, pos, path, "break the circle", "extends goes round in a circle");
		(void)jaco_yaml_remove(entry->value, "extends");
		return;
	}
	if (!read_extends(extends->value, &service, &file)) {
		report(client, pos, path, "write {service: base, file: common.yaml}",
		       "extends needs a service");
		(void)jaco_yaml_remove(entry->value, "extends");
		return;
	}
	if (file)
		from = file_for_extends(client,
					jaco_client_join(client->arena,
							 jaco_client_dir(client->arena, pos.file),
							 file),
					pos, vars);
	if (!from) {
		(void)jaco_yaml_remove(entry->value, "extends");
		return;
	}
	base = jaco_yaml_entry(jaco_yaml_get(from, "services"), service);
	if (!base || base->value->kind != JACO_YAML_MAP) {
		jaco_findings_error(client->findings, JACO_UNKNOWN_SERVICE, pos, path,
				    "name a service of that file",
				    "extended service \"%.63s\" does not exist", service);
		(void)jaco_yaml_remove(entry->value, "extends");
		return;
	}
	if (base == entry) {
		report(client, pos, path, "name another service", "the service extends itself");
		(void)jaco_yaml_remove(entry->value, "extends");
		return;
	}
	/* the key stays while the base is resolved: a circle then ends at the depth bound */
	extend(client, from, base, vars, depth + 1);
	(void)jaco_yaml_remove(entry->value, "extends");
	client->n_copied += jaco_yaml_count(base->value);
	if (client->n_copied > NODES_MAX) {
		report(client, pos, path, "extend smaller services", "extends copies too much");
		return;
	}
	copy = jaco_yaml_copy(client->arena, base->value);
	entry->value = jaco_merge_services(client->arena, copy, entry->value);
}

static void resolve_extends(struct jaco_client *client, struct jaco_yaml_node *root,
			    const struct jaco_vars *vars)
{
	struct jaco_yaml_node *services = jaco_yaml_get(root, "services");

	/* More are refused in a moment; bases are looked up one by one. */
	if (!services || services->kind != JACO_YAML_MAP || services->n > JACO_SERVICES_MAX)
		return;
	for (size_t i = 0; i < services->n; i++)
		if (services->entries[i].value->kind == JACO_YAML_MAP)
			extend(client, root, &services->entries[i], vars, 0);
}

/* -- include ------------------------------------------------------------------------------ */

/* What an included file adds may not contradict what is there. */
static void add_included(struct jaco_client *client, struct jaco_yaml_node *root,
			 const struct jaco_yaml_node *included, struct jaco_pos pos)
{
	static const char *const sections[] = {"services", "networks", "volumes", "configs",
					       "secrets"};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(sections); i++) {
		const struct jaco_yaml_node *from = jaco_yaml_get(included, sections[i]);
		struct jaco_yaml_node *to = jaco_yaml_get(root, sections[i]);

		if (!from || from->kind != JACO_YAML_MAP)
			continue;
		if (!to || to->kind != JACO_YAML_MAP) {
			to = jaco_yaml_new(client->arena, JACO_YAML_MAP, from->pos);
			jaco_yaml_set(client->arena, root, sections[i], from->pos, to);
		}
		for (size_t j = 0; j < from->n && to->n < 5000; j++) {
			const struct jaco_yaml_entry *entry = &from->entries[j];
			const struct jaco_yaml_entry *mine = jaco_yaml_entry(to, entry->key);

			if (!mine)
				jaco_yaml_append(client->arena, to, entry->key, entry->pos,
						 entry->value);
			else if (!jaco_merge_is_same(mine->value, entry->value))
				jaco_findings_error(
					client->findings, JACO_VALIDATION_FAILED, pos, "include",
					"rename one of them",
					"the included file defines %s.%.63s differently",
					sections[i], entry->key);
		}
	}
}

static void include_path(struct jaco_client *client, struct jaco_yaml_node **io_included,
			 const struct jaco_yaml_node *path, const char *dir,
			 const char *project_dir, const struct jaco_vars *vars, unsigned depth)
{
	struct jaco_document document;
	struct jaco_yaml_node *tree;
	const char *file;

	if (path->kind != JACO_YAML_SCALAR || !*path->text) {
		report(client, path->pos, "include", "write the path of a compose file",
		       "an include needs a path");
		return;
	}
	if (strstr(path->text, "://")) {
		report(client, path->pos, "include", "copy the file here",
		       "only local files can be included");
		return;
	}
	file = jaco_client_join(client->arena, dir, path->text);
	if (!jaco_client_read(client, file, path->pos, "include", &document))
		return;
	tree = jaco_client_load(client, &document,
				project_dir ? project_dir : jaco_client_dir(client->arena, file),
				vars, depth + 1);
	if (tree)
		*io_included = *io_included
				       ? jaco_merge_documents(client->arena, *io_included, tree)
				       : tree;
}

static void include_env_files(struct jaco_client *client, struct jaco_vars *vars,
			      const struct jaco_yaml_node *node, const char *dir)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_document document;

	if (!node)
		return;
	for (size_t i = 0; i < node->n; i++)
		include_env_files(client, vars, node->entries[i].value, dir);
	if (node->kind != JACO_YAML_SCALAR || !*node->text)
		return;
	if (jaco_client_read(client, jaco_client_join(client->arena, dir, node->text), node->pos,
			     "include", &document) &&
	    jaco_dotenv_parse(document.name, document.data, document.n, vars, &err) < 0)
		report(client, node->pos, "include", NULL,
		       jaco_arena_strdup(client->arena, err.text));
}

static void include_one(struct jaco_client *client, struct jaco_yaml_node *root,
			const struct jaco_yaml_node *item, const char *dir,
			const struct jaco_vars *outer, unsigned depth)
{
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(client->arena);
	const struct jaco_yaml_node *path = item;
	const struct jaco_yaml_node *directory = NULL;
	struct jaco_yaml_node *included = NULL;
	const char *project_dir = NULL;

	vars.outer = outer;
	if (item->kind == JACO_YAML_MAP) {
		path = jaco_yaml_get(item, "path");
		directory = jaco_yaml_get(item, "project_directory");
		include_env_files(client, &vars, jaco_yaml_get(item, "env_file"), dir);
	}
	if (directory && directory->kind == JACO_YAML_SCALAR && *directory->text)
		project_dir = jaco_client_join(client->arena, dir, directory->text);
	if (!path) {
		report(client, item->pos, "include", "add path:", "an include needs a path");
		return;
	}
	if (path->kind != JACO_YAML_SEQ)
		include_path(client, &included, path, dir, project_dir, &vars, depth);
	for (size_t i = 0; path->kind == JACO_YAML_SEQ && i < path->n; i++)
		include_path(client, &included, path->entries[i].value, dir, project_dir, &vars,
			     depth);
	if (included)
		add_included(client, root, included, item->pos);
}

static void resolve_includes(struct jaco_client *client, struct jaco_yaml_node *root,
			     const char *dir, const struct jaco_vars *vars, unsigned depth)
{
	struct jaco_yaml_node *include = jaco_yaml_get(root, "include");

	if (!include || jaco_yaml_is_null(include))
		return;
	client->n_includes += include->n;
	if (depth >= INCLUDE_DEPTH_MAX || client->n_includes > INCLUDES_MAX) {
		report(client, include->pos, "include", "break the circle",
		       "includes go round in a circle, or are too many");
	} else if (include->kind == JACO_YAML_SEQ) {
		/* the vars of an include die with it; texts were copied into the tree */
		for (size_t i = 0; i < include->n; i++)
			include_one(client, root, include->entries[i].value, dir, vars, depth);
	} else {
		report(client, include->pos, "include", "write a list of paths",
		       "include must be a list");
	}
	(void)jaco_yaml_remove(root, "include");
}

struct jaco_yaml_node *jaco_client_load(struct jaco_client *client,
					const struct jaco_document *document, const char *dir,
					const struct jaco_vars *vars, unsigned depth)
{
	struct jaco_yaml_node *root = parse(client, document, dir, vars);

	if (!root || root->kind != JACO_YAML_MAP)
		return root;
	resolve_extends(client, root, vars);
	resolve_includes(client, root, dir, vars, depth);
	return root;
}
