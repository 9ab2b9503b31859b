/* SPDX-License-Identifier: Apache-2.0
 *
 * store_restore.c - a raft group that begins with the state of a backup. */
#include "daemons/raftd/store_internal.h"

#include "daemons/raftd/disk/hard.h"
#include "daemons/raftd/disk/snapfile.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"

static int load_state(const char *dir, const char *path, const struct store_base *base,
		      char out_state_hash[static DIGEST_TEXT_BYTES], struct jaco_err *err)
{
	struct machine machine = {.space = NULL};
	struct state state;
	int rc;

	if (state_open(&state, dir, err) < 0)
		return -(int)err->code;
	rc = snapfile_verify(path, NULL, 0, err);
	if (rc >= 0)
		rc = snapfile_load(path, &state, err);
	if (rc >= 0)
		rc = machine_open(&machine, &state.space, err);
	if (rc >= 0)
		rc = machine_verify(&machine, err);
	if (rc >= 0 && machine.applied != base->index)
		rc = jaco_err_set(
			err, JACO_VALIDATION_FAILED, "the snapshot is of revision %llu, not %llu",
			(unsigned long long)machine.applied, (unsigned long long)base->index);
	if (rc >= 0) {
		digest_text(&machine.digest, out_state_hash);
		rc = store_base_put(&state, base, err);
	}
	if (rc >= 0)
		rc = state_commit(&state, err);
	machine_fini(&machine);
	state_close(&state);
	if (rc < 0 && err->code == JACO_INTERNAL) /* what was given is at fault */
		err->code = JACO_VALIDATION_FAILED;
	return rc < 0 ? -(int)err->code : 0;
}

/* An empty log behind the state, in the term the state was of. */
static int begin_log(const char *dir, const struct store_base *base, struct jaco_err *err)
{
	jaco_auto(wal) struct wal wal = {.spare_fd = -1, .dir_fd = -1};
	jaco_auto(hard) struct hard hard = {.fd = -1};
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/wal", dir);
	if (wal_open(&wal, path, err) < 0 || wal_reset(&wal, base->index, base->term, err) < 0)
		return -(int)err->code;
	(void)jaco_str_format(path, sizeof(path), "%s/hard", dir);
	if (hard_open(&hard, path, err) < 0)
		return -(int)err->code;
	return hard_save(&hard, base->term, 0, err);
}

int store_restore(const char *dir, const char *path, uint64_t revision, uint64_t term,
		  char out_state_hash[static DIGEST_TEXT_BYTES], struct jaco_err *err)
{
	static const char *const names[] = {"wal", "state"};
	struct store_base base = {.index = revision, .term = term, .raft_id = revision + 1};
	char at[640];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++) {
		(void)jaco_str_format(at, sizeof(at), "%s/%s", dir, names[i]);
		if (jaco_fs_mkdirs(at, 0700, err) < 0)
			return -(int)err->code;
	}
	if (core_conf_set(&base.conf, base.raft_id, true, err) < 0 ||
	    load_state(at, path, &base, out_state_hash, err) < 0 || begin_log(dir, &base, err) < 0)
		return -(int)err->code;
	(void)jaco_str_format(at, sizeof(at), "%s/group", dir);
	return jaco_fs_replace(at, "1\n", 2, 0600, err);
}
