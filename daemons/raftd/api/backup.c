/* SPDX-License-Identifier: Apache-2.0
 *
 * backup.c - the state of one revision to whoever takes a backup, while writes go on.
 *
 * The audit record is committed first, so that the state sent is at least as new as the call.  What
 * is read then is one read transaction of LMDB: it costs writers nothing but the pages they
 * replace. */
#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/disk/snapfile.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#define CHUNK_BYTES  (128 * 1024)
#define QUEUE_BYTES  (1024 * 1024)
#define POLL_MS      5
#define PATIENCE_MS  60000 /* a reader that takes nothing for so long keeps old pages alive */
#define BACKUPS_MAX  4

struct backup {
	struct raftd *raftd;
	struct jaco_call *call;
	struct snapfile_source source;
	struct jaco_timer timer;
	struct jaco_time moved; /* when something was sent last */
};

static void backup_free(struct backup *backup)
{
	backup->raftd->n_backups--;
	jaco_timer_fini(&backup->timer);
	snapfile_source_close(&backup->source);
	jaco_free(backup);
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	backup_free(ctx);
}

static void end(struct backup *backup, const struct jaco_err *err)
{
	struct jaco_call *call = backup->call;

	jaco_call_on_cancel(call, NULL, NULL);
	backup_free(backup);
	if (err)
		jaco_call_fail(call, err);
	else
		jaco_call_reply(call, NULL);
}

/* 1 sent, 0 that was all. */
static int send_chunk(struct backup *backup, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf data = JACO_BUF_INIT;
	struct wire_backup_chunk chunk = {.has = 0};
	int rc = snapfile_next(&backup->source, &data, CHUNK_BYTES, err);

	if (rc < 0)
		return rc;
	JACO_SET(&chunk, backup_chunk, data, ((struct wire_bin){data.data, data.n}));
	if (data.n > 0 && jaco_call_event(backup->call, &chunk, err) < 0)
		return -(int)err->code;
	return rc;
}

static void on_timer(struct jaco_timer *timer, void *ctx)
{
	struct backup *backup = ctx;
	struct jaco_time now = jaco_loop_now(backup->raftd->store.loop);
	struct jaco_err err = JACO_ERR_INIT;
	int rc = 1;

	if (jaco_call_queued(backup->call) < QUEUE_BYTES) {
		/* one piece per pass: the loop has other work */
		rc = send_chunk(backup, &err);
		backup->moved = now;
	} else if (jaco_time_diff_ms(now, backup->moved) > PATIENCE_MS) {
		rc = jaco_err_set(&err, JACO_TIMEOUT, "the backup was not read for %d s",
				  PATIENCE_MS / 1000);
	}
	if (rc <= 0)
		end(backup, rc < 0 ? &err : NULL);
	else
		jaco_timer_arm(timer, jaco_call_queued(backup->call) < QUEUE_BYTES ? 0 : POLL_MS);
}

/* The first event: what the state is, and the key that opens what is sealed in it. */
static int send_head(struct raftd *raftd, struct jaco_call *call, struct jaco_err *err)
{
	struct core_status status = store_status(&raftd->store);
	struct wire_cluster_meta cluster;
	char hash[DIGEST_TEXT_BYTES];
	struct wire_backup_meta meta = {.format = 1,
					.revision = raftd->store.machine.applied,
					.term = status.term,
					.version = JACO_VERSION,
					.time = (uint64_t)jaco_time_wall_ms(),
					.host = raftd->host,
					.state_hash = hash};
	struct wire_backup_chunk chunk = {.meta = &meta};
	struct link_peer *leader = link_find_id(&raftd->link, status.leader);

	if (api_get(raftd, "/cluster/meta", &wire_cluster_meta_desc, call->arena, &cluster, NULL,
		    err) < 0)
		return -(int)err->code;
	digest_text(&raftd->store.machine.digest, hash);
	meta.cluster_id = cluster.id;
	meta.name = cluster.name;
	meta.cluster_epoch = cluster.cluster_epoch;
	meta.leader = leader ? leader->host : status.role == CORE_LEADER ? raftd->host : NULL;
	JACO_SET(&chunk, backup_chunk, seal_key,
		 ((struct wire_bin){raftd->seal_key, sizeof(raftd->seal_key)}));
	return jaco_call_event(call, &chunk, err);
}

static void begin(struct raftd *raftd, struct jaco_call *call, uint64_t revision, void *ctx)
{
	struct backup *backup = jaco_alloc(sizeof(*backup));
	struct jaco_err err = JACO_ERR_INIT;

	(void)revision;
	(void)ctx;
	*backup = (struct backup){.raftd = raftd, .call = call};
	raftd->n_backups++;
	jaco_timer_init(raftd->store.loop, &backup->timer, on_timer, backup);
	backup->moved = jaco_loop_now(raftd->store.loop);
	if (store_snapshot(&raftd->store, &backup->source, &err) < 0 ||
	    send_head(raftd, call, &err) < 0) {
		end(backup, &err);
		return;
	}
	jaco_log_notice("backup taken", KV_STR(identity, call->identity),
			KV_INT(revision, raftd->store.machine.applied));
	jaco_call_on_cancel(call, on_cancel, backup);
	jaco_timer_arm(&backup->timer, 0);
}

int raftd_on_backup_take(struct raftd *raftd, struct jaco_call *call,
			 const struct wire_nothing *req, struct jaco_err *err)
{
	struct api_txn txn = api_begin(raftd, call);

	(void)req;
	if (raftd->n_backups >= BACKUPS_MAX)
		return jaco_err_set(err, JACO_TOO_MANY_REQUESTS, "%d backups are being taken here",
				    BACKUPS_MAX);
	api_audit(&txn, JACO_AUDIT_BACKUP_TAKEN, call->identity,
		  (const char *const[]){"host", raftd->host, NULL});
	return api_commit(&txn, call, NULL, NULL, begin, NULL, err);
}
