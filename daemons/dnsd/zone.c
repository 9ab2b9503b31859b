/* SPDX-License-Identifier: Apache-2.0
 *
 * zone.c - see zone.h.
 *
 * Built in two steps.  First every (name, replica) pair is noted in a hash table in scratch memory;
 * a name of two services (one alias given twice) thereby gets the union of their replicas.  Then
 * the names are laid out in the snapshot's own arena with their answer records.  A set of replicas
 * is shared by the four forms of a name through `struct group`, so memory grows with services, not
 * with forms. */
#include "daemons/dnsd/zone.h"

#include <string.h>

#include "daemons/dnsd/names.h"
#include "daemons/dnsd/resolvers.h"
#include "daemons/dnsd/sources.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define REVERSE_LABELS 6  /* d.c.b.a.in-addr.arpa */
#define IN_ADDR_BYTES  14 /* wire form of in-addr.arpa */

struct zone {
	struct names names;
	struct zone_table *table;
	const char *deployment;
	const char *network;
	bool is_internal;
};

struct zone_table {
	struct jaco_arena arena;
	struct zone *zones;
	size_t n_zones;
	struct names foreign; /* <service>.<deployment> of every scope */
	struct jaco_cidr *ranges;
	size_t n_ranges;
	struct sources sources;
	struct resolvers resolvers;
	uint32_t serial;
	uint8_t domain[PACKET_NAME_MAX + PACKET_SLACK];
	size_t domain_n;
	uint8_t alias_zone[PACKET_NAME_MAX + PACKET_SLACK];
	size_t alias_zone_n; /* 0: none */
};

/* --- building --- */

/* Replicas that one name of a service stands for, before it is known which names share them. */
struct group {
	struct zone_member *members;
	size_t n;
	const uint8_t *body; /* made on first use */
};

struct builder {
	struct zone_table *table;
	struct zone *zone;
	const struct zone_spec *spec;
	struct jaco_arena *arena; /* the table's */
};

static void put_address_record(uint8_t *p, uint32_t addr)
{
	packet_put16(p, 0xc000 | PACKET_HEADER_BYTES);
	packet_put16(p + 2, PACKET_TYPE_A);
	packet_put16(p + 4, PACKET_CLASS_IN);
	packet_put32(p + 6, ZONE_TTL_S);
	packet_put16(p + 10, 4);
	packet_put32(p + 12, addr);
}

static const uint8_t *make_body(struct jaco_arena *arena, const struct zone_member *members,
				size_t n)
{
	uint8_t *body;

	if (n == 0)
		return NULL;
	body = jaco_arena_alloc(arena, 2 * n * ZONE_RECORD_BYTES);
	for (size_t i = 0; i < n; i++)
		put_address_record(body + i * ZONE_RECORD_BYTES, members[i].addr);
	memcpy(body + n * ZONE_RECORD_BYTES, body, n * ZONE_RECORD_BYTES);
	return body;
}

static bool members_have(const struct zone_member *members, size_t n, uint32_t addr)
{
	for (size_t i = 0; i < n; i++)
		if (members[i].addr == addr)
			return true;
	return false;
}

/* A second source for the same name: union, each address once. */
static void merge_group(struct builder *b, struct zone_entry *e, const struct group *group)
{
	struct zone_member *all =
		jaco_arena_alloc_n(b->arena, e->n_members + group->n + 1, sizeof(*all));
	size_t n = e->n_members;

	if (n > 0)
		memcpy(all, e->members, n * sizeof(*all));
	for (size_t i = 0; i < group->n; i++)
		if (!members_have(all, n, group->members[i].addr))
			all[n++] = group->members[i];
	e->members = all;
	e->n_members = (uint32_t)n;
	e->body = make_body(b->arena, all, n);
}

