/* SPDX-License-Identifier: Apache-2.0
 *
 * manifest.c - reading a deployment's files: jaco validate and config, and the first half of
 * apply. */
#include "cli/manifest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"
#include "libjaco/model/manifest/yaml.h"
#include "libjaco/wire/finding.h"
#include "libjaco/wire/fits.h"
#include "libjaco/wire/print.h"

#define FILE_BYTES_MAX (4u * 1024 * 1024)

static int read_file(void *ctx, const char *path, struct jaco_arena *arena,
		     struct jaco_document *out, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	(void)ctx;
	if (jaco_fs_read(path, FILE_BYTES_MAX, &text, err) < 0) {
		if (err->sys_errno == ENOENT)
			err->code = JACO_UNAVAILABLE;
		return -(int)err->code;
	}
	*out = (struct jaco_document){jaco_arena_strdup(arena, path),
				      jaco_arena_memdup(arena, jaco_buf_str(&text), text.n + 1),
				      text.n};
	return 0;
}

static size_t collect(struct cli *cli, const char *name, const char *const **out)
{
	const char **v = jaco_arena_alloc_n(&cli->arena, CLI_OPTIONS_MAX, sizeof(*v));
	size_t n = 0;

	while (cli_opt_nth(cli, name, n)) {
		v[n] = cli_opt_nth(cli, name, n);
		n++;
	}
	*out = v;
	return n;
}

static int read_stdin(struct cli *cli, struct jaco_manifest_options *options, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_BOUND(FILE_BYTES_MAX);
	char chunk[65536];
	size_t n;

	while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		jaco_buf_add(&text, chunk, n);
	if (text.overflow)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED,
				    "standard input is larger than %u bytes", FILE_BYTES_MAX);
	options->compose_stdin = jaco_arena_memdup(&cli->arena, jaco_buf_str(&text), text.n + 1);
	options->compose_stdin_bytes = text.n;
	return 0;
}

extern char **environ;

/* "DIR" means "DIR/jaco.yaml".  A compose file is a mistake that many make; only what can be read
 * twice is looked into. */
static int check_path(struct cli *cli, const char **path, struct jaco_findings *findings,
		      struct jaco_err *err)
{
	struct jaco_findings ignored = JACO_FINDINGS_INIT(&cli->arena);
	const struct jaco_yaml_node *root;
	const struct jaco_yaml_node *services;
	struct jaco_document document = {.n = 0};
	struct jaco_err unread = JACO_ERR_INIT;
	struct stat st;

	if (stat(*path, &st) == 0 && S_ISDIR(st.st_mode))
		*path = jaco_arena_printf(&cli->arena, "%s%sjaco.yaml", *path,
					  (*path)[strlen(*path) - 1] == '/' ? "" : "/");
	if (stat(*path, &st) < 0 || !S_ISREG(st.st_mode) ||
	    read_file(NULL, *path, &cli->arena, &document, &unread) < 0)
		return 0;
	root = jaco_yaml_parse(document.name, document.data, document.n, &cli->arena, &ignored);
	if (!root || root->kind != JACO_YAML_MAP || jaco_yaml_get(root, "deployment"))
		return 0;
	services = jaco_yaml_get(root, "services");
	if (!services || services->kind != JACO_YAML_MAP)
		return 0;
	jaco_findings_error(findings, JACO_VALIDATION_FAILED, services->pos, "",
			    "give its jaco.yaml", "this looks like a compose file");
	return jaco_findings_to_err(findings, err);
}

int manifest_resolve(struct cli *cli, struct jaco_findings *findings,
		     struct jaco_resolved *out, struct jaco_err *err)
{
	char cwd[PATH_MAX];
	struct jaco_manifest_options options = {
		.cwd = getcwd(cwd, sizeof(cwd)),
		.home = getenv("HOME"),
		.jaco_path = cli_arg(cli, 0) ? cli_arg(cli, 0) : "jaco.yaml",
		.is_strict = cli_opt(cli, "strict") != NULL,
		.host_env = cli_opt(cli, "host-env") ? (const char *const *)environ : NULL,
		.read = read_file,
	};

