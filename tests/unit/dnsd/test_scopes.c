/* SPDX-License-Identifier: Apache-2.0
 *
 * From records to names: who is named, who is held, what is acknowledged. */
#include "daemons/dnsd/scopes.h"

#include <stdio.h>

#include "libjaco/base/buf.h"
#include "libjaco/base/mem.h"
#include "libjaco/wire/wire.h"
#include "tests/lib/test.h"

static struct jaco_view view;
static struct scopes_memory memory;
static struct jaco_arena arena;
static struct scopes scopes;

static void put(const char *key, const struct jaco_desc *desc, const void *msg)
{
	jaco_auto(jaco_buf) struct jaco_buf raw = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_pack(&raw, desc, msg, &err), &err);
	JT_OK(jaco_view_put(&view, key, 1, raw.data, raw.n, &err), &err);
}

static void put_subnet(const char *network, const char *host, const char *cidr, const char *gateway)
{
	struct wire_subnet subnet = {.deployment = "shop", .network = network, .host = host,
				     .cidr = cidr, .gateway = gateway, .bridge = "b", .scope = 1};
	char key[128];

	snprintf(key, sizeof(key), "/subnet/shop/%s/%s", network, host);
	put(key, &wire_subnet_desc, &subnet);
}

static void put_desired(enum jaco_replica_intent intent, uint32_t generation, const char *host)
{
	struct wire_replica_gen gen = {.generation = generation, .host = host, .revision = 1,
				       .spec_hash = "x", .intent = intent};
	struct wire_replica replica = {.id = "shop-web-0", .deployment = "shop", .service = "web",
				       .generations = {&gen, 1}};

	JACO_SET(&replica, replica, index, 0);
	put("/replica/shop/web/0", &wire_replica_desc, &replica);
}

static void put_seen(enum jaco_replica_state state, bool healthy, uint32_t generation,
		     const char *host)
{
	struct wire_replica_address address = {.network = "default", .address = "10.0.0.2"};
	struct wire_obs_gen gen = {.generation = generation, .state = state, .healthy = healthy,
				   .since = 1, .addresses = {&address, 1}};
	struct wire_obs_replica seen = {.id = "shop-web-0", .deployment = "shop", .service = "web",
					.host = host, .generations = {&gen, 1}};
	char key[128];

	snprintf(key, sizeof(key), "/obs/replica/shop-web-0@%s", host);
	put(key, &wire_obs_replica_desc, &seen);
}

static void put_liveness(const char *host, enum jaco_liveness state)
{
	struct wire_obs_liveness liveness = {.state = state};
	char key[128];

	snprintf(key, sizeof(key), "/obs/node/%s/liveness", host);
	put(key, &wire_obs_liveness_desc, &liveness);
}

static void forget(const char *key)
{
	size_t i = jaco_view_lower(&view, key);
	struct jaco_arena gone = view.v[i]->arena;

	JT_STR(view.v[i]->key, key);
	memmove(view.v + i, view.v + i + 1, (view.n - i - 1) * sizeof(*view.v));
	view.n--;
	jaco_arena_fini(&gone);
}

static void read_at(int64_t ms)
{
	jaco_arena_reset(&arena);
	scopes_read(&view, "n1", ms, &memory, &arena, &scopes);
}

static const struct zone_replica_spec *web(void)
{
	return &scopes.scopes[0].services[0].replicas[0];
}

static int set_up(void **state)
{
	const char *aliases[] = {"www"};
	const char *dns[] = {"9.9.9.9", "10.0.9.9"};
	struct wire_service_network network = {.name = "default", .aliases = {aliases, 1}};
	struct wire_service service = {.name = "web", .spec_hash = "x", .replicas = 1,
				       .networks = {&network, 1}, .dns = {dns, 2}};
	struct wire_deployment deployment = {.name = "shop", .revision = 1, .updated = 1,
					     .services = {&service, 1}};

	put_subnet("default", "n1", "10.0.0.0/24", "10.0.0.1");
	put_subnet("default", "n2", "10.0.1.0/24", "10.0.1.1");
	put("/deployment/shop", &wire_deployment_desc, &deployment);
	put_desired(JACO_INTENT_RUN, 3, "n1");
	put_seen(JACO_REPLICA_RUNNING, true, 3, "n1");
	return 0;
}

static int tear_down(void **state)
{
	while (view.n > 0)
		forget(view.v[0]->key);
	jaco_free(view.v);
	view = (struct jaco_view){.n = 0};
	scopes_memory_fini(&memory);
	jaco_arena_fini(&arena);
	return 0;
}

JT_CASE(a_scope_has_its_subnets_services_and_our_gateway)
{
	read_at(0);
	JT_EQ(scopes.n_scopes, 1);
	JT_TRUE(scopes.scopes[0].is_served);
	JT_EQ(scopes.scopes[0].n_subnets, 2);
	JT_EQ(scopes.n_listeners, 1);
	JT_EQ(scopes.listeners[0].gateway, 0x0a000001);
	JT_STR(scopes.scopes[0].services[0].aliases[0], "www");
	JT_TRUE(web()->is_eligible);
	JT_EQ(web()->addr, 0x0a000002);
	JT_STR(web()->slot, "0");
	JT_EQ(scopes.n_draining, 0);
	JT_EQ(scopes.scopes[0].services[0].n_resolvers, 2);
	JT_STR(scopes.scopes[0].services[0].resolvers[1], "10.0.9.9");
}

