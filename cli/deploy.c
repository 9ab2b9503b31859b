/* SPDX-License-Identifier: Apache-2.0
 *
 * deploy.c - jaco apply, diff, validate, config, scale, restart, rollback, history, delete.
 *
 * The client reads the files, interpolates and folds; the server gets bytes (architecture.md 5). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "cli/wait.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"
#include "libjaco/model/manifest/manifest.h"
#include "libjaco/wire/print.h"

#define FILE_BYTES_MAX  (4u * 1024 * 1024)
#define EXIT_CHANGES    10
#define WAIT_DEFAULT_MS 300000

static const struct out_column change_columns[] = {
	{"CHANGE", "kind"}, {"OBJECT", "object"}, {"FIELDS", "fields"}, {"EFFECT", "effect"}, {NULL, NULL},
};
static const struct out_column history_columns[] = {
	{"REVISION", "number"}, {"AGE", "time"}, {"AUTHOR", "author"}, {"MESSAGE", "message"}, {NULL, NULL},
};

static int read_file(void *ctx, const char *path, struct jaco_arena *arena, struct jaco_document *out,
		     struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	(void)ctx;
	if (jaco_fs_read(path, FILE_BYTES_MAX, &text, err) < 0) {
		if (err->sys_errno == ENOENT)
			err->code = JACO_UNAVAILABLE;
		return -(int)err->code;
	}
	*out = (struct jaco_document){jaco_arena_strdup(arena, path),
				      jaco_arena_memdup(arena, jaco_buf_str(&text), text.n + 1), text.n};
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
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "standard input is larger than %u bytes",
				    FILE_BYTES_MAX);
	options->compose_stdin = jaco_arena_memdup(&cli->arena, jaco_buf_str(&text), text.n + 1);
	options->compose_stdin_bytes = text.n;
	return 0;
}

extern char **environ;

static int resolve(struct cli *cli, struct jaco_findings *findings, bool is_check,
		   struct jaco_resolved *out, struct jaco_err *err)
{
	struct jaco_manifest_options options = {
		.jaco_path = cli_arg(cli, 0) ? cli_arg(cli, 0) : "jaco.yaml",
		.is_strict = cli_opt(cli, "strict") != NULL,
		.is_check = is_check,
		.host_env = cli_opt(cli, "host-env") ? (const char *const *)environ : NULL,
		.read = read_file,
	};

	if (cli_opt(cli, "jaco"))
		options.jaco_path = cli_opt(cli, "jaco");
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

/* In one write: standard error has no buffer of its own. */
static void print_findings(const struct cli *cli, struct jaco_findings *findings)
{
	jaco_auto(jaco_buf) struct jaco_buf text = JACO_BUF_INIT;

	for (size_t i = 0; i < findings->n; i++) {
		const struct jaco_finding *finding = &findings->items[i];
		bool is_error = finding->severity == JACO_SEVERITY_ERROR;

		if (!is_error && (cli->is_quiet || cli->format != CLI_TABLE))
			continue;
		jaco_buf_printf(&text, "%s: %s%s%s\n", is_error ? "error" : "warning",
				is_error ? jaco_code_name(finding->code) : "", is_error ? ": " : "",
				jaco_finding_text(findings, finding));
	}
	if (findings->n_dropped)
		jaco_buf_printf(&text, "... and %zu more\n", findings->n_dropped);
	fwrite(jaco_buf_str(&text), 1, text.n, stderr);
}

static json_t *findings_json(const struct jaco_findings *findings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->n; i++) {
		const struct jaco_finding *f = &findings->items[i];
		struct wire_finding msg = {
			.severity = f->severity,
			.code = f->code == JACO_OK ? "difference" : jaco_code_name(f->code),
			.message = f->message,
			.file = f->pos.file,
			.line = f->pos.line,
			.column = f->pos.column,
			.field = f->path,
			.remedy = f->remedy,
		};

		json_array_append_new(list, jaco_json_from_msg(&wire_finding_desc, &msg));
	}
	return list;
}