	if (cli_opt(cli, "jaco"))
		options.jaco_path = cli_opt(cli, "jaco");
	if (check_path(cli, &options.jaco_path, findings, err) < 0)
		return -(int)err->code;
	options.n_compose_paths = collect(cli, "compose", &options.compose_paths);
	options.n_env_files = collect(cli, "env-file", &options.env_files);
	options.n_set = collect(cli, "set", &options.set);
	options.n_profiles = collect(cli, "profile", &options.profiles);
	if (options.n_compose_paths == 1 && jaco_str_eq(options.compose_paths[0], "-")) {
		options.n_compose_paths = 0;
		if (read_stdin(cli, &options, err) < 0)
			return -(int)err->code;
	}
	return jaco_manifest_resolve(&options, findings, out, err);
}

int manifest_resolve_fitting(struct cli *cli, struct jaco_findings *findings,
			     struct jaco_resolved *out, struct jaco_err *err)
{
	if (manifest_resolve(cli, findings, out, err) < 0)
		return -(int)err->code;
	return jaco_fits_check(out->manifest, &out->jaco, &out->compose, findings, err);
}

/* The first "compose.yaml:LINE:COLUMN" in @text as the place it stands for; false when there is
 * none. */
static bool find_place(const struct jaco_resolved *resolved, const char *text, const char **out_at,
		       size_t *out_n, struct jaco_pos *out)
{
	size_t n_name = strlen(resolved->compose.name);
	unsigned line;
	unsigned column;
	int n = 0;

	for (const char *at = strstr(text, resolved->compose.name); at;
	     at = strstr(at + 1, resolved->compose.name)) {
		if (sscanf(at + n_name, ":%u:%u%n", &line, &column, &n) != 2)
			continue;
		*out = jaco_resolved_place(resolved, line, column);
		*out_at = at;
		*out_n = n_name + (size_t)n;
		return out->file != NULL;
	}
	return false;
}

static void relocate_text(const struct jaco_resolved *resolved, char *text, size_t size)
{
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;
	struct jaco_pos pos;
	const char *at;
	size_t n;

	if (!find_place(resolved, text, &at, &n, &pos))
		return;
	jaco_buf_add(&out, text, (size_t)(at - text));
	jaco_buf_printf(&out, "%s:%u:%u%s", pos.file, pos.line, pos.column, at + n);
	(void)jaco_str_copy(text, size, jaco_buf_str(&out));
}

void manifest_relocate(const struct jaco_resolved *resolved, struct jaco_err *err)
{
	const char *file = jaco_err_get_detail(err, "file");
	const char *line = jaco_err_get_detail(err, "line");
	const char *column = jaco_err_get_detail(err, "column");
	uint64_t at[2];
	struct jaco_pos pos = {0};

	relocate_text(resolved, err->text, sizeof(err->text));
	for (size_t i = 0; i < err->n_details; i++)
		relocate_text(resolved, err->details[i].value, sizeof(err->details[i].value));
	if (jaco_str_eq(file, resolved->compose.name) && line && column &&
	    jaco_str_to_u64(line, UINT32_MAX, &at[0]) &&
	    jaco_str_to_u64(column, UINT32_MAX, &at[1]))
		pos = jaco_resolved_place(resolved, (uint32_t)at[0], (uint32_t)at[1]);
	if (!pos.file)
		return;
	jaco_err_detail(err, "file", "%s", pos.file);
	jaco_err_detail(err, "line", "%u", pos.line);
	jaco_err_detail(err, "column", "%u", pos.column);
}

/* In one write: standard error has no buffer of its own. */
void manifest_print(const struct cli *cli, struct jaco_findings *findings)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	for (size_t i = 0; i < findings->n; i++) {
		const struct jaco_finding *finding = &findings->items[i];
		bool is_error = finding->severity == JACO_SEVERITY_ERROR;

		if (!is_error && (cli->is_quiet || cli->format != CLI_TABLE))
			continue;
		jaco_buf_printf(
			&text, "%s: %s%s%s\n", is_error ? "error" : "warning",
			is_error ? jaco_code_name(finding->code) : "", is_error ? ": " : "",
			out_printable(findings->arena, jaco_finding_text(findings, finding)));
	}
	if (findings->n_dropped)
		jaco_buf_printf(&text, "... and %zu more\n", findings->n_dropped);
	fwrite(jaco_buf_str(&text), 1, text.n, stderr);
}