static void bind_name(struct builder *b, const char *text, struct group *group)
{
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];
	size_t n = packet_name_from_text(text, name);
	struct zone_entry *e;

	if (n == 0)
		return;
	e = names_put(&b->zone->names, b->arena, name, n);
	if (e->kind == ZONE_ADDRESSES) {
		if (e->members != group->members)
			merge_group(b, e, group);
		return;
	}
	if (!group->body)
		group->body = make_body(b->arena, group->members, group->n);
	e->kind = ZONE_ADDRESSES;
	e->members = group->members;
	e->n_members = (uint32_t)group->n;
	e->body = group->body;
}

/* @label in the four forms of zone.h. */
static void bind_forms(struct builder *b, const char *label, struct group *group)
{
	char text[PACKET_NAME_MAX + 1];
	const char *d = b->spec->deployment;

	bind_name(b, label, group);
	if (jaco_str_format(text, sizeof(text), "%s.%s", label, d))
		bind_name(b, text, group);
	if (jaco_str_format(text, sizeof(text), "%s.%s.%s", label, d, ZONE_DOMAIN))
		bind_name(b, text, group);
	if (jaco_str_format(text, sizeof(text), "%s.%s", label, ZONE_DOMAIN))
		bind_name(b, text, group);
}

/* The wire name SRV and PTR answers point to; it is looked up in this zone again by who follows. */
static void make_target(struct builder *b, const struct zone_service_spec *service,
			const struct zone_replica_spec *replica, struct zone_member *out_member)
{
	char text[PACKET_NAME_MAX + 1];
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];
	size_t n = 0;

	if (jaco_str_format(text, sizeof(text), "%s.%s.%s.%s", replica->slot, service->name,
			    b->spec->deployment, ZONE_DOMAIN))
		n = packet_name_from_text(text, name);
	*out_member = (struct zone_member){.addr = replica->addr, .target_n = (uint16_t)n};
	if (n > 0)
		out_member->target = jaco_arena_memdup(b->arena, name, n);
}

/* The eligible replicas of a service, on one host or (NULL) on all. */
static struct group make_group(struct builder *b, const struct zone_service_spec *service,
			       const struct zone_member *members, const char *host)
{
	struct group group = {.n = 0};
	size_t cap = 0;

	for (size_t i = 0; i < service->n_replicas; i++) {
		const struct zone_replica_spec *replica = &service->replicas[i];

		if (!replica->is_eligible || replica->addr == 0 ||
		    (host && !jaco_str_eq_nocase(replica->host, host)) ||
		    members_have(group.members, group.n, replica->addr))
			continue;
		group.members = jaco_arena_grow(b->arena, group.members, &cap, group.n + 1,
						sizeof(*group.members));
		group.members[group.n++] = members[i];
	}
	return group;
}

static void bind_pointer(struct builder *b, const struct zone_member *member)
{
	struct zone_entry *e;
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];
	char text[64];
	uint32_t a = member->addr;
	struct zone_member *copy;

	if (a == 0 || member->target_n == 0)
		return;
	(void)jaco_str_format(text, sizeof(text), "%u.%u.%u.%u.in-addr.arpa", a & 255, a >> 8 & 255,
			      a >> 16 & 255, a >> 24); /* always fits */
	e = names_put(&b->zone->names, b->arena, name, packet_name_from_text(text, name));
	copy = jaco_arena_memdup(b->arena, member, sizeof(*member));
	e->kind = ZONE_POINTER;
	e->members = copy;
	e->n_members = 1;
}

/* All names of a service for one group: its own and the aliases, behind an optional prefix. */
static void bind_service_names(struct builder *b, const struct zone_service_spec *service,
			       const char *prefix, struct group *group)
{
	char text[PACKET_NAME_MAX + 1];

	for (size_t i = 0; i <= service->n_aliases; i++) {
		const char *name = i == 0 ? service->name : service->aliases[i - 1];

		if (!prefix)
			bind_forms(b, name, group);
		else if (jaco_str_format(text, sizeof(text), "%s.%s", prefix, name))
			bind_forms(b, text, group);
	}
}

