/* SPDX-License-Identifier: Apache-2.0
 *
 * renew.c - one file is replaced, and the TLS context with it. */
#include "daemons/raftd/renew.h"

#include <string.h>

#include "daemons/raftd/api/ca.h"
#include "libjaco/base/log.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"
#include "libjaco/io/fs.h"

#define LOOK_MAX_MS (10 * 60 * 1000ll)
#define LOOKS       20 /* in a life, at least */

static int read_file(const struct raftd *raftd, const char *name, struct jaco_buf *out,
		     struct jaco_err *err)
{
	char path[640];

	(void)jaco_str_format(path, sizeof(path), "%s/%s", raftd->dir, name);
	return jaco_fs_read(path, IDENTITY_PEM_MAX, out, err);
}

static int renew(struct raftd *raftd, struct jaco_err *err)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	jaco_auto(identity) struct identity ca = {.key = ""};
	jaco_auto(jaco_buf) struct jaco_buf key = JACO_BUF_SECRET(0);
	char cert[IDENTITY_PEM_MAX], path[640];
	struct wire_cluster_meta meta;
	int rc;

	if (ca_open(raftd, &arena, &ca, &meta, err) < 0 ||
	    read_file(raftd, "node.key", &key, err) < 0)
		return -(int)err->code;
	rc = identity_renew(&ca, meta.id, raftd->host, jaco_buf_str(&key), cert, err);
	(void)jaco_str_format(path, sizeof(path), "%s/node.crt", raftd->dir);
	if (rc < 0 || jaco_fs_replace(path, cert, strlen(cert), 0600, err) < 0 ||
	    link_renew(&raftd->link, err) < 0)
		return -(int)err->code;
	jaco_log_notice("the certificate of this node is renewed");
	return 0;
}

/* Answers when to look again. */
static int64_t look(struct raftd *raftd)
{
	jaco_auto(jaco_buf) struct jaco_buf cert = JACO_BUF_INIT;
	int64_t whole, now = jaco_time_wall_ms() / 1000;
	struct jaco_err err = JACO_ERR_INIT;
	struct identity_life life;

	if (!raftd->is_initialised || raftd->removed[0])
		return LOOK_MAX_MS;
	if (read_file(raftd, "node.crt", &cert, &err) < 0 ||
	    identity_get_life(jaco_buf_str(&cert), &life, &err) < 0) {
		JACO_LOG_FAILURE(JACO_LOG_ERR, "the certificate of this node cannot be read", &err);
		return LOOK_MAX_MS;
	}
	whole = life.not_after - life.issued;
	/* from the future: made while the clock was ahead, and in force for nobody */
	if (now + IDENTITY_BACKDATE_S >= life.issued && now < life.issued + whole * 2 / 3)
		raftd->cert_not_after = (uint64_t)life.not_after * 1000;
	else if (renew(raftd, &err) < 0)
		JACO_LOG_FAILURE(JACO_LOG_WARNING, "the certificate of this node is not renewed",
				 &err);
	else
		return 0; /* to see the new one */
	return JACO_MIN(LOOK_MAX_MS, whole * 1000 / LOOKS + 1);
}

void renew_look(struct raftd *raftd)
{
	jaco_timer_arm(&raftd->renew, look(raftd));
}

static void on_look(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	renew_look(ctx);
}

void renew_init(struct raftd *raftd)
{
	jaco_timer_init(&raftd->daemon->loop, &raftd->renew, on_look, raftd);
}

void renew_fini(struct raftd *raftd)
{
	jaco_timer_fini(&raftd->renew);
}
