/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.h - the question that goes upstream for a client's, and what makes two of them the same.
 *
 * Pure.  EDNS is hop by hop (RFC 6891 section 6.1.1), so the OPT record that goes upstream is our
 * own:
 * the client's flags, its size up to our limit, its options except those that concern this hop only
 * (cookie, keepalive, padding). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/cache.h"
#include "daemons/dnsd/packet.h"

/* Write the upstream query for @msg, parsed as @query, to @out (room for PACKET_MAX); its id is 0.
 * Returns its length; *@out_n_options are the bytes of options that travel. */
size_t ask_make(uint8_t *out, const uint8_t *msg, const struct packet_query *query,
		size_t *out_n_options);

/* Do options of @msg travel?  Then its answer is for this client alone and is not kept. */
bool ask_has_options(const uint8_t *msg, const struct packet_query *query);

/* What makes two questions to the list of servers @upstreams_id have one answer; returns its
 * length. */
size_t ask_key(uint8_t out[static CACHE_KEY_MAX], const uint8_t *msg,
	       const struct packet_query *query, uint64_t upstreams_id);

/* Take the OPT record off a query that ask_make() wrote with one, or put it back: it is the last
 * thing in it, so it stays in its place and is counted or not.  Without it the query ends with the
 * question. */
void ask_count_opt(uint8_t *asked, bool has_opt);
