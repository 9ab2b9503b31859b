/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/disk/state.h"

#include "daemons/raftd/kv/machine.h"
#include "libjaco/base/fault.h"
#include "tests/unit/raftd/tmpdir.h"

static void put(struct machine *machine, const char *key, const char *value)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct txn_op op = {.kind = TXN_PUT, .key = KV_TEXT(key), .value = KV_TEXT(value)};
	struct txn txn = {.ops = &op, .n_ops = 1};
	struct machine_result result;
	struct jaco_err err = JACO_ERR_INIT;

	txn_pack(&txn, &buf);
	JT_OK(machine_apply(machine, machine->applied + 1, (struct kv_bytes){buf.data, buf.n}, &arena,
			    &result, &err),
	      &err);
}

static bool has(struct machine *machine, const char *key)
{
	struct jaco_err err = JACO_ERR_INIT;

	return machine_get(machine, KV_TEXT(key), NULL, NULL, &err) == 1;
}

JT_CASE(only_what_was_committed_survives_and_the_applied_index_with_it)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct jaco_err err = JACO_ERR_INIT;
	struct state state;
	struct machine machine = {.applied = 0};

	tmpdir_init(&dir);
	JT_OK(state_open(&state, dir.path, &err), &err);
	JT_OK(machine_open(&machine, &state.space, &err), &err);
	put(&machine, "/lock/a", "1");
	put(&machine, "/lock/b", "2");
	JT_OK(machine_save(&machine, &err), &err);
	JT_OK(state_commit(&state, &err), &err);
	put(&machine, "/lock/c", "3");
	JT_TRUE(has(&machine, "/lock/c"));
	state_close(&state);
	machine_fini(&machine);

	JT_OK(state_open(&state, dir.path, &err), &err);
	JT_OK(machine_open(&machine, &state.space, &err), &err);
	JT_EQ(machine.applied, 2);
	JT_TRUE(has(&machine, "/lock/b"));
	JT_FALSE(has(&machine, "/lock/c"));
	JT_OK(machine_verify(&machine, &err), &err);
	machine_fini(&machine);
	state_close(&state);
}

JT_CASE(a_snapshot_stays_at_its_revision_while_writes_go_on)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct jaco_err err = JACO_ERR_INIT;
	struct state state;
	struct state_snapshot snapshot;
	struct machine machine = {.applied = 0};
	enum kv_table table;
	struct kv_bytes key, stored;
	char seen[64] = "";

	tmpdir_init(&dir);
	JT_OK(state_open(&state, dir.path, &err), &err);
	JT_OK(machine_open(&machine, &state.space, &err), &err);
	put(&machine, "/lock/a", "1");
	put(&machine, "/lock/b", "1");
	JT_OK(machine_save(&machine, &err), &err);
	JT_OK(state_commit(&state, &err), &err);
	JT_OK(state_snapshot_open(&state, &snapshot, &err), &err);
	put(&machine, "/lock/c", "1");
	JT_OK(state_commit(&state, &err), &err);
	while (state_snapshot_next(&snapshot, &table, &key, &stored, &err) > 0)
		if (table == KV_TABLE_DATA)
			strncat(seen, key.data, key.n);
	JT_STR(seen, "/lock/a/lock/b");
	state_snapshot_close(&snapshot);
	machine_fini(&machine);
	state_close(&state);
}

/* A full disk at commit: the space falls back to the last durable state and goes on. */
JT_CASE(a_failed_commit_falls_back_to_what_was_durable)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct jaco_err err = JACO_ERR_INIT;
	struct state state;
	struct machine machine = {.applied = 0};

	tmpdir_init(&dir);
	JT_OK(state_open(&state, dir.path, &err), &err);
	JT_OK(machine_open(&machine, &state.space, &err), &err);
	put(&machine, "/lock/a", "1");
	JT_OK(machine_save(&machine, &err), &err);
	JT_OK(state_abort(&state, &err), &err);
	JT_OK(machine_open(&machine, &state.space, &err), &err);
	JT_EQ(machine.applied, 0);
	JT_FALSE(has(&machine, "/lock/a"));
	put(&machine, "/lock/b", "1");
	JT_OK(machine_save(&machine, &err), &err);
	JT_OK(state_commit(&state, &err), &err);
	JT_TRUE(has(&machine, "/lock/b"));
	machine_fini(&machine);
	state_close(&state);
}

JT_MAIN(JT_RUN(only_what_was_committed_survives_and_the_applied_index_with_it),
	JT_RUN(a_snapshot_stays_at_its_revision_while_writes_go_on),
	JT_RUN(a_failed_commit_falls_back_to_what_was_durable))
