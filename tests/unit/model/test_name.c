/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/model/ids.h"
#include "libjaco/model/name.h"

#include "tests/lib/test.h"

JT_CASE(deployment_names_are_lower_case_labels)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_name_check_deployment("shop-2", &err), &err);
	JT_FAILS_WITH(jaco_name_check_deployment("", &err), VALIDATION_FAILED, "not a deployment",
		      &err);
	JT_FAILS_WITH(jaco_name_check_deployment("Shop", &err), VALIDATION_FAILED, "lower-case",
		      &err);
	JT_FAILS_WITH(jaco_name_check_deployment("shop-", &err), VALIDATION_FAILED, "hyphens",
		      &err);
	JT_FAILS_WITH(jaco_name_check_deployment("a2345678901234567890123456789012345678901", &err),
		      VALIDATION_FAILED, "at most 40", &err);
}

JT_CASE(service_names_are_what_compose_files_use)
{
	struct jaco_err err = JACO_ERR_INIT;
	char long_name[65];

	memset(long_name, 'a', 64);
	long_name[64] = '\0';
	JT_OK(jaco_name_check_service("my_app.v2-Web", &err), &err);
	JT_FAILS_WITH(jaco_name_check_service("a b", &err), VALIDATION_FAILED, "service name",
		      &err);
	JT_FAILS_WITH(jaco_name_check_network("-x", &err), VALIDATION_FAILED, "network name", &err);
	JT_FAILS_WITH(jaco_name_check_service(long_name, &err), VALIDATION_FAILED, "64 characters",
		      &err);
}

JT_CASE(domains_have_two_labels_and_are_no_addresses)
{
	struct jaco_err err = JACO_ERR_INIT;
	char name[] = "Shop.Example.COM.";

	jaco_name_fold_domain(name);
	JT_STR(name, "shop.example.com");
	JT_OK(jaco_name_check_domain(name, false, &err), &err);
	JT_OK(jaco_name_check_domain("*.example.com", true, &err), &err);
	JT_FAILS_WITH(jaco_name_check_domain("*.example.com", false, &err), VALIDATION_FAILED, "*",
		      &err);
	JT_FAILS_WITH(jaco_name_check_domain("localhost", false, &err), VALIDATION_FAILED, "local",
		      &err);
	JT_FAILS_WITH(jaco_name_check_domain("10.0.0.1", false, &err), VALIDATION_FAILED, "10.",
		      &err);
	JT_FAILS_WITH(jaco_name_check_domain("a..b", false, &err), VALIDATION_FAILED, "a..b", &err);
	JT_TRUE(jaco_name_is_dns("my_app"));
	JT_FALSE(jaco_name_is_dns("my app"));
}

JT_CASE(ids_render_and_give_back_their_suffix)
{
	char id[JACO_REPLICA_ID_BYTES];
	char name[JACO_CONTAINER_NAME_BYTES];
	char bridge[JACO_BRIDGE_NAME_BYTES];
	char other[JACO_BRIDGE_NAME_BYTES];
	const char *suffix = NULL;

	JT_TRUE(jaco_replica_id_render(id, "shop", "web-api", 3));
	JT_STR(id, "shop-web-api-3");
	JT_TRUE(jaco_replica_id_suffix(id, "shop", "web-api", &suffix));
	JT_STR(suffix, "3");
	JT_FALSE(jaco_replica_id_suffix(id, "shop", "we", &suffix));
	JT_TRUE(jaco_replica_id_suffix(id, "shop", "web", &suffix));
	JT_STR(suffix, "api-3");
	JT_TRUE(jaco_container_name_render(name, id, 7, true));
	JT_STR(name, "shop-web-api-3.7");
	jaco_bridge_name_render(bridge, "shop", "front", 0);
	jaco_bridge_name_render(other, "shop", "front", 1);
	JT_EQ(strlen(bridge), 14);
	JT_EQ(strncmp(bridge, "jaco-", 5), 0);
	JT_TRUE(strcmp(bridge, other) != 0);
}

JT_MAIN(JT_RUN(deployment_names_are_lower_case_labels),
	JT_RUN(service_names_are_what_compose_files_use),
	JT_RUN(domains_have_two_labels_and_are_no_addresses),
	JT_RUN(ids_render_and_give_back_their_suffix))
