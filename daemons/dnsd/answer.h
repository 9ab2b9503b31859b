/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.h - what one query gets: a reply, the upstreams, or silence.
 *
 * Pure: the decision of dnsd.  No fd, clock, log or allocation; randomness is the caller's
 * state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/packet.h"
#include "daemons/dnsd/zone.h"

/* A buffer a query is answered in has at least this much room: the largest answer over TCP, which
 * is 64 SRV records with a target and an address each (RFC 2782). */
#define ANSWER_BUFFER_BYTES \
	(PACKET_HEADER_BYTES + PACKET_NAME_MAX + 4 + \
	 ZONE_ANSWERS_MAX * (18 + PACKET_NAME_MAX + 14 + PACKET_NAME_MAX) + PACKET_OPT_BYTES)

/* Whom a query came to, and from. */
struct answer_from {
	const struct zone *zone; /* NULL: nothing is ours (every name is forwarded) */
	uint32_t source;         /* the client's IPv4 address, host byte order; 0: unknown */
};

enum answer_verdict {
	ANSWER_REPLY,   /* the reply is in the buffer */
	ANSWER_FORWARD, /* not ours: the query is untouched */
	ANSWER_DROP,    /* say nothing */
};

struct answer {
	struct packet_query query; /* as packet_parse() left it */
	size_t n;                  /* reply bytes */
	unsigned resolver;         /* FORWARD: whose servers, as zone_resolver() says */
	enum packet_rcode rcode;
};

/*
 * Answer the query in @msg (@n bytes, PACKET_SLACK readable behind, @cap in all) in place.
 *
 * A name the asked scope does not have is looked up in the other scopes of the replica that asks,
 * so that a container knows the names of all its networks whichever gateway it asks.  It has the
 * way out of any of them, so a name of the outside is refused only when all are internal.
 *
 * @cap   room in @msg; UDP replies also obey the client's limit and set TC (RFC 2181 section 9):
 *        as many whole records as fit are still sent
 * @prng  state of jaco_prng_next(), picks the rotation
 */
enum answer_verdict answer_query(const struct answer_from *from, bool is_tcp, uint64_t *prng,
				 uint8_t *msg, size_t n, size_t cap, struct answer *out_answer);
