/* SPDX-License-Identifier: Apache-2.0
 *
 * The claims are one array ordered by address; the lowest free block is found by walking its gaps
 * once.  A free-list or a tree was ruled out: a claim happens a few times per apply, at most some
 * thousand claims exist, and the walk is a few microseconds. */
#include "daemons/ipamd/pool.h"

#include <stdlib.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/model/meshaddr.h"

int pool_check(struct jaco_cidr range, unsigned bits, struct jaco_err *err)
{
	char text[JACO_CIDR_TEXT_BYTES];

	jaco_cidr_render(text, range);
	if (range.bits < POOL_RANGE_BITS_MIN || range.bits > POOL_RANGE_BITS_MAX)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "ipam_pool %s: the prefix must be /%d to /%d", text,
				    POOL_RANGE_BITS_MIN, POOL_RANGE_BITS_MAX);
	if (jaco_cidr_network(range).addr != range.addr)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "ipam_pool %s: bits beyond the prefix are set", text);
	if (bits < POOL_BITS_MIN || bits > POOL_BITS_MAX || bits <= range.bits)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "ipam_prefix %u: must be %d to %d and longer than ipam_pool %s",
				    bits, POOL_BITS_MIN, POOL_BITS_MAX, text);
	return 0;
}

void pool_init(struct pool *pool, struct jaco_cidr range)
{
	*pool = (struct pool){.range = range, .is_sorted = true};
}

void pool_fini(struct pool *pool)
{
	if (!pool)
		return;
	jaco_free(pool->claims);
	*pool = (struct pool){.n = 0};
}

void pool_reset(struct pool *pool)
{
	pool->n = 0;
	pool->is_sorted = true;
}

void pool_add(struct pool *pool, const struct pool_claim *claim)
{
	pool->claims = jaco_grow(pool->claims, &pool->cap, pool->n + 1, sizeof(*pool->claims));
	pool->claims[pool->n++] = *claim;
	pool->is_sorted = false;
}

static bool is_owner(const struct pool_claim *claim, const char *deployment, const char *network)
{
	return strcmp(claim->deployment, deployment) == 0 && strcmp(claim->network, network) == 0;
}

const struct pool_claim *pool_find(const struct pool *pool, const char *deployment,
				   const char *network, const char *host)
{
	for (size_t i = 0; i < pool->n; i++)
		if (is_owner(&pool->claims[i], deployment, network) &&
		    strcmp(pool->claims[i].host, host) == 0)
			return &pool->claims[i];
	return NULL;
}

static int by_address(const void *a, const void *b)
{
	const struct pool_claim *x = a, *y = b;

	return jaco_cidr_cmp(x->cidr, y->cidr);
}

static void sort_claims(struct pool *pool)
{
	if (!pool->is_sorted)
		qsort(pool->claims, pool->n, sizeof(*pool->claims), by_address);
	pool->is_sorted = true;
}

/* First multiple of @size at or above @addr; 64 bits because the last block may end at 2^32. */
static uint64_t align_up(uint64_t addr, uint64_t size)
{
	return (addr + size - 1) / size * size;
}

static int exhausted(const struct pool *pool, unsigned bits, uint64_t end, struct jaco_err *err)
{
	uint64_t total = (end - jaco_cidr_first(pool->range)) >> (32 - bits);
	char text[JACO_CIDR_TEXT_BYTES];
	size_t n_inside = 0;

	for (size_t i = 0; i < pool->n; i++)
		n_inside += jaco_cidr_overlaps(pool->range, pool->claims[i].cidr);
	jaco_cidr_render(text, pool->range);
	(void)jaco_err_set(err, JACO_SUBNET_POOL_EXHAUSTED,
			   "ipam_pool %s has no free /%u: %zu subnets in use of %llu", text, bits,
			   n_inside, (unsigned long long)total);
	jaco_err_detail(err, "pool", "%s", text);
	jaco_err_detail(err, "used", "%zu", n_inside);
	jaco_err_detail(err, "total", "%llu", (unsigned long long)total);
	return -JACO_SUBNET_POOL_EXHAUSTED;
}

int pool_pick(struct pool *pool, const char *deployment, const char *network, const char *host,
	      unsigned bits, struct jaco_cidr *out_net, struct jaco_err *err)
{
	const struct pool_claim *held = pool_find(pool, deployment, network, host);
	uint64_t size = 1ull << (32 - bits), end = jaco_meshaddr_block(pool->range).addr;
	uint64_t at = align_up(jaco_cidr_first(pool->range), size);

	JACO_ASSERT(bits >= POOL_BITS_MIN && bits <= POOL_BITS_MAX);
	if (held) {
		*out_net = held->cidr;
		return 0;
	}
	sort_claims(pool);
	for (size_t i = 0; i < pool->n && at + size <= end; i++) {
		if (jaco_cidr_last(pool->claims[i].cidr) < at)
			continue;
		if (jaco_cidr_first(pool->claims[i].cidr) >= at + size)
			break;
		at = align_up((uint64_t)jaco_cidr_last(pool->claims[i].cidr) + 1, size);
	}
	if (at + size > end)
		return exhausted(pool, bits, end, err);
	*out_net = (struct jaco_cidr){.addr = (uint32_t)at, .bits = (uint8_t)bits};
	return 0;
}

uint32_t pool_scope(const struct pool *pool, const char *deployment, const char *network,
		    uint32_t next)
{
	for (size_t i = 0; i < pool->n; i++)
		if (is_owner(&pool->claims[i], deployment, network))
			return pool->claims[i].scope;
	return next;
}

int pool_check_routes(struct jaco_cidr range, const struct pool_route *routes, size_t n_routes,
		      const char *wg_iface, struct jaco_err *err)
{
	char mine[JACO_CIDR_TEXT_BYTES], theirs[JACO_CIDR_TEXT_BYTES];

	for (size_t i = 0; i < n_routes; i++) {
		const struct pool_route *route = &routes[i];

		if (route->cidr.bits == 0 || !jaco_cidr_overlaps(range, route->cidr) ||
		    jaco_str_starts(route->iface, "jaco-") || jaco_str_eq(route->iface, wg_iface))
			continue;
		jaco_cidr_render(mine, range);
		jaco_cidr_render(theirs, route->cidr);
		return jaco_err_set(
			err, JACO_VALIDATION_FAILED,
			"ipam_pool %s overlaps %s, which this host routes to %s; choose "
			"another ipam_pool in jacod.yaml",
			mine, theirs, route->iface[0] ? route->iface : "nowhere");
	}
	return 0;
}
