/* SPDX-License-Identifier: Apache-2.0
 *
 * backup.c - jaco backup, jaco backup verify, jaco restore.
 *
 * The state comes in pieces and is kept in a file without a name until its length is known; the
 * archive gets its name when it is whole.  What needs the store's code is done by jaco-raftd. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/out.h"
#include "libjaco/base/digest.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/archive.h"
#include "libjaco/io/sock.h"
#include "libjaco/wire/print.h"

#define RESULT_MAX 65536

struct taking {
	struct cli *cli;
	int spool_fd;
	uint64_t bytes;
	struct jaco_sha256_run *sha256;
	struct wire_backup_meta meta;
	bool has_meta;
	uint8_t seal_key[64];
	size_t n_seal_key;
	struct jaco_err err; /* of writing the spool */
};

static void on_chunk(void *ctx, const void *event)
{
	struct taking *taking = ctx;
	const struct wire_backup_chunk *chunk = event;

	if (chunk->meta && !taking->has_meta) {
		jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_INIT;

		/* kept beyond the event: by way of its packed form */
		taking->has_meta =
			jaco_pack(&packed, &wire_backup_meta_desc, chunk->meta, &taking->err) >=
				0 &&
			jaco_unpack(&wire_backup_meta_desc, packed.data, packed.n,
				    &taking->cli->arena, &taking->meta, &taking->err) >= 0;
		taking->n_seal_key = JACO_MIN(chunk->seal_key.n, sizeof(taking->seal_key));
		if (taking->n_seal_key)
			memcpy(taking->seal_key, chunk->seal_key.data, taking->n_seal_key);
	}
	for (size_t at = 0; at < chunk->data.n && taking->err.code == JACO_OK;) {
		ssize_t n = write(taking->spool_fd, (const char *)chunk->data.data + at,
				  chunk->data.n - at);

		if (n < 0 && errno != EINTR)
			jaco_err_errno(&taking->err, "keeping the snapshot");
		at += n > 0 ? (size_t)n : 0;
	}
	if (chunk->data.n)
		jaco_sha256_add(taking->sha256, chunk->data.data, chunk->data.n);
	taking->bytes += chunk->data.n;
}

static int add_spool(struct taking *taking, struct jaco_archive *archive, struct jaco_err *err)
{
	char data[65536];
	uint64_t at = 0;

	if (jaco_archive_member(archive, "snapshot", taking->bytes, err) < 0)
		return -(int)err->code;
	while (at < taking->bytes) {
		ssize_t n = pread(taking->spool_fd, data, sizeof(data), (off_t)at);

		if (n <= 0)
			return jaco_err_errno(err, "reading the snapshot back");
		if (jaco_archive_add(archive, data, (size_t)n, err) < 0)
			return -(int)err->code;
		at += (uint64_t)n;
	}
	return 0;
}

static int write_archive(struct taking *taking, struct jaco_archive *archive, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf meta = JACO_BUF_INIT;
	json_t *json = jaco_json_from_msg(&wire_backup_meta_desc, &taking->meta);

	jaco_json_print(&meta, json);
	json_decref(json);
	jaco_buf_add_char(&meta, '\n');
	if (jaco_archive_member(archive, "meta.json", meta.n, err) < 0 ||
	    jaco_archive_add(archive, meta.data, meta.n, err) < 0 ||
	    jaco_archive_member(archive, "seal.key", taking->n_seal_key, err) < 0 ||
	    jaco_archive_add(archive, taking->seal_key, taking->n_seal_key, err) < 0)
		return -(int)err->code;
	return add_spool(taking, archive, err);
}

static int save(struct taking *taking, const char *path, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf passphrase = JACO_BUF_SECRET(0);
	struct jaco_archive *archive = NULL;
	int rc = jaco_archive_passphrase(cli_opt(taking->cli, "passphrase-file"), &passphrase, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		fprintf(stderr, "Warning: the backup is not sealed, and the key of the cluster's "
				"CA is in it: "
				"--passphrase-file FILE seals it\n");
	rc = jaco_archive_create(path, rc ? jaco_buf_str(&passphrase) : NULL, &archive, err);
	if (rc >= 0)
		rc = write_archive(taking, archive, err);
	if (rc >= 0)
		return jaco_archive_finish(archive, err);
	jaco_archive_discard(archive);
	return rc;
}

static int spool(const char *path, struct jaco_err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[1024];
	int fd;

	(void)jaco_str_format(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
			      slash ? path : ".");
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : jaco_err_errno(err, "%s", dir);
}

int backup_take(struct cli *cli, struct jaco_err *err)
{
	const char *path = cli_opt_of(cli, "output", true);
	struct taking taking = {.cli = cli};
	struct wire_nothing nothing = {.has = 0};
	struct wire_backup_result result = {.meta = &taking.meta, .file = path};
	char sha256[JACO_SHA256_TEXT_BYTES];
	int rc;

	if (!path)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "--output FILE is needed");
	taking.spool_fd = spool(path, err);
	if (taking.spool_fd < 0)
		return -(int)err->code;
	taking.sha256 = jaco_sha256_begin();
	rc = cli_stream(cli, &wire_raftd_backup_take, &nothing, on_chunk, &taking, err);
	jaco_sha256_end(taking.sha256, sha256);
	taking.meta.sha256 = sha256;
	if (rc >= 0 && taking.err.code != JACO_OK) {
		*err = taking.err;
		rc = -(int)err->code;
	}
	if (rc >= 0 && !taking.has_meta)
		rc = jaco_err_set(err, JACO_INTERNAL, "the backup came without its head");
	if (rc >= 0)
		rc = save(&taking, path, err);
	jaco_wipe(taking.seal_key, sizeof(taking.seal_key));
	jaco_fd_close(&taking.spool_fd);
	if (rc < 0)
		return rc;
	result.bytes = taking.bytes;
	result.sealed = cli_opt(cli, "passphrase-file") != NULL;
	if (!out_msg(cli, &wire_backup_result_desc, &result))
		out_say(cli, "cluster %s at revision %llu is in %s", taking.meta.cluster_id,
			(unsigned long long)taking.meta.revision, path);
	return 0;
}

