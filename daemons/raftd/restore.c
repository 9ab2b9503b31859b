/* SPDX-License-Identifier: Apache-2.0
 *
 * restore.c - unpacks into a directory beside the real one, loads, compares hashes, adds what makes
 * this node the only member, and renames last: nothing that exists is ever overwritten, and a crash
 * leaves nothing that looks like a node. */
#include "daemons/raftd/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "daemons/raftd/api/seal.h"
#include "daemons/raftd/kv/machine.h"
#include "daemons/raftd/link/identity.h"
#include "daemons/raftd/store.h"
#include "daemons/raftd/takeover.h"
#include "libjaco/base/digest.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/archive.h"
#include "libjaco/io/fs.h"
#include "libjaco/io/sock.h"
#include "libjaco/model/name.h"
#include "libjaco/wire/print.h"

#define META_MAX 65536

struct restore {
	struct jaco_arena arena;
	char dir[600]; /* where it is built */
	int snapshot_fd;
	struct jaco_sha256_run *sha256;
	struct jaco_buf meta_text;
	uint8_t seal_key[SEAL_KEY_BYTES];
	size_t n_seal_key;
	uint64_t snapshot_bytes;
	bool has_snapshot;
	struct wire_backup_meta meta;
	struct wire_backup_result result;
	char state_hash[DIGEST_TEXT_BYTES];
	uint64_t cert_not_after;
};

/* --- taking the archive apart --- */

static int take_snapshot(struct restore *restore, const void *data, size_t n, struct jaco_err *err)
{
	restore->snapshot_bytes += n;
	jaco_sha256_add(restore->sha256, data, n);
	for (size_t at = 0; at < n;) {
		ssize_t got = write(restore->snapshot_fd, (const char *)data + at, n - at);

		if (got < 0 && errno != EINTR)
			return jaco_err_errno(err, "%s/snapshot", restore->dir);
		at += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

static int on_content(void *ctx, const char *name, uint64_t size, const void *data, size_t n,
		      struct jaco_err *err)
{
	struct restore *restore = ctx;

	if (strcmp(name, "snapshot") == 0) {
		if (n == 0 && restore->has_snapshot)
			return jaco_err_set(err, JACO_VALIDATION_FAILED,
					    "two snapshots in one backup");
		restore->has_snapshot = true;
		return take_snapshot(restore, data, n, err);
	}
	if (strcmp(name, "meta.json") == 0 && size <= META_MAX &&
	    restore->meta_text.n + n <= META_MAX) {
		jaco_buf_add(&restore->meta_text, data, n);
		return 0;
	}
	if (strcmp(name, "seal.key") == 0 && size == SEAL_KEY_BYTES &&
	    restore->n_seal_key + n <= SEAL_KEY_BYTES) {
		if (n > 0)
			memcpy(restore->seal_key + restore->n_seal_key, data, n);
		restore->n_seal_key += n;
		return 0;
	}
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "%s does not belong into a backup", name);
}

static int check_version(const struct wire_backup_meta *meta, struct jaco_err *err)
{
	size_t n = strcspn(JACO_VERSION, ".");

	if (meta->format != 1 || strncmp(meta->version, JACO_VERSION, n) != 0 ||
	    meta->version[n] != '.')
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the backup was made by JACO %s (format %u); this is %s, which "
				    "restores its own major version", meta->version, meta->format,
				    JACO_VERSION);
	return 0;
}

static int check_parts(struct restore *restore, struct jaco_err *err)
{
	char text[JACO_SHA256_TEXT_BYTES];
	json_t *json = json_loadb(jaco_buf_str(&restore->meta_text), restore->meta_text.n, 0, NULL);
	int rc = json ? jaco_json_to_msg(&wire_backup_meta_desc, json, &restore->arena,
					 &restore->meta, err)
		      : jaco_err_set(err, JACO_VALIDATION_FAILED,
				     "meta.json is missing or not JSON");

	json_decref(json);
	if (rc < 0 || check_version(&restore->meta, err) < 0)
		return -(int)err->code;
	if (!restore->has_snapshot || restore->n_seal_key != SEAL_KEY_BYTES)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "a part of the backup is missing");
	jaco_sha256_end(restore->sha256, text);
	restore->sha256 = NULL;
	if (!jaco_str_eq(text, restore->meta.sha256))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the snapshot is not the one of meta.json: SHA-256 %s, not %s",
				    text, restore->meta.sha256 ? restore->meta.sha256 : "absent");
	return 0;
}

