/* SPDX-License-Identifier: Apache-2.0
 *
 * deploy.c - jaco apply, diff, scale, restart, rollback, history, delete.
 *
 * The client reads the files, interpolates and folds; the server gets bytes (architecture.md 5). */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/manifest.h"
#include "cli/out.h"
#include "cli/report.h"
#include "cli/wait.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define EXIT_CHANGES    10
#define WAIT_DEFAULT_MS 300000

static const struct out_column change_columns[] = {
	{"CHANGE", "kind"},   {"OBJECT", "object"}, {"FIELDS", "fields"},
	{"EFFECT", "effect"}, {NULL, NULL},
};
static const struct out_column history_columns[] = {
	{"REVISION", "number"}, {"AGE", "time"}, {"AUTHOR", "author"},
	{"MESSAGE", "message"}, {NULL, NULL},
};

/* Most of the server's warnings are those of the same library the client has already printed; all
 * of them are for -o json. */
static void print_plan(const struct cli *cli, const struct wire_applied *got)
{
	jaco_auto(jaco_buf) struct jaco_buf table = JACO_BUF_INIT;

	if (out_msg(cli, &wire_applied_desc, got))
		return;
	if (got->changes.n && !cli->is_quiet) {
		out_table(&table, cli, &wire_change_desc, got->changes.v, got->changes.n,
			  change_columns);
		fputs(jaco_buf_str(&table), stdout);
	}
	if (got->omitted)
		out_say(cli, "... and %u more", got->omitted);
}

/* Whether a plan changes the number of replicas, which ends an override. */
static bool does_rescale(const struct wire_applied *got, const char *service)
{
	char object[JACO_NAME_MAX + sizeof("service ")];

	(void)jaco_str_format(object, sizeof(object), "service %s", service);
	for (size_t i = 0; i < got->changes.n; i++) {
		const struct wire_change *change = &got->changes.v[i];

		for (size_t k = 0; jaco_str_eq(change->object, object) && k < change->fields.n; k++)
			if (jaco_str_eq(change->fields.v[k], "replicas"))
				return true;
	}
	return false;
}

/* A number that jaco scale set outlives an apply that does not change replicas (scheduling.md 4);
 * who applies should hear that the manifest is not what runs.  Only told, so an error is none. */
static void say_overrides(struct cli *cli, const struct wire_applied *got,
			  const struct jaco_manifest *manifest)
{
	struct wire_get req = {
		.key = jaco_arena_printf(&cli->arena, "/deployment/%s", got->deployment)};
	struct jaco_err ignored = JACO_ERR_INIT;
	struct wire_deployment record;
	struct wire_got stored;

	if (cli->is_quiet || cli_call(cli, &wire_raftd_kv_get, &req, &stored, &ignored) < 0 ||
	    !stored.entry ||
	    jaco_unpack(&wire_deployment_desc, stored.entry->value.data, stored.entry->value.n,
			&cli->arena, &record, &ignored) < 0)
		return;
	for (size_t i = 0; i < record.services.n; i++) {
		const struct wire_service *service = &record.services.v[i];
		const struct jaco_service *written = jaco_manifest_service(manifest, service->name);

		if (service->scaled && written && written->replicas != service->replicas &&
		    !(got->dry_run && does_rescale(got, service->name)))
			out_say(cli, "%s",
				report_override(record.name, service, written->replicas,
						&cli->arena));
	}
}

static bool is_told(const struct jaco_findings *told, const struct wire_finding *finding)
{
	for (size_t i = 0; i < told->n; i++)
		if (jaco_str_eq(told->items[i].message, finding->message) &&
		    jaco_str_eq(told->items[i].path, finding->field))
			return true;
	return false;
}

/* Findings of the document that was sent, at the places where people wrote what it says. */
static void relocate(const struct jaco_resolved *resolved, struct wire_applied *got)
{
	for (size_t i = 0; i < got->findings.n; i++) {
		struct wire_finding *finding = &got->findings.v[i];
		struct jaco_pos pos;

		if (!jaco_str_eq(finding->file, resolved->compose.name))
			continue;
		pos = jaco_resolved_place(resolved, finding->line, finding->column);
		if (!pos.file)
			continue;
		finding->file = pos.file;
		JACO_SET(finding, finding, line, pos.line);
		JACO_SET(finding, finding, column, pos.column);
	}
}

/* What only the cluster knows of the files, told as the library told the rest. */
static size_t tell_cluster(const struct cli *cli, const struct wire_applied *got,
			   struct jaco_findings *told)
{
	struct jaco_findings fresh = JACO_FINDINGS_INIT(told->arena);

	for (size_t i = 0; i < got->findings.n; i++) {
		const struct wire_finding *finding = &got->findings.v[i];

		if (!is_told(told, finding))
			jaco_findings_warn(
				&fresh,
				(struct jaco_pos){finding->file, finding->line, finding->column},
				finding->field, finding->remedy, "%s", finding->message);
	}
	manifest_print(cli, &fresh);
	return fresh.n;
}

/* With --strict a plan comes first: a warning of the cluster must not come too late. */
static int check_strict(struct cli *cli, struct wire_apply req,
			const struct jaco_resolved *resolved, struct jaco_findings *told,
			struct jaco_err *err)
{
	struct wire_applied got;
	size_t n;