static void bind_host(struct builder *b, const struct zone_service_spec *service, const char *host,
		      struct group *group)
{
	char text[PACKET_NAME_MAX + 1];

	for (size_t i = 0; i <= service->n_aliases; i++) {
		const char *name = i == 0 ? service->name : service->aliases[i - 1];

		if (jaco_str_format(text, sizeof(text), "%s.%s.%s.%s", host, name,
				    b->spec->deployment, ZONE_DOMAIN))
			bind_name(b, text, group);
	}
}

/* In the alias zone a name is one label, so dots of a service name cannot be had there. */
static void bind_alias_zone(struct builder *b, const struct zone_service_spec *service,
			    const char *alias_zone, const char *host, struct group *group)
{
	char text[PACKET_NAME_MAX + 1];

	if (alias_zone && !strchr(service->name, '.') &&
	    jaco_str_format(text, sizeof(text), "%s-%s%s%s.%s", b->spec->deployment, service->name,
			    host ? "-" : "", host ? host : "", alias_zone))
		bind_name(b, text, group);
}

/* Had an earlier replica the same host?  Keeps one group per host. */
static bool is_host_done(const struct zone_service_spec *service, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (jaco_str_eq_nocase(service->replicas[i].host, service->replicas[at].host))
			return true;
	return false;
}

/* Two replicas in one slot (a rollout that starts first) meet in bind_name() as a union. */
static void bind_replica(struct builder *b, const struct zone_service_spec *service,
			 const struct zone_replica_spec *replica, struct zone_member *member)
{
	struct group one = {.members = member,
			    .n = replica->is_eligible && replica->addr != 0 ? 1 : 0};

	bind_forms(b, replica->id, &one);
	bind_service_names(b, service, replica->slot, &one);
	bind_pointer(b, member);
}

static void build_service(struct builder *b, const struct zone_service_spec *service,
			  const char *alias_zone)
{
	struct zone_member *members =
		jaco_arena_alloc_n(b->arena, service->n_replicas + 1, sizeof(*members));
	struct group all;

	for (size_t i = 0; i < service->n_replicas; i++)
		make_target(b, service, &service->replicas[i], &members[i]);
	all = make_group(b, service, members, NULL);
	bind_service_names(b, service, NULL, &all);
	bind_alias_zone(b, service, alias_zone, NULL, &all);
	for (size_t i = 0; i < service->n_replicas; i++) {
		const char *host = service->replicas[i].host;
		struct group there;

		bind_replica(b, service, &service->replicas[i], &members[i]);
		if (is_host_done(service, i))
			continue;
		there = make_group(b, service, members, host);
		bind_host(b, service, host, &there);
		bind_alias_zone(b, service, alias_zone, host, &there);
	}
}

/* A name that exists only because of what is below it, unless it has records of its own. */
static void bind_empty(struct builder *b, const char *text, enum zone_kind kind)
{
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];
	size_t n = packet_name_from_text(text, name);
	struct zone_entry *e;

	if (n == 0)
		return;
	e = names_put(&b->zone->names, b->arena, name, n);
	if (e->kind == ZONE_NOTHING)
		e->kind = (uint8_t)kind;
}

static void build_zone(struct zone_table *table, struct zone *zone, const struct zone_spec *spec,
		       const char *alias_zone)
{
	struct builder b = {.table = table, .zone = zone, .spec = spec, .arena = &table->arena};
	char text[PACKET_NAME_MAX + 1];
	size_t n_expected = 4;

	for (size_t i = 0; i < spec->n_services; i++)
		n_expected +=
			(1 + spec->services[i].n_aliases) * (4 + 5 * spec->services[i].n_replicas) +
			5 * spec->services[i].n_replicas;
	zone->table = table;
	zone->deployment = jaco_arena_strdup(&table->arena, spec->deployment);
	zone->network = jaco_arena_strdup(&table->arena, spec->network);
	zone->is_internal = spec->is_internal;
	names_init(&zone->names, &table->arena, n_expected);
	for (size_t i = 0; i < spec->n_services; i++)
		build_service(&b, &spec->services[i], alias_zone);
	bind_empty(&b, ZONE_DOMAIN, ZONE_APEX);
	if (alias_zone)
		bind_empty(&b, alias_zone, ZONE_APEX);
	if (jaco_str_format(text, sizeof(text), "%s.%s", spec->deployment, ZONE_DOMAIN))
		bind_empty(&b, text, ZONE_EMPTY);
}