int deploy_validate(struct cli *cli, struct jaco_err *err)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(&cli->arena);
	struct jaco_resolved resolved;
	int rc = resolve(cli, &findings, true, &resolved, err);

	if (cli->format == CLI_JSON || cli->format == CLI_YAML) {
		json_t *json = json_pack("{s:b, s:o}", "valid", rc >= 0, "findings", findings_json(&findings));

		out_json(cli, json, false);
		json_decref(json);
		return rc < 0 ? jaco_code_exit(err->code) : 0;
	}
	print_findings(cli, &findings);
	if (rc < 0)
		return findings.n_errors ? jaco_err_set(err, err->code, "%zu errors, %zu warnings",
							findings.n_errors, findings.n_warnings)
					 : rc;
	out_say(cli, "valid: %s, %zu services, %zu routes, %zu warnings", resolved.manifest->deployment,
		resolved.manifest->n_services, resolved.manifest->n_routes, findings.n_warnings);
	return 0;
}

int deploy_config(struct cli *cli, struct jaco_err *err)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(&cli->arena);
	struct jaco_resolved resolved;
	int rc = resolve(cli, &findings, false, &resolved, err);

	print_findings(cli, &findings);
	if (rc < 0)
		return rc;
	fwrite(resolved.compose.data, 1, resolved.compose.n, stdout);
	return 0;
}

/* The server's warnings are those of the same library the client has already printed, with positions
 * of the resolved document: they are for -o json. */
static void print_plan(const struct cli *cli, const struct wire_applied *got)
{
	jaco_auto(jaco_buf) struct jaco_buf table = JACO_BUF_INIT;

	if (out_msg(cli, &wire_applied_desc, got))
		return;
	if (got->changes.n && !cli->is_quiet) {
		out_table(&table, cli, &wire_change_desc, got->changes.v, got->changes.n, change_columns);
		fputs(jaco_buf_str(&table), stdout);
	}
}

static int apply(struct cli *cli, bool dry_run, struct wire_applied *out, struct jaco_err *err)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(&cli->arena);
	struct jaco_resolved resolved;
	struct wire_apply req = {
		.message = cli_opt(cli, "message"), .dry_run = dry_run, .plan = cli_opt(cli, "plan")};
	int rc = resolve(cli, &findings, false, &resolved, err);

	print_findings(cli, &findings);
	if (rc < 0)
		return rc;
	req.jaco = (struct wire_bin){resolved.jaco.data, resolved.jaco.n};
	req.compose = (struct wire_bin){resolved.compose.data, resolved.compose.n};
	return cli_call(cli, &wire_raftd_deploy_apply, &req, out, err);
}

int deploy_diff(struct cli *cli, struct jaco_err *err)
{
	struct wire_applied got;

	if (apply(cli, true, &got, err) < 0)
		return -(int)err->code;
	print_plan(cli, &got);
	out_say(cli, "%s: %s; plan %s", got.deployment, got.changed ? "changes" : "no change",
		got.plan ? got.plan : "-");
	return got.changed && cli_opt(cli, "exit-code") ? EXIT_CHANGES : 0;
}

static int wait_ms(struct cli *cli, int64_t *out_ms, struct jaco_err *err)
{
	const char *timeout = cli_opt(cli, "timeout");

	*out_ms = WAIT_DEFAULT_MS;
	if (timeout && !jaco_duration_parse(timeout, out_ms))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--timeout %s is not a duration", timeout);
	return 0;
}

static int wait_for(struct cli *cli, const char *deployment, struct jaco_err *err)
{
	bool wanted = cli_opt(cli, "wait") || (cli->is_tty && !cli_opt(cli, "no-wait"));
	int64_t ms;

	if (wait_ms(cli, &ms, err) < 0)
		return -(int)err->code;
	return wanted || cli_opt(cli, "timeout") ? wait_converged(cli, deployment, ms, err) : 0;
}

int deploy_apply(struct cli *cli, struct jaco_err *err)
{
	struct wire_applied got;
	int64_t ms;

	if (cli_opt(cli, "dry-run"))
		return deploy_diff(cli, err);
	/* a bad option is refused before anything has happened */
	if (wait_ms(cli, &ms, err) < 0 || apply(cli, false, &got, err) < 0)
		return -(int)err->code;
	print_plan(cli, &got);
	out_say(cli, "%s: revision %llu %s", got.deployment, (unsigned long long)got.revision,
		got.changed ? "applied" : "is what is wanted already");
	return wait_for(cli, got.deployment, err);
}

