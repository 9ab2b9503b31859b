/* SPDX-License-Identifier: Apache-2.0
 *
 * standalone.h - the JSON file of `jaco-dnsd --standalone FILE`: the tables of production written
 * by hand.  The format is in jaco-dnsd(8).
 *
 * Pure: text in, tables out.  Unknown keys are errors, so that a misspelt one is not ignored. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/zone.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"

#define STANDALONE_BYTES_MAX     (16 * 1024 * 1024)
#define STANDALONE_LISTENERS_MAX 256
#define STANDALONE_UPSTREAMS_MAX 16

struct standalone_listener {
	const char *address; /* "127.0.0.1:5353", as written */
	const char *deployment;
	const char *network;
};

/* All texts live in the arena. */
struct standalone {
	struct jaco_arena arena;
	struct zone_table *table;
	struct standalone_listener *listeners;
	size_t n_listeners;
	const char **forwarders;
	size_t n_forwarders;
	int64_t forwarder_timeout_ms;
	int64_t tcp_idle_ms;
	uint64_t tcp_connections;
	uint64_t cache_bytes;
};

#define STANDALONE_INIT ((struct standalone){.table = NULL})

/* Read a document of @n bytes.  @serial becomes the SOA serial.
 * Errors: PARSE_FAILED - not JSON, with line and column; VALIDATION_FAILED - the place in the
 * document is in the text, as "scopes[0].services[1].name". */
int standalone_parse(const char *text, size_t n, uint32_t serial, struct standalone *out,
		     struct jaco_err *err);

void standalone_fini(struct standalone *standalone);
#define standalone_cleanup standalone_fini
