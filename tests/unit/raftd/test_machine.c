/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/kv/machine.h"

#include <stdio.h>

#include "daemons/raftd/kv/memspace.h"
#include "libjaco/base/random.h"
#include "tests/lib/test.h"

struct world {
	struct memspace mem;
	struct machine machine;
	struct jaco_arena arena;
	unsigned n_changes;
	char last_key[128];
	bool last_deleted;
};

static void on_change(void *ctx, const struct machine_change *change)
{
	struct world *world = ctx;

	world->n_changes++;
	snprintf(world->last_key, sizeof(world->last_key), "%.*s", (int)change->key.n,
		 (const char *)change->key.data);
	world->last_deleted = !change->value.data;
}

static void world_cleanup(struct world *world)
{
	machine_fini(&world->machine);
	memspace_fini(&world->mem);
	jaco_arena_fini(&world->arena);
}

static void world_init(struct world *world)
{
	struct jaco_err err = JACO_ERR_INIT;

	memset(world, 0, sizeof(*world));
	memspace_init(&world->mem);
	JT_OK(machine_open(&world->machine, &world->mem.space, &err), &err);
	world->machine.on_change = on_change;
	world->machine.on_change_ctx = world;
}

static struct machine_result apply(struct world *world, const struct txn *txn)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct machine_result result = {.revision = 0};

	txn_pack(txn, &buf);
	JT_OK(machine_apply(&world->machine, world->machine.applied + 1,
			    (struct kv_bytes){buf.data, buf.n}, &world->arena, &result, &err),
	      &err);
	jaco_arena_reset(&world->arena);
	return result;
}

static struct machine_result put(struct world *world, const char *key, const char *value)
{
	struct txn_op op = {.kind = TXN_PUT, .key = KV_TEXT(key), .value = KV_TEXT(value)};
	struct txn txn = {.ops = &op, .n_ops = 1};

	return apply(world, &txn);
}

JT_CASE(a_key_carries_the_revision_of_its_last_change)
{
	jaco_auto(world) struct world world;
	struct jaco_err err = JACO_ERR_INIT;
	struct kv_bytes value;
	uint64_t revision;

	world_init(&world);
	put(&world, "/lock/a", "1");
	put(&world, "/lock/b", "2");
	put(&world, "/lock/a", "3");
	JT_EQ(machine_get(&world.machine, KV_TEXT("/lock/a"), &value, &revision, &err), 1);
	JT_EQ(revision, 3);
	JT_EQ(value.n, 1);
	JT_MEM(value.data, "3", 1);
	JT_EQ(machine_get(&world.machine, KV_TEXT("/lock/none"), &value, &revision, &err), 0);
	JT_EQ(world.machine.n_keys, 2);
}

JT_CASE(a_failed_compare_changes_nothing_and_says_which)
{
	jaco_auto(world) struct world world;
	struct txn_compare compares[2] = {{.key = KV_TEXT("/lock/a"), .revision = 1},
					  {.key = KV_TEXT("/lock/b"), .revision = 0}};
	struct txn_op op = {.kind = TXN_DELETE_PREFIX, .key = KV_TEXT("/lock/")};
	struct txn txn = {.compares = compares, .n_compares = 2, .ops = &op, .n_ops = 1};
	struct machine_result result;
	struct digest before;

	world_init(&world);
	put(&world, "/lock/a", "1");
	put(&world, "/lock/b", "2");
	before = world.machine.digest;
	world.n_changes = 0;
	result = apply(&world, &txn);
	JT_FALSE(result.is_committed);
	JT_EQ(result.failed_compare, 1);
	JT_EQ(result.actual, 2);
	JT_EQ(world.n_changes, 0);
	JT_MEM(&before, &world.machine.digest, sizeof(before));
	compares[1].revision = 2;
	result = apply(&world, &txn);
	JT_TRUE(result.is_committed);
	JT_EQ(world.n_changes, 2);
	JT_TRUE(world.last_deleted);
	JT_STR(world.last_key, "/lock/b");
	JT_EQ(world.machine.n_keys, 0);
}

