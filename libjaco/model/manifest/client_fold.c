/* SPDX-License-Identifier: Apache-2.0
 *
 * client_fold.c - what only the client can see goes into the document: env files, files of configs
 * and secrets, chosen profiles; and networks outside of the deployment leave it. */
#include <string.h>

#include "libjaco/base/limits.h"
#include "libjaco/base/str.h"
#include "libjaco/model/manifest/client.h"
#include "libjaco/model/manifest/dotenv.h"
#include "libjaco/model/manifest/merge.h"
#include "libjaco/model/manifest/read.h"

/* What an engine takes for a config; also keeps the document inside one message. */
#define BLOB_BYTES_MAX (500 * 1024)

/* -- env_file ----------------------------------------------------------------------------- */

struct env_file {
	const char *path;
	bool is_required;
	bool is_raw;
	struct jaco_pos pos;
};

static void read_form(const struct jaco_yaml_node *node, struct env_file *out)
{
	const struct jaco_yaml_node *path = node;

	*out = (struct env_file){.is_required = true, .pos = node->pos};
	if (node->kind == JACO_YAML_MAP) {
		const struct jaco_yaml_node *required = jaco_yaml_get(node, "required");
		const struct jaco_yaml_node *format = jaco_yaml_get(node, "format");

		path = jaco_yaml_get(node, "path");
		out->is_required = !(required && required->kind == JACO_YAML_SCALAR &&
				     strcmp(required->text, "false") == 0);
		out->is_raw = format && format->kind == JACO_YAML_SCALAR &&
			      strcmp(format->text, "raw") == 0;
	}
	if (path && path->kind == JACO_YAML_SCALAR && *path->text)
		out->path = path->text;
}

static void load_one(struct jaco_client *client, const struct jaco_yaml_node *node,
		     const char *service, struct jaco_vars *vars)
{
	const char *key = jaco_arena_printf(client->arena, "services.%.63s.env_file", service);
	struct jaco_document document = {0};
	struct jaco_err err = JACO_ERR_INIT;
	struct env_file file;
	int rc;

	read_form(node, &file);
	if (!file.path) {
		if (!jaco_read_is_unset(node))
			jaco_findings_error(client->findings, JACO_VALIDATION_FAILED, node->pos,
					    key, "write the path of a file",
					    "an env_file needs a path");
		return;
	}
	if (client->options->compose_stdin) {
		jaco_findings_error(client->findings, JACO_ENV_FILE_UNRESOLVED, node->pos, key,
				    "apply from a file",
				    "env_file has no directory when compose comes from stdin");
		return;
	}
	rc = jaco_client_fetch(client, file.path, &document, &err);
	if (rc == -(int)JACO_UNAVAILABLE && !file.is_required)
		return;
	if (rc < 0)
		jaco_err_set(&err, JACO_VALIDATION_FAILED, "load environment file %.200s: %.200s",
			     file.path, rc == -(int)JACO_UNAVAILABLE ? "no such file" : err.text);
	else if (file.is_raw)
		rc = jaco_dotenv_parse_raw(file.path, document.data, document.n, vars, &err);
	else
		rc = jaco_dotenv_parse(file.path, document.data, document.n, vars, &err);
	if (rc < 0)
		jaco_findings_error(client->findings, err.code, file.pos, key,
				    "create it, or write {path: ..., required: false}", "%.400s",
				    err.text);
}

static struct jaco_yaml_node *text_node(struct jaco_client *client, const char *text,
					struct jaco_pos pos)
{
	return jaco_yaml_new_text(client->arena, text, pos);
}

/* environment: of the document over what the files said; bare names from the caller's variables. */
static struct jaco_yaml_node *combine(struct jaco_client *client,
				      struct jaco_yaml_node *explicit_map,
				      const struct jaco_pairs *from_files, struct jaco_pos pos)
{
	struct jaco_yaml_node *over = jaco_yaml_new(client->arena, JACO_YAML_MAP, pos);
	struct jaco_yaml_node *map = jaco_yaml_new(client->arena, JACO_YAML_MAP, pos);

	for (size_t i = 0; i < from_files->n; i++)
		jaco_yaml_append(client->arena, map, from_files->items[i].key, pos,
				 text_node(client, from_files->items[i].value, pos));
	for (size_t i = 0; explicit_map && i < explicit_map->n; i++) {
		const struct jaco_yaml_entry *entry = &explicit_map->entries[i];
		const char *known;

		if (!jaco_yaml_is_null(entry->value)) {
			jaco_yaml_append(client->arena, over, entry->key, entry->pos, entry->value);
			continue;
		}
		known = jaco_vars_get(client->vars, entry->key);
		if (known)
			jaco_yaml_append(client->arena, over, entry->key, entry->pos,
					 text_node(client, known, entry->pos));
		else if (!jaco_yaml_get(map, entry->key)) /* unset, also when the image sets it */
			jaco_yaml_append(client->arena, over, entry->key, entry->pos, entry->value);
	}
	return jaco_merge_services(client->arena, map, over);
}

