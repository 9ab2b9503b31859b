/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plan says after the records it was made from have gone. */
#include "daemons/schedd/commit.h"

#include <string.h>

#include "tests/lib/test.h"

JT_CASE(audit_events_and_rollbacks_outlive_the_records_they_name)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	char deployment[] = "shop", service[] = "web", replica[] = "shop-web-0", host[] = "n1";
	char message[] = "not healthy in time";
	struct plan_op ops[] = {
		{.what = PLAN_AUDIT,
		 .why = "node lost",
		 .audit = {.type = "replica_rescheduled",
			   .deployment = deployment,
			   .service = service,
			   .replica = replica,
			   .host = host}},
		{.what = PLAN_ROLLBACK,
		 .why = "health gate failed",
		 .rollout = {.deployment = deployment, .service = service, .message = message}},
	};
	struct plan plan = {.ops = ops, .n = 2, .arena = &arena};
	struct wire_audit audit;

	commit_keep(&plan, &arena);
	memset(deployment, '?', sizeof(deployment) - 1);
	memset(service, '?', sizeof(service) - 1);
	memset(replica, '?', sizeof(replica) - 1);
	memset(host, '?', sizeof(host) - 1);
	memset(message, '?', sizeof(message) - 1);
	audit = commit_audit(&ops[0], &arena);
	JT_EQ(audit.payload.n, 5);
	JT_STR(audit.payload.v[0].value, "shop");
	JT_STR(audit.payload.v[1].value, "web");
	JT_STR(audit.payload.v[2].value, "shop-web-0");
	JT_STR(audit.payload.v[3].value, "n1");
	JT_STR(ops[1].rollout.deployment, "shop");
	JT_STR(ops[1].rollout.service, "web");
	JT_STR(ops[1].rollout.message, "not healthy in time");
}

JT_MAIN(JT_RUN(audit_events_and_rollbacks_outlive_the_records_they_name))
