/* SPDX-License-Identifier: Apache-2.0 */
#include "libjaco/wire/rpc.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libjaco/base/limits.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#include "tests/lib/test.h"

struct fixture {
	struct jaco_loop loop;
	struct jaco_server server;
	struct jaco_client client;
	char path[108];
	struct jaco_call *held;
	int cancelled;
	int events;
	int replies;
	struct jaco_err last;
};

static int on_get(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	struct fixture *fx = self;
	const struct wire_get *get = req;
	struct wire_got got = {.revision = 42};

	if (jaco_str_eq(get->key, "/bad"))
		return jaco_err_set(err, JACO_CONFLICT, "no %s", get->key);
	if (jaco_str_eq(get->key, "/hold")) {
		fx->held = call;
		return 0;
	}
	jaco_call_reply(call, &got);
	return 0;
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	struct fixture *fx = ctx;

	if (fx->held == call)
		fx->held = NULL;
	fx->cancelled++;
}

static int on_watch(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	struct wire_watch_event event = {.kind = JACO_WATCH_SYNCED, .revision = 1};

	(void)req;
	for (int i = 0; i < 3; i++)
		if (jaco_call_event(call, &event, err) < 0)
			return -(int)err->code;
	((struct fixture *)self)->held = call;
	jaco_call_on_cancel(call, on_cancel, self);
	return 0;
}

static int on_txn(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	struct wire_txn_result result = {.succeeded = true};

	(void)self;
	(void)req;
	(void)err;
	jaco_call_reply(call, &result);
	return 0;
}

static const struct jaco_service_row rows[] = {
	{&wire_raftd_kv_get, on_get},
	{&wire_raftd_kv_watch, on_watch},
	{&wire_raftd_kv_txn, on_txn},
	{NULL, NULL},
};

static void set_up(struct fixture *fx)
{
	struct jaco_err err = JACO_ERR_INIT;

	memset(fx, 0, sizeof(*fx));
	(void)jaco_str_format(fx->path, sizeof(fx->path), "/tmp/jaco-test-rpc-%d.sock",
			      (int)getpid());
	JT_OK(jaco_loop_open(&fx->loop, NULL, &err), &err);
	jaco_server_init(&fx->server, &fx->loop);
	jaco_server_add(&fx->server, rows, fx);
	JT_OK(jaco_server_listen(&fx->server, fx->path, 0600, NULL, ROLE_ADMIN, &err), &err);
	jaco_client_open(&fx->client, &fx->loop, fx->path, NULL, NULL);
}

static void tear_down(struct fixture *fx)
{
	jaco_client_close(&fx->client);
	jaco_server_close(&fx->server);
	jaco_loop_close(&fx->loop);
}

static int get(struct fixture *fx, const char *key, int64_t ms, struct wire_got *got,
	       struct jaco_err *err)
{
	static struct jaco_arena arena;
	struct wire_get req = {.key = key};

	jaco_arena_fini(&arena);
	return jaco_client_sync(&fx->client, &wire_raftd_kv_get, &req, ms, &arena, got, err);
}

JT_CASE(a_call_is_answered_or_refused_with_its_code)
{
	struct fixture fx;
	struct wire_got got;
	struct jaco_err err = JACO_ERR_INIT;

	set_up(&fx);
	JT_OK(get(&fx, "/a", 0, &got, &err), &err);
	JT_EQ(got.revision, 42);
	JT_FAILS_WITH(get(&fx, "/bad", 0, &got, &err), CONFLICT, "no /bad", &err);
	JT_FAILS_WITH(get(&fx, "/hold", 50, &got, &err), TIMEOUT, "no answer to kv.get", &err);
	tear_down(&fx);
}

JT_CASE(the_role_of_the_socket_decides)
{
	struct fixture fx;
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_txn txn = {0};
	struct wire_txn_result result;
	struct wire_nothing nothing = {0};
	struct wire_metrics_text text;
	struct jaco_err err = JACO_ERR_INIT;

	set_up(&fx);
	JT_FAILS_WITH(
		jaco_client_sync(&fx.client, &wire_raftd_kv_txn, &txn, 0, &arena, &result, &err),
		PERMISSION_DENIED, "may not call kv.txn", &err);
	JT_FAILS_WITH(jaco_client_sync(&fx.client, &wire_daemon_metrics, &nothing, 0, &arena, &text,
				       &err),
		      UNKNOWN_METHOD, "metrics", &err);
	tear_down(&fx);
}

static void count_event(void *ctx, const void *event)
{
	(void)event;
	((struct fixture *)ctx)->events++;
}

static void keep_reply(void *ctx, const void *out, const struct jaco_err *err)
{
	struct fixture *fx = ctx;

	(void)out;
	fx->replies++;
	fx->last = err ? *err : JACO_ERR_INIT;
}

