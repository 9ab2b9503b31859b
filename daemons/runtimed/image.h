/* SPDX-License-Identifier: Apache-2.0
 *
 * image.h - images that replicas of this node want: whether they are here, and their pulls.
 *
 * One pull per image at a time, however many replicas wait for it (spec/runtime.md section 2). */
#pragma once

#include <sys/queue.h>

#include "daemons/runtimed/backoff.h"
#include "daemons/runtimed/engine.h"
#include "daemons/runtimed/plan.h"
#include "libjaco/wire/rpc.h"

struct runtimed;

struct image {
	TAILQ_ENTRY(image) entry;
	struct runtimed *rt;
	char name[JACO_IMAGE_MAX + 1];
	char platform[64]; /* "": the engine's own */
	enum plan_image presence;
	struct backoff backoff;
	struct engine_call *call;  /* looking or pulling */
	struct jaco_pending *rpc;  /* asking for credentials */
	bool is_pulling;
	int64_t pulled_ms; /* monotonic; 0: not by us */
	bool is_used;      /* since the last sweep */
	char error[JACO_ERR_TEXT_MAX];
	char credential[JACO_IMAGE_MAX + 1]; /* key used for the last pull */
	char progress[128];
	uint64_t done_bytes, total_bytes;
};

TAILQ_HEAD(image_list, image);

struct image *image_get(struct runtimed *rt, const char *name, const char *platform);
void image_look(struct image *image);
void image_pull(struct image *image);

/* A container could not be created for want of it. */
void image_is_gone(struct runtimed *rt, const char *name);

/* A new revision cuts the wait short. */
void image_hurry(struct image *image);
void image_sweep(struct runtimed *rt);
void image_fini(struct runtimed *rt);
