/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/daemon/view.h"

#include <unistd.h>

#include "libjaco/base/str.h"

#include "tests/lib/test.h"

struct fixture {
	struct jaco_loop loop;
	struct jaco_server server;
	struct jaco_client client;
	struct jaco_view view;
	struct jaco_call *watch;
	char sock[108];
	char cache[108];
	int passes;
};

static const char *const prefixes[] = {"/counter/", NULL};

static void send_event(struct fixture *fx, enum jaco_watch_kind kind, uint64_t revision,
		       const char *key, uint64_t value)
{
	jaco_auto(jaco_buf) struct jaco_buf raw = JACO_BUF_INIT;
	struct wire_counter counter = {.next = value};
	struct wire_entry entry = {.key = key, .revision = revision};
	struct wire_watch_event event = {.kind = kind, .revision = revision};
	struct jaco_err err = JACO_ERR_INIT;

	if (key) {
		if (value) {
			JT_OK(jaco_pack(&raw, &wire_counter_desc, &counter, &err), &err);
			entry.value = (struct wire_bin){raw.data, raw.n};
		}
		event.entries.v = &entry;
		event.entries.n = 1;
	}
	JT_OK(jaco_call_event(fx->watch, &event, &err), &err);
}

/* The observed plane; @key NULL: nothing of it. */
static void send_observed(struct fixture *fx, enum jaco_watch_kind kind, const char *key,
			  uint64_t young_ms)
{
	jaco_auto(jaco_buf) struct jaco_buf raw = JACO_BUF_INIT;
	struct wire_obs_engine engine = {.state = "ready"};
	struct wire_watch_event event = {.kind = kind, .revision = 1};
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_entry entry = {.key = key, .revision = 1};

	JT_OK(jaco_pack(&raw, &wire_obs_engine_desc, &engine, &err), &err);
	entry.value = (struct wire_bin){raw.data, raw.n};
	event.entries.v = &entry;
	event.entries.n = key ? 1 : 0;
	if (young_ms)
		JACO_SET(&event, watch_event, young_ms, young_ms);
	JT_OK(jaco_call_event(fx->watch, &event, &err), &err);
}

static void on_gone(struct jaco_call *call, void *ctx)
{
	(void)call;
	((struct fixture *)ctx)->watch = NULL;
}

static int on_watch(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	struct fixture *fx = self;

	(void)req;
	(void)err;
	fx->watch = call;
	jaco_call_on_cancel(call, on_gone, fx);
	return 0;
}

static const struct jaco_service_row rows[] = {{&wire_raftd_kv_watch, on_watch}, {NULL, NULL}};

static void on_change(struct jaco_view *view, void *ctx)
{
	(void)view;
	((struct fixture *)ctx)->passes++;
}

static void open_view(struct fixture *fx)
{
	jaco_view_open(&fx->view, &fx->loop, &fx->client, prefixes, 5, fx->cache, on_change, fx);
}

static void until_pass(struct fixture *fx)
{
	int before = fx->passes;

	while (fx->passes == before)
		jaco_loop_once(&fx->loop, 50);
}

static void until_watched(struct fixture *fx)
{
	while (!fx->watch)
		jaco_loop_once(&fx->loop, 50);
}

static void set_up(struct fixture *fx)
{
	struct jaco_err err = JACO_ERR_INIT;

	memset(fx, 0, sizeof(*fx));
	(void)jaco_str_format(fx->sock, sizeof(fx->sock), "/tmp/jaco-test-view-%d.sock",
			      (int)getpid());
	(void)jaco_str_format(fx->cache, sizeof(fx->cache), "/tmp/jaco-test-view-%d.cache",
			      (int)getpid());
	(void)unlink(fx->cache);
	JT_OK(jaco_loop_open(&fx->loop, NULL, &err), &err);
	jaco_server_init(&fx->server, &fx->loop);
	jaco_server_add(&fx->server, rows, fx);
	JT_OK(jaco_server_listen(&fx->server, fx->sock, 0600, NULL, ROLE_SCHEDD, &err), &err);
	jaco_client_open(&fx->client, &fx->loop, fx->sock, NULL, NULL);
	open_view(fx);
}

static void tear_down(struct fixture *fx)
{
	jaco_view_close(&fx->view);
	jaco_client_close(&fx->client);
	jaco_server_close(&fx->server);
	jaco_loop_close(&fx->loop);
	(void)unlink(fx->cache);
}

static uint64_t next_of(const struct fixture *fx, const char *key)
{
	const struct wire_counter *counter = jaco_view_get(&fx->view, key);

	return counter ? counter->next : 0;
}

JT_CASE(nothing_is_shown_before_the_snapshot_is_complete)
{
	struct fixture fx;

	set_up(&fx);
	until_watched(&fx);
	send_event(&fx, JACO_WATCH_SNAPSHOT, 7, "/counter/a/b", 1);
	for (int i = 0; i < 5; i++)
		jaco_loop_once(&fx.loop, 5);
	JT_EQ(fx.passes, 0);
	JT_FALSE(fx.view.is_current);
	send_event(&fx, JACO_WATCH_SYNCED, 7, NULL, 0);
	until_pass(&fx);
	JT_TRUE(fx.view.is_current);
	JT_EQ(next_of(&fx, "/counter/a/b"), 1);
	JT_EQ(fx.view.revision, 7);
	tear_down(&fx);
}

