/* SPDX-License-Identifier: Apache-2.0
 *
 * raftd.h - the whole of raftd: both planes, who follows them, and what answers on its sockets. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/raftd/gossip/gossip.h"
#include "daemons/raftd/gossip/record.h"
#include "daemons/raftd/integrity.h"
#include "daemons/raftd/link/link.h"
#include "daemons/raftd/store.h"
#include "daemons/raftd/submit.h"
#include "daemons/raftd/watch.h"
#include "libjaco/daemon/daemon.h"
#include "libjaco/wire/rpc.h"

#define RAFTD_SEAL_KEY_BYTES 32

struct raftd_leader_reader {
	TAILQ_ENTRY(raftd_leader_reader) link;
	struct raftd *raftd;
	struct jaco_call *call;
};

/* api/remote.c: people who are not on a node. */
struct raftd_remote {
	struct ssl_ctx_st *context; /* NULL until there is an identity */
	struct jaco_timer review;
	uint64_t certificate_ino; /* of the file that the context was made from */
	int64_t certificate_time;
	bool tokens_changed; /* a change below /token/ was applied */
	uint64_t n_failures; /* tokens refused */
};

struct raftd {
	struct jaco_daemon *daemon;
	char host[JACO_HOST_MAX + 1];
	char dir[512];          /* our sub-directory of data_dir */
	int lock_fd;            /* owned; two processes on one store would destroy it */
	struct store store;     /* open once this node belongs to a raft group */
	struct records records;
	struct watch_hub hub;
	bool is_initialised;    /* /cluster/meta is there */
	char cluster_id[37];
	uint64_t epoch;         /* cluster_epoch, 0 before that */
	struct link link;
	struct gossip gossip;
	struct integrity integrity;
	struct submits submits; /* callers that wait for the leader */
	size_t n_submits;
	struct jaco_timer member;
	bool was_member;        /* /node/ had us */
	char removed
		[JACO_TEXT_MAX]; /* why this node was put out; "" while it was not (removed.h) */
	bool is_refused;        /* ... and nobody talks to it any more */
	struct jaco_timer cut;
	uint64_t alive;         /* raised whenever a member doubts that this node lives */
	bool is_publishing;     /* our own /node/ record */
	uint64_t cert_not_after; /* of this node's certificate, ms; 0: not known */
	struct jaco_timer renew;
	bool members_changed;   /* a change below /node/ was applied */
	bool meta_changed;      /* of /cluster/meta */
	struct joining *joining;
	struct recovery *recovery;
	uint64_t n_recoveries;
	TAILQ_HEAD(, leave_wait) waits;
	uint8_t seal_key[RAFTD_SEAL_KEY_BYTES];
	TAILQ_HEAD(, raftd_leader_reader) leader_readers;
	TAILQ_HEAD(, audit_reader) audit_readers;
	struct jaco_timer retention;
	char peer_addr[JACO_ADDR_MAX + 1]; /* "" while nothing listens there */
	char api_addr[JACO_ADDR_MAX + 1];
	struct raftd_remote remote;
	struct relay *relay;
	struct spread *spread;
	size_t n_backups; /* being sent */
	unsigned tries; /* of the call whose handler runs again after a conflict */
	uint64_t n_writes;
	uint64_t n_refused;
};

#define RAFTD_INIT ((struct raftd){.host = "", .lock_fd = -1})

/* Open what is on disk; make sockets.  Errors: INTERNAL - damaged store, INVALID configuration,
 * CONFLICT - another raftd runs on this directory. */
int raftd_open(struct raftd *raftd, struct jaco_daemon *daemon, struct jaco_err *err);
void raftd_close(struct raftd *raftd);
#define raftd_cleanup raftd_close

/* Open the store in raftd->dir (after init or at start). */
int raftd_open_store(struct raftd *raftd, struct jaco_err *err);

/* The role sockets and the control socket, after jaco_daemon_serve(). */
int raftd_listen(struct raftd *raftd, struct jaco_err *err);

/* jaco_daemon_spec.facts */
void raftd_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);

/* jaco_daemon_spec.metrics */
void raftd_metrics(void *self, struct jaco_buf *out);

extern const struct jaco_service_row raftd_methods[];
