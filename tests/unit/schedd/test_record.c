/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/schedd/record.h"

#include "tests/lib/test.h"

static struct world_replica sample(enum world_phase phase)
{
	return (struct world_replica){
		.id = "shop-web-2",
		.deployment = "shop",
		.service = "web",
		.index = 2,
		.phase = phase,
		.since_ms = 5000,
		.now = {"n2", "hash-b", "img:2", 4, 9, 4500},
		.old = {"n1", "hash-a", "img:1", 3, 8, 1500},
		.last_generation = 4,
		.nonce = 1,
		.code = "",
		.message = "",
		.mod = 77,
	};
}

static void same_shape(const struct world_shape *a, const struct world_shape *b)
{
	JT_EQ(a->generation, b->generation);
	JT_EQ(a->revision, b->revision);
	JT_EQ(a->placed_ms, b->placed_ms);
	JT_STR(a->host, b->host);
	JT_STR(a->spec_hash, b->spec_hash);
	JT_STR(a->image, b->image);
}

/* What a new leader reads is what the old one decided, in every phase, over the wire. */
JT_CASE(a_replica_survives_the_store_in_every_phase)
{
	for (int phase = WORLD_PENDING; phase <= WORLD_LEAVING; phase++) {
		struct world_replica before = sample((enum world_phase)phase), after;
		struct jaco_arena arena = JACO_ARENA_INIT;
		struct jaco_err err = JACO_ERR_INIT;
		struct jaco_buf buf = JACO_BUF_INIT;
		struct wire_replica record, read;

		record = record_from_replica(&before, 10000, &arena);
		JT_OK(jaco_pack(&buf, &wire_replica_desc, &record, &err), &err);
		JT_OK(jaco_unpack(&wire_replica_desc, buf.data, buf.n, &arena, &read, &err), &err);
		after = record_replica(&read, 77);
		JT_EQ(after.phase, before.phase);
		JT_EQ(after.index, 2);
		JT_FALSE(after.is_global);
		JT_EQ(after.since_ms, before.since_ms);
		JT_EQ(after.nonce, before.nonce);
		JT_EQ(after.last_generation, before.last_generation);
		same_shape(&after.now, &before.now);
		same_shape(&after.old, &before.old);
		jaco_buf_fini(&buf);
		jaco_arena_fini(&arena);
	}
}

JT_CASE(the_record_says_who_runs_and_who_drains)
{
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct world_replica replica = sample(WORLD_STARTING);
	struct wire_replica record = record_from_replica(&replica, 10000, &arena);

	JT_EQ(record.generations.n, 2);
	JT_EQ(record.generations.v[0].intent, JACO_INTENT_RUN);
	JT_EQ(record.generations.v[1].intent, JACO_INTENT_RUN);
	replica.phase = WORLD_YIELDING;
	record = record_from_replica(&replica, 10000, &arena);
	JT_EQ(record.generations.v[0].intent, JACO_INTENT_DRAIN);
	JT_EQ(record.generations.v[0].drain_until, 15000);
	JT_EQ(record.generations.v[1].intent, JACO_INTENT_RUN);
	replica.phase = WORLD_MONITORING;
	record = record_from_replica(&replica, 10000, &arena);
	JT_EQ(record.generations.n, 1);
	JT_EQ(record.previous->generation, 3);
	replica.phase = WORLD_STOPPING;
	replica.old.generation = 0;
	record = record_from_replica(&replica, 10000, &arena);
	JT_EQ(record.generations.n, 1);
	JT_EQ(record.generations.v[0].intent, JACO_INTENT_DRAIN);
	jaco_arena_fini(&arena);
}

JT_CASE(a_replica_without_a_node_is_pending)
{
	struct wire_replica record = {.id = "a-b-0", .deployment = "a", .service = "b"};
	struct world_replica replica;

	JACO_SET(&record, replica, index, 0);
	replica = record_replica(&record, 1);
	JT_EQ(replica.phase, WORLD_PENDING);
	JT_STR(replica.now.host, "");
	JT_FALSE(replica.is_global);
}

JT_CASE(keys_are_paths)
{
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct world_replica replica = sample(WORLD_SETTLED);

	JT_STR(record_replica_key(&replica, &arena), "/replica/shop/web/2");
	replica.is_global = true;
	replica.id = "shop-web-n-1.x";
	JT_STR(record_replica_key(&replica, &arena), "/replica/shop/web/n-1.x");
	jaco_arena_fini(&arena);
}

JT_CASE(a_stateful_service_stops_first_unless_told_otherwise)
{
	struct wire_deployment deployment = {.name = "d", .revision = 4, .previous = 3};
	struct wire_service service = {.name = "s", .spec_hash = "h", .stateful = true};
	struct wire_rollout_policy policy = {.order = JACO_ORDER_START_FIRST, .parallel = 0,
					     .on_failure = JACO_ON_FAILURE_PAUSE};
	struct world_service out = record_service(&deployment, &service);

	JT_TRUE(out.is_stop_first);
	JT_EQ(out.previous_revision, 3);
	service.rollout = &policy;
	out = record_service(&deployment, &service);
	JT_FALSE(out.is_stop_first);
	JT_EQ(out.parallel, 1);
	JT_EQ(out.on_failure, WORLD_PAUSE);
}

JT_MAIN(JT_RUN(a_replica_survives_the_store_in_every_phase),
	JT_RUN(the_record_says_who_runs_and_who_drains),
	JT_RUN(a_replica_without_a_node_is_pending), JT_RUN(keys_are_paths),
	JT_RUN(a_stateful_service_stops_first_unless_told_otherwise))
