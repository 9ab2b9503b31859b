/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/disk/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemons/raftd/kv/machine.h"
#include "daemons/raftd/kv/memspace.h"
#include "libjaco/base/random.h"
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
	JT_OK(machine_apply(machine, machine->applied + 1, (struct kv_bytes){buf.data, buf.n},
			    &arena, &result, &err),
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

JT_CASE(what_was_not_committed_can_be_thrown_away)
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

/* --- layers over the file, held against plain memory --- */

struct pair_of_spaces {
	struct kv_space *space, *memory;
	uint64_t dice;
};

static unsigned throw(struct pair_of_spaces *spaces, unsigned n)
{
	return (unsigned)(jaco_prng_next(&spaces->dice) % n);
}

static void change_one(struct pair_of_spaces *spaces)
{
	char key[16], value[64];
	enum kv_table table = (enum kv_table)throw(spaces, 2);
	struct kv_bytes k, v;
	struct jaco_err err = JACO_ERR_INIT;

	snprintf(key, sizeof(key), "k%u", throw(spaces, 300));
	memset(value, 'a' + (int)throw(spaces, 26), sizeof(value));
	k = KV_TEXT(key);
	v = (struct kv_bytes){value, throw(spaces, sizeof(value))};
	if (throw(spaces, 3) > 0) {
		JT_OK(spaces->space->ops->put(spaces->space, table, k, v, &err), &err);
		JT_OK(spaces->memory->ops->put(spaces->memory, table, k, v, &err), &err);
	} else {
		JT_EQ(spaces->space->ops->del(spaces->space, table, k, &err),
		      spaces->memory->ops->del(spaces->memory, table, k, &err));
	}
}

static void same_everywhere(struct pair_of_spaces *spaces)
{
	struct jaco_err err = JACO_ERR_INIT;

	for (enum kv_table table = 0; table < KV_TABLE_META; table++) {
		struct kv_bytes at = {.n = 0}, keys[2], values[2], value;
		int is_after = 0;

		for (;;) {
			int rc = spaces->space->ops->seek(spaces->space, table, at, is_after,
							  &keys[0], &values[0], &err);

			JT_EQ(rc, spaces->memory->ops->seek(spaces->memory, table, at, is_after,
							    &keys[1], &values[1], &err));
			if (rc == 0)
				break;
			JT_EQ(kv_bytes_compare(keys[0], keys[1]), 0);
			JT_EQ(kv_bytes_compare(values[0], values[1]), 0);
			JT_EQ(spaces->space->ops->get(spaces->space, table, keys[1], &value, &err),
			      1);
			JT_EQ(kv_bytes_compare(value, values[1]), 0);
			at = keys[1];
			is_after = 1;
		}
	}
}

JT_CASE(reads_are_right_before_during_and_after_commits)
{
	jaco_auto(tmpdir) struct tmpdir dir;
	struct jaco_err err = JACO_ERR_INIT;
	struct state state;
	struct memspace memory;
	struct pair_of_spaces spaces = {.dice = 7};

	tmpdir_init(&dir);
	memspace_init(&memory);
	JT_OK(state_open(&state, dir.path, &err), &err);
	spaces.space = &state.space;
	spaces.memory = &memory.space;
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 40; i++)
			change_one(&spaces);
		same_everywhere(&spaces);
		if (!state_is_committing(&state))
			JT_OK(state_commit_start(&state, &err), &err);
		for (int i = 0; i < 20; i++)
			change_one(&spaces);
		same_everywhere(&spaces);
		JT_OK(state_commit_end(&state, round % 3 == 0, &err), &err);
		same_everywhere(&spaces);
		if (round % 20 == 19) {
			JT_OK(state_commit(&state, &err), &err);
			state_close(&state);
			JT_OK(state_open(&state, dir.path, &err), &err);
			same_everywhere(&spaces);
		}
	}
	state_close(&state);
	memspace_fini(&memory);
}

#ifdef JACO_FAULTS
/* In a process of its own: faults are read from the environment once. */
static int fail_a_commit(const char *path)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct machine machine = {.applied = 0};
	struct state state;

	JT_OK(state_open(&state, path, &err), &err);
	JT_OK(machine_open(&machine, &state.space, &err), &err);
	put(&machine, "/lock/a", "1");
	JT_OK(machine_save(&machine, &err), &err);
	JT_OK(state_commit_start(&state, &err), &err);
	put(&machine, "/lock/a", "2");
	put(&machine, "/lock/b", "1");
	JT_FAILS_WITH(state_commit_end(&state, true, &err), UNAVAILABLE, "committing", &err);
	JT_FALSE(state_is_committing(&state));
	JT_TRUE(has(&machine, "/lock/a"));
	JT_OK(machine_verify(&machine, &err), &err);
	JT_OK(machine_save(&machine, &err), &err);
	/* the same for one that is waited for */
	JT_FAILS_WITH(state_commit(&state, &err), UNAVAILABLE, "committing", &err);
	JT_FALSE(state_is_committing(&state));
	JT_TRUE(has(&machine, "/lock/b"));
	JT_OK(machine_verify(&machine, &err), &err);
	JT_OK(state_commit(&state, &err), &err);
	state_close(&state);
	machine_fini(&machine);
	JT_OK(state_open(&state, path, &err), &err);
	JT_OK(machine_open(&machine, &state.space, &err), &err);
	JT_EQ(machine.applied, 3);
	JT_OK(machine_verify(&machine, &err), &err);
	state_close(&state);
	machine_fini(&machine);
	return 0;
}
#endif

JT_CASE(a_commit_that_failed_has_lost_nothing_and_is_tried_again)
{
#ifdef JACO_FAULTS
	jaco_auto(tmpdir) struct tmpdir dir;
	int status;
	pid_t pid;

	tmpdir_init(&dir);
	pid = fork();
	if (pid == 0) {
		setenv("JACO_FAULT", "fail:state_full*2", 1);
		_exit(fail_a_commit(dir.path));
	}
	JT_EQ(waitpid(pid, &status, 0), pid);
	JT_EQ(status, 0);
#else
	skip();
#endif
}

JT_MAIN(JT_RUN(a_commit_that_failed_has_lost_nothing_and_is_tried_again),
	JT_RUN(only_what_was_committed_survives_and_the_applied_index_with_it),
	JT_RUN(a_snapshot_stays_at_its_revision_while_writes_go_on),
	JT_RUN(what_was_not_committed_can_be_thrown_away),
	JT_RUN(reads_are_right_before_during_and_after_commits))
