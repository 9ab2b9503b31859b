/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.h - the little that must survive our own restart: verdicts and counters, so that adopting
 * a healthy container takes it out of service for no moment and a crash loop keeps its budget
 * (spec/runtime.md section 3).  A cache: losing it costs a few probes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/runtimed/engine_types.h"
#include "libjaco/io/loop.h"

struct runtimed;
struct slot;

struct memory_item {
	char id[JACO_REPLICA_ID_BYTES];
	uint32_t generation;
	char container[ENGINE_ID_BYTES];
	int64_t started_ms; /* wall, of the run the verdict is about */
	bool is_good;
	bool is_exhausted;
	uint32_t restarts, backoff_count;
};

struct memory {
	struct memory_item *items; /* as loaded; owned */
	size_t n;
	char path[512];
	struct jaco_timer save;
	char *saved; /* text last written */
};

void memory_open(struct runtimed *rt);

/* What is remembered of a generation, or NULL. */
const struct memory_item *memory_find(const struct runtimed *rt, const char *id,
				      uint32_t generation);

/* Something worth remembering changed. */
void memory_poke(struct runtimed *rt);
void memory_close(struct runtimed *rt);
