/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/proxyd/route.h"
#include "libjaco/base/str.h"
#include "libjaco/base/time.h"

#include "tests/lib/test.h"

static const struct route *find(const struct route_table *table, const char *host, const char *path)
{
	char scratch[256];
	struct route_match match;

	route_find(table, (struct http1_span){host, (uint32_t)strlen(host)},
		   (struct http1_span){path, (uint32_t)strlen(path)}, scratch, &match);
	return match.route;
}

JT_CASE(ten_thousand_routes_are_all_found)
{
	struct route_table *table = route_table_new(1);
	struct jaco_err err = JACO_ERR_INIT;
	char domain[64], path[64];

	for (unsigned i = 0; i < 10000; i++) {
		struct route route = {.domain = domain, .path = path, .service = "s", .port = 1};

		(void)jaco_str_format(domain, sizeof(domain), "d%u.example.com", i / 4);
		(void)jaco_str_format(path, sizeof(path), i % 4 ? "/p%u" : "/", i % 4);
		JT_OK(route_table_add(table, &route, &err), &err);
	}
	route_table_seal(table);
	for (unsigned i = 0; i < 10000; i++) {
		const struct route *route;

		(void)jaco_str_format(domain, sizeof(domain), "d%u.example.com", i / 4);
		(void)jaco_str_format(path, sizeof(path), i % 4 ? "/p%u/deep/er" : "/x", i % 4);
		route = find(table, domain, path);
		JT_NOT_NULL(route);
		JT_EQ(route->index, i);
	}
	JT_NULL(find(table, "d2500.example.com", "/"));
	route_table_unref(table);
}

JT_CASE(the_same_route_twice_is_a_conflict)
{
	struct route_table *table = route_table_new(1);
	struct jaco_err err = JACO_ERR_INIT;
	struct route route = {.domain = "a.test", .path = "/x/", .service = "s"};
	struct route same = {.domain = "A.test.", .path = "/x", .service = "t"};

	JT_OK(route_table_add(table, &route, &err), &err);
	JT_FAILS_WITH(route_table_add(table, &same, &err), ROUTE_CONFLICT, "a.test/x", &err);
	route_table_unref(table);
}

JT_CASE(malformed_domains_and_paths_are_refused)
{
	const char *domains[] = {"", "a b", "a/b", "*a.test", "*.", "a:80", "**"};
	const char *paths[] = {"x", "/a b", "/%zz", "/#"};
	struct route_table *table = route_table_new(1);
	struct jaco_err err = JACO_ERR_INIT;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(domains); i++) {
		struct route route = {.domain = domains[i], .path = "/"};

		JT_FAILS_WITH(route_table_add(table, &route, &err), VALIDATION_FAILED, "domain",
			      &err);
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(paths); i++) {
		struct route route = {.domain = "a.test", .path = paths[i]};

		JT_FAILS_WITH(route_table_add(table, &route, &err), VALIDATION_FAILED, "path",
			      &err);
	}
	route_table_unref(table);
}

JT_CASE(endpoints_are_one_per_address_and_port)
{
	struct route_table *table = route_table_new(1);
	struct netmatch_ip ip;

	JT_TRUE(netmatch_ip_parse("10.0.0.1", &ip));
	for (uint16_t port = 1; port <= 500; port++)
		JT_EQ(route_table_endpoint(table, &ip, port, "r"), port - 1);
	for (uint16_t port = 1; port <= 500; port++)
		JT_EQ(route_table_endpoint(table, &ip, port, "r"), port - 1);
	JT_EQ(table->n_endpoints, 500);
	route_table_unref(table);
}

JT_CASE(everything_of_a_spec_is_copied)
{
	struct route_table *table = route_table_new(1);
	struct jaco_err err = JACO_ERR_INIT;
	char name[] = "X-A", value[] = "1", page[] = "closed", user[] = "u", hash[] = "h";
	struct route_header set = {.name = name, .value = value};
	struct route_user who = {user, hash};
	struct route route = {.domain = "a.test", .path = "/", .maintenance = page,
			      .request = {.set = &set, .n_set = 1}, .users = &who, .n_users = 1};
	const struct route *found;

	JT_OK(route_table_add(table, &route, &err), &err);
	memset(name, '-', 3);
	memset(page, '-', 6);
	user[0] = value[0] = hash[0] = '-';
	route_table_seal(table);
	found = find(table, "a.test", "/");
	JT_STR(found->request.set[0].name, "X-A");
	JT_EQ(found->request.set[0].name_n, 3);
	JT_STR(found->request.set[0].value, "1");
	JT_STR(found->maintenance, "closed");
	JT_STR(found->users[0].name, "u");
	route_table_unref(table);
}

JT_MAIN(JT_RUN(ten_thousand_routes_are_all_found), JT_RUN(the_same_route_twice_is_a_conflict),
	JT_RUN(malformed_domains_and_paths_are_refused),
	JT_RUN(endpoints_are_one_per_address_and_port), JT_RUN(everything_of_a_spec_is_copied))
