/* SPDX-License-Identifier: Apache-2.0
 *
 * Which names exist in a scope, and which replicas stand behind them. */
#include "daemons/dnsd/zone.h"

#include <stdio.h>

#include "tests/lib/test.h"

static const struct zone_replica_spec web[] = {
	{.id = "shop-web-0", .slot = "0", .host = "n1", .addr = 0x0a010002, .is_eligible = true},
	{.id = "shop-web-1", .slot = "1", .host = "n2", .addr = 0x0a010102, .is_eligible = true},
	{.id = "shop-web-2", .slot = "2", .host = "n2", .addr = 0x0a010103, .is_eligible = false},
};
static const struct zone_replica_spec db[] = {
	{.id = "shop-db-0", .slot = "0", .host = "n1", .addr = 0x0a010009, .is_eligible = true},
};
static const struct zone_replica_spec other[] = {
	{.id = "blog-api-0", .slot = "0", .host = "n1", .addr = 0x0a020002, .is_eligible = true},
};
static const char *const both[] = {"www", "pool"};
static const struct zone_service_spec shop[] = {
	{.name = "web", .aliases = both, .n_aliases = 2, .replicas = web, .n_replicas = 3},
	{.name = "db", .aliases = both + 1, .n_aliases = 1, .replicas = db, .n_replicas = 1},
	{.name = "idle"},
};
static const struct zone_service_spec blog[] = {
	{.name = "api", .replicas = other, .n_replicas = 1},
};
static const struct jaco_cidr shop_nets[] = {{0x0a010000, 24}, {0x0a010100, 24}};
static const struct jaco_cidr blog_nets[] = {{0x0a020000, 24}};
static const struct zone_spec scopes[] = {
	{.deployment = "shop", .network = "default", .services = shop, .n_services = 3,
	 .subnets = shop_nets, .n_subnets = 2, .is_served = true},
	{.deployment = "blog", .network = "default", .services = blog, .n_services = 1,
	 .subnets = blog_nets, .n_subnets = 1},
};

static struct zone_table *table;
static const struct zone *zone;

static int build(void **state)
{
	struct zone_table_spec spec = {.scopes = scopes, .n_scopes = 2, .alias_zone = "z.test",
				       .serial = 7};
	struct jaco_err err = JACO_ERR_INIT;

	if (zone_table_build(&spec, &table, &err) < 0)
		return -1;
	zone = zone_table_find(table, "shop", "default");
	return zone ? 0 : -1;
}

static int drop(void **state)
{
	zone_table_free(table);
	return 0;
}

static const struct zone_entry *find(const char *text)
{
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];

	return zone_find(zone, name, packet_name_from_text(text, name));
}

static int count(const char *text)
{
	const struct zone_entry *e = find(text);

	return e && e->kind == ZONE_ADDRESSES ? (int)e->n_members : -1;
}

static enum zone_kind kind(const char *text)
{
	uint8_t name[PACKET_NAME_MAX + PACKET_SLACK];
	size_t n = packet_name_from_text(text, name);
	unsigned labels = 1;

	for (const char *dot = text; (dot = strchr(dot, '.')); dot++)
		labels++;
	return zone_classify(zone, name, n, labels);
}

JT_CASE(a_service_has_its_four_forms)
{
	JT_EQ(count("web"), 2);
	JT_EQ(count("web.shop"), 2);
	JT_EQ(count("WEB.Shop.Jaco.Internal"), 2);
	JT_EQ(count("web.jaco.internal"), 2);
	JT_EQ(count("www.shop"), 2);
	JT_EQ(count("idle"), 0);
	JT_EQ(count("web.blog"), -1);
}

JT_CASE(the_forms_share_one_body)
{
	JT_TRUE(find("web")->body == find("www.shop.jaco.internal")->body);
	JT_EQ(packet_get32(find("web")->body + 12), 0x0a010002);
	JT_MEM(find("web")->body, find("web")->body + 2 * ZONE_RECORD_BYTES, 2 * ZONE_RECORD_BYTES);
}

