/* SPDX-License-Identifier: Apache-2.0
 *
 * balance.c - see balance.h. */
#include "daemons/proxyd/balance.h"

#include "libjaco/base/auto.h"
#include "libjaco/base/random.h"

#define RAMP_MIN_MS 250 /* a brand-new peer counts 20 times its load, not infinitely often */

bool balance_is_ejected(const struct balance_peer *peer, int64_t now_ms)
{
	return peer->ejected_until_ms > now_ms;
}

static bool was_tried(const struct balance_ask *ask, const struct balance_peer *peer)
{
	for (unsigned i = 0; i < ask->n_tried; i++)
		if (ask->tried[i] == peer->id)
			return true;
	return false;
}

enum pass { PASS_HEALTHY, PASS_REFUSING };

static bool may_use(const struct balance_ask *ask, const struct balance_peer *peer, enum pass pass)
{
	if (was_tried(ask, peer))
		return false;
	if (!balance_is_ejected(peer, ask->now_ms))
		return pass == PASS_HEALTHY;
	return pass == PASS_REFUSING && peer->is_refusing;
}

/* Load as a fraction of full share: requests in flight, scaled up while the peer is new. */
static uint64_t load(const struct balance_peer *peer, int64_t now_ms)
{
	uint64_t base = ((uint64_t)peer->in_flight + 1) * BALANCE_SLOW_START_MS;
	int64_t age;

	if (peer->since_ms == INT64_MIN || now_ms - peer->since_ms >= BALANCE_SLOW_START_MS)
		return base;
	age = JACO_MAX(now_ms - peer->since_ms, RAMP_MIN_MS);
	return base * BALANCE_SLOW_START_MS / (uint64_t)age;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t state = a ^ (b * 0x9e3779b97f4a7c15ULL);

	return jaco_prng_next(&state);
}

static uint32_t below(uint64_t *prng, size_t n)
{
	return (uint32_t)((jaco_prng_next(prng) >> 32) * n >> 32);
}

/* The @k-th usable peer. */
static int nth_usable(const struct balance_ask *ask, struct balance_peer *const *peers, size_t n,
		      enum pass pass, size_t k)
{
	for (size_t i = 0; i < n; i++)
		if (may_use(ask, peers[i], pass) && k-- == 0)
			return (int)i;
	return -1;
}

static int pick_least(const struct balance_ask *ask, struct balance_peer *const *peers, size_t n,
		      enum pass pass)
{
	size_t start = below(ask->prng, n); /* ties must not all fall on the first */
	int best = -1;

	for (size_t k = 0; k < n; k++) {
		size_t i = (start + k) % n;

		if (may_use(ask, peers[i], pass) &&
		    (best < 0 || load(peers[i], ask->now_ms) < load(peers[best], ask->now_ms)))
			best = (int)i;
	}
	return best;
}

static int pick_hash(const struct balance_ask *ask, struct balance_peer *const *peers, size_t n,
		     enum pass pass)
{
	uint64_t best_score = 0;
	int best = -1;

	for (size_t i = 0; i < n; i++) {
		uint64_t score = mix(ask->key, peers[i]->id);

		if (may_use(ask, peers[i], pass) && (best < 0 || score > best_score)) {
			best = (int)i;
			best_score = score;
		}
	}
	return best;
}

static int pick_two(const struct balance_ask *ask, struct balance_peer *const *peers, size_t n,
		    enum pass pass, size_t usable)
{
	size_t a = below(ask->prng, usable);
	size_t b = usable > 1 ? below(ask->prng, usable - 1) : a;
	int ia, ib;

	if (usable > 1 && b >= a)
		b++;
	if (usable == n) {
		ia = (int)a;
		ib = (int)b;
	} else {
		ia = nth_usable(ask, peers, n, pass, a);
		ib = nth_usable(ask, peers, n, pass, b);
	}
	return load(peers[ib], ask->now_ms) < load(peers[ia], ask->now_ms) ? ib : ia;
}

static int pick_pass(const struct balance_ask *ask, struct balance_peer *const *peers, size_t n,
		     enum pass pass)
{
	size_t usable = 0;

	for (size_t i = 0; i < n; i++)
		usable += may_use(ask, peers[i], pass);
	if (usable == 0)
		return -1;
	switch (ask->kind) {
	case BALANCE_TWO:
		return pick_two(ask, peers, n, pass, usable);
	case BALANCE_LEAST:
		return pick_least(ask, peers, n, pass);
	case BALANCE_ROUND:
		return nth_usable(ask, peers, n, pass, (*ask->round)++ % usable);
	case BALANCE_RANDOM:
		return nth_usable(ask, peers, n, pass, below(ask->prng, usable));
	case BALANCE_HASH:
		return pick_hash(ask, peers, n, pass);
	}
	return -1;
}

int balance_pick(const struct balance_ask *ask, struct balance_peer *const *peers, size_t n)
{
	int i;

	if (n == 0)
		return -1;
	if (ask->sticky_id)
		for (size_t k = 0; k < n; k++)
			if (peers[k]->id == ask->sticky_id &&
			    may_use(ask, peers[k], PASS_HEALTHY))
				return (int)k;
	if (n == 1 && may_use(ask, peers[0], PASS_HEALTHY))
		return 0;
	i = pick_pass(ask, peers, n, PASS_HEALTHY);
	return i >= 0 ? i : pick_pass(ask, peers, n, PASS_REFUSING);
}

void balance_succeeded(struct balance_peer *peer)
{
	peer->failures = 0;
	peer->ejections = 0;
	peer->ejected_until_ms = 0;
}

static int64_t eject(struct balance_peer *peer, int64_t now_ms)
{
	int64_t ms = BALANCE_EJECT_MS;

	for (unsigned i = 0; i < peer->ejections && ms < BALANCE_EJECT_MAX_MS; i++)
		ms *= 2;
	ms = JACO_MIN(ms, BALANCE_EJECT_MAX_MS);
	/* Failures of requests that were under way while it was ejected already are the same
	 * event. */
	if (balance_is_ejected(peer, now_ms))
		return peer->ejected_until_ms - now_ms;
	if (peer->ejections < 16)
		peer->ejections++;
	peer->failures = 0;
	peer->ejected_until_ms = now_ms + ms;
	return ms;
}

int64_t balance_refused(struct balance_peer *peer, int64_t now_ms, bool at_once)
{
	peer->is_refusing = at_once;
	return eject(peer, now_ms);
}

int64_t balance_failed(struct balance_peer *peer, int64_t now_ms)
{
	peer->is_refusing = false;
	if (++peer->failures < BALANCE_FAILURES)
		return 0;
	return eject(peer, now_ms);
}
