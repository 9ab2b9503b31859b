/* SPDX-License-Identifier: Apache-2.0
 *
 * What of its own record makes a node a member, what makes it a stranger, and what is neither. */
#include "daemons/raftd/removed.h"

#include <string.h>

#include "daemons/raftd/kv/memspace.h"
#include "daemons/raftd/raftd.h"
#include "tests/lib/test.h"

static struct raftd raftd = {.host = "n1", .store = {.raft_id = 7}};

/* The state has @value under /node/n1 since revision 5; NULL: nothing. */
static int membership(const void *value, size_t n, uint64_t *out_revision, struct jaco_err *err)
{
	jaco_auto(memspace) struct memspace mem;
	jaco_auto(jaco_buf) struct jaco_buf stored = JACO_BUF_INIT;
	int rc;

	memspace_init(&mem);
	jaco_buf_add(&stored, (const char[8]){5}, 8); /* the revision, little-endian (machine.h) */
	jaco_buf_add(&stored, value, n);
	raftd.store.machine = (struct machine){.space = &mem.space};
	if (value)
		JT_EQ(mem.space.ops->put(&mem.space, KV_TABLE_DATA, KV_TEXT("/node/n1"),
					 (struct kv_bytes){stored.data, stored.n}, err), 1);
	rc = removed_membership(&raftd, out_revision, err);
	raftd.store.machine.space = NULL;
	return rc;
}

static int membership_as(uint64_t raft_id, uint64_t *out_revision, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_INIT;
	struct wire_node node = {
		.host = "n1", .raft_id = raft_id, .intent = JACO_NODE_INTENT_ACTIVE};

	JT_OK(jaco_pack(&packed, &wire_node_desc, &node, err), err);
	return membership(packed.data, packed.n, out_revision, err);
}

JT_CASE(a_record_with_its_number_makes_it_a_member_and_none_or_another_does_not)
{
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t revision = 0;

	JT_EQ(membership_as(7, &revision, &err), 1);
	JT_EQ(revision, 5);
	JT_EQ(membership_as(6, &revision, &err), 0);
	JT_EQ(membership(NULL, 0, &revision, &err), 0);
}

JT_CASE(a_record_that_cannot_be_read_is_no_removal)
{
	/* {"intent": "resting"}: a word of a newer version */
	static const char newer[] = "\x81\xa6intent\xa7resting";
	struct jaco_err err = JACO_ERR_INIT;
	uint64_t revision = 0;

	JT_TRUE(membership(newer, sizeof(newer) - 1, &revision, &err) < 0);
}

JT_MAIN(JT_RUN(a_record_with_its_number_makes_it_a_member_and_none_or_another_does_not),
	JT_RUN(a_record_that_cannot_be_read_is_no_removal))