/* --- by way of raftd --- */

static int take_result(struct cli *cli, const char *text, size_t n, struct wire_backup_result *out,
		       struct jaco_err *err)
{
	json_t *json = json_loadb(text, n, 0, NULL);
	json_t *error = json_object_get(json, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	int rc;

	if (code && message)
		rc = jaco_err_set(err, jaco_code_find(code), "%s", message);
	else if (json)
		rc = jaco_json_to_msg(&wire_backup_result_desc, json, &cli->arena, out, err);
	else
		rc = jaco_err_set(err, JACO_UNAVAILABLE, "jaco-raftd could not do it");
	json_decref(json);
	return rc;
}

static int read_all(int fd, struct jaco_buf *out)
{
	for (;;) {
		char *at = jaco_buf_reserve(out, 4096);
		ssize_t n = at ? read(fd, at, 4096) : -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		out->n += (size_t)n;
	}
}

static int run_raftd(struct cli *cli, const char **argv, struct wire_backup_result *out,
		     struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf said = JACO_BUF_BOUND(RESULT_MAX);
	int pipes[2], status;
	char path[4096];
	pid_t pid;

	if (supervise_find_binary(cli_opt(cli, "libexec"), "raftd", path, err) < 0)
		return -(int)err->code;
	argv[0] = path;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return jaco_err_errno(err, "pipe");
	pid = fork();
	if (pid == 0) {
		(void)dup2(pipes[1], STDOUT_FILENO);
		execv(path, (char *const *)argv);
		_exit(127);
	}
	(void)close(pipes[1]);
	(void)read_all(pipes[0], &said);
	(void)close(pipes[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return jaco_err_errno(err, "%s", path);
	return take_result(cli, jaco_buf_str(&said), said.n, out, err);
}

/* --option value, when the caller has it. */
static size_t pass_on(struct cli *cli, const char **argv, size_t n, const char *option,
		      const char *value)
{
	if (!value)
		return n;
	argv[n++] = jaco_arena_printf(&cli->arena, "--%s", option);
	argv[n++] = value;
	return n;
}

static size_t pass_common(struct cli *cli, const char **argv, size_t n)
{
	const char *root = cli_opt(cli, "root") ? cli_opt(cli, "root") : getenv("JACO_ROOT");

	n = pass_on(cli, argv, n, "passphrase-file", cli_opt(cli, "passphrase-file"));
	n = pass_on(cli, argv, n, "root", root);
	return pass_on(cli, argv, n, "log-level", "error");
}

int backup_verify(struct cli *cli, struct jaco_err *err)
{
	const char *argv[20] = {NULL};
	struct wire_backup_result result;
	size_t n = pass_on(cli, argv, 1, "verify", cli_arg(cli, 0));

	(void)pass_common(cli, argv, n);
	if (run_raftd(cli, argv, &result, err) < 0)
		return -(int)err->code;
	if (!out_msg(cli, &wire_backup_result_desc, &result))
		out_say(cli, "%s is whole: cluster %s at revision %llu, state hash %s",
			cli_arg(cli, 0), result.meta->cluster_id,
			(unsigned long long)result.meta->revision, result.meta->state_hash);
	return 0;
}

int backup_restore(struct cli *cli, struct jaco_err *err)
{
	const char *argv[20] = {NULL}, *input = cli_opt(cli, "input"), *name = cli_opt(cli, "name");
	struct wire_backup_result result;
	size_t n;

	if (!input || !name)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "--input FILE and --name HOST are needed");
	n = pass_on(cli, argv, 1, "restore", input);
	n = pass_on(cli, argv, n, "name", name);
	n = pass_on(cli, argv, n, "data-dir", cli_opt(cli, "data-dir"));
	n = pass_on(cli, argv, n, "config", cli_opt(cli, "config"));
	(void)pass_common(cli, argv, n);
	if (run_raftd(cli, argv, &result, err) < 0)
		return -(int)err->code;
	if (!out_msg(cli, &wire_backup_result_desc, &result))
		out_say(cli,
			"%s is cluster %s at revision %llu, epoch %llu, from its next start on; "
			"the "
			"others: jaco node join",
			name, result.meta->cluster_id, (unsigned long long)result.meta->revision,
			(unsigned long long)result.cluster_epoch);
	return 0;
}