static void add_foreign(struct zone_table *table, const char *text)
{
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];
	size_t n = packet_name_from_text(text, name);

	if (n > 0)
		names_put(&table->foreign, &table->arena, name, n)->kind = ZONE_REFUSED;
}

/* The forms a scope's names have outside our own domains, for everybody else to be refused. */
static void add_foreign_scope(struct zone_table *table, const struct zone_spec *spec)
{
	char text[PACKET_NAME_MAX + 1];

	for (size_t i = 0; i < spec->n_services; i++) {
		const struct zone_service_spec *service = &spec->services[i];

		for (size_t j = 0; j <= service->n_aliases; j++) {
			const char *name = j == 0 ? service->name : service->aliases[j - 1];

			if (jaco_str_format(text, sizeof(text), "%s.%s", name, spec->deployment))
				add_foreign(table, text);
		}
		for (size_t j = 0; j < service->n_replicas; j++) {
			const struct zone_replica_spec *replica = &service->replicas[j];

			if (jaco_str_format(text, sizeof(text), "%s.%s.%s", replica->slot,
					    service->name, spec->deployment))
				add_foreign(table, text);
			if (jaco_str_format(text, sizeof(text), "%s.%s", replica->id,
					    spec->deployment))
				add_foreign(table, text);
		}
	}
}

static void add_ranges(struct zone_table *table, const struct zone_table_spec *spec)
{
	size_t n = spec->n_pool;

	for (size_t i = 0; i < spec->n_scopes; i++)
		n += spec->scopes[i].n_subnets;
	table->ranges = jaco_arena_alloc_n(&table->arena, n + 1, sizeof(*table->ranges));
	for (size_t i = 0; i < spec->n_pool; i++)
		table->ranges[table->n_ranges++] = spec->pool[i];
	for (size_t i = 0; i < spec->n_scopes; i++) {
		for (size_t j = 0; j < spec->scopes[i].n_subnets; j++) {
			struct jaco_cidr net = spec->scopes[i].subnets[j];
			bool is_covered = false;

			for (size_t k = 0; k < spec->n_pool && !is_covered; k++)
				is_covered = jaco_cidr_covers(spec->pool[k], net);
			if (!is_covered)
				table->ranges[table->n_ranges++] = net;
		}
	}
}

/* Every address of a replica in one served scope; the zones are those of the table, in order. */
static void note_sources(const struct zone_spec *spec, const struct zone *zone,
			 struct source_spec **specs, size_t *n, size_t *cap)
{
	for (size_t i = 0; i < spec->n_services; i++) {
		const struct zone_service_spec *service = &spec->services[i];

		for (size_t j = 0; j < service->n_replicas; j++) {
			const struct zone_replica_spec *replica = &service->replicas[j];

			if (replica->addr == 0)
				continue;
			*specs = jaco_grow(*specs, cap, *n + 1, sizeof(**specs));
			(*specs)[(*n)++] = (struct source_spec){spec->deployment, replica->id,
								replica->host, zone, replica->addr};
		}
	}
}

static void build_sources(struct zone_table *table, const struct zone_table_spec *spec)
{
	jaco_auto(jaco_ptr) struct source_spec *specs = NULL;
	size_t n = 0, cap = 0, n_zones = 0;

	for (size_t i = 0; i < spec->n_scopes; i++)
		if (spec->scopes[i].is_served)
			note_sources(&spec->scopes[i], &table->zones[n_zones++], &specs, &n, &cap);
	sources_build(&table->sources, &table->arena, specs, n);
}

