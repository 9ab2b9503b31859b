/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.h - what one query gets: a reply, the upstreams, or silence.
 *
 * Pure: the decision of dnsd.  No fd, clock, log or allocation; randomness is the caller's state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/packet.h"
#include "daemons/dnsd/zone.h"

/* A buffer a query is answered in has at least this much room: the largest answer over TCP, which is
 * 64 SRV records with a target and an address each (RFC 2782). */
#define ANSWER_BUFFER_BYTES \
	(PACKET_HEADER_BYTES + PACKET_NAME_MAX + 4 + \
	 ZONE_ANSWERS_MAX * (18 + PACKET_NAME_MAX + 14 + PACKET_NAME_MAX) + PACKET_OPT_BYTES)

enum answer_verdict {
	ANSWER_REPLY,   /* the reply is in the buffer */
	ANSWER_FORWARD, /* not ours: the query is untouched */
	ANSWER_DROP,    /* say nothing */
};

struct answer {
	struct packet_query query; /* as packet_parse() left it */
	size_t n;                  /* reply bytes */
	enum packet_rcode rcode;
};

/*
 * Answer the query in @msg (@n bytes, PACKET_SLACK readable behind, @cap in all) in place.
 *
 * @zone  NULL: nothing is ours (every name is forwarded)
 * @cap   room in @msg; UDP replies also obey the client's limit and set TC (RFC 2181 section 9):
 *        as many whole records as fit are still sent
 * @prng  state of jaco_prng_next(), picks the rotation
 */
enum answer_verdict answer_query(const struct zone *zone, bool is_tcp, uint64_t *prng, uint8_t *msg,
				 size_t n, size_t cap, struct answer *out_answer);
