/* SPDX-License-Identifier: Apache-2.0
 *
 * balance.h - which replica gets the next request, and which one is left alone for a while.
 *
 * Pure: time and randomness are arguments.  Default: the better of two random choices by requests
 * in flight.  A peer is ejected on connect failure or after three consecutive transport failures,
 * for 1 s doubling to 30 s; a new peer takes its share over 5 s.  spec/ingress.md section 2. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BALANCE_FAILURES      3
#define BALANCE_EJECT_MS      1000
#define BALANCE_EJECT_MAX_MS  30000
#define BALANCE_SLOW_START_MS 5000
#define BALANCE_TRIED_MAX     3

enum balance_kind {
	BALANCE_TWO,    /* power of two choices */
	BALANCE_LEAST,
	BALANCE_ROUND,
	BALANCE_RANDOM,
	BALANCE_HASH,   /* rendezvous hashing of ask->key */
};

struct balance_peer {
	uint64_t id;
	uint32_t in_flight;
	uint8_t failures;      /* consecutive */
	uint8_t ejections;     /* consecutive */
	bool is_refusing; /* the last failure was a refusal at once: asking again costs nothing */
	int64_t ejected_until_ms;
	int64_t since_ms;      /* first seen; INT64_MIN: always been there */
};

struct balance_ask {
	enum balance_kind kind;
	uint64_t key;       /* HASH */
	uint64_t sticky_id; /* preferred peer, 0: none */
	int64_t now_ms;
	uint64_t *prng;     /* splitmix64 state */
	uint32_t *round;    /* ROUND */
	uint64_t tried[BALANCE_TRIED_MAX]; /* ids not to take again */
	unsigned n_tried;
};

/*
 * Index of the chosen peer, or -1 when none may be used.
 * When all are ejected, those that merely refuse connections are tried again: a replica that comes
 * back is found at once, and one that swallows packets still costs nobody a timeout.
 */
int balance_pick(const struct balance_ask *ask, struct balance_peer *const *peers, size_t n);

void balance_succeeded(struct balance_peer *peer);

/* The connection could not be made.  Returns how long the peer is ejected, ms. */
int64_t balance_refused(struct balance_peer *peer, int64_t now_ms, bool at_once);

/* The connection broke or gave nonsense during a request.  0 when not ejected (yet). */
int64_t balance_failed(struct balance_peer *peer, int64_t now_ms);

bool balance_is_ejected(const struct balance_peer *peer, int64_t now_ms);