JT_CASE(an_empty_prefix_is_a_condition)
{
	jaco_auto(world) struct world world;
	struct txn_compare compare = {.kind = TXN_PREFIX_EMPTY, .key = KV_TEXT("/subnet/d/")};
	struct txn_op op = {
		.kind = TXN_PUT, .key = KV_TEXT("/subnet/d/net/h"), .value = KV_TEXT("x")};
	struct txn txn = {.compares = &compare, .n_compares = 1, .ops = &op, .n_ops = 1};

	world_init(&world);
	put(&world, "/subnet/d2/net/h", "y");
	JT_TRUE(apply(&world, &txn).is_committed);
	JT_FALSE(apply(&world, &txn).is_committed);
}

JT_CASE(the_audit_record_stands_at_the_revision_of_its_change)
{
	jaco_auto(world) struct world world;
	struct txn_op op = {.kind = TXN_PUT, .key = KV_TEXT("/lock/a"), .value = KV_TEXT("1")};
	struct txn txn = {.ops = &op, .n_ops = 1, .audit = KV_TEXT("rec")};
	struct jaco_err err = JACO_ERR_INIT;
	struct kv_bytes value;

	world_init(&world);
	put(&world, "/lock/z", "1");
	apply(&world, &txn);
	JT_EQ(machine_get(&world.machine, KV_TEXT("/audit/00000000000000000002"), &value, NULL,
			  &err),
	      1);
	JT_MEM(value.data, "rec", 3);
}

JT_CASE(a_repeated_request_is_answered_but_not_applied_again)
{
	jaco_auto(world) struct world world;
	struct txn_compare compare = {.key = KV_TEXT("/lock/a"), .revision = 0};
	struct txn_op op = {.kind = TXN_PUT, .key = KV_TEXT("/lock/a"), .value = KV_TEXT("1")};
	struct txn txn = {.has_request = true,
			  .compares = &compare,
			  .n_compares = 1,
			  .ops = &op,
			  .n_ops = 1};
	struct machine_result first, again;

	world_init(&world);
	memset(txn.request, 7, sizeof(txn.request));
	first = apply(&world, &txn);
	JT_TRUE(first.is_committed);
	again = apply(&world, &txn);
	JT_TRUE(again.is_committed);
	JT_TRUE(again.is_repeat);
	JT_EQ(again.revision, first.revision);
	JT_EQ(world.n_changes, 1);
	txn.request[0] = 8;
	again = apply(&world, &txn);
	JT_FALSE(again.is_committed);
	JT_EQ(again.actual, 1);
	JT_FALSE(again.is_repeat);
	again = apply(&world, &txn);
	JT_FALSE(again.is_committed);
	JT_TRUE(again.is_repeat);
	JT_EQ(again.actual, 1);
}

JT_CASE(old_requests_are_forgotten)
{
	jaco_auto(world) struct world world;
	struct txn txn = {.has_request = true};
	size_t n;

	world_init(&world);
	for (unsigned i = 1; i <= 10; i++) {
		txn.request[0] = (uint8_t)i;
		apply(&world, &txn);
	}
	JT_EQ(world.mem.tables[KV_TABLE_REQUEST].n, 20);
	while (world.machine.applied < MACHINE_REQUEST_MEMORY + 20)
		machine_skip(&world.machine, world.machine.applied + 1);
	n = world.mem.tables[KV_TABLE_REQUEST].n;
	for (unsigned i = 1; i <= 10; i++) {
		txn.request[0] = (uint8_t)(100 + i);
		apply(&world, &txn);
	}
	JT_EQ(n, 20);
	JT_EQ(world.mem.tables[KV_TABLE_REQUEST].n, 20);
}

