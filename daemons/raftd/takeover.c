/* SPDX-License-Identifier: Apache-2.0
 *
 * takeover.c - the file "takeover": this node's number (8, little endian), then the packed
 * transaction. */
#include "daemons/raftd/takeover.h"

#include <unistd.h>

#include "daemons/raftd/core/core.h"
#include "daemons/raftd/disk/hard.h"
#include "daemons/raftd/disk/wal.h"
#include "libjaco/base/fault.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/io/fs.h"

#define ID_BYTES 8

static int path_of(char *out, size_t n, const char *dir, const char *name, struct jaco_err *err)
{
	if (!jaco_str_format(out, n, "%s/%s", dir, name))
		return jaco_err_set(err, JACO_INTERNAL, "data directory path is too long");
	return 0;
}

int takeover_plan(const char *dir, uint64_t raft_id, const struct txn *txn, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf plan = JACO_BUF_INIT;
	uint8_t id[ID_BYTES];
	char path[640];

	for (size_t i = 0; i < ID_BYTES; i++)
		id[i] = (uint8_t)(raft_id >> (8 * i));
	jaco_buf_add(&plan, id, sizeof(id));
	txn_pack(txn, &plan);
	if (txn_check(txn, err) < 0 || path_of(path, sizeof(path), dir, "takeover", err) < 0)
		return -(int)err->code;
	return jaco_fs_replace(path, plan.data, plan.n, 0600, err);
}

static int append(const char *dir, uint64_t raft_id, const void *txn, size_t n,
		  struct jaco_err *err)
{
	jaco_auto(wal) struct wal wal = {.spare_fd = -1, .dir_fd = -1};
	jaco_auto(hard) struct hard hard = {.fd = -1};
	struct core_conf conf = {.n = 0};
	uint8_t packed[CORE_CONF_PACKED_MAX];
	struct wal_entry entry;
	char path[640];

	if (path_of(path, sizeof(path), dir, "wal", err) < 0 || wal_open(&wal, path, err) < 0 ||
	    path_of(path, sizeof(path), dir, "hard", err) < 0 || hard_open(&hard, path, err) < 0 ||
	    core_conf_set(&conf, raft_id, true, err) < 0)
		return -(int)err->code;
	/* a term nobody voted in: no other member can have entries of it */
	if (hard_save(&hard, hard.term + 1, raft_id, err) < 0)
		return -(int)err->code;
	CHAOS(takeover_term);
	entry = (struct wal_entry){.index = wal.last_index + 1,
				   .term = hard.term,
				   .type = CORE_ENTRY_CONF,
				   .data = packed,
				   .n = core_conf_pack(&conf, packed)};
	if (wal_append(&wal, &entry, err) < 0)
		return -(int)err->code;
	entry.index++;
	entry.type = CORE_ENTRY_DATA;
	entry.data = txn;
	entry.n = n;
	if (wal_append(&wal, &entry, err) < 0 || wal_flush(&wal, err) < 0)
		return -(int)err->code;
	jaco_log_notice("this node is the only voter now", KV_INT(index, entry.index));
	return 0;
}

int takeover_perform(const char *dir, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf plan = JACO_BUF_INIT;
	uint64_t raft_id = 0;
	char path[640];

	if (path_of(path, sizeof(path), dir, "takeover", err) < 0)
		return -(int)err->code;
	if (!jaco_fs_exists(path))
		return 0;
	if (jaco_fs_read(path, SEGMENT_DATA_MAX + ID_BYTES, &plan, err) < 0)
		return -(int)err->code;
	if (plan.n <= ID_BYTES)
		return jaco_err_set(err, JACO_INTERNAL, "%s is cut short", path);
	for (size_t i = 0; i < ID_BYTES; i++)
		raft_id |= (uint64_t)(uint8_t)plan.data[i] << (8 * i);
	if (append(dir, raft_id, plan.data + ID_BYTES, plan.n - ID_BYTES, err) < 0)
		return jaco_err_wrap(err, "going on alone");
	CHAOS(takeover_done);
	(void)unlink(path); /* when it stays, the next start does it again: its compare fails */
	return jaco_fs_sync_dir(dir, err) < 0 ? -(int)err->code : 1;
}

void takeover_forget(const char *dir)
{
	struct jaco_err err = JACO_ERR_INIT;
	char path[640];

	if (path_of(path, sizeof(path), dir, "takeover", &err) == 0)
		(void)unlink(path);
}
