/* SPDX-License-Identifier: Apache-2.0
 *
 * runtimed.h - the state of the daemon, and its parts:
 *
 *   observe.c    the engine: connection, events, listing         -> slots
 *   reconcile.c  view + slots -> facts -> plan_next() -> a step
 *   steps.c      carries out one step
 *   net.c        engine networks        image.c   images and pulls
 *   probe.c      health probes          publish.c observed records
 *   files.c      configs and secrets that are bound
 *   gate.c       firewall and DNS       memory.c  what must survive our own restart
 *   logs.c       logs.stream, volumes.remove */
#pragma once

#include <sys/queue.h>

#include "daemons/runtimed/engine.h"
#include "daemons/runtimed/gate.h"
#include "daemons/runtimed/image.h"
#include "daemons/runtimed/memory.h"
#include "daemons/runtimed/net.h"
#include "daemons/runtimed/slot.h"
#include "daemons/runtimed/spec.h"
#include "libjaco/daemon/daemon.h"
#include "libjaco/io/http.h"

#define RUNTIMED_STARTS_MAX 8 /* at once (spec/runtime.md section 1) */

struct log_stream;

struct runtimed {
	struct jaco_daemon *daemon;
	struct jaco_loop *loop;
	struct jaco_view *view;
	char cluster_id[ENGINE_CLUSTER_BYTES]; /* "" before this node belongs to a cluster */

	struct engine *engine;
	bool is_files_swept;
	bool was_engine_up; /* once since our start */
	bool was_engine_away; /* it refused or did not answer in time, since our start */
	int64_t opened_ms;  /* monotonic */
	bool is_put_out; /* of the cluster: everything of ours stops */
	bool is_engine_up; /* connected, events flowing, first listing read */
	char engine_error[JACO_ERR_TEXT_MAX];
	struct engine_call *hello, *events, *listing;
	struct backoff reconnect;
	struct jaco_timer reconnect_timer, relist_timer;
	bool lists_soon; /* an inspection failed: the next listing asks again */

	struct jaco_http *http; /* probes */
	struct jaco_client ipamd;
	bool has_ipamd;
	struct gate gate;

	struct slot_list slots;
	size_t n_slots;
	unsigned n_starting;
	struct net_list nets;
	struct image_list images;
	struct spec_cache specs;
	struct memory memory;
	struct jaco_timer pass;  /* a reconciliation is due */
	struct jaco_timer wake;  /* the next deadline */
	TAILQ_HEAD(, log_stream) streams;

	uint64_t n_starts, n_restarts, n_pulls, n_passes;
};

#define RUNTIMED_INIT ((struct runtimed){.daemon = NULL})

extern const struct jaco_service_row runtimed_methods[];
extern const char *const runtimed_topics[];

int runtimed_open(struct runtimed *rt, struct jaco_daemon *daemon, struct jaco_err *err);
void runtimed_cleanup(struct runtimed *rt);
void runtimed_on_view(struct jaco_view *view, void *ctx);
void runtimed_metrics(void *self, struct jaco_buf *out);
void runtimed_facts(void *self, struct jaco_arena *arena, struct wire_daemon_status *status);

/* Monotonic milliseconds. */
int64_t runtimed_now(const struct runtimed *rt);

/* Reconcile in the next pass of the loop. */
void runtimed_poke(struct runtimed *rt);

/* observe.c */
void observe_start(struct runtimed *rt);
void observe_stop(struct runtimed *rt);

/* An inspection failed: list and inspect again, soon. */
void observe_soon(struct runtimed *rt);

/* reconcile.c */
void reconcile(struct runtimed *rt);

/* steps.c: begin @step for @slot; false when it must wait for its turn. */
bool steps_begin(struct slot *slot, enum plan_step step);

/* publish.c */
void publish_replica(struct runtimed *rt, const char *id);
void publish_engine(struct runtimed *rt);
void publish_sweep(struct runtimed *rt);

/* probe.c: send one probe; its answer goes into slot->r.health. */
void probe_send(struct slot *slot);
void probe_cancel(struct slot *slot);

/* logs.c */
void logs_stop_all(struct runtimed *rt);