JT_CASE(a_retry_is_taken_only_as_long_as_its_first_attempt_is_remembered)
{
	jaco_auto(world) struct world world;
	struct txn txn = {.has_request = true, .request = {7}}, other = {.has_request = true};
	uint64_t since;

	world_init(&world);
	since = world.machine.applied;
	apply(&world, &txn);
	while (world.machine.applied + 1 < since + MACHINE_REQUEST_MEMORY)
		machine_skip(&world.machine, world.machine.applied + 1);
	apply(&world, &other); /* what is old goes with the next one */
	JT_TRUE(machine_remembers(since, since + MACHINE_REQUEST_MEMORY));
	JT_EQ(world.machine.applied, since + MACHINE_REQUEST_MEMORY);
	JT_TRUE(apply(&world, &txn).is_repeat);
	JT_FALSE(machine_remembers(since, world.machine.applied + 1));
}

/* The digest is of the content, whatever way led there. */
JT_CASE(equal_content_has_an_equal_digest_and_verifies)
{
	jaco_auto(world) struct world one, two;
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t seed = 42;

	world_init(&one);
	world_init(&two);
	for (int i = 0; i < 2000; i++) {
		uint64_t r = jaco_prng_next(&seed);
		char key[40];
		struct txn_op op = {.kind = r % 5 == 0 ? TXN_DELETE : TXN_PUT};
		struct txn txn = {.ops = &op, .n_ops = 1};

		snprintf(key, sizeof(key), r % 37 == 0 ? "/lock/k%u/" : "/lock/k%u/%u",
			 (unsigned)(r >> 8) % 9, (unsigned)(r >> 20) % 50);
		if (r % 37 == 0)
			op.kind = TXN_DELETE_PREFIX;
		op.key = KV_TEXT(key);
		op.value = KV_TEXT(key + (r >> 40) % 6);
		apply(&one, &txn);
		apply(&two, &txn);
		if (i % 100 == 99) { /* a restart of the second one */
			JT_OK(machine_save(&two.machine, &err), &err);
			machine_fini(&two.machine);
			JT_OK(machine_open(&two.machine, &two.mem.space, &err), &err);
		}
	}
	JT_MEM(&one.machine.digest, &two.machine.digest, sizeof(struct digest));
	JT_OK(machine_verify(&two.machine, &err), &err);
	one.mem.tables[KV_TABLE_DATA].n--;
	JT_FAILS_WITH(machine_verify(&one.machine, &err), INTERNAL, "not what its hash says", &err);
	one.mem.tables[KV_TABLE_DATA].n++;
}

JT_CASE(keys_are_listed_in_order_within_a_prefix)
{
	jaco_auto(world) struct world world;
	struct jaco_err err = JACO_ERR_INIT;
	struct machine_change pair = {.revision = 0};
	char seen[64] = "";

	world_init(&world);
	put(&world, "/node/b", "");
	put(&world, "/node/a", "");
	put(&world, "/nodes", "");
	put(&world, "/node/a/x", "");
	while (machine_next(&world.machine, KV_TEXT("/node/"), pair.key, &pair, &err) > 0) {
		strncat(seen, pair.key.data, pair.key.n);
		strcat(seen, " ");
	}
	JT_STR(seen, "/node/a /node/a/x /node/b ");
}

JT_MAIN(JT_RUN(a_key_carries_the_revision_of_its_last_change),
	JT_RUN(a_failed_compare_changes_nothing_and_says_which),
	JT_RUN(an_empty_prefix_is_a_condition),
	JT_RUN(the_audit_record_stands_at_the_revision_of_its_change),
	JT_RUN(a_repeated_request_is_answered_but_not_applied_again),
	JT_RUN(old_requests_are_forgotten),
	JT_RUN(a_retry_is_taken_only_as_long_as_its_first_attempt_is_remembered),
	JT_RUN(equal_content_has_an_equal_digest_and_verifies),
	JT_RUN(keys_are_listed_in_order_within_a_prefix))
