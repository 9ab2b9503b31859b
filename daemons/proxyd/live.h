/* SPDX-License-Identifier: Apache-2.0
 *
 * live.h - proxyd as a daemon of a node: tables from raftd's view, acknowledgements back to it. */
#pragma once

#include "daemons/proxyd/proxy.h"
#include "daemons/proxyd/tables.h"
#include "libjaco/daemon/daemon.h"

struct live {
	struct jaco_daemon *daemon;
	struct proxy proxy;
	bool is_started;
	struct jaco_timer again;   /* a port that was in use, a replica still draining */
	struct jaco_arena arena;
	bool has_table;
	uint8_t digest[JACO_SHA256_BYTES];
	int64_t certificates_mtime_ns;
	uint64_t generation;       /* of our own tables */
	uint64_t applied_revision; /* of the store */
	size_t n_rejected;
};

#define LIVE_INIT ((struct live){.daemon = NULL})

int live_open(struct live *live, struct jaco_daemon *daemon, struct jaco_err *err);

/* Start the workers: after confinement, which they inherit. */
int live_start(struct live *live, struct jaco_err *err);

/* Finish what is under way, a few seconds at most, and stop. */
void live_close(struct live *live);
#define live_cleanup live_close

/* The view changed: build, put in force, then say which revision is served. */
void live_on_view(struct jaco_view *view, void *ctx);

/* Hooks of the daemon's specification. */
void live_metrics(void *self, struct jaco_buf *out);
void live_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);