void jaco_client_fold_environment(struct jaco_client *client, struct jaco_yaml_node *service,
				  const char *name)
{
	jaco_auto(jaco_vars) struct jaco_vars vars = JACO_VARS_INIT(client->arena);
	struct jaco_yaml_node *files = jaco_yaml_get(service, "env_file");
	struct jaco_yaml_node *environment = jaco_yaml_get(service, "environment");
	struct jaco_pairs from_files = {0};

	vars.outer = client->vars;
	if (files && files->kind == JACO_YAML_SEQ)
		for (size_t i = 0; i < files->n; i++)
			load_one(client, files->entries[i].value, name, &vars);
	else if (files && !jaco_read_is_unset(files))
		load_one(client, files, name, &vars);
	from_files = jaco_vars_list(&vars, client->arena);
	(void)jaco_yaml_remove(service, "env_file");
	if (environment)
		environment = jaco_merge_pairs_map(client->arena, environment);
	if (environment && environment->kind != JACO_YAML_MAP && !jaco_yaml_is_null(environment))
		return; /* malformed: the reader reports it */
	if (from_files.n || environment)
		jaco_yaml_set(client->arena, service, "environment",
			      environment ? environment->pos : service->pos,
			      combine(client, environment, &from_files,
				      environment ? environment->pos : service->pos));
}

/* -- configs and secrets ------------------------------------------------------------------ */

static void set_content(struct jaco_client *client, struct jaco_yaml_node *blob,
			const struct jaco_document *document)
{
	bool is_text = jaco_str_is_utf8(document->data, document->n) &&
		       !memchr(document->data, '\0', document->n);
	char *text;

	if (is_text) {
		text = jaco_arena_strndup(client->arena, document->data, document->n);
	} else {
		text = jaco_arena_alloc(client->arena, JACO_BASE64_BYTES(document->n));
		jaco_base64_encode(text, (const uint8_t *)document->data, document->n);
		jaco_yaml_set(client->arena, blob, "x-jaco-encoding", blob->pos,
			      text_node(client, "base64", blob->pos));
	}
	jaco_yaml_set(client->arena, blob, "content", blob->pos,
		      text_node(client, text, blob->pos));
}

static void fold_blob(struct jaco_client *client, struct jaco_yaml_node *blob, const char *path)
{
	const struct jaco_yaml_node *file = jaco_yaml_get(blob, "file");
	const struct jaco_yaml_node *environment = jaco_yaml_get(blob, "environment");
	struct jaco_document document = {0};

	if (file && file->kind == JACO_YAML_SCALAR && *file->text) {
		if (!jaco_client_read(client, file->text, file->pos, path, &document))
			document = (struct jaco_document){.data = "", .n = 0};
		if (document.n > BLOB_BYTES_MAX)
			jaco_findings_error(client->findings, JACO_VALIDATION_FAILED, file->pos,
					    path, "mount a volume",
					    "the file has %zu bytes, at most %d fit", document.n,
					    BLOB_BYTES_MAX);
		else
			set_content(client, blob, &document);
		(void)jaco_yaml_remove(blob, "file");
	} else if (environment && environment->kind == JACO_YAML_SCALAR && *environment->text) {
		const char *value = jaco_vars_get(client->vars, environment->text);

		if (!value) {
			jaco_findings_warn(client->findings, environment->pos, path, NULL,
					   "variable %.100s is not set and becomes empty",
					   environment->text);
			value = "";
		}
		document = (struct jaco_document){.data = value, .n = strlen(value)};
		set_content(client, blob, &document);
		(void)jaco_yaml_remove(blob, "environment");
	}
}

static void fold_blobs(struct jaco_client *client, struct jaco_yaml_node *root, const char *section)
{
	struct jaco_yaml_node *map = jaco_yaml_get(root, section);

	for (size_t i = 0; map && map->kind == JACO_YAML_MAP && i < map->n; i++)
		if (map->entries[i].value->kind == JACO_YAML_MAP)
			fold_blob(client, map->entries[i].value,
				  jaco_arena_printf(client->arena, "%s.%.63s", section,
						    map->entries[i].key));
}

/* -- profiles and networks ---------------------------------------------------------------- */

