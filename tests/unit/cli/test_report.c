/* SPDX-License-Identifier: Apache-2.0
 *
 * Deployments as a person is told them: what counts as done, what is in the way, who decided. */
#include "cli/report.h"

#include <stdio.h>

#include "cli/cli.h"
#include "tests/lib/test.h"
#include "tests/unit/cli/world.h"

/* Deployment hello with one service, web, whose spec is "new". */
static struct wire_service put_web(struct world *world, uint32_t replicas, bool scaled)
{
	struct wire_service web = {
		.name = "web", .spec_hash = "new", .placement = JACO_PLACE_SPREAD};
	struct wire_deployment hello = {.name = "hello", .revision = 2, .updated = 1,
					.services = {.v = &web, .n = 1}};

	JACO_SET(&web, service, replicas, replicas);
	JACO_SET(&web, service, scaled, scaled);
	put(world, "/deployment/hello", &wire_deployment_desc, &hello);
	return web;
}

/* hello-web-@index on n1, as n1 sees it. */
static void put_replica(struct world *world, int index, const char *spec,
			enum jaco_replica_state state, bool healthy, const char *code)
{
	char id[32];
	char key[64];
	struct wire_replica_gen gen = {.generation = 1,
				       .host = "n1",
				       .revision = 1,
				       .spec_hash = spec,
				       .image = "registry.example/page:1"};
	struct wire_replica replica = {.id = id, .deployment = "hello", .service = "web",
				       .generations = {.v = &gen, .n = 1}};
	struct wire_obs_gen seen = {
		.generation = 1, .state = state, .healthy = healthy, .code = code};
	struct wire_obs_replica observed = {.id = id,
					    .host = "n1",
					    .deployment = "hello",
					    .service = "web",
					    .generations = {.v = &seen, .n = 1}};

	snprintf(id, sizeof(id), "hello-web-%d", index);
	snprintf(key, sizeof(key), "/replica/hello/web/%s", id);
	put(world, key, &wire_replica_desc, &replica);
	snprintf(key, sizeof(key), "/obs/replica/%s@n1", id);
	put(world, key, &wire_obs_replica_desc, &observed);
}

JT_CASE(a_surplus_replica_that_starts_has_yet_to_go)
{
	struct report_progress progress;
	struct wire_service web;
	struct world world;

	begin(&world);
	web = put_web(&world, 0, true);
	put_replica(&world, 0, "new", JACO_REPLICA_STARTING, false, NULL);
	put_replica(&world, 1, "new", JACO_REPLICA_DRAINING, false, NULL);
	progress = report_service(&world.view, "hello", &web, &world.arena);
	JT_EQ(progress.wanted, 0);
	JT_EQ(progress.ready, 0);
	JT_EQ(progress.old, 2);
	end(&world);
}

JT_CASE(one_that_gave_up_or_is_out_of_reach_is_not_waited_for)
{
	struct report_progress progress;
	struct wire_service web;
	struct world world;

	begin(&world);
	web = put_web(&world, 1, false);
	put_replica(&world, 0, "new", JACO_REPLICA_RUNNING, true, NULL);
	put_replica(&world, 1, "new", JACO_REPLICA_FAILED, false, "restart_exhausted");
	put_replica(&world, 2, "new", JACO_REPLICA_DEGRADED, false, "node_unreachable");
	progress = report_service(&world.view, "hello", &web, &world.arena);
	JT_EQ(progress.ready, 1);
	JT_EQ(progress.old, 0);
	end(&world);
}

JT_CASE(a_number_set_by_hand_is_told)
{
	struct wire_deployment_row *rows;
	struct wire_service web;
	struct world world;
	size_t n;

	begin(&world);
	web = put_web(&world, 0, true);
	rows = report_deployments(&world.view, NULL, &world.arena, &n);
	JT_EQ(n, 1);
	JT_EQ(rows[0].status, JACO_DEPLOYMENT_ACTIVE);
	JT_STR(rows[0].reason, "web: scaled to 0 by hand; jaco scale hello/web --reset undoes it");
	JT_STR(report_override("hello", &web, 3, &world.arena),
	       "web: scaled to 0 by hand, the manifest says 3; jaco scale hello/web --reset undoes "
	       "it");
	put_web(&world, 0, false);
	rows = report_deployments(&world.view, NULL, &world.arena, &n);
	JT_EQ(rows[0].reason, NULL);
	end(&world);
}

JT_CASE(a_rollout_counts_the_old_ones_that_serve)
{
	struct wire_status_report report;
	struct world world;

	begin(&world);
	put_web(&world, 2, false);
	put_replica(&world, 0, "old", JACO_REPLICA_RUNNING, true, NULL);
	put_replica(&world, 1, "old", JACO_REPLICA_RUNNING, true, NULL);
	report = report_status(&world.view, NULL, NULL, (struct wire_strs){0}, &world.arena);
	JT_STR(report.summary, "0 of 1 deployment active, 0 of 2 updated, 2 old ones serve");
	JT_EQ(report.deployments.v[0].status, JACO_DEPLOYMENT_UPDATING);
	put_replica(&world, 0, "new", JACO_REPLICA_RUNNING, true, NULL);
	put_replica(&world, 1, "new", JACO_REPLICA_RUNNING, true, NULL);
	report = report_status(&world.view, NULL, NULL, (struct wire_strs){0}, &world.arena);
	JT_STR(report.summary, "all is well: 1 deployment, 2 replicas");
	end(&world);
}

JT_CASE(one_that_is_not_ready_says_what_it_waits_for)
{
	struct wire_replica_row *rows;
	struct world world;
	size_t n;

	begin(&world);
	put_web(&world, 1, false);
	put_replica(&world, 0, "new", JACO_REPLICA_PULLING, false, NULL);
	rows = report_replicas(&world.view, "hello", NULL, &world.arena, &n);
	JT_EQ(n, 1);
	JT_STR(report_state(&rows[0], &world.arena), "pulling: registry.example/page:1");
	put_replica(&world, 0, "new", JACO_REPLICA_RUNNING, false, NULL);
	rows = report_replicas(&world.view, "hello", NULL, &world.arena, &n);
	JT_STR(report_state(&rows[0], &world.arena), "running, not healthy yet");
	end(&world);
}

JT_MAIN(JT_RUN(a_surplus_replica_that_starts_has_yet_to_go),
	JT_RUN(one_that_gave_up_or_is_out_of_reach_is_not_waited_for),
	JT_RUN(a_number_set_by_hand_is_told), JT_RUN(a_rollout_counts_the_old_ones_that_serve),
	JT_RUN(one_that_is_not_ready_says_what_it_waits_for))