JT_CASE(changes_and_deletions_follow_in_order)
{
	struct fixture fx;
	const struct jaco_view_entry *entry;
	size_t n = 0;

	set_up(&fx);
	until_watched(&fx);
	send_event(&fx, JACO_WATCH_SYNCED, 1, "/counter/a/b", 1);
	send_event(&fx, JACO_WATCH_CHANGE, 2, "/counter/a/a", 2);
	send_event(&fx, JACO_WATCH_CHANGE, 3, "/counter/a/c", 3);
	send_event(&fx, JACO_WATCH_CHANGE, 4, "/counter/a/b", 0);
	while (fx.view.revision < 4)
		until_pass(&fx);
	JACO_VIEW_FOREACH(&fx.view, "/counter/a/", entry)
		n += jaco_str_starts(entry->key, "/counter/a/");
	JT_EQ(n, 2);
	JT_EQ(next_of(&fx, "/counter/a/b"), 0);
	JT_EQ(next_of(&fx, "/counter/a/c"), 3);
	tear_down(&fx);
}

JT_CASE(a_new_start_serves_the_saved_view_and_says_it_is_not_current)
{
	struct fixture fx;

	set_up(&fx);
	until_watched(&fx);
	send_event(&fx, JACO_WATCH_SYNCED, 9, "/counter/a/b", 5);
	until_pass(&fx);
	jaco_view_close(&fx.view);
	jaco_server_close(&fx.server);
	open_view(&fx);
	until_pass(&fx);
	JT_EQ(next_of(&fx, "/counter/a/b"), 5);
	JT_EQ(fx.view.revision, 9);
	JT_FALSE(fx.view.is_current);
	tear_down(&fx);
}

JT_CASE(a_resync_replaces_everything)
{
	struct fixture fx;

	set_up(&fx);
	until_watched(&fx);
	send_event(&fx, JACO_WATCH_SYNCED, 1, "/counter/old/x", 1);
	until_pass(&fx);
	send_event(&fx, JACO_WATCH_RESYNC, 1, NULL, 0);
	send_event(&fx, JACO_WATCH_SYNCED, 5, "/counter/new/x", 2);
	until_pass(&fx);
	JT_EQ(next_of(&fx, "/counter/old/x"), 0);
	JT_EQ(next_of(&fx, "/counter/new/x"), 2);
	tear_down(&fx);
}

JT_CASE(a_snapshot_that_nobody_announced_is_taken_whole)
{
	struct fixture fx;

	set_up(&fx);
	until_watched(&fx);
	send_event(&fx, JACO_WATCH_SYNCED, 1, "/counter/old/x", 1);
	until_pass(&fx);
	send_event(&fx, JACO_WATCH_SNAPSHOT, 5, "/counter/new/x", 2);
	send_event(&fx, JACO_WATCH_SYNCED, 5, "/counter/new/y", 3);
	until_pass(&fx);
	JT_EQ(next_of(&fx, "/counter/old/x"), 0);
	JT_EQ(next_of(&fx, "/counter/new/x"), 2);
	JT_EQ(next_of(&fx, "/counter/new/y"), 3);
	tear_down(&fx);
}

JT_CASE(what_was_observed_outlives_a_restart_of_raftd_until_time_is_up)
{
	struct fixture fx;

	set_up(&fx);
	until_watched(&fx);
	send_event(&fx, JACO_WATCH_SNAPSHOT, 1, "/counter/old/x", 1);
	send_observed(&fx, JACO_WATCH_SNAPSHOT, "/obs/node/a/engine", 0);
	send_observed(&fx, JACO_WATCH_SYNCED, "/obs/node/b/engine", 0);
	until_pass(&fx);
	send_event(&fx, JACO_WATCH_RESYNC, 1, NULL, 0);
	send_observed(&fx, JACO_WATCH_SYNCED, "/obs/node/c/engine", 60000);
	until_pass(&fx);
	JT_EQ(next_of(&fx, "/counter/old/x"), 0); /* only what was observed */
	JT_TRUE(jaco_view_get(&fx.view, "/obs/node/a/engine"));
	JT_TRUE(jaco_view_get(&fx.view, "/obs/node/b/engine"));
	send_event(&fx, JACO_WATCH_RESYNC, 1, NULL, 0);
	send_observed(&fx, JACO_WATCH_SNAPSHOT, "/obs/node/b/engine", 0); /* told again */
	send_observed(&fx, JACO_WATCH_SYNCED, NULL, 1);
	while (jaco_view_get(&fx.view, "/obs/node/a/engine"))
		jaco_loop_once(&fx.loop, 50);
	JT_TRUE(jaco_view_get(&fx.view, "/obs/node/b/engine"));
	tear_down(&fx);
}

JT_CASE(what_an_old_raftd_does_not_observe_any_more_is_gone)
{
	struct fixture fx;

	set_up(&fx);
	until_watched(&fx);
	send_observed(&fx, JACO_WATCH_SYNCED, "/obs/node/a/engine", 0);
	until_pass(&fx);
	send_event(&fx, JACO_WATCH_RESYNC, 1, NULL, 0);
	send_observed(&fx, JACO_WATCH_SYNCED, NULL, 0);
	until_pass(&fx);
	JT_FALSE(jaco_view_get(&fx.view, "/obs/node/a/engine"));
	tear_down(&fx);
}

JT_MAIN(JT_RUN(nothing_is_shown_before_the_snapshot_is_complete),
	JT_RUN(changes_and_deletions_follow_in_order),
	JT_RUN(a_new_start_serves_the_saved_view_and_says_it_is_not_current),
	JT_RUN(a_resync_replaces_everything),
	JT_RUN(a_snapshot_that_nobody_announced_is_taken_whole),
	JT_RUN(what_was_observed_outlives_a_restart_of_raftd_until_time_is_up),
	JT_RUN(what_an_old_raftd_does_not_observe_any_more_is_gone))