static int unpack(struct restore *restore, struct jaco_daemon *daemon, const char *path,
		  struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf passphrase = JACO_BUF_SECRET(0);
	char snapshot[640];
	int rc = jaco_archive_passphrase(jaco_daemon_option(daemon, "passphrase-file"), &passphrase,
					 err);

	if (rc < 0)
		return rc;
	(void)jaco_str_format(snapshot, sizeof(snapshot), "%s/snapshot", restore->dir);
	restore->snapshot_fd = open(snapshot, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (restore->snapshot_fd < 0)
		return jaco_err_errno(err, "%s", snapshot);
	restore->sha256 = jaco_sha256_begin();
	rc = jaco_unarchive_file(path, rc > 0 ? jaco_buf_str(&passphrase) : NULL, on_content,
				 restore, err);
	if (rc >= 0)
		rc = check_parts(restore, err);
	if (rc >= 0)
		rc = store_restore(restore->dir, snapshot, restore->meta.revision,
				   restore->meta.term, restore->state_hash, err);
	(void)unlink(snapshot);
	if (rc < 0)
		return rc;
	if (!jaco_str_eq(restore->state_hash, restore->meta.state_hash))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "the state loaded has hash %s, not %s", restore->state_hash,
				    restore->meta.state_hash);
	return 0;
}

/* --- becoming a node --- */

static int get(struct machine *machine, struct jaco_arena *arena, const char *key,
	       const struct jaco_desc *desc, void *out, uint64_t *out_revision,
	       struct jaco_err *err)
{
	struct kv_bytes value;
	int rc = machine_get(machine, KV_TEXT(key), &value, out_revision, err);

	if (rc == 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "the backup has no %s", key);
	return rc < 0 ? rc : jaco_unpack(desc, value.data, value.n, arena, out, err);
}

static int write_file(const struct restore *restore, const char *name, const void *data, size_t n,
		      struct jaco_err *err)
{
	char path[700];

	(void)jaco_str_format(path, sizeof(path), "%s/%s", restore->dir, name);
	return jaco_fs_replace(path, data, n, 0600, err);
}

static int make_identity(struct restore *restore, const char *host,
			 const struct wire_cluster_meta *cluster, const struct wire_sealed *sealed,
			 char out_fingerprint[static IDENTITY_FINGERPRINT_TEXT],
			 struct jaco_err *err)
{
	jaco_auto(identity) struct identity ca = {.key = ""}, node = {.key = ""};
	jaco_auto(jaco_buf) struct jaco_buf key = JACO_BUF_SECRET(0);
	struct identity_life life;

	if (seal_open(restore->seal_key, "/secret/ca", sealed->data.data, sealed->data.n, &key,
		      err) < 0)
		return jaco_err_wrap(err, "the key of the CA");
	(void)jaco_str_copy(ca.cert, sizeof(ca.cert), cluster->ca_cert);
	(void)jaco_str_format(ca.key, sizeof(ca.key), "%.*s", (int)key.n, key.data);
	if (identity_make_node(&ca, cluster->id, host, &node, err) < 0 ||
	    identity_key_fingerprint(node.cert, out_fingerprint, err) < 0 ||
	    identity_get_life(node.cert, &life, err) < 0 ||
	    write_file(restore, "ca.crt", ca.cert, strlen(ca.cert), err) < 0 ||
	    write_file(restore, "node.crt", node.cert, strlen(node.cert), err) < 0 ||
	    write_file(restore, "node.key", node.key, strlen(node.key), err) < 0 ||
	    write_file(restore, "seal.key", restore->seal_key, sizeof(restore->seal_key), err) < 0)
		return -(int)err->code;
	restore->cert_not_after = (uint64_t)life.not_after * 1000;
	return 0;
}