JT_CASE(what_is_not_running_or_not_healthy_or_another_generation_is_not_named)
{
	static const enum jaco_replica_state unfit[] = {
		JACO_REPLICA_STARTING, JACO_REPLICA_DEGRADED, JACO_REPLICA_DRAINING,
		JACO_REPLICA_FAILED, JACO_REPLICA_STOPPED, JACO_REPLICA_PENDING};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(unfit); i++) {
		put_seen(unfit[i], true, 3, "n1");
		read_at(0);
		JT_FALSE(web()->is_eligible);
		JT_EQ(web()->addr, 0x0a000002); /* it may ask names all the same */
	}
	put_seen(JACO_REPLICA_RUNNING, false, 3, "n1");
	read_at(0);
	JT_FALSE(web()->is_eligible);
	put_seen(JACO_REPLICA_RUNNING, true, 2, "n1");
	read_at(0);
	JT_FALSE(web()->is_eligible);
	put_seen(JACO_REPLICA_RUNNING, true, 3, "n1");
	read_at(0);
	JT_TRUE(web()->is_eligible);
}

JT_CASE(an_unreachable_node_names_nothing_and_a_suspect_one_does)
{
	put_liveness("n1", JACO_LIVENESS_SUSPECT);
	read_at(0);
	JT_TRUE(web()->is_eligible);
	put_liveness("n1", JACO_LIVENESS_UNREACHABLE);
	read_at(0);
	JT_FALSE(web()->is_eligible);
}

JT_CASE(a_draining_generation_is_acknowledged)
{
	put_desired(JACO_INTENT_DRAIN, 3, "n1");
	read_at(0);
	JT_FALSE(web()->is_eligible);
	JT_EQ(scopes.n_draining, 1);
	JT_STR(scopes.draining[0].replica, "shop-web-0");
	JT_EQ(scopes.draining[0].generation, 3);
}

JT_CASE(what_runs_without_being_wanted_is_acknowledged_too)
{
	put_seen(JACO_REPLICA_RUNNING, true, 2, "n1");
	read_at(0);
	JT_EQ(scopes.n_draining, 1); /* 3 is wanted, 2 is not */
	JT_EQ(scopes.draining[0].generation, 2);
	put_seen(JACO_REPLICA_RUNNING, true, 3, "n1");
	forget("/replica/shop/web/0");
	forget("/deployment/shop");
	read_at(0);
	JT_EQ(scopes.n_draining, 1);
	JT_STR(scopes.draining[0].replica, "shop-web-0");
	JT_EQ(scopes.draining[0].generation, 3);
}

JT_CASE(a_missing_record_is_held_for_ten_seconds_from_when_it_was_last_seen)
{
	read_at(1000);
	forget("/obs/replica/shop-web-0@n1");
	read_at(5000);
	JT_TRUE(web()->is_eligible);
	JT_EQ(web()->addr, 0x0a000002);
	JT_EQ(scopes.hold_ms, 6000);
	read_at(10999);
	JT_TRUE(web()->is_eligible);
	JT_EQ(scopes.hold_ms, 1);
	read_at(11000);
	JT_FALSE(web()->is_eligible);
	JT_EQ(scopes.hold_ms, 0);
	read_at(11001);
	JT_FALSE(web()->is_eligible);
}

JT_CASE(a_moved_drained_or_lost_replica_is_not_held)
{
	read_at(1000);
	forget("/obs/replica/shop-web-0@n1");
	put_desired(JACO_INTENT_RUN, 3, "n2");
	read_at(1001);
	JT_FALSE(web()->is_eligible);

	put_desired(JACO_INTENT_RUN, 3, "n1");
	put_seen(JACO_REPLICA_RUNNING, true, 3, "n1");
	read_at(2000);
	forget("/obs/replica/shop-web-0@n1");
	put_liveness("n1", JACO_LIVENESS_UNREACHABLE);
	read_at(2001);
	JT_FALSE(web()->is_eligible);
}

JT_CASE(the_digest_changes_with_what_a_client_could_notice_only)
{
	uint8_t before[JACO_SHA256_BYTES];

	read_at(0);
	memcpy(before, scopes.digest, sizeof(before));
	put_liveness("n1", JACO_LIVENESS_SUSPECT);
	put_seen(JACO_REPLICA_RUNNING, true, 3, "n1");
	read_at(5);
	JT_MEM(before, scopes.digest, sizeof(before));
	put_seen(JACO_REPLICA_RUNNING, false, 3, "n1");
	read_at(6);
	JT_TRUE(memcmp(before, scopes.digest, sizeof(before)) != 0);
}

JT_CASE(a_network_of_other_hosts_is_not_served_here)
{
	put_subnet("back", "n2", "10.0.8.0/24", "10.0.8.1");
	read_at(0);
	JT_EQ(scopes.n_scopes, 2);
	JT_FALSE(scopes.scopes[0].is_served);
	JT_STR(scopes.scopes[0].network, "back");
	JT_EQ(scopes.n_listeners, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest cases[] = {
		CASE(a_scope_has_its_subnets_services_and_our_gateway),
		CASE(what_is_not_running_or_not_healthy_or_another_generation_is_not_named),
		CASE(an_unreachable_node_names_nothing_and_a_suspect_one_does),
		CASE(a_draining_generation_is_acknowledged),
		CASE(what_runs_without_being_wanted_is_acknowledged_too),
		CASE(a_missing_record_is_held_for_ten_seconds_from_when_it_was_last_seen),
		CASE(a_moved_drained_or_lost_replica_is_not_held),
		CASE(the_digest_changes_with_what_a_client_could_notice_only),
		CASE(a_network_of_other_hosts_is_not_served_here),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
