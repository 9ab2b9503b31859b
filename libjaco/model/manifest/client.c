/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c - from files on disk to a manifest and the bytes to send. */
#include "libjaco/model/manifest/client.h"

#include <string.h>

#include "libjaco/base/str.h"
#include "libjaco/model/manifest/dotenv.h"
#include "libjaco/model/manifest/load.h"
#include "libjaco/model/manifest/merge.h"

const char *const jaco_manifest_compose_names[] = {
	"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", NULL};

/* -- variables ---------------------------------------------------------------------------- */

/* --set over the caller's environment over --env-file over environment: of jaco.yaml. */
struct layers {
	struct jaco_vars set, host, files;
};

static void layers_cleanup(struct layers *layers)
{
	jaco_vars_fini(&layers->set);
	jaco_vars_fini(&layers->host);
	jaco_vars_fini(&layers->files);
}

static void load_env_file(struct jaco_client *client, struct layers *layers, const char *path,
			  struct jaco_pos pos, const char *key)
{
	struct jaco_document document = {0};
	struct jaco_err err = JACO_ERR_INIT;
	int rc = jaco_client_fetch(client, path, &document, &err);

	if (rc < 0)
		jaco_err_set(&err, JACO_VALIDATION_FAILED, "load environment file %.200s: %.200s",
			     path, rc == -(int)JACO_UNAVAILABLE ? "no such file" : err.text);
	else
		rc = jaco_dotenv_parse(path, document.data, document.n, &layers->files, &err);
	if (rc < 0)
		jaco_findings_error(client->findings, JACO_VALIDATION_FAILED, pos, key, NULL,
				    "%.400s", err.text);
}

static void fill_layers(struct jaco_client *client, struct layers *layers,
			const struct jaco_yaml_node *jaco)
{
	const struct jaco_manifest_options *options = client->options;
	const struct jaco_yaml_node *environment = jaco_yaml_get(jaco, "environment");

	*layers = (struct layers){JACO_VARS_INIT(client->arena), JACO_VARS_INIT(client->arena),
				  JACO_VARS_INIT(client->arena)};
	layers->host.outer = &layers->set;
	layers->files.outer = &layers->host;
	for (size_t i = 0; i < options->n_set; i++)
		if (!jaco_vars_set_pair(&layers->set, options->set[i]))
			jaco_findings_error(client->findings, JACO_VALIDATION_FAILED,
					    (struct jaco_pos){0}, "--set", "write --set NAME=value",
					    "\"%.80s\" is not NAME=value", options->set[i]);
	for (const char *const *pair = options->host_env; pair && *pair; pair++)
		(void)jaco_vars_set_pair(&layers->host, *pair);
	if (environment && environment->kind == JACO_YAML_SCALAR && *environment->text)
		load_env_file(client, layers,
			      jaco_client_join(client->arena,
					       jaco_client_dir(client->arena, options->jaco_path),
					       environment->text),
			      environment->pos, "environment");
	for (size_t i = 0; i < options->n_env_files; i++)
		load_env_file(client, layers, options->env_files[i], (struct jaco_pos){0},
			      "--env-file");
}

/* -- compose files ------------------------------------------------------------------------ */

static bool find_beside(struct jaco_client *client, struct jaco_document *out)
{
	const struct jaco_manifest_options *options = client->options;
	const char *dir = jaco_client_dir(client->arena, options->jaco_path);
	struct jaco_pos pos = {.file = options->jaco_path};

	for (size_t i = 0; jaco_manifest_compose_names[i]; i++) {
		const char *path =
			jaco_client_join(client->arena, dir, jaco_manifest_compose_names[i]);
		struct jaco_err err = JACO_ERR_INIT;
		int rc = jaco_client_fetch(client, path, out, &err);

		if (rc >= 0) {
			out->name = path;
			return true;
		}
		if (rc != -(int)JACO_UNAVAILABLE) {
			jaco_findings_error(client->findings, err.code, pos, "", NULL, "%.400s",
					    err.text);
			return false;
		}
	}
	jaco_findings_error(client->findings, JACO_VALIDATION_FAILED, pos, "",
			    "name one with --compose",
			    "no compose file stands beside it (compose.yaml, docker-compose.yml)");
	return false;
}