static struct kv_bytes pack(struct restore *restore, const struct jaco_desc *desc, const void *msg)
{
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	(void)jaco_pack(&out, desc, msg, &err); /* an empty value is refused by the next start */
	return (struct kv_bytes){jaco_arena_memdup(&restore->arena, out.data, out.n), out.n};
}

/* The transaction that the first start makes, with the group of one it is made in. */
static int plan(struct restore *restore, const char *host, struct wire_cluster_meta *cluster,
		uint64_t cluster_revision, const char *fingerprint, struct jaco_err *err)
{
	const char *key = jaco_arena_printf(&restore->arena, "/node/%s", host);
	uint64_t now = (uint64_t)jaco_time_wall_ms(), raft_id = restore->meta.revision + 1;
	struct wire_node node = {.host = host,
				 .raft_id = raft_id,
				 .key_fingerprint = fingerprint,
				 .cert_not_after = restore->cert_not_after,
				 .cpus = (uint32_t)get_nprocs(),
				 .joined = now,
				 .intent = JACO_NODE_INTENT_ACTIVE,
				 .version = JACO_VERSION};
	struct wire_pair pairs[] = {
		{"host", host},
		{"cluster_epoch", jaco_arena_printf(&restore->arena, "%llu",
						    (unsigned long long)++cluster->cluster_epoch)},
		{"revision", jaco_arena_printf(&restore->arena, "%llu",
					       (unsigned long long)restore->meta.revision)}};
	struct wire_audit audit = {.type = JACO_AUDIT_RESTORE_COMPLETED,
				   .identity = jaco_arena_printf(&restore->arena, "system:raftd@%s",
								 host),
				   .time = now,
				   .payload = {pairs, JACO_ARRAY_SIZE(pairs)}};
	struct txn_compare compare = {.kind = TXN_AT_REVISION,
				      .key = KV_TEXT("/cluster/meta"),
				      .revision = cluster_revision};
	struct txn_op ops[] = {{.kind = TXN_PUT,
				.key = KV_TEXT("/cluster/meta"),
				.value = pack(restore, &wire_cluster_meta_desc, cluster)},
			       {.kind = TXN_DELETE_PREFIX, .key = KV_TEXT("/node/")},
			       {.kind = TXN_PUT,
				.key = KV_TEXT(key),
				.value = pack(restore, &wire_node_desc, &node)}};
	struct txn txn = {.compares = &compare, .n_compares = 1, .ops = ops,
			  .n_ops = JACO_ARRAY_SIZE(ops),
			  .audit = pack(restore, &wire_audit_desc, &audit)};

	restore->result.cluster_epoch = cluster->cluster_epoch;
	return takeover_plan(restore->dir, raft_id, &txn, err);
}

static int become(struct restore *restore, const char *host, struct jaco_err *err)
{
	char path[700], fingerprint[IDENTITY_FINGERPRINT_TEXT];
	struct wire_cluster_meta cluster;
	struct wire_sealed sealed;
	struct machine machine = {.space = NULL};
	uint64_t revision = 0;
	struct state state;
	int rc;

	(void)jaco_str_format(path, sizeof(path), "%s/state", restore->dir);
	if (state_open(&state, path, err) < 0)
		return -(int)err->code;
	rc = machine_open(&machine, &state.space, err);
	if (rc >= 0)
		rc = get(&machine, &restore->arena, "/cluster/meta", &wire_cluster_meta_desc,
			 &cluster, &revision, err);
	if (rc >= 0)
		rc = get(&machine, &restore->arena, "/secret/ca", &wire_sealed_desc, &sealed, NULL,
			 err);
	machine_fini(&machine);
	state_close(&state);
	if (rc < 0 || make_identity(restore, host, &cluster, &sealed, fingerprint, err) < 0)
		return -(int)err->code;
	return plan(restore, host, &cluster, revision, fingerprint, err);
}

/* --- directories --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Only the lock file may be there. */
static int check_empty(const char *path, struct jaco_err *err)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool is_empty = true;

	while (dir && (entry = readdir(dir)))
		is_empty &= entry->d_name[0] == '.' || strcmp(entry->d_name, "lock") == 0;
	if (dir)
		(void)closedir(dir);
	return is_empty ? 0
			: jaco_err_set(
				  err, JACO_CONFLICT,
				  "%s holds the state of a node: nothing is overwritten; move it "
				  "away first",
				  path);
}