JT_CASE(an_alias_of_two_services_is_their_union)
{
	JT_EQ(count("pool"), 3);
	JT_EQ(count("pool.shop.jaco.internal"), 3);
}

JT_CASE(a_replica_is_found_by_slot_and_id)
{
	JT_EQ(count("0.web"), 1);
	JT_EQ(find("1.web.shop")->members[0].addr, 0x0a010102);
	JT_EQ(count("2.web"), 0);
	JT_EQ(count("shop-web-1"), 1);
	JT_EQ(count("shop-web-1.jaco.internal"), 1);
	JT_EQ(count("3.web"), -1);
}

JT_CASE(a_host_form_picks_that_node)
{
	JT_EQ(count("n1.web.shop.jaco.internal"), 1);
	JT_EQ(find("n2.web.shop.jaco.internal")->members[0].addr, 0x0a010102);
	JT_EQ(count("n3.web.shop.jaco.internal"), -1);
}

JT_CASE(the_alias_zone_is_flat)
{
	JT_EQ(count("shop-web.z.test"), 2);
	JT_EQ(count("shop-web-n1.z.test"), 1);
	JT_EQ(kind("shop-nosuch.z.test"), ZONE_REFUSED);
	JT_EQ(kind("blog-api.z.test"), ZONE_REFUSED);
}

JT_CASE(foreign_and_unknown_names_are_refused_and_the_rest_is_not_ours)
{
	JT_EQ(kind("nosuch"), ZONE_REFUSED);
	JT_EQ(kind("api"), ZONE_REFUSED);
	JT_EQ(kind("api.blog"), ZONE_REFUSED);
	JT_EQ(kind("0.api.blog"), ZONE_REFUSED);
	JT_EQ(kind("blog-api-0"), ZONE_REFUSED);
	JT_EQ(kind("api.blog.jaco.internal"), ZONE_REFUSED);
	JT_EQ(kind("example.shop"), ZONE_NOTHING);
	JT_EQ(kind("www.example.com"), ZONE_NOTHING);
	JT_EQ(kind("xjaco.internal"), ZONE_NOTHING);
	JT_NULL(zone_table_find(table, "blog", "default"));
}

JT_CASE(reverse_names_of_our_ranges_are_ours)
{
	JT_EQ(find("2.0.1.10.in-addr.arpa")->kind, ZONE_POINTER);
	JT_MEM(find("2.0.1.10.in-addr.arpa")->members[0].target, "\1" "0\3web\4shop\4jaco", 16);
	JT_EQ(kind("77.0.1.10.in-addr.arpa"), ZONE_REFUSED);
	JT_EQ(kind("2.0.2.10.in-addr.arpa"), ZONE_REFUSED);
	JT_EQ(kind("2.0.3.10.in-addr.arpa"), ZONE_NOTHING);
	JT_EQ(kind("02.0.1.10.in-addr.arpa"), ZONE_NOTHING);
	JT_EQ(kind("a.0.1.10.in-addr.arpa"), ZONE_NOTHING);
}

JT_CASE(names_above_ours_exist_without_records)
{
	JT_EQ(find("jaco.internal")->kind, ZONE_APEX);
	JT_EQ(find("shop.jaco.internal")->kind, ZONE_EMPTY);
	JT_EQ(find("z.test")->kind, ZONE_APEX);
}

JT_CASE(refuses_a_scope_given_twice_and_a_bad_alias_zone)
{
	struct zone_spec twice[2] = {scopes[0], scopes[0]};
	struct zone_table_spec spec = {.scopes = twice, .n_scopes = 2};
	struct zone_table *none = NULL;
	struct jaco_err err = JACO_ERR_INIT;

	JT_FAILS_WITH(zone_table_build(&spec, &none, &err), VALIDATION_FAILED, "shop/default",
		      &err);
	spec.n_scopes = 1;
	spec.alias_zone = "a..b";
	JT_FAILS_WITH(zone_table_build(&spec, &none, &err), VALIDATION_FAILED, "a..b", &err);
	JT_NULL(none);
}