static void note_resolvers(const struct zone_service_spec *service, struct resolver_spec **specs,
			   size_t *n, size_t *cap)
{
	for (size_t i = 0; i < service->n_replicas; i++) {
		if (service->replicas[i].addr == 0)
			continue;
		*specs = jaco_grow(*specs, cap, *n + 1, sizeof(**specs));
		(*specs)[(*n)++] = (struct resolver_spec){
			{service->resolvers, service->n_resolvers}, service->replicas[i].addr};
	}
}

static bool has_resolvers(const struct zone_table_spec *spec)
{
	for (size_t i = 0; i < spec->n_scopes; i++)
		for (size_t j = 0; j < spec->scopes[i].n_services; j++)
			if (spec->scopes[i].services[j].n_resolvers > 0)
				return true;
	return false;
}

/* Every address of a replica here, with the servers of its service. */
static void build_resolvers(struct zone_table *table, const struct zone_table_spec *spec)
{
	jaco_auto(jaco_ptr) struct resolver_spec *specs = NULL;
	size_t n = 0, cap = 0;

	if (!has_resolvers(spec))
		return;
	for (size_t i = 0; i < spec->n_scopes; i++)
		for (size_t j = 0; spec->scopes[i].is_served && j < spec->scopes[i].n_services; j++)
			note_resolvers(&spec->scopes[i].services[j], &specs, &n, &cap);
	resolvers_build(&table->resolvers, &table->arena, specs, n);
}

static int check_spec(const struct zone_table_spec *spec, struct jaco_err *err)
{
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];

	if (spec->alias_zone && packet_name_from_text(spec->alias_zone, name) == 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "alias zone \"%s\" is not a name",
				    spec->alias_zone);
	for (size_t i = 0; i < spec->n_scopes; i++)
		for (size_t j = 0; j < i && spec->scopes[i].is_served; j++)
			if (spec->scopes[j].is_served &&
			    jaco_str_eq(spec->scopes[i].deployment, spec->scopes[j].deployment) &&
			    jaco_str_eq(spec->scopes[i].network, spec->scopes[j].network))
				return jaco_err_set(err, JACO_VALIDATION_FAILED,
						    "scope %s/%s is given twice",
						    spec->scopes[i].deployment,
						    spec->scopes[i].network);
	return 0;
}

int zone_table_build(const struct zone_table_spec *spec, struct zone_table **out_table,
		     struct jaco_err *err)
{
	struct zone_table *table;

	if (check_spec(spec, err) < 0)
		return -(int)err->code;
	table = jaco_alloc(sizeof(*table));
	table->serial = spec->serial;
	table->domain_n = packet_name_from_text(ZONE_DOMAIN, table->domain);
	if (spec->alias_zone)
		table->alias_zone_n = packet_name_from_text(spec->alias_zone, table->alias_zone);
	names_init(&table->foreign, &table->arena, 16);
	add_ranges(table, spec);
	table->zones = jaco_arena_alloc_n(&table->arena, spec->n_scopes + 1, sizeof(*table->zones));
	for (size_t i = 0; i < spec->n_scopes; i++) {
		add_foreign_scope(table, &spec->scopes[i]);
		if (spec->scopes[i].is_served)
			build_zone(table, &table->zones[table->n_zones++], &spec->scopes[i],
				   spec->alias_zone);
	}
	build_sources(table, spec);
	build_resolvers(table, spec);
	*out_table = table;
	return 0;
}

void zone_table_free(struct zone_table *table)
{
	if (!table)
		return;
	jaco_arena_fini(&table->arena);
	jaco_free(table);
}

/* --- reading --- */

const struct zone *zone_table_find(const struct zone_table *table, const char *deployment,
				   const char *network)
{
	for (size_t i = 0; i < table->n_zones; i++)
		if (jaco_str_eq(table->zones[i].deployment, deployment) &&
		    jaco_str_eq(table->zones[i].network, network))
			return &table->zones[i];
	return NULL;
}