JT_CASE(a_stream_ends_with_its_connection)
{
	struct fixture fx;
	const char *prefixes[] = {"/a/"};
	struct wire_watch req = {.prefixes = {prefixes, 1}};

	set_up(&fx);
	jaco_client_stream(&fx.client, &wire_raftd_kv_watch, &req, count_event, keep_reply, &fx);
	while (fx.events < 3)
		jaco_loop_once(&fx.loop, 100);
	jaco_client_close(&fx.client);
	JT_EQ(fx.replies, 1);
	JT_EQ(fx.last.code, JACO_UNAVAILABLE);
	while (!fx.cancelled)
		jaco_loop_once(&fx.loop, 100);
	JT_NULL(fx.held);
	jaco_server_close(&fx.server);
	jaco_loop_close(&fx.loop);
}

JT_CASE(a_lost_server_fails_calls_and_is_found_again)
{
	struct fixture fx;
	struct wire_got got;
	struct jaco_err err = JACO_ERR_INIT;

	set_up(&fx);
	JT_OK(get(&fx, "/a", 0, &got, &err), &err);
	jaco_server_close(&fx.server);
	JT_FAILS_WITH(get(&fx, "/a", 1000, &got, &err), UNAVAILABLE, "", &err);
	jaco_server_init(&fx.server, &fx.loop);
	jaco_server_add(&fx.server, rows, &fx);
	JT_OK(jaco_server_listen(&fx.server, fx.path, 0600, NULL, ROLE_ADMIN, &err), &err);
	while (get(&fx, "/a", 1000, &got, &err) < 0)
		jaco_loop_once(&fx.loop, 10);
	JT_EQ(got.revision, 42);
	tear_down(&fx);
}

static size_t raw(struct fixture *fx, const char *bytes, size_t n, char *answer, size_t cap)
{
	struct jaco_addr addr;
	struct jaco_err err = JACO_ERR_INIT;
	bool pending;
	jaco_auto(jaco_fd) int fd = -1;
	size_t used = 0;

	JT_OK(jaco_addr_unix(&addr, fx->path, &err), &err);
	fd = jaco_sock_connect(&addr, &pending, &err);
	JT_TRUE(fd >= 0);
	JT_EQ(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
	for (int i = 0; i < 50; i++) {
		ssize_t got;

		jaco_loop_once(&fx->loop, 2);
		got = read(fd, answer + used, cap - used);
		if (got == 0)
			break;
		if (got > 0)
			used += (size_t)got;
	}
	return used;
}

JT_CASE(garbage_gets_a_typed_error_and_the_server_lives)
{
	struct fixture fx;
	struct wire_got got;
	struct jaco_err err = JACO_ERR_INIT;
	char answer[4096] = "";

	set_up(&fx);
	JT_TRUE(raw(&fx, "GET / HTTP/1.0\r\n\r\n", 18, answer, sizeof(answer)) > 0);
	JT_NOT_NULL(memmem(answer, sizeof(answer), "parse_failed", 12));
	memset(answer, 0, sizeof(answer));
	/* an array of four with a string that claims 4 GiB stays incomplete: no answer, no
	 * allocation */
	JT_EQ(raw(&fx, "\x94\x00\x01\xdb\xff\xff\xff\xff", 8, answer, sizeof(answer)), 0);
	JT_TRUE(raw(&fx, "\x94\x00\x05\xa6kv.get\x91\x81\xa3key\x07", 17, answer, sizeof(answer)) >
		0);
	JT_NOT_NULL(memmem(answer, sizeof(answer), "validation_failed", 17));
	JT_OK(get(&fx, "/a", 0, &got, &err), &err);
	tear_down(&fx);
}

static void ask_again(void *ctx, const void *out, const struct jaco_err *err)
{
	struct fixture *fx = ctx;
	struct wire_get req = {.key = "/a"};

	keep_reply(ctx, out, err);
	if (fx->replies < 100)
		jaco_client_call(&fx->client, &wire_raftd_kv_get, &req, 0, ask_again, fx);
}

JT_CASE(a_callback_that_asks_again_is_not_failed_in_the_same_breath)
{
	struct fixture fx;
	struct wire_get req = {.key = "/hold"};
	struct wire_get quick = {.key = "/a"};

	set_up(&fx);
	jaco_client_call(&fx.client, &wire_raftd_kv_get, &req, 0, ask_again, &fx);
	jaco_client_call(&fx.client, &wire_raftd_kv_get, &quick, 0, keep_reply, &fx);
	while (fx.replies < 1)
		jaco_loop_once(&fx.loop, 10);
	jaco_client_close(&fx.client);
	JT_EQ(fx.replies, 2);
	JT_EQ(fx.last.code, JACO_UNAVAILABLE);
	JT_NULL(fx.client.pending);
	jaco_server_close(&fx.server);
	jaco_loop_close(&fx.loop);
}

static int on_big(void *self, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	struct fixture *fx = self;
	struct wire_entry entry = {.key = "/big"};
	struct wire_got got = {.entry = &entry, .revision = 1};
	static char bytes[512 * 1024];

	(void)req;
	(void)err;
	JACO_SET(&entry, entry, value, ((struct wire_bin){bytes, sizeof(bytes)}));
	fx->events++; /* questions taken */
	jaco_call_reply(call, &got);
	return 0;
}

static const struct jaco_service_row big_rows[] = {{&wire_raftd_kv_get, on_big}, {NULL, NULL}};

JT_CASE(a_caller_that_does_not_read_is_not_listened_to)
{
	static const char question[] = "\x94\x00\x05\xa6kv.get\x91\x81\xa3key\xa2/a";
	enum { N = 200 };
	struct fixture fx;
	struct jaco_addr addr;
	struct jaco_err err = JACO_ERR_INIT;
	static char sink[1 << 20];
	size_t used = 0;
	bool pending;
	jaco_auto(jaco_fd) int fd = -1;

	set_up(&fx);
	jaco_client_close(&fx.client);
	fx.server.tables[0].rows = big_rows;
	JT_OK(jaco_addr_unix(&addr, fx.path, &err), &err);
	fd = jaco_sock_connect(&addr, &pending, &err);
	JT_TRUE(fd >= 0);
	for (int i = 0; i < N; i++)
		JT_EQ(send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL),
		      (ssize_t)sizeof(question) - 1);
	for (int i = 0; i < 20; i++)
		jaco_loop_once(&fx.loop, 2);
	JT_TRUE(fx.events > 0);
	JT_TRUE(fx.events <= 2 * JACO_OUTPUT_HIGH_WATER / (512 * 1024));
	/* who begins to read gets every answer */
	for (int i = 0; i < 20000 && used < (size_t)N * 512 * 1024; i++) {
		ssize_t got = read(fd, sink, sizeof(sink));

		if (got > 0)
			used += (size_t)got;
		jaco_loop_once(&fx.loop, 0);
	}
	JT_EQ(fx.events, N);
	JT_TRUE(used >= (size_t)N * 512 * 1024);
	jaco_server_close(&fx.server);
	jaco_loop_close(&fx.loop);
}