JT_CASE(a_thousand_services_keep_apart)
{
	static char names[1000][16];
	static struct zone_service_spec many[1000];
	static struct zone_replica_spec replicas[1000];
	struct zone_spec scope = {.deployment = "big", .network = "n", .services = many,
				  .n_services = 1000, .is_served = true};
	struct zone_table_spec spec = {.scopes = &scope, .n_scopes = 1};
	struct zone_table *big = NULL;
	struct jaco_err err = JACO_ERR_INIT;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(names[i], sizeof(names[i]), "s%u", i);
		replicas[i] = (struct zone_replica_spec){.id = names[i], .slot = "0", .host = "n1",
							 .addr = i + 1, .is_eligible = true};
		many[i] = (struct zone_service_spec){.name = names[i], .replicas = &replicas[i],
						     .n_replicas = 1};
	}
	JT_OK(zone_table_build(&spec, &big, &err), &err);
	zone = zone_table_find(big, "big", "n");
	for (unsigned i = 0; i < 1000; i++)
		JT_EQ(find(names[i])->members[0].addr, i + 1);
	zone_table_free(big);
	zone = zone_table_find(table, "shop", "default");
}

/* Networks a and b of one deployment, c that is only on other hosts, and another deployment. */
static struct zone_table *build_siblings(struct zone_replica_spec *a, size_t n_a,
					 struct zone_replica_spec *b, size_t n_b)
{
	const struct zone_service_spec in_a = {.name = "s", .replicas = a, .n_replicas = n_a};
	const struct zone_service_spec in_b = {.name = "s", .replicas = b, .n_replicas = n_b};
	/* Another deployment may have a replica of the same id. */
	const struct zone_replica_spec e = {.id = "d-s-2", .slot = "0", .host = "n1", .addr = 99};
	const struct zone_service_spec in_e = {.name = "s", .replicas = &e, .n_replicas = 1};
	const struct zone_spec nets[] = {
		{.deployment = "d", .network = "c", .services = &in_b, .n_services = 1},
		{.deployment = "d", .network = "a", .services = &in_a, .n_services = 1,
		 .is_served = true},
		{.deployment = "d", .network = "b", .services = &in_b, .n_services = 1,
		 .is_served = true},
		{.deployment = "e", .network = "a", .services = &in_e, .n_services = 1,
		 .is_served = true},
	};
	struct zone_table_spec spec = {.scopes = nets, .n_scopes = JACO_ARRAY_SIZE(nets)};
	struct zone_table *built = NULL;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(zone_table_build(&spec, &built, &err), &err);
	return built;
}

static size_t siblings(const struct zone_table *built, uint32_t source)
{
	const struct zone *const *zones = NULL;
	size_t n = zone_siblings(zone_table_find(built, "d", "a"), source, &zones);

	if (n > 0) {
		JT_EQ(n, 2);
		JT_TRUE(zones[0] == zone_table_find(built, "d", "a"));
		JT_TRUE(zones[1] == zone_table_find(built, "d", "b"));
	}
	return n;
}