	req.dry_run = true;
	if (cli_call(cli, &wire_raftd_deploy_apply, &req, &got, err) < 0)
		return -(int)err->code;
	relocate(resolved, &got);
	n = tell_cluster(cli, &got, told);
	return n ? jaco_err_set(err, JACO_VALIDATION_FAILED,
				"not applied, %zu warning%s of the "
				"cluster with --strict",
				n, OUT_S(n))
		 : 0;
}

static int apply(struct cli *cli, bool dry_run, struct wire_applied *out,
		 const struct jaco_manifest **out_manifest, struct jaco_err *err)
{
	struct jaco_findings findings = JACO_FINDINGS_INIT(&cli->arena);
	struct jaco_resolved resolved;
	struct wire_apply req = {.message = cli_opt(cli, "message"),
				 .dry_run = dry_run,
				 .plan = cli_opt(cli, "plan")};
	int rc = manifest_resolve_fitting(cli, &findings, &resolved, err);

	manifest_print(cli, &findings);
	if (rc < 0) {
		manifest_count(cli, &findings, dry_run ? "not valid" : "not applied", err);
		return rc;
	}
	*out_manifest = resolved.manifest;
	req.jaco = (struct wire_bin){resolved.jaco.data, resolved.jaco.n};
	req.compose = (struct wire_bin){resolved.compose.data, resolved.compose.n};
	rc = cli_opt(cli, "strict") ? check_strict(cli, req, &resolved, &findings, err) : 0;
	if (rc == 0)
		rc = cli_call(cli, &wire_raftd_deploy_apply, &req, out, err);
	if (rc < 0) {
		manifest_relocate(&resolved, err);
		return rc;
	}
	relocate(&resolved, out);
	(void)tell_cluster(cli, out, &findings);
	return rc;
}

int deploy_diff(struct cli *cli, struct jaco_err *err)
{
	const struct jaco_manifest *manifest;
	struct wire_applied got;

	if (apply(cli, true, &got, &manifest, err) < 0)
		return -(int)err->code;
	print_plan(cli, &got);
	out_say(cli, "%s: %s; plan %.12s", got.deployment, got.changed ? "changes" : "no change",
		got.plan ? got.plan : "-");
	say_overrides(cli, &got, manifest);
	return got.changed && cli_opt(cli, "exit-code") ? EXIT_CHANGES : 0;
}

static int wait_ms(struct cli *cli, int64_t *out_ms, struct jaco_err *err)
{
	const char *timeout = cli_opt(cli, "timeout");

	*out_ms = WAIT_DEFAULT_MS;
	if (timeout && !jaco_duration_parse(timeout, out_ms))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--timeout %s is not a duration",
				    timeout);
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
	const struct jaco_manifest *manifest;
	struct wire_applied got;
	int64_t ms;

	/* a bad option is refused before anything has happened */
	if (wait_ms(cli, &ms, err) < 0)
		return -(int)err->code;
	if (cli_opt(cli, "dry-run"))
		return deploy_diff(cli, err);
	if (apply(cli, false, &got, &manifest, err) < 0)
		return -(int)err->code;
	print_plan(cli, &got);
	out_say(cli, "%s: revision %llu %s", got.deployment, (unsigned long long)got.revision,
		got.changed ? "applied" : "is what is wanted already");
	say_overrides(cli, &got, manifest);
	return wait_for(cli, got.deployment, err);
}

static int need_service(struct cli *cli, const char **out_deployment, const char **out_service,
			struct jaco_err *err)
{
	if (cli_split_ref(cli, cli_arg(cli, 0), out_deployment, out_service, err) < 0)
		return -(int)err->code;
	if (!*out_service && strchr(*out_deployment, '='))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "write it as DEPLOYMENT/SERVICE N, not %s", *out_deployment);
	if (!*out_service)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "which service? %s/SERVICE",
				    *out_deployment);
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
		if (!cli_arg(cli, 1))
			return jaco_err_set(
				err, JACO_VALIDATION_FAILED,
				"how many replicas? a number, or --reset for the manifest's");
		if (!jaco_str_to_u64(cli_arg(cli, 1), JACO_REPLICAS_MAX, &n))
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "%s is not a number of replicas; from 0 to %d",
					    cli_arg(cli, 1), JACO_REPLICAS_MAX);
		JACO_SET(&req, scale, replicas, (uint32_t)n);
	}
	if (cli_call_print(cli, &wire_raftd_deploy_scale, &req, &got, err) < 0)
		return -(int)err->code;
	if (req.reset)
		out_say(cli, "%s/%s back to its manifest", req.deployment, req.service);
	else
		out_say(cli, "%s/%s scaled to %llu", req.deployment, req.service,
			(unsigned long long)n);
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
	struct wire_delete req = {.deployment = cli_arg(cli, 0),
				  .volumes = cli_opt(cli, "volumes") != NULL};
	const char *question = jaco_arena_printf(&cli->arena, "delete %s%s?", req.deployment,
						 req.volumes ? " and the data in its volumes" : "");
	struct wire_changed got;
	int rc;

	rc = cli_confirm(cli, question, "yes", err);
	if (rc <= 0)
		return rc < 0 ? rc : 1;
	if (cli_call_print(cli, &wire_raftd_deploy_delete, &req, &got, err) < 0)
		return -(int)err->code;
	out_say(cli, "%s deleted", req.deployment);
	return cli_opt(cli, "wait") ? wait_gone(cli, req.deployment, WAIT_DEFAULT_MS, err) : 0;
}