/* Paths in every -f file are relative to the first one's directory, as compose has it. */
static struct jaco_yaml_node *load_documents(struct jaco_client *client)
{
	const struct jaco_manifest_options *options = client->options;
	struct jaco_yaml_node *root = NULL;
	struct jaco_document document;
	const char *dir = "";

	if (options->compose_stdin) {
		document = (struct jaco_document){.name = "-",
						  .data = options->compose_stdin,
						  .n = options->compose_stdin_bytes};
		root = jaco_client_load(client, &document, "", client->vars, 0);
	} else if (options->n_compose_paths == 0) {
		if (!find_beside(client, &document))
			return NULL;
		root = jaco_client_load(client, &document,
					jaco_client_dir(client->arena, document.name), client->vars,
					0);
	}
	for (size_t i = 0; i < options->n_compose_paths; i++) {
		struct jaco_yaml_node *over;

		if (i == 0)
			dir = jaco_client_dir(client->arena, options->compose_paths[0]);
		if (!jaco_client_read(client, options->compose_paths[i], (struct jaco_pos){0}, "",
				      &document))
			continue;
		over = jaco_client_load(client, &document, dir, client->vars, 0);
		if (over)
			root = root ? jaco_merge_documents(client->arena, root, over) : over;
	}
	if (root)
		jaco_merge_clean_tags(root);
	return root;
}

static void render(struct jaco_client *client, const struct jaco_yaml_node *root,
		   struct jaco_resolved *out)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;
	struct jaco_yaml_lines lines = {.arena = client->arena};

	jaco_yaml_render_lines(&text, root, &lines);
	out->compose = (struct jaco_document){
		.name = "compose.yaml",
		.data = jaco_arena_memdup(client->arena, jaco_buf_str(&text), text.n + 1),
		.n = text.n,
	};
	out->lines = lines.items;
	out->n_lines = lines.n;
}

/* A line begins with its indentation and a key or a dash; anything later on it is the value. */
struct jaco_pos jaco_resolved_place(const struct jaco_resolved *resolved, uint32_t line,
				    uint32_t column)
{
	const struct jaco_yaml_entry *entry;
	const char *text = resolved->compose.data;
	size_t n_indent;

	if (line == 0 || line > resolved->n_lines)
		return (struct jaco_pos){0};
	entry = resolved->lines[line - 1];
	for (uint32_t i = 1; i < line; i++)
		text = strchr(text, '\n') + 1;
	n_indent = strspn(text, " ");
	return column > n_indent + 1 ? entry->value->pos : entry->pos;
}

static void make_strict(struct jaco_findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		if (findings->items[i].severity != JACO_SEVERITY_WARNING)
			continue;
		findings->items[i].severity = JACO_SEVERITY_ERROR;
		findings->items[i].code = JACO_VALIDATION_FAILED;
	}
	findings->n_errors += findings->n_warnings;
	findings->n_warnings = 0;
}

int jaco_manifest_resolve(const struct jaco_manifest_options *options,
			  struct jaco_findings *findings, struct jaco_resolved *out,
			  struct jaco_err *err)
{
	struct jaco_client client = {.options = options,
				     .arena = findings->arena,
				     .findings = findings,
				     .warned = JACO_VARS_INIT(findings->arena)};
	__attribute__((cleanup(layers_cleanup))) struct layers layers = {0};
	struct jaco_resolved resolved = {0};
	struct jaco_yaml_node *jaco = NULL;
	struct jaco_yaml_node *root;
	int rc;

	/* without it nothing is known of the others: where they stand, their variables */
	if (!jaco_client_read(&client, options->jaco_path, (struct jaco_pos){0}, "",
			      &resolved.jaco))
		return jaco_findings_to_err(findings, err);
	jaco = jaco_yaml_parse(resolved.jaco.name, resolved.jaco.data, resolved.jaco.n,
			       findings->arena, findings);
	fill_layers(&client, &layers, jaco);
	client.vars = &layers.files;
	root = load_documents(&client);
	if (root && root->kind == JACO_YAML_MAP)
		jaco_client_fold(&client, root);
	jaco_vars_fini(&client.warned);
	rc = jaco_load_trees(jaco, root, findings, &resolved.manifest, err);
	if (options->is_strict && findings->n_warnings > 0) {
		make_strict(findings);
		rc = jaco_findings_to_err(findings, err);
	}
	if (rc < 0)
		return rc;
	render(&client, root, &resolved);
	*out = resolved;
	return 0;
}
