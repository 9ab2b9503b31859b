/* SPDX-License-Identifier: Apache-2.0
 *
 * lease.h - which address each container of this host has.
 *
 * Pure: time is an argument (wall clock milliseconds, because leases outlive reboots), and what
 * changed is told to the caller, who writes it to the book before it answers.
 *
 * A lease belongs to (replica, generation, deployment, network) and lies in this host's subnet of
 * that network.  A released lease stays in the table, in quarantine, so that no stale entry
 * anywhere (conntrack, DNS cache, proxy) points to a new owner (spec/network.md section 1). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"
#include "libjaco/base/limits.h"
#include "libjaco/model/cidr.h"
#include "libjaco/model/ids.h"

#define LEASE_QUARANTINE_MS (60 * 1000)

struct lease {
	char replica[JACO_REPLICA_ID_BYTES];
	char deployment[JACO_DEPLOYMENT_MAX + 1];
	char network[JACO_NAME_MAX + 1];
	uint64_t generation;
	uint32_t addr;
	int64_t released_ms; /* 0: held; else when quarantine began */
};

struct lease_table {
	struct lease *leases; /* owned, no order */
	size_t n, cap;
};

#define LEASE_TABLE_INIT ((struct lease_table){.leases = NULL})

/* Who asks, and where. */
struct lease_want {
	const char *replica, *deployment, *network;
	uint64_t generation;
	struct jaco_cidr subnet;
};

/* Called for each lease that changed: @is_gone means it left the table.  May not touch the
 * table. */
typedef int lease_changed_fn(void *ctx, const struct lease *lease, bool is_gone,
			     struct jaco_err *err);

void lease_fini(struct lease_table *table);

/* Take one lease in as it was read from the book (copied). */
void lease_restore(struct lease_table *table, const struct lease *lease);

/* The held lease of (replica, generation, network) or NULL.  Borrowed until the next change. */
const struct lease *lease_find(const struct lease_table *table, const struct lease_want *want);

/*
 * Give @want its address: the one it holds, else the lowest that is neither held nor in quarantine.
 * Network, gateway (first) and broadcast address are never given.
 *
 * @on_change  told about the new lease before the table has it; its failure is returned and leaves
 *             the table as it was
 *
 * Errors: ADDRESS_POOL_EXHAUSTED - with the counts and, when quarantine is the reason, the wait.
 */
int lease_take(struct lease_table *table, const struct lease_want *want, int64_t now_ms,
	       lease_changed_fn *on_change, void *ctx, uint32_t *out_addr, struct jaco_err *err);

/* Put all leases of (replica, generation) into quarantine; returns how many, 0 when none was held
 * (releasing twice is harmless), or the first failure of @on_change. */
int lease_release(struct lease_table *table, const char *replica, uint64_t generation,
		  int64_t now_ms, lease_changed_fn *on_change, void *ctx, struct jaco_err *err);

/* Forget what has been in quarantine long enough; returns how many, or a failure of @on_change. */
int lease_expire(struct lease_table *table, int64_t now_ms, lease_changed_fn *on_change, void *ctx,
		 struct jaco_err *err);

/* Leases of (deployment, network), held or in quarantine: while any exists its subnet stays. */
size_t lease_count(const struct lease_table *table, const char *deployment, const char *network);

/* The gateway of a subnet: its first address. */
uint32_t lease_gateway(struct jaco_cidr subnet);
