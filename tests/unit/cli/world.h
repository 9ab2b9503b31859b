/* SPDX-License-Identifier: Apache-2.0
 *
 * world.h - a view filled by hand, for the tests of what the reports make of one.  No socket: its
 * client is never connected. */
#pragma once

#include "cli/cli.h"
#include "cli/report.h"
#include "tests/lib/test.h"

const struct cli_command cli_commands[] = {{.words = NULL}};
const struct cli_option cli_global_options[] = {{.name = NULL}};

struct world {
	struct jaco_loop loop;
	struct jaco_client client;
	struct jaco_view view;
	struct jaco_arena arena;
};

static inline void begin(struct world *world)
{
	struct jaco_err err = JACO_ERR_INIT;

	*world = (struct world){.arena = JACO_ARENA_INIT};
	JT_OK(jaco_loop_open(&world->loop, NULL, &err), &err);
	jaco_view_open(&world->view, &world->loop, &world->client, report_prefixes, 20, "", NULL,
		       NULL);
}

static inline void end(struct world *world)
{
	jaco_view_close(&world->view);
	jaco_loop_close(&world->loop);
	jaco_arena_fini(&world->arena);
}

static inline void put(struct world *world, const char *key, const struct jaco_desc *desc,
		       const void *msg)
{
	jaco_auto(jaco_buf) struct jaco_buf raw = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_pack(&raw, desc, msg, &err), &err);
	JT_OK(jaco_view_put(&world->view, key, 1, raw.data, raw.n, &err), &err);
}
