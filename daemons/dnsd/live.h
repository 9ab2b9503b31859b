/* SPDX-License-Identifier: Apache-2.0
 *
 * live.h - dnsd as a daemon of a node: names from raftd's view, listeners on this host's
 * gateways. */
#pragma once

#include "daemons/dnsd/dnsd.h"
#include "daemons/dnsd/scopes.h"
#include "libjaco/daemon/daemon.h"

struct live {
	struct jaco_daemon *daemon;
	struct dnsd dnsd;
	struct scopes_memory memory;
	struct jaco_timer hold; /* until a held replica must go */
	struct jaco_arena arena;
	bool has_table;
	uint8_t digest[JACO_SHA256_BYTES]; /* of what the table was made from */
	uint32_t serial;
	uint64_t generation;    /* the last revision that was served whole */
	int64_t resolv_mtime_ns; /* of the resolv.conf in force */
	uint16_t port;
};

#define LIVE_INIT ((struct live){.daemon = NULL})

int live_open(struct live *live, struct jaco_daemon *daemon, struct jaco_err *err);
void live_close(struct live *live);
#define live_cleanup live_close

/* The view changed: build, put in force, then say which revision answers reflect. */
void live_on_view(struct jaco_view *view, void *ctx);

/* Hooks of the daemon's specification. */
void live_metrics(void *self, struct jaco_buf *out);
void live_reloaded(void *self);
void live_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);