static int restore_into(struct restore *restore, struct jaco_daemon *daemon, const char *target,
			struct jaco_err *err)
{
	const char *host = jaco_daemon_option(daemon, "name");
	jaco_auto(jaco_fd) int lock = -1;
	char lock_path[640];

	if (!host || strcmp(host, daemon->host) != 0)
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"this node will be called %s: --name %s, or node_name: %s in %s",
			daemon->host, daemon->host, host ? host : "NAME", daemon->config_path);
	if (jaco_name_check_host(host, err) < 0 || jaco_fs_mkdirs(target, 0700, err) < 0)
		return -(int)err->code;
	(void)jaco_str_format(lock_path, sizeof(lock_path), "%s/lock", target);
	lock = jaco_fs_lock(lock_path, 0, err);
	if (lock < 0)
		return jaco_err_wrap(err, "raftd runs there, stop it first");
	if (check_empty(target, err) < 0)
		return -(int)err->code;
	if (unpack(restore, daemon, jaco_daemon_option(daemon, "restore"), err) < 0 ||
	    become(restore, host, err) < 0)
		return -(int)err->code;
	/* rename(2) replaces an empty directory and nothing else */
	(void)unlink(lock_path);
	if (rename(restore->dir, target) != 0)
		return jaco_err_errno(err, "%s", target);
	restore->result.host = host;
	return 0;
}

static int run(struct restore *restore, struct jaco_daemon *daemon, struct jaco_err *err)
{
	const char *data_dir = jaco_daemon_option(daemon, "data-dir");
	char target[512];
	int rc;

	if (data_dir)
		(void)jaco_str_format(target, sizeof(target), "%s/raftd", data_dir);
	else
		(void)jaco_str_copy(target, sizeof(target), daemon->state_dir);
	if (jaco_daemon_option(daemon, "verify")) {
		const char *tmp = getenv("TMPDIR");

		(void)jaco_str_format(restore->dir, sizeof(restore->dir),
				      "%.500s/jaco-verify-XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
		if (!mkdtemp(restore->dir))
			return jaco_err_errno(err, "%s", restore->dir);
		rc = unpack(restore, daemon, jaco_daemon_option(daemon, "verify"), err);
	} else {
		(void)jaco_str_format(restore->dir, sizeof(restore->dir), "%s.restoring", target);
		remove_tree(restore->dir); /* what a crash left */
		rc = jaco_fs_mkdirs(restore->dir, 0700, err) < 0
			     ? -(int)err->code
			     : restore_into(restore, daemon, target, err);
	}
	remove_tree(restore->dir);
	return rc;
}

bool restore_was_asked(struct jaco_daemon *daemon, int *out_status)
{
	struct restore restore = {.arena = JACO_ARENA_INIT, .snapshot_fd = -1};
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	char unused[JACO_SHA256_TEXT_BYTES];
	json_t *json;
	int rc;

	if (!jaco_daemon_option(daemon, "restore") && !jaco_daemon_option(daemon, "verify"))
		return false;
	rc = run(&restore, daemon, &err);
	restore.result.meta = &restore.meta;
	restore.result.bytes = restore.snapshot_bytes;
	json = rc < 0 ? json_pack("{s:{s:s,s:s}}", "error", "code", jaco_code_name(err.code),
				  "message", err.text)
		      : jaco_json_from_msg(&wire_backup_result_desc, &restore.result);
	jaco_json_print_compact(&out, json);
	json_decref(json);
	puts(jaco_buf_str(&out));
	(void)fflush(stdout);
	jaco_fd_close(&restore.snapshot_fd);
	if (restore.sha256)
		jaco_sha256_end(restore.sha256, unused);
	jaco_buf_fini(&restore.meta_text);
	jaco_wipe(restore.seal_key, sizeof(restore.seal_key));
	jaco_arena_fini(&restore.arena);
	*out_status = rc < 0 ? jaco_code_exit(err.code) : 0;
	return true;
}