JT_CASE(without_descriptors_the_listener_rests_and_comes_back)
{
	struct fixture fx;
	struct jaco_addr addr;
	struct jaco_err err = JACO_ERR_INIT;
	struct rlimit before, none;
	bool pending;
	int passes = 0;
	jaco_auto(jaco_fd) int fd = -1;

	set_up(&fx);
	jaco_loop_once(&fx.loop, 10);
	JT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	JT_OK(jaco_addr_unix(&addr, fx.path, &err), &err);
	fd = jaco_sock_connect(&addr, &pending, &err);
	JT_TRUE(fd >= 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
	JT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (struct jaco_time end = jaco_time_add_ms(jaco_loop_now(&fx.loop), 60);
	     jaco_time_before(jaco_loop_now(&fx.loop), end);)
		jaco_loop_once(&fx.loop, 20), passes++;
	JT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	JT_TRUE(passes < 20); /* not once per instant */
	JT_EQ(fx.server.n_conns, 1);
	for (int i = 0; i < 100 && fx.server.n_conns < 2; i++)
		jaco_loop_once(&fx.loop, 20);
	JT_EQ(fx.server.n_conns, 2);
	tear_down(&fx);
}

JT_CASE(a_crowd_on_one_socket_leaves_the_others_open)
{
	static int crowd[JACO_CONNS_PER_SOCKET + 1];
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct wire_get req = {.key = "/a"};
	struct fixture fx;
	struct jaco_addr addr;
	struct jaco_client other;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_got got;
	struct rlimit before, wide;
	char path[108];
	bool pending;

	JT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	wide = (struct rlimit){.rlim_cur = before.rlim_max, .rlim_max = before.rlim_max};
	JT_EQ(setrlimit(RLIMIT_NOFILE, &wide), 0);
	set_up(&fx);
	(void)jaco_str_format(path, sizeof(path), "%s.2", fx.path);
	JT_OK(jaco_server_listen(&fx.server, path, 0600, NULL, ROLE_ADMIN, &err), &err);
	JT_OK(jaco_addr_unix(&addr, fx.path, &err), &err);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(crowd); i++) {
		crowd[i] = jaco_sock_connect(&addr, &pending, &err);
		JT_TRUE(crowd[i] >= 0);
		jaco_loop_once(&fx.loop, 0);
	}
	JT_EQ(fx.server.n_conns, JACO_CONNS_PER_SOCKET);
	jaco_client_open(&other, &fx.loop, path, NULL, NULL);
	JT_OK(jaco_client_sync(&other, &wire_raftd_kv_get, &req, 1000, &arena, &got, &err), &err);
	jaco_client_close(&other);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(crowd); i++)
		jaco_fd_close(&crowd[i]);
	tear_down(&fx);
	JT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

JT_MAIN(JT_RUN(a_call_is_answered_or_refused_with_its_code), JT_RUN(the_role_of_the_socket_decides),
	JT_RUN(a_stream_ends_with_its_connection),
	JT_RUN(a_lost_server_fails_calls_and_is_found_again),
	JT_RUN(garbage_gets_a_typed_error_and_the_server_lives),
	JT_RUN(a_callback_that_asks_again_is_not_failed_in_the_same_breath),
	JT_RUN(a_caller_that_does_not_read_is_not_listened_to),
	JT_RUN(without_descriptors_the_listener_rests_and_comes_back),
	JT_RUN(a_crowd_on_one_socket_leaves_the_others_open))
