/* SPDX-License-Identifier: Apache-2.0
 *
 * view.h - typed tables kept current by a watch (architecture.md section 3).
 *
 * A view subscribes to key prefixes of both planes, decodes every value by the descriptor of its
 * keyspace, and calls back after a debounce and every 30 s regardless: level-triggered.  It is
 * saved to a cache file, and a daemon that starts while raftd is down serves from that and says so.
 * A raftd that was restarted hears again what was observed only when those who observed it are
 * connected again; until then, for 30 s at most, what the run before it told stands.
 * Entries are borrowed: valid until control returns to the loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"
#include "libjaco/io/loop.h"
#include "libjaco/wire/rpc.h"

struct jaco_view_entry {
	const char *key;
	uint64_t revision;             /* of its last change; a local count below /obs/ */
	const struct jaco_desc *desc;
	const void *msg;               /* struct wire_<desc->name> */
	struct jaco_arena arena;       /* holds everything above */
	const void *raw;               /* packed, for the cache */
	size_t raw_bytes;
	bool is_carried;               /* not told by this run of raftd yet */
};

struct jaco_view;
typedef void jaco_view_fn(struct jaco_view *view, void *ctx);

struct jaco_view {
	struct jaco_loop *loop;
	struct jaco_client *client;
	const char *const *prefixes;   /* NULL-terminated, kept by reference */
	char cache_path[512];          /* "": none */
	struct jaco_view_entry **v;    /* sorted by key */
	size_t n;
	size_t cap;
	uint64_t revision;             /* of the store the tables are true at */
	bool is_current; /* a live raftd has confirmed it since start; never back to false */
	bool is_live;                  /* the watch stands now */
	bool is_loaded;                /* there is something to serve: live or cached */
	int64_t debounce_ms;
	struct jaco_view *next;        /* tables being received */
	struct jaco_pending *watch;
	struct jaco_timer debounce;
	struct jaco_timer safety;
	struct jaco_timer save;
	struct jaco_timer resubscribe;
	struct jaco_timer uncarry;     /* the end of entries that are carried */
	uint64_t n_undecodable;        /* values of a newer version: kept out, counted */
	jaco_view_fn *on_change;
	void *ctx;
};

/* Load the cache and prepare; the watch starts with jaco_view_start().  on_change is called from
 * the loop only. */
void jaco_view_open(struct jaco_view *view, struct jaco_loop *loop, struct jaco_client *client,
		    const char *const *prefixes, int64_t debounce_ms, const char *cache_path,
		    jaco_view_fn *on_change, void *ctx);

/* The client's connection came up or went away. */
void jaco_view_connected(struct jaco_view *view, bool is_up);

/* Ask for a pass soon, as if something had changed. */
void jaco_view_poke(struct jaco_view *view);
void jaco_view_close(struct jaco_view *view);

/* The record at @key, or NULL.  The caller knows its type from the keyspace. */
const void *jaco_view_get(const struct jaco_view *view, const char *key);
const void *jaco_view_getf(const struct jaco_view *view, const char *fmt, ...) JACO_PRINTF(2, 3);
const struct jaco_view_entry *jaco_view_entry(const struct jaco_view *view, const char *key);

/* Index of the first entry at or after @prefix; v[i] belongs to it while the key starts with it. */
size_t jaco_view_lower(const struct jaco_view *view, const char *prefix);
bool jaco_view_below(const struct jaco_view *view, size_t i, const char *prefix);

/* for each `const struct jaco_view_entry *entry` below @prefix, in key order */
#define JACO_VIEW_FOREACH(view, prefix, entry)                                                     \
	for (size_t view_i_ = jaco_view_lower(view, prefix);                                       \
	     jaco_view_below(view, view_i_, prefix) && ((entry) = (view)->v[view_i_], true);       \
	     view_i_++)

/* Replace the tables by hand: tests and fixtures. */
int jaco_view_put(struct jaco_view *view, const char *key, uint64_t revision, const void *raw,
		  size_t raw_bytes, struct jaco_err *err);
