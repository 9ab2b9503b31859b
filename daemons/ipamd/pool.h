/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.h - which subnet belongs to which (deployment, network, host), and the scope id of each
 * (deployment, network).
 *
 * Pure: no clock, no socket, no log.  Filled from raftd's subnet records; what it picks is a
 * proposal, the committed txn decides.  The last /24 of the range is never given away: it holds
 * the mesh addresses of the nodes (libjaco/model/meshaddr.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"
#include "libjaco/base/limits.h"
#include "libjaco/model/cidr.h"

#define POOL_BITS_MIN       20 /* largest subnet */
#define POOL_BITS_MAX       28 /* smallest: 13 containers */
#define POOL_RANGE_BITS_MIN 8
#define POOL_RANGE_BITS_MAX 20

struct pool_claim {
	char deployment[JACO_DEPLOYMENT_MAX + 1];
	char network[JACO_NAME_MAX + 1];
	char host[JACO_HOST_MAX + 1];
	struct jaco_cidr cidr; /* host bits zero */
	uint32_t scope;        /* > 0; one value per (deployment, network) */
};

struct pool {
	struct jaco_cidr range;
	struct pool_claim *claims; /* owned; by address when is_sorted */
	size_t n, cap;
	bool is_sorted;
};

/* A route of this host, as far as an overlap is concerned. */
struct pool_route {
	struct jaco_cidr cidr;
	char iface[16]; /* "" when the route has none (blackhole, ...) */
};

/* @range is /8 to /20 and @bits 20 to 28 and longer than @range.
 * Errors: VALIDATION_FAILED - one of them is not. */
int pool_check(struct jaco_cidr range, unsigned bits, struct jaco_err *err);

void pool_init(struct pool *pool, struct jaco_cidr range);
void pool_fini(struct pool *pool);
#define pool_cleanup pool_fini

/* Forget all claims; the range stays. */
void pool_reset(struct pool *pool);

/* Take in one committed claim (copied).  Claims outside the range are kept: the range may have been
 * changed after they were made, and they still occupy what they occupy. */
void pool_add(struct pool *pool, const struct pool_claim *claim);

/* The claim of an owner, or NULL.  Borrowed until the next pool_add. */
const struct pool_claim *pool_find(const struct pool *pool, const char *deployment,
				   const char *network, const char *host);

/*
 * Pick the lowest free aligned block of @bits for one owner.
 *
 * @out_net  set on success only; host bits are zero
 *
 * An owner that already holds a subnet gets the same one again, whatever its size: a change of
 * ipam_prefix does not renumber what runs.
 * Errors: SUBNET_POOL_EXHAUSTED - no aligned gap of that size, with the counts.
 * Private ranges: RFC 1918 section 3.  Alignment: RFC 4632 section 3.1.
 */
int pool_pick(struct pool *pool, const char *deployment, const char *network, const char *host,
	      unsigned bits, struct jaco_cidr *out_net, struct jaco_err *err);

/* The scope id of (deployment, network): the one its claims carry, else @next. */
uint32_t pool_scope(const struct pool *pool, const char *deployment, const char *network,
		    uint32_t next);

/*
 * Refuse a range that this host already routes elsewhere.  Default routes, our own bridges
 * ("jaco-...") and the mesh interface @wg_iface do not count.
 *
 * Errors: VALIDATION_FAILED - names the route and its interface.
 */
int pool_check_routes(struct jaco_cidr range, const struct pool_route *routes, size_t n_routes,
		      const char *wg_iface, struct jaco_err *err);
