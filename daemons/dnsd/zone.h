/* SPDX-License-Identifier: Apache-2.0
 *
 * zone.h - what every name means inside one scope (deployment, network): an immutable snapshot.
 *
 * Pure: no fd, clock, log or global.  Built whole from a description, read by answer.c, replaced
 * whole when anything changed.  Address answers are built beforehand as the bytes that go out, so a
 * query costs one hash look-up and one copy (spec/network.md section 4, performance.md section 4).
 *
 * Names of a service, where S is its name, one of its aliases, links or container names:
 *     S   S.<deployment>   S.<deployment>.jaco.internal   S.jaco.internal
 * of one replica: <slot>.S in the same four forms (slot = index, or host for placement global) and
 * the replica id; of the replicas on a node: <host>.S.<deployment>.jaco.internal; in the alias zone
 * Z: <deployment>-S.Z and <deployment>-S-<host>.Z. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/dnsd/packet.h"
#include "daemons/dnsd/resolvers.h"
#include "libjaco/base/err.h"
#include "libjaco/model/cidr.h"

#define ZONE_TTL_S        5
#define ZONE_ANSWERS_MAX  64
#define ZONE_DOMAIN       "jaco.internal"
#define ZONE_RECORD_BYTES 16 /* pointer to the question, type, class, TTL, length, address */

/* --- description: borrowed during zone_table_build() only --- */

struct zone_replica_spec {
	const char *id;
	const char *slot;  /* "0", "1"... or the host's name for placement global */
	const char *host;
	uint32_t addr;     /* host byte order, 0: none yet */
	bool is_eligible;  /* running, healthy, not draining, node alive */
};

struct zone_service_spec {
	const char *name;
	const char *const *aliases; /* network aliases, links, container names */
	size_t n_aliases;
	const struct zone_replica_spec *replicas;
	size_t n_replicas;
	const char *const *resolvers; /* servers asked for names of the outside */
	size_t n_resolvers;           /* 0: the node's upstreams */
};

struct zone_spec {
	const char *deployment;
	const char *network;
	const struct zone_service_spec *services;
	size_t n_services;
	const struct jaco_cidr *subnets; /* of this scope, on all hosts */
	size_t n_subnets;
	bool is_served;   /* false: no bridge here; its names are only refused to others */
	bool is_internal; /* no way out, and names are one: others' names are refused */
};

struct zone_table_spec {
	const struct zone_spec *scopes;
	size_t n_scopes;
	const char *alias_zone;       /* NULL: none */
	const struct jaco_cidr *pool; /* addresses that are ours whether leased or not */
	size_t n_pool;
	uint32_t serial;              /* of the SOA */
};

/* --- snapshot --- */

enum zone_kind {
	ZONE_NOTHING,   /* not ours: ask upstream */
	ZONE_REFUSED,   /* certainly no such name for this scope */
	ZONE_EMPTY,     /* exists, holds no records (RFC 8020) */
	ZONE_ADDRESSES, /* a service or replica; perhaps without an address at the moment */
	ZONE_POINTER,   /* reverse name of a replica */
	ZONE_APEX,      /* jaco.internal or the alias zone itself */
};

struct zone_member {
	uint32_t addr;        /* host byte order */
	uint16_t target_n;
	const uint8_t *target; /* wire name "<slot>.S.<deployment>.jaco.internal" */
};

struct zone_entry {
	uint64_t hash;
	const uint8_t *name; /* lower case, with PACKET_SLACK readable behind */
	const uint8_t *body; /* ADDRESSES: 2 * n_members records, so that any rotation is one run */
	const struct zone_member *members; /* eligible ones; POINTER: one */
	uint32_t n_members;
	uint16_t name_n;
	uint8_t kind;
};

struct zone;
struct zone_table;

/* Build the snapshot of all scopes.  Names that are not DNS names, and addresses that are zero, are
 * left out: other validation has refused them before.
 * Errors: VALIDATION_FAILED - alias zone is no name, or two scopes have the same names. */
int zone_table_build(const struct zone_table_spec *spec, struct zone_table **out_table,
		     struct jaco_err *err);
void zone_table_free(struct zone_table *table);

/* NULL when no served scope has those names.  Borrowed from the table. */
const struct zone *zone_table_find(const struct zone_table *table, const char *deployment,
				   const char *network);
uint32_t zone_table_serial(const struct zone_table *table);
size_t zone_table_scopes(const struct zone_table *table);

/* The entry of a wire name (any case, PACKET_SLACK readable behind it), or NULL. */
const struct zone_entry *zone_find(const struct zone *zone, const uint8_t *name, size_t name_n);

/* What a name without entry is in this scope: REFUSED or NOTHING (EMPTY for a name with others
 * below it).  @n_labels without the root. */
enum zone_kind zone_classify(const struct zone *zone, const uint8_t *name, size_t name_n,
			     unsigned n_labels);

/* How many bytes at the start of @name stand before the zone it belongs to ("web." of
 * web.jaco.internal): the owner of its SOA.  0: the name itself is taken as owner. */
size_t zone_owner_offset(const struct zone *zone, const uint8_t *name, size_t name_n);

/* All served scopes the replica at @source (host byte order) has addresses in; 0: nobody's address
 * (0.0.0.0 always), or of a replica in one scope only.  Replicas count before they are eligible: a
 * container asks names while it starts.  One hash look-up, for names @zone lacks. */
size_t zone_siblings(const struct zone *zone, uint32_t source,
		     const struct zone *const **out_zones);

/* Whose servers are asked for the replica at @source (host byte order) when a name is of the
 * outside: 0 the node's upstreams, RESOLVERS_NONE nobody's, else one of zone_table_resolvers(). */
unsigned zone_resolver(const struct zone *zone, uint32_t source);

/* The lists that zone_resolver() counts from 1.  Borrowed from the table. */
const struct resolver_list *zone_table_resolvers(const struct zone_table *table, size_t *out_n);

uint32_t zone_serial(const struct zone *zone);
bool zone_is_internal(const struct zone *zone);
