/* SPDX-License-Identifier: Apache-2.0
 *
 * mtu.h - how large a packet passes to one peer: datagram path MTU discovery (RFC 8899) through the
 * tunnel, which needs no ICMP.
 *
 * Pure: counts what was sent and what came back.  Each node measures its own direction.  A search
 * sends a ladder of sizes at once instead of one size after the other, so it takes a round; rounds
 * are repeated for sizes that got lost.  Between searches every other probe is as large as the MTU,
 * and when those alone stop to come back, the path has changed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MTU_DEFAULT     1420 /* of the tunnel while nothing is known: Ethernet less the overhead */
#define MTU_OVERHEAD    80   /* outer IPv6 40, UDP 8, WireGuard 32 */
#define MTU_FLOOR       576  /* RFC 791 section 3.1: every host takes that much */
#define MTU_LADDER_MAX  24
#define MTU_ROUNDS      3    /* of a search */
#define MTU_LOST_MAX    5    /* full-size probes in a row, while small ones return */
#define MTU_AGAIN_ROUND                                                                            \
	300 /* probes after which a smaller MTU than the ceiling is looked at again */

struct mtu {
	uint32_t ceiling;  /* what the interfaces on the way out allow */
	uint32_t found;    /* 0: nothing was answered yet */
	uint32_t best;     /* answered in the search under way */
	unsigned round;    /* of the search; 0: none */
	unsigned lost;     /* full-size probes in a row */
	unsigned age;      /* probes since the last search */
	bool is_pending;   /* a full-size probe is under way */
};

/* Sizes to try for @ceiling, largest first.  Returns how many. */
size_t mtu_ladder(uint32_t ceiling, uint32_t out[static MTU_LADDER_MAX]);

/*
 * What to send with the next probe: sizes in @out, largest first.  Returns how many; 0 nothing.
 *
 * @ceiling    of now; a change starts a search
 * @is_alive   the last small probe came back
 */
size_t mtu_step(struct mtu *mtu, uint32_t ceiling, bool is_alive,
		uint32_t out[static MTU_LADDER_MAX]);

/* A packet of @size came back. */
void mtu_answered(struct mtu *mtu, uint32_t size);

/* Start over with the next probe: the path is another one. */
void mtu_restart(struct mtu *mtu);

/* The largest tunnel packet for a path that takes @path bytes; 0 unknown. */
uint32_t mtu_ceiling(uint32_t path);

/* What all peers together ask of the one interface they share. */
struct mtu_shared {
	uint32_t smallest;  /* of all peers; 0 none */
	uint32_t searching; /* largest ceiling of those that are being measured */
};

/* Count in one peer of @ceiling; @mtu NULL: not measured.  What was found below another ceiling
 * says nothing. */
void mtu_share(struct mtu_shared *shared, const struct mtu *mtu, uint32_t ceiling);

/* The smallest of all; while one is being measured as large as the largest measured, because the
 * interface bounds what can be sent. */
uint32_t mtu_of_all(const struct mtu_shared *shared);
