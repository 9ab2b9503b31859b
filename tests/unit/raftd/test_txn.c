/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/raftd/kv/txn.h"

#include "daemons/raftd/kv/machine.h"
#include "libjaco/base/limits.h"
#include "tests/lib/test.h"

static struct txn sample(void)
{
	static struct txn_compare compares[2];
	static struct txn_op ops[3];
	struct txn txn = {.has_request = true,
			  .compares = compares,
			  .n_compares = 2,
			  .ops = ops,
			  .n_ops = 3,
			  .audit = KV_TEXT("who did it")};

	memset(txn.request, 0xa5, sizeof(txn.request));
	compares[0] = (struct txn_compare){.key = KV_TEXT("/lock/a"), .revision = 7};
	compares[1] = (struct txn_compare){.kind = TXN_PREFIX_EMPTY, .key = KV_TEXT("/subnet/x/")};
	ops[0] = (struct txn_op){.kind = TXN_DELETE_PREFIX, .key = KV_TEXT("/route/")};
	ops[1] = (struct txn_op){.kind = TXN_DELETE, .key = KV_TEXT("/lock/b")};
	ops[2] = (struct txn_op){
		.kind = TXN_PUT, .key = KV_TEXT("/lock/a"), .value = KV_TEXT("mine")};
	return txn;
}

JT_CASE(what_is_packed_is_unpacked)
{
	jaco_auto(jaco_buf) struct jaco_buf first = JACO_BUF_INIT, second = JACO_BUF_INIT;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct txn txn = sample(), back;

	txn_pack(&txn, &first);
	JT_OK(txn_unpack((struct kv_bytes){first.data, first.n}, &arena, &back, &err), &err);
	JT_EQ(back.n_ops, 3);
	JT_EQ(back.compares[0].revision, 7);
	JT_EQ(back.compares[1].kind, TXN_PREFIX_EMPTY);
	JT_MEM(back.ops[2].value.data, "mine", 4);
	txn_pack(&back, &second);
	JT_EQ(first.n, second.n);
	JT_MEM(first.data, second.data, first.n);
}

JT_CASE(every_truncation_and_extension_is_refused)
{
	jaco_auto(jaco_buf) struct jaco_buf buf = JACO_BUF_INIT;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct txn txn = sample(), back;
	size_t n;

	txn_pack(&txn, &buf);
	n = buf.n;
	for (size_t i = 0; i < n; i++)
		JT_EQ(txn_unpack((struct kv_bytes){buf.data, i}, &arena, &back, &err),
		      -JACO_INTERNAL);
	jaco_buf_add_char(&buf, 'x');
	JT_FAILS_WITH(txn_unpack((struct kv_bytes){buf.data, buf.n}, &arena, &back, &err), INTERNAL,
		      "not a whole transaction", &err);
	buf.data[0] = 9;
	JT_FAILS_WITH(txn_unpack((struct kv_bytes){buf.data, n}, &arena, &back, &err), INTERNAL,
		      "another version", &err);
}

JT_CASE(bad_keys_and_too_many_operations_are_refused_by_name)
{
	struct jaco_err err = JACO_ERR_INIT;
	struct txn_op op = {.kind = TXN_PUT, .key = KV_TEXT("no-slash")};
	struct txn txn = {.ops = &op, .n_ops = 1};

	JT_FAILS_WITH(txn_check(&txn, &err), VALIDATION_FAILED, "no-slash", &err);
	op.key = KV_TEXT("/with space");
	JT_FAILS_WITH(txn_check(&txn, &err), VALIDATION_FAILED, "/with space", &err);
	op.key = KV_TEXT("/");
	JT_FAILS_WITH(txn_check(&txn, &err), VALIDATION_FAILED, "printable", &err);
	op.key = KV_TEXT("/fine//with/empty");
	JT_OK(txn_check(&txn, &err), &err);
	op.value = (struct kv_bytes){.data = "", .n = JACO_VALUE_MAX + 1};
	JT_FAILS_WITH(txn_check(&txn, &err), LIMIT_EXCEEDED, "/fine", &err);
	txn.n_ops = JACO_TXN_OPS_MAX + 1;
	JT_FAILS_WITH(txn_check(&txn, &err), LIMIT_EXCEEDED, "at most", &err);
}

JT_MAIN(JT_RUN(what_is_packed_is_unpacked), JT_RUN(every_truncation_and_extension_is_refused),
	JT_RUN(bad_keys_and_too_many_operations_are_refused_by_name))
