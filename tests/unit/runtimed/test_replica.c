/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/replica.h"

#include "tests/lib/test.h"

JT_CASE(since_moves_only_with_the_state)
{
	struct replica r = {.reason = {.code = ""}};
	struct replica_reason reason = {.code = ""};

	JT_TRUE(replica_enter(&r, REPLICA_PENDING, &reason, 100));
	JT_EQ(r.since_wall_ms, 100);
	JT_FALSE(replica_enter(&r, REPLICA_PENDING, &reason, 200));
	replica_reason_set(&reason, "depends_on_unmet", "waits for %s", "db");
	JT_TRUE(replica_enter(&r, REPLICA_PENDING, &reason, 300));
	JT_EQ(r.since_wall_ms, 100);
	JT_STR(r.reason.message, "waits for db");
	JT_TRUE(replica_enter(&r, REPLICA_STARTING, &reason, 400));
	JT_EQ(r.since_wall_ms, 400);
}

JT_CASE(the_table_forbids_what_makes_no_sense)
{
	JT_FALSE(replica_may_enter(REPLICA_PULLING, REPLICA_PULLING) == false);
	JT_FALSE(replica_may_enter(REPLICA_DRAINING, REPLICA_PULLING));
	JT_FALSE(replica_may_enter(REPLICA_FAILED, REPLICA_PULLING));
	JT_TRUE(replica_may_enter(REPLICA_RUNNING, REPLICA_DEGRADED));
	JT_TRUE(replica_may_enter(REPLICA_DEGRADED, REPLICA_RUNNING));
	JT_TRUE(replica_may_enter(REPLICA_DRAINING, REPLICA_RUNNING));
}

JT_CASE(every_state_can_be_stopped_and_has_a_name)
{
	for (int s = 0; s < REPLICA_STATE_END; s++) {
		JT_TRUE(replica_may_enter(s, REPLICA_STOPPED));
		JT_TRUE(strlen(replica_state_name(s)) > 5);
	}
	JT_STR(replica_state_name(REPLICA_DEGRADED), "degraded");
}

JT_MAIN(JT_RUN(since_moves_only_with_the_state), JT_RUN(the_table_forbids_what_makes_no_sense),
	JT_RUN(every_state_can_be_stopped_and_has_a_name))
