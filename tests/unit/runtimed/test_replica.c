/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/replica.h"

#include "tests/lib/test.h"

JT_CASE(since_moves_only_with_the_state)
{
	struct replica r = {.reason = {.code = ""}};
	struct replica_reason reason = {.code = ""};

	JT_TRUE(replica_enter(&r, JACO_REPLICA_PENDING, &reason, 100));
	JT_EQ(r.since_wall_ms, 100);
	JT_FALSE(replica_enter(&r, JACO_REPLICA_PENDING, &reason, 200));
	replica_reason_set(&reason, "depends_on_unmet", "waits for %s", "db");
	JT_TRUE(replica_enter(&r, JACO_REPLICA_PENDING, &reason, 300));
	JT_EQ(r.since_wall_ms, 100);
	JT_STR(r.reason.message, "waits for db");
	JT_TRUE(replica_enter(&r, JACO_REPLICA_STARTING, &reason, 400));
	JT_EQ(r.since_wall_ms, 400);
}

JT_CASE(the_table_forbids_what_makes_no_sense)
{
	JT_FALSE(replica_may_enter(JACO_REPLICA_PULLING, JACO_REPLICA_PULLING) == false);
	JT_FALSE(replica_may_enter(JACO_REPLICA_DRAINING, JACO_REPLICA_PULLING));
	JT_FALSE(replica_may_enter(JACO_REPLICA_FAILED, JACO_REPLICA_PULLING));
	JT_TRUE(replica_may_enter(JACO_REPLICA_RUNNING, JACO_REPLICA_DEGRADED));
	JT_TRUE(replica_may_enter(JACO_REPLICA_DEGRADED, JACO_REPLICA_RUNNING));
	JT_TRUE(replica_may_enter(JACO_REPLICA_DRAINING, JACO_REPLICA_RUNNING));
}

JT_CASE(every_state_can_be_stopped)
{
	for (int s = 0; s < JACO_REPLICA_END; s++)
		if (s != JACO_REPLICA_UPDATING) /* a deployment's word, never a replica's here */
			JT_TRUE(replica_may_enter(s, JACO_REPLICA_STOPPED));
}

JT_MAIN(JT_RUN(since_moves_only_with_the_state), JT_RUN(the_table_forbids_what_makes_no_sense),
	JT_RUN(every_state_can_be_stopped))