/* The empty profile is nobody's: files list it beside others for "also when none is chosen". */
static bool is_chosen(const struct jaco_client *client, const char *profile)
{
	if (!*profile)
		return true;
	for (size_t i = 0; i < client->options->n_profiles; i++)
		if (strcmp(client->options->profiles[i], profile) == 0 ||
		    strcmp(client->options->profiles[i], "*") == 0)
			return true;
	return false;
}

static bool is_active(const struct jaco_client *client, const struct jaco_yaml_node *service)
{
	const struct jaco_yaml_node *profiles = jaco_yaml_get(service, "profiles");

	if (!profiles || profiles->kind == JACO_YAML_MAP || jaco_read_is_unset(profiles) ||
	    (profiles->kind == JACO_YAML_SEQ && profiles->n == 0))
		return true;
	if (profiles->kind == JACO_YAML_SCALAR)
		return is_chosen(client, profiles->text);
	for (size_t i = 0; i < profiles->n; i++)
		if (profiles->entries[i].value->kind == JACO_YAML_SCALAR &&
		    is_chosen(client, profiles->entries[i].value->text))
			return true;
	return false;
}

static bool has_profile(const struct jaco_yaml_node *service, const char *name)
{
	const struct jaco_yaml_node *profiles = jaco_yaml_get(service, "profiles");

	if (!profiles || profiles->kind == JACO_YAML_MAP)
		return false;
	if (profiles->kind == JACO_YAML_SCALAR)
		return strcmp(profiles->text, name) == 0;
	for (size_t i = 0; i < profiles->n; i++)
		if (profiles->entries[i].value->kind == JACO_YAML_SCALAR &&
		    strcmp(profiles->entries[i].value->text, name) == 0)
			return true;
	return false;
}

/* A misspelt profile chooses nothing, which looks like success. */
static void check_profile(struct jaco_client *client, const struct jaco_yaml_node *services,
			  const char *name)
{
	if (strcmp(name, "*") == 0)
		return;
	for (size_t i = 0; i < services->n; i++)
		if (has_profile(services->entries[i].value, name))
			return;
	jaco_findings_warn(client->findings, services->pos, "services", NULL,
			   "--profile %.63s: no service has that profile", name);
}

static void choose_profiles(struct jaco_client *client, struct jaco_yaml_node *services)
{
	size_t kept = 0;
	size_t n_before = services->n;

	for (size_t i = 0; i < client->options->n_profiles; i++)
		check_profile(client, services, client->options->profiles[i]);
	for (size_t i = 0; i < services->n; i++) {
		if (!is_active(client, services->entries[i].value))
			continue;
		(void)jaco_yaml_remove(services->entries[i].value, "profiles");
		services->entries[kept++] = services->entries[i];
	}
	services->n = kept;
	if (kept == 0 && n_before > 0)
		jaco_findings_error(client->findings, JACO_VALIDATION_FAILED, services->pos,
				    "services", "choose one with --profile",
				    "every service belongs to a profile and none is chosen");
}

/* An external network in a compose file is nearly always the reverse proxy's; here the ingress
 * takes its place, so the deployment gets a network of its own under that name. */
static void own_networks(struct jaco_client *client, struct jaco_yaml_node *root)
{
	struct jaco_yaml_node *networks = jaco_yaml_get(root, "networks");

	for (size_t i = 0; networks && networks->kind == JACO_YAML_MAP && i < networks->n; i++) {
		struct jaco_yaml_entry *entry = &networks->entries[i];
		struct jaco_yaml_entry *external = jaco_yaml_entry(entry->value, "external");

		if (!external || (external->value->kind == JACO_YAML_SCALAR &&
				  (jaco_str_eq_nocase(external->value->text, "false") ||
				   jaco_read_is_unset(external->value))))
			continue;
		jaco_findings_warn(
			client->findings, external->pos,
			jaco_arena_printf(client->arena, "networks.%.63s.external", entry->key),
			NULL,
			"the deployment gets its own network \"%.63s\": networks outside "
			"of it are not joined",
			entry->key);
		(void)jaco_yaml_remove(entry->value, "external");
		(void)jaco_yaml_remove(entry->value, "name");
	}
}

void jaco_client_fold(struct jaco_client *client, struct jaco_yaml_node *root)
{
	struct jaco_yaml_node *services = jaco_yaml_get(root, "services");

	if (services && services->kind == JACO_YAML_MAP) {
		choose_profiles(client, services);
		for (size_t i = 0; i < services->n; i++)
			if (services->entries[i].value->kind == JACO_YAML_MAP)
				jaco_client_fold_environment(client, services->entries[i].value,
							     services->entries[i].key);
	}
	own_networks(client, root);
	fold_blobs(client, root, "configs");
	fold_blobs(client, root, "secrets");
}
