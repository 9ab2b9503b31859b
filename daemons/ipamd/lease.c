/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/ipamd/lease.h"

#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

/* Largest subnet is a /20 (pool.h). */
#define ADDRESSES_MAX 4096

void lease_fini(struct lease_table *table)
{
	if (!table)
		return;
	jaco_free(table->leases);
	*table = LEASE_TABLE_INIT;
}

void lease_restore(struct lease_table *table, const struct lease *lease)
{
	table->leases =
		jaco_grow(table->leases, &table->cap, table->n + 1, sizeof(*table->leases));
	table->leases[table->n++] = *lease;
}

static bool is_of(const struct lease *lease, const char *replica, uint64_t generation)
{
	return lease->generation == generation && strcmp(lease->replica, replica) == 0;
}

static bool is_on(const struct lease *lease, const char *deployment, const char *network)
{
	return strcmp(lease->deployment, deployment) == 0 && strcmp(lease->network, network) == 0;
}

static struct lease *find_held(const struct lease_table *table, const struct lease_want *want)
{
	for (size_t i = 0; i < table->n; i++) {
		struct lease *lease = &table->leases[i];

		if (lease->released_ms == 0 && is_of(lease, want->replica, want->generation) &&
		    is_on(lease, want->deployment, want->network))
			return lease;
	}
	return NULL;
}

const struct lease *lease_find(const struct lease_table *table, const struct lease_want *want)
{
	return find_held(table, want);
}

/* A clock that was set back must not prolong quarantine beyond its length from now. */
static int64_t wait_ms(const struct lease *lease, int64_t now_ms)
{
	int64_t since = JACO_MIN(lease->released_ms, now_ms);

	return since + LEASE_QUARANTINE_MS - now_ms;
}

/* Which addresses of one subnet are taken, and by what. */
struct occupancy {
	bool is_used[ADDRESSES_MAX];
	unsigned n_held, n_quarantined;
	int64_t soonest_ms; /* until the first quarantine ends */
};

static void survey(struct occupancy *occ, const struct lease_table *table, struct jaco_cidr subnet,
		   int64_t now_ms)
{
	*occ = (struct occupancy){.soonest_ms = LEASE_QUARANTINE_MS};
	for (size_t i = 0; i < table->n; i++) {
		const struct lease *lease = &table->leases[i];

		if (!jaco_cidr_contains(subnet, lease->addr))
			continue;
		if (lease->released_ms && wait_ms(lease, now_ms) <= 0)
			continue;
		occ->is_used[lease->addr - subnet.addr] = true;
		if (!lease->released_ms) {
			occ->n_held++;
			continue;
		}
		occ->n_quarantined++;
		occ->soonest_ms = JACO_MIN(occ->soonest_ms, wait_ms(lease, now_ms));
	}
}

static int exhausted(const struct occupancy *occ, struct jaco_cidr subnet, unsigned n_usable,
		     struct jaco_err *err)
{
	char text[JACO_CIDR_TEXT_BYTES], wait[48] = "";

	jaco_cidr_render(text, subnet);
	if (occ->n_quarantined)
		(void)jaco_str_format(wait, sizeof(wait), "; the next is free in %lld s",
				      (long long)(occ->soonest_ms + 999) / 1000);
	(void)jaco_err_set(
		err, JACO_ADDRESS_POOL_EXHAUSTED,
		"subnet %s has no free address: %u usable, %u leased, %u in quarantine%s", text,
		n_usable, occ->n_held, occ->n_quarantined, wait);
	jaco_err_detail(err, "subnet", "%s", text);
	jaco_err_detail(err, "usable", "%u", n_usable);
	jaco_err_detail(err, "leased", "%u", occ->n_held);
	jaco_err_detail(err, "quarantined", "%u", occ->n_quarantined);
	return -JACO_ADDRESS_POOL_EXHAUSTED;
}

uint32_t lease_gateway(struct jaco_cidr subnet)
{
	return jaco_cidr_first(subnet) + 1;
}

/* The entry that still names @addr from a quarantine that is over, or a new one. */
static void put(struct lease_table *table, const struct lease *lease)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->leases[i].addr == lease->addr && table->leases[i].released_ms) {
			table->leases[i] = *lease;
			return;
		}
	lease_restore(table, lease);
}

/* Names were bounded by the wire's descriptors, so they fit. */
static void name_lease(struct lease *lease, const struct lease_want *want)
{
	JACO_ASSERT(jaco_str_copy(lease->replica, sizeof(lease->replica), want->replica));
	JACO_ASSERT(jaco_str_copy(lease->deployment, sizeof(lease->deployment), want->deployment));
	JACO_ASSERT(jaco_str_copy(lease->network, sizeof(lease->network), want->network));
}

int lease_take(struct lease_table *table, const struct lease_want *want, int64_t now_ms,
	       lease_changed_fn *on_change, void *ctx, uint32_t *out_addr, struct jaco_err *err)
{
	unsigned n_usable = (1u << (32 - want->subnet.bits)) - 3;
	struct lease *held = find_held(table, want);
	struct lease lease = {.generation = want->generation};
	struct occupancy occ;
	uint32_t addr;
	int rc;

	JACO_ASSERT(want->subnet.bits >= 20 && want->subnet.bits <= 28);
	if (held && jaco_cidr_contains(want->subnet, held->addr)) {
		*out_addr = held->addr;
		return 0;
	}
	if (held) { /* its subnet was given up and claimed anew: the old address is not ours */
		rc = on_change(ctx, held, true, err);
		if (rc < 0)
			return rc;
		*held = table->leases[--table->n];
	}
	survey(&occ, table, want->subnet, now_ms);
	for (addr = lease_gateway(want->subnet) + 1; addr < jaco_cidr_last(want->subnet); addr++)
		if (!occ.is_used[addr - want->subnet.addr])
			break;
	if (addr == jaco_cidr_last(want->subnet))
		return exhausted(&occ, want->subnet, n_usable, err);

	name_lease(&lease, want);
	lease.addr = addr;
	rc = on_change(ctx, &lease, false, err);
	if (rc < 0)
		return rc;
	put(table, &lease);
	*out_addr = addr;
	return 0;
}

int lease_release(struct lease_table *table, const char *replica, uint64_t generation,
		  int64_t now_ms, lease_changed_fn *on_change, void *ctx, struct jaco_err *err)
{
	int n = 0;

	for (size_t i = 0; i < table->n; i++) {
		struct lease lease = table->leases[i];
		int rc;

		if (lease.released_ms || !is_of(&lease, replica, generation))
			continue;
		lease.released_ms = now_ms;
		rc = on_change(ctx, &lease, false, err);
		if (rc < 0)
			return rc;
		table->leases[i] = lease;
		n++;
	}
	return n;
}

int lease_expire(struct lease_table *table, int64_t now_ms, lease_changed_fn *on_change, void *ctx,
		 struct jaco_err *err)
{
	int n = 0;

	for (size_t i = 0; i < table->n;) {
		int rc;

		if (!table->leases[i].released_ms || wait_ms(&table->leases[i], now_ms) > 0) {
			i++;
			continue;
		}
		rc = on_change(ctx, &table->leases[i], true, err);
		if (rc < 0)
			return rc;
		table->leases[i] = table->leases[--table->n];
		n++;
	}
	return n;
}

size_t lease_count(const struct lease_table *table, const char *deployment, const char *network)
{
	size_t n = 0;

	for (size_t i = 0; i < table->n; i++)
		n += is_on(&table->leases[i], deployment, network);
	return n;
}