static int need_service(struct cli *cli, const char **out_deployment, const char **out_service,
			struct jaco_err *err)
{
	if (cli_split_ref(cli, cli_arg(cli, 0), out_deployment, out_service, err) < 0)
		return -(int)err->code;
	if (!*out_service)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "which service? %s/SERVICE", *out_deployment);
	return 0;
}

int deploy_scale(struct cli *cli, struct jaco_err *err)
{
	struct wire_scale req = {.reset = cli_opt(cli, "reset") != NULL};
	struct wire_changed got;
	uint64_t n = 0;
	int64_t ms;

	if (wait_ms(cli, &ms, err) < 0 || need_service(cli, &req.deployment, &req.service, err) < 0)
		return -(int)err->code;
	if (!req.reset) {
		if (!cli_arg(cli, 1) || !jaco_str_to_u64(cli_arg(cli, 1), JACO_REPLICAS_MAX, &n))
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "how many? a number from 0 to %d",
					    JACO_REPLICAS_MAX);
		JACO_SET(&req, scale, replicas, (uint32_t)n);
	}
	if (cli_call_print(cli, &wire_raftd_deploy_scale, &req, &got, err) < 0)
		return -(int)err->code;
	if (req.reset)
		out_say(cli, "%s/%s back to its manifest", req.deployment, req.service);
	else
		out_say(cli, "%s/%s scaled to %llu", req.deployment, req.service, (unsigned long long)n);
	return wait_for(cli, req.deployment, err);
}

int deploy_restart(struct cli *cli, struct jaco_err *err)
{
	struct wire_deployment_ref req = {0};
	struct wire_changed got;

	if (cli_split_ref(cli, cli_arg(cli, 0), &req.deployment, &req.service, err) < 0 ||
	    cli_call_print(cli, &wire_raftd_deploy_restart, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s restarting", cli_arg(cli, 0));
	return 0;
}

int deploy_rollback(struct cli *cli, struct jaco_err *err)
{
	struct wire_rollback req = {.deployment = cli_arg(cli, 0)};
	const char *to = cli_opt(cli, "to");
	struct wire_applied got;
	int64_t ms;

	if (wait_ms(cli, &ms, err) < 0)
		return -(int)err->code;
	if (to && !jaco_str_to_u64(to, INT64_MAX, &req.to))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--to %s is not a revision", to);
	if (cli_call(cli, &wire_raftd_deploy_rollback, &req, &got, err) < 0)
		return -(int)err->code;
	print_plan(cli, &got);
	out_say(cli, "%s: revision %llu applied", got.deployment, (unsigned long long)got.revision);
	return wait_for(cli, got.deployment, err);
}

int deploy_history(struct cli *cli, struct jaco_err *err)
{
	struct wire_deployment_ref req = {.deployment = cli_arg(cli, 0)};
	struct wire_history got;

	if (cli_call(cli, &wire_raftd_deploy_history, &req, &got, err) < 0)
		return -(int)err->code;
	out_rows(cli, &wire_revision_desc, got.revisions.v, got.revisions.n, history_columns);
	return 0;
}

int deploy_delete(struct cli *cli, struct jaco_err *err)
{
	struct wire_delete req = {.deployment = cli_arg(cli, 0), .volumes = cli_opt(cli, "volumes") != NULL};
	const char *question = jaco_arena_printf(&cli->arena, "delete %s%s?", req.deployment,
						 req.volumes ? " and the data in its volumes" : "");
	struct wire_changed got;
	int rc;

	if (req.volumes || cli->is_tty) {
		rc = cli_confirm(cli, question, "yes", err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return 1;
	}
	if (cli_call_print(cli, &wire_raftd_deploy_delete, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s deleted", req.deployment);
	return cli_opt(cli, "wait") ? wait_gone(cli, req.deployment, WAIT_DEFAULT_MS, err) : 0;
}
