/* SPDX-License-Identifier: Apache-2.0
 *
 * removed.c - one file "removed": a line that says how it was learned, and the sentence. */
#include "daemons/raftd/removed.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/api/remote.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"

#define REFUSED  "refused\n" /* by a member: there is nobody to talk to any more */
#define BY_STATE "state\n"   /* raft may still need this node to let it go */

static void path_of(const struct raftd *raftd, const char *name, char out[static 640])
{
	(void)jaco_str_format(out, 640, "%s/%s", raftd->dir, name);
}

static void publish(struct raftd *raftd, const char *message)
{
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_INIT;
	struct wire_obs_membership membership = {.message = message,
						 .since = (uint64_t)jaco_time_wall_ms()};
	const struct record *record = NULL;
	struct kv_bytes value = {.data = NULL};
	struct jaco_err err = JACO_ERR_INIT;
	char key[JACO_KEY_MAX];

	(void)jaco_str_format(key, sizeof(key), "/obs/node/%s/membership", raftd->host);
	if (message && jaco_pack(&packed, &wire_obs_membership_desc, &membership, &err) >= 0)
		value = (struct kv_bytes){packed.data, packed.n};
	if (records_publish(&raftd->records, key, value, &record, &err) > 0) {
		watch_note_record(&raftd->hub, record);
		watch_pump(&raftd->hub);
	}
}

static void tell(struct raftd *raftd)
{
	publish(raftd, raftd->removed);
	jaco_daemon_set_status(raftd->daemon, "degraded", "%s", raftd->removed);
}

static void learn(struct raftd *raftd, bool is_refused, const char *text)
{
	jaco_auto(jaco_buf) struct jaco_buf file = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	char path[640];

	if (raftd->removed[0] && raftd->is_refused >= is_refused)
		return;
	if (!raftd->removed[0])
		jaco_log_notice("this node was put out of the cluster", KV_STR(reason, text));
	raftd->is_refused |= is_refused;
	(void)jaco_str_format(raftd->removed, sizeof(raftd->removed), "%s", text);
	path_of(raftd, "removed", path);
	jaco_buf_printf(&file, "%s%s", raftd->is_refused ? REFUSED : BY_STATE, raftd->removed);
	if (jaco_fs_replace(path, file.data, file.n, 0600, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "a restart will have to learn that again", &err);
	tell(raftd);
	jaco_timer_arm(&raftd->cut, 0); /* not from inside a connection's callback */
}

int removed_membership(struct raftd *raftd, uint64_t *out_revision, struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_node node;
	char key[JACO_KEY_MAX];
	int rc;

	(void)jaco_str_format(key, sizeof(key), "/node/%s", raftd->host);
	rc = api_get(raftd, key, &wire_node_desc, &arena, &node, out_revision, err);
	return rc > 0 && node.raft_id != raftd->store.raft_id ? 0 : rc;
}

void removed_by_state(struct raftd *raftd)
{
	char text[256];

	(void)jaco_str_format(text, sizeof(text),
			      "%s was removed from cluster %s: jaco node join takes it in again",
			      raftd->host, raftd->cluster_id);
	learn(raftd, false, text);
}

void removed_hear(struct raftd *raftd, const struct wire_raft_hello *hello)
{
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t since = 0;
	int rc;

	if (!raftd->store.is_open || hello->epoch < raftd->epoch)
		return;
	if (raftd->is_initialised && (!hello->cluster_id ||
				      strcmp(hello->cluster_id, raftd->cluster_id) != 0))
		return;
	rc = removed_membership(raftd, &since, &err);
	if (rc == 0)
		since = raftd->removed[0] ? 0 : link_joined_at(&raftd->link);
	else if (rc < 0 && since == 0)
		return;
	if ((!raftd->is_initialised || hello->epoch == raftd->epoch) && hello->revision < since)
		return; /* it has not heard of this node yet */
	learn(raftd, true, hello->refused);
}

static void on_cut(struct jaco_timer *timer, void *ctx)
{
	struct raftd *raftd = ctx;

	(void)timer;
	remote_review(raftd);
	if (raftd->is_refused)
		link_stop(&raftd->link);
}

void removed_open(struct raftd *raftd)
{
	jaco_auto(jaco_buf) struct jaco_buf file = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	const char *text;
	char path[640];

	jaco_timer_init(&raftd->daemon->loop, &raftd->cut, on_cut, raftd);
	path_of(raftd, "removed", path);
	if (!store_exists(raftd->dir) || !jaco_fs_exists(path))
		return;
	if (jaco_fs_read(path, sizeof(raftd->removed), &file, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "what is known of the removal", &err);
		return;
	}
	text = strchr(jaco_buf_str(&file), '\n');
	raftd->is_refused = jaco_str_starts(jaco_buf_str(&file), REFUSED);
	(void)jaco_str_format(raftd->removed, sizeof(raftd->removed), "%s",
			      text && text[1] ? text + 1 : "this node was removed");
	tell(raftd);
}

void removed_fini(struct raftd *raftd)
{
	jaco_timer_fini(&raftd->cut);
}

/* --- joining anew --- */

/* A directory without directories in it. */
static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char at[1024];

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    jaco_str_format(at, sizeof(at), "%s/%s", path, entry->d_name))
			(void)unlink(at);
	if (dir)
		(void)closedir(dir);
	(void)rmdir(path);
}

static int move_files(const struct raftd *raftd, struct jaco_err *err)
{
	/* "group" first: without it there is no raft group, whatever else is left */
	static const char *const names[] = {"group", "hard", "wal", "state"};
	char former[640], from[640], to[1280];

	path_of(raftd, "former", former);
	if (jaco_fs_mkdirs(former, 0700, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < JACO_ARRAY_SIZE(names); i++) {
		path_of(raftd, names[i], from);
		(void)jaco_str_format(to, sizeof(to), "%s/%s", former, names[i]);
		if (unlink(to) < 0)
			remove_dir(to);
		if (rename(from, to) < 0 && errno != ENOENT)
			return jaco_err_errno(err, "%s", from);
		if (jaco_fs_sync_dir(raftd->dir, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

int removed_set_aside(struct raftd *raftd, struct jaco_err *err)
{
	char path[640];

	link_stop(&raftd->link);
	integrity_end(raftd);
	store_close(&raftd->store);
	raftd->is_initialised = raftd->was_member = raftd->is_refused = false;
	raftd->cluster_id[0] = raftd->removed[0] = '\0';
	raftd->epoch = 0;
	records_begin_anew(&raftd->records, (uint64_t)jaco_time_wall_ms());
	if (move_files(raftd, err) < 0)
		return -(int)err->code;
	path_of(raftd, "removed", path);
	(void)unlink(path);
	publish(raftd, NULL);
	return 0;
}
