/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h - the JSON file of `jaco-proxyd --standalone FILE`: the tables of production written by
 * hand.  The format is in jaco-proxyd(8).
 *
 * Pure: text in, tables out (certificate files are named, not read).  Unknown keys are errors, so
 * that a misspelt one is not ignored. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemons/proxyd/route.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"

#define CONFIG_BYTES_MAX (64 * 1024 * 1024) /* 10,000 routes are about 2 MiB */

enum config_kind { CONFIG_HTTP, CONFIG_HTTPS, CONFIG_TCP, CONFIG_UDP };

struct config_listener {
	enum config_kind kind;
	const char *address;
};

struct config_certificate {
	const char *cert, *key; /* paths */
};

struct config_limits {
	int64_t head_ms, keepalive_ms, body_ms, upstream_idle_ms, linger_ms;
};

/* Texts live in the arena; the table is the caller's to keep. */
struct config {
	struct jaco_arena arena;
	struct route_table *table;
	struct config_listener *listeners;
	size_t n_listeners;
	struct config_certificate *certificates;
	size_t n_certificates;
	struct config_limits limits;
	uint64_t workers; /* 0: one per processor */
};

#define CONFIG_INIT ((struct config){.table = NULL})

/* How listeners are named in the table. */
typedef uint64_t config_id_fn(enum config_kind kind, const char *address);

/*
 * Read a document.  The table gets @generation; @id names TCP and UDP listeners.
 * Errors: PARSE_FAILED - not JSON, with line and column; VALIDATION_FAILED and ROUTE_CONFLICT - the
 * place is in the text, as "routes[3].balance".
 */
int config_parse(const char *text, size_t n, uint64_t generation, config_id_fn *id,
		 struct config *out, struct jaco_err *err);

/* "two", "least", "round", "random", "hash(ip)", "hash(<header>)" into route->balance and
 * hash_header (which borrows from @arena).  Errors: VALIDATION_FAILED. */
int config_balance(const char *text, struct jaco_arena *arena, struct route *route,
		   struct jaco_err *err);

void config_fini(struct config *config);
#define config_cleanup config_fini