void manifest_count(const struct cli *cli, const struct jaco_findings *findings, const char *what,
		    struct jaco_err *err)
{
	if (findings->n_errors && cli->format == CLI_TABLE)
		(void)jaco_str_format(err->text, sizeof(err->text), "%s, %zu error%s", what,
				      findings->n_errors, OUT_S(findings->n_errors));
}

static json_t *findings_json(const struct jaco_findings *findings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->n; i++) {
		struct wire_finding msg =
			jaco_finding_to_wire(&findings->items[i], findings->arena);

		json_array_append_new(list, jaco_json_from_msg(&wire_finding_desc, &msg));
	}
	return list;
}

int deploy_validate(struct cli *cli, struct jaco_err *err)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(&cli->arena);
	struct jaco_resolved resolved;
	int rc = manifest_resolve_fitting(cli, &findings, &resolved, err);

	if (cli->format == CLI_JSON || cli->format == CLI_YAML) {
		json_t *json = json_pack("{s:b, s:o}", "valid", rc >= 0, "findings",
					 findings_json(&findings));

		out_json(cli, json, false);
		json_decref(json);
		return rc < 0 ? jaco_code_exit(err->code) : 0;
	}
	manifest_print(cli, &findings);
	if (rc < 0) {
		manifest_count(cli, &findings, "not valid", err);
		return rc;
	}
	out_say(cli, "valid: %s, %zu service%s, %zu route%s, %zu warning%s",
		resolved.manifest->deployment, resolved.manifest->n_services,
		OUT_S(resolved.manifest->n_services), resolved.manifest->n_routes,
		OUT_S(resolved.manifest->n_routes), findings.n_warnings,
		OUT_S(findings.n_warnings));
	return 0;
}

/* Of a rendered document, where everything plain is what it seems.  What JSON would write
 * differently (0644, 1.10) stays a text, as compose's own readers get it. */
static json_t *scalar_json(const struct jaco_yaml_node *node)
{
	uint64_t number;

	if (jaco_yaml_is_null(node))
		return json_null();
	if (node->is_plain && (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0))
		return json_boolean(*node->text == 't');
	if (node->is_plain && (*node->text != '0' || !node->text[1]) &&
	    jaco_str_to_u64(node->text, INT64_MAX, &number))
		return json_integer((json_int_t)number);
	return json_string(node->text);
}

/* The depth is bounded by the reader's. */
static json_t *tree_json(const struct jaco_yaml_node *node)
{
	json_t *out;

	if (node->kind == JACO_YAML_SCALAR)
		return scalar_json(node);
	out = node->kind == JACO_YAML_MAP ? json_object() : json_array();
	for (size_t i = 0; i < node->n; i++)
		if (node->kind == JACO_YAML_MAP)
			json_object_set_new(out, node->entries[i].key,
					    tree_json(node->entries[i].value));
		else
			json_array_append_new(out, tree_json(node->entries[i].value));
	return out;
}

/* Escapes can make of a document that was read one that is too large to be read again. */
static int print_json(struct cli *cli, const struct jaco_resolved *resolved, struct jaco_err *err)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(&cli->arena);
	const struct jaco_yaml_node *root =
		jaco_yaml_parse(resolved->compose.name, resolved->compose.data, resolved->compose.n,
				&cli->arena, &findings);
	json_t *json;

	if (!root)
		return jaco_findings_to_err(&findings, err);
	json = tree_json(root);
	out_json(cli, json, false);
	json_decref(json);
	return 0;
}

int deploy_config(struct cli *cli, struct jaco_err *err)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(&cli->arena);
	struct jaco_resolved resolved;
	int rc = manifest_resolve(cli, &findings, &resolved, err);

	manifest_print(cli, &findings);
	if (rc < 0) {
		manifest_count(cli, &findings, "not valid", err);
		return rc;
	}
	if (cli->format == CLI_JSON)
		return print_json(cli, &resolved, err);
	fwrite(resolved.compose.data, 1, resolved.compose.n, stdout);
	return 0;
}
