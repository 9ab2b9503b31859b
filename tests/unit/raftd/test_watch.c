/* SPDX-License-Identifier: Apache-2.0
 *
 * A watcher over a socket, and a state that is whole or is not. */
#include "daemons/raftd/watch.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemons/raftd/kv/memspace.h"
#include "libjaco/base/le.h"
#include "libjaco/base/str.h"
#include "tests/lib/test.h"

#define TURNS 1000 /* of the loop, 10 ms at most each */

struct fixture {
	struct jaco_loop loop;
	struct jaco_server server;
	struct jaco_client client;
	struct memspace mem;
	struct machine machine;
	struct records records;
	struct watch_hub hub;
	char path[108];
	size_t n_entries;
	bool is_synced, is_over;
	struct jaco_err why;
};

static int on_watch(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	struct fixture *fx = self;

	(void)err;
	watch_serve(&fx->hub, call, req);
	return 0;
}

static const struct jaco_service_row rows[] = {{&wire_raftd_kv_watch, on_watch}, {NULL, NULL}};

/* As machine.c stores it: the revision, then the value; @n bytes of both. */
static void put(struct fixture *fx, const char *key, size_t n)
{
	struct kv_space *space = &fx->mem.space;
	uint8_t stored[16] = {0};
	struct jaco_err err = JACO_ERR_INIT;

	jaco_le_put(stored, 1, 8);
	JT_EQ(space->ops->put(space, KV_TABLE_DATA, KV_TEXT(key),
			      (struct kv_bytes){.data = stored, .n = n}, &err),
	      1);
}

static void set_up(struct fixture *fx)
{
	struct jaco_err err = JACO_ERR_INIT;

	memset(fx, 0, sizeof(*fx));
	(void)jaco_str_format(fx->path, sizeof(fx->path), "/tmp/jaco-test-watch-%d.sock",
			      (int)getpid());
	JT_OK(jaco_loop_open(&fx->loop, NULL, &err), &err);
	memspace_init(&fx->mem);
	JT_OK(machine_open(&fx->machine, &fx->mem.space, &err), &err);
	records_init(&fx->records, "n1", 1);
	watch_init(&fx->hub, &fx->loop, &fx->machine, &fx->records);
	jaco_server_init(&fx->server, &fx->loop);
	jaco_server_add(&fx->server, rows, fx);
	JT_OK(jaco_server_listen(&fx->server, fx->path, 0600, NULL, ROLE_RUNTIMED, &err), &err);
	jaco_client_open(&fx->client, &fx->loop, fx->path, NULL, NULL);
}

static void tear_down(struct fixture *fx)
{
	jaco_client_close(&fx->client);
	jaco_server_close(&fx->server);
	watch_fini(&fx->hub);
	records_fini(&fx->records);
	machine_fini(&fx->machine);
	memspace_fini(&fx->mem);
	jaco_loop_close(&fx->loop);
}

static void on_event(void *ctx, const void *msg)
{
	struct fixture *fx = ctx;
	const struct wire_watch_event *event = msg;

	fx->n_entries += event->entries.n;
	fx->is_synced |= event->kind == JACO_WATCH_SYNCED;
}

static void on_reply(void *ctx, const void *msg, const struct jaco_err *err)
{
	struct fixture *fx = ctx;

	(void)msg;
	fx->is_over = true;
	if (err)
		fx->why = *err;
}

static void watch_nodes(struct fixture *fx)
{
	const char *prefixes[] = {"/node/", "/replica/"};
	struct wire_watch req = {.prefixes = {prefixes, 2}};

	(void)jaco_client_stream(&fx->client, &wire_raftd_kv_watch, &req, on_event, on_reply, fx);
	for (int i = 0; i < TURNS && !fx->is_synced && !fx->is_over; i++)
		jaco_loop_once(&fx->loop, 10);
}

JT_CASE(a_whole_state_is_sent_whole)
{
	struct fixture fx;

	set_up(&fx);
	put(&fx, "/node/n1", 12);
	put(&fx, "/node/n2", 12);
	put(&fx, "/replica/shop/web/0", 12);
	watch_nodes(&fx);
	JT_TRUE(fx.is_synced);
	JT_EQ(fx.n_entries, 3);
	JT_EQ(fx.hub.n_readers, 1);
	tear_down(&fx);
}

JT_CASE(a_state_that_cannot_be_read_is_no_smaller_one)
{
	struct fixture fx;

	set_up(&fx);
	put(&fx, "/node/n1", 12);
	put(&fx, "/node/n2", 3); /* a disk has cut it */
	put(&fx, "/replica/shop/web/0", 12);
	watch_nodes(&fx);
	JT_FALSE(fx.is_synced);
	JT_TRUE(fx.is_over);
	JT_EQ(fx.why.code, JACO_INTERNAL);
	JT_STR(fx.why.text, "the stored value of /node/n2 is cut short");
	JT_EQ(fx.hub.n_readers, 0);
	tear_down(&fx);
}

JT_CASE(who_watched_before_the_damage_is_ended_when_it_must_start_over)
{
	struct fixture fx;

	set_up(&fx);
	put(&fx, "/node/n1", 12);
	watch_nodes(&fx);
	JT_TRUE(fx.is_synced);
	put(&fx, "/node/n2", 3);
	watch_reset(&fx.hub);
	for (int i = 0; i < TURNS && !fx.is_over; i++)
		jaco_loop_once(&fx.loop, 10);
	JT_TRUE(fx.is_over);
	JT_EQ(fx.hub.n_readers, 0);
	tear_down(&fx);
}

JT_MAIN(JT_RUN(a_whole_state_is_sent_whole), JT_RUN(a_state_that_cannot_be_read_is_no_smaller_one),
	JT_RUN(who_watched_before_the_damage_is_ended_when_it_must_start_over))