uint32_t zone_table_serial(const struct zone_table *table)
{
	return table->serial;
}

size_t zone_table_scopes(const struct zone_table *table)
{
	return table->n_zones;
}

size_t zone_siblings(const struct zone *zone, uint32_t source,
		     const struct zone *const **out_zones)
{
	return sources_find(&zone->table->sources, source, out_zones);
}

unsigned zone_resolver(const struct zone *zone, uint32_t source)
{
	return resolvers_find(&zone->table->resolvers, source);
}

const struct resolver_list *zone_table_resolvers(const struct zone_table *table, size_t *out_n)
{
	*out_n = table->resolvers.n_lists;
	return table->resolvers.lists;
}

uint32_t zone_serial(const struct zone *zone)
{
	return zone->table->serial;
}

bool zone_is_internal(const struct zone *zone)
{
	return zone->is_internal;
}

const struct zone_entry *zone_find(const struct zone *zone, const uint8_t *name, size_t name_n)
{
	return names_find(&zone->names, name, name_n);
}

/* Is @name at or below @suffix, at a label border?  Returns the offset of the suffix, or -1. */
static long suffix_offset(const uint8_t *name, size_t name_n, const uint8_t *suffix,
			  size_t suffix_n)
{
	size_t at = 0;

	while (at < name_n && name_n - at > suffix_n)
		at += name[at] + 1u;
	if (at < name_n && name_n - at == suffix_n &&
	    packet_name_equals(suffix, name + at, suffix_n))
		return (long)at;
	return -1;
}

/* One decimal octet in a label, without leading zeros; -1 when it is none. */
static int label_octet(const uint8_t *label)
{
	int v = 0;

	if (label[0] < 1 || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
		return -1;
	for (unsigned i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return -1;
		v = v * 10 + (label[i] - '0');
	}
	return v <= 255 ? v : -1;
}

/* d.c.b.a.in-addr.arpa of an address that is ours. */
static bool is_our_reverse(const struct zone *zone, const uint8_t *name, size_t name_n)
{
	static const uint8_t in_addr[IN_ADDR_BYTES + PACKET_SLACK] = "\7in-addr\4arpa";
	const struct zone_table *table = zone->table;
	long tail = suffix_offset(name, name_n, in_addr, IN_ADDR_BYTES);
	uint32_t addr = 0;
	size_t at = 0;

	for (unsigned i = 0; i < 4; i++) {
		int octet = (long)at < tail ? label_octet(name + at) : -1;

		if (octet < 0)
			return false;
		addr |= (uint32_t)octet << (8 * i);
		at += name[at] + 1u;
	}
	if ((long)at != tail)
		return false;
	for (size_t i = 0; i < table->n_ranges; i++)
		if (jaco_cidr_contains(table->ranges[i], addr))
			return true;
	return false;
}

enum zone_kind zone_classify(const struct zone *zone, const uint8_t *name, size_t name_n,
			     unsigned n_labels)
{
	if (n_labels == 1)
		return ZONE_REFUSED;
	if (zone_owner_offset(zone, name, name_n) > 0 ||
	    names_find(&zone->table->foreign, name, name_n))
		return ZONE_REFUSED;
	if (n_labels == REVERSE_LABELS && is_our_reverse(zone, name, name_n))
		return ZONE_REFUSED;
	return ZONE_NOTHING;
}

size_t zone_owner_offset(const struct zone *zone, const uint8_t *name, size_t name_n)
{
	const struct zone_table *table = zone->table;
	long at = suffix_offset(name, name_n, table->domain, table->domain_n);

	if (at < 0 && table->alias_zone_n > 0)
		at = suffix_offset(name, name_n, table->alias_zone, table->alias_zone_n);
	return at < 0 ? 0 : (size_t)at;
}