JT_CASE(a_source_has_the_scopes_of_its_replica)
{
	struct zone_replica_spec a[] = {
		{.id = "d-s-0", .slot = "0", .host = "n1", .addr = 1, .is_eligible = true},
		{.id = "d-s-0", .slot = "0", .host = "n1", .addr = 2}, /* next generation starts */
		{.id = "d-s-1", .slot = "1", .host = "n1", .addr = 3, .is_eligible = true},
		{.id = "d-s-2", .slot = "2", .host = "n1", .addr = 4, .is_eligible = true},
		{.id = "d-s-3", .slot = "3", .host = "n1", .addr = 5, .is_eligible = true},
	};
	struct zone_replica_spec b[] = {
		{.id = "d-s-0", .slot = "0", .host = "n1", .addr = 11, .is_eligible = true},
		{.id = "d-s-1", .slot = "1", .host = "n2", .addr = 13, .is_eligible = true},
		{.id = "d-s-3", .slot = "3", .host = "n1"}, /* no address there yet */
	};
	struct zone_table *built = build_siblings(a, 5, b, 3);

	JT_EQ(siblings(built, 1), 2);
	JT_EQ(siblings(built, 2), 2);
	JT_EQ(siblings(built, 11), 2);
	for (uint32_t addr = 3; addr <= 5; addr++)
		JT_EQ(siblings(built, addr), 0);
	JT_EQ(siblings(built, 13), 0);
	JT_EQ(siblings(built, 99), 0);
	JT_EQ(siblings(built, 0), 0);
	JT_EQ(siblings(built, 0x0a000001), 0);
	zone_table_free(built);
}

JT_CASE(an_address_of_two_replicas_is_nobodys)
{
	struct zone_replica_spec a[] = {
		{.id = "d-s-0", .slot = "0", .host = "n1", .addr = 1},
		{.id = "d-s-1", .slot = "1", .host = "n1", .addr = 1},
		{.id = "d-s-2", .slot = "2", .host = "n1", .addr = 1},
		{.id = "d-s-3", .slot = "3", .host = "n1", .addr = 12}, /* one scope only */
	};
	struct zone_replica_spec b[] = {
		{.id = "d-s-0", .slot = "0", .host = "n1", .addr = 11},
		{.id = "d-s-1", .slot = "1", .host = "n1", .addr = 12},
		{.id = "d-s-2", .slot = "2", .host = "n1", .addr = 13},
	};
	struct zone_table *built = build_siblings(a, 4, b, 3);

	JT_EQ(siblings(built, 11), 2);
	JT_EQ(siblings(built, 1), 0);
	JT_EQ(siblings(built, 12), 0);
	zone_table_free(built);
}

JT_CASE(a_thousand_sources_keep_apart)
{
	static struct zone_replica_spec a[1000], b[1000];
	static char ids[1000][16];
	struct zone_table *built;

	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(ids[i], sizeof(ids[i]), "d-s-%u", i);
		a[i] = (struct zone_replica_spec){.id = ids[i], .slot = ids[i] + 4, .host = "n1",
						  .addr = 0x0a000000 + i + 1};
		b[i] = a[i];
		b[i].addr += i % 2 ? 0x10000 : 0x20000;
	}
	built = build_siblings(a, 1000, b, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		JT_EQ(siblings(built, a[i].addr), 2);
		JT_EQ(siblings(built, b[i].addr), 2);
		JT_EQ(siblings(built, a[i].addr + 0x30000), 0);
	}
	zone_table_free(built);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		JT_RUN(a_service_has_its_four_forms),
		JT_RUN(the_forms_share_one_body),
		JT_RUN(an_alias_of_two_services_is_their_union),
		JT_RUN(a_replica_is_found_by_slot_and_id),
		JT_RUN(a_host_form_picks_that_node),
		JT_RUN(the_alias_zone_is_flat),
		JT_RUN(foreign_and_unknown_names_are_refused_and_the_rest_is_not_ours),
		JT_RUN(reverse_names_of_our_ranges_are_ours),
		JT_RUN(names_above_ours_exist_without_records),
		JT_RUN(refuses_a_scope_given_twice_and_a_bad_alias_zone),
		JT_RUN(a_thousand_services_keep_apart),
		JT_RUN(a_source_has_the_scopes_of_its_replica),
		JT_RUN(an_address_of_two_replicas_is_nobodys),
		JT_RUN(a_thousand_sources_keep_apart),
	};

	return cmocka_run_group_tests(cases, build, drop);
}
