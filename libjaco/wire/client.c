/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c - one connection to a daemon, kept up; many calls in flight, matched by id. */
#include "libjaco/wire/rpc.h"

#include <stdio.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"
#include "libjaco/wire/chan.h"
#include "libjaco/wire/frame.h"
#include "libjaco/wire/tls.h"

#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS   2000
#define ATTEMPT_MS     5000 /* to be connected, believed and admitted */
#define GREETING_ID    0

struct jaco_client_conn {
	struct jaco_chan chan;
	struct jaco_client *client;
	bool is_dispatching;
	bool is_dead;
};

struct jaco_pending {
	struct jaco_client *client;
	uint32_t id;
	char method_name[64];
	const struct jaco_method *method; /* NULL for raw */
	struct jaco_timer deadline;
	struct jaco_timer failure; /* fails from the loop when the client is down */
	jaco_reply_fn *on_reply;
	jaco_event_fn *on_event;
	jaco_raw_fn *on_raw_reply;
	jaco_raw_fn *on_raw_event;
	void *ctx;
	bool is_doomed; /* was in flight when the connection went */
	struct jaco_pending *next;
	struct jaco_pending *prev;
};

static void connect_now(struct jaco_client *client);

static void unlink_pending(struct jaco_pending *pending)
{
	if (pending->prev)
		pending->prev->next = pending->next;
	else
		pending->client->pending = pending->next;
	if (pending->next)
		pending->next->prev = pending->prev;
}

static void free_pending(struct jaco_pending *pending)
{
	jaco_timer_fini(&pending->deadline);
	jaco_timer_fini(&pending->failure);
	jaco_free(pending);
}

void jaco_client_cancel(struct jaco_pending *pending)
{
	unlink_pending(pending);
	free_pending(pending);
}

void jaco_client_listen(struct jaco_client *client, bool on)
{
	if (client->conn)
		jaco_chan_read(&client->conn->chan, on);
}

static void fail_pending(struct jaco_pending *pending, const struct jaco_err *err)
{
	unlink_pending(pending);
	if (pending->on_raw_reply)
		pending->on_raw_reply(pending->ctx, NULL, 0, err);
	else
		pending->on_reply(pending->ctx, NULL, err);
	free_pending(pending);
}

static struct jaco_pending *find_doomed(const struct jaco_client *client)
{
	struct jaco_pending *pending = client->pending;

	while (pending && !pending->is_doomed)
		pending = pending->next;
	return pending;
}

/* A callback may start another call at once: that one is not failed here, or this would not end. */
static void fail_all(struct jaco_client *client, const struct jaco_err *err)
{
	struct jaco_pending *pending;

	for (pending = client->pending; pending; pending = pending->next)
		pending->is_doomed = true;
	while ((pending = find_doomed(client)))
		fail_pending(pending, err);
}

/* --- connection --- */

static void free_conn(struct jaco_client_conn *conn)
{
	jaco_chan_close(&conn->chan);
	jaco_free(conn);
}

static void go_down(struct jaco_client *client, const struct jaco_err *err)
{
	struct jaco_client_conn *conn = client->conn;
	bool was_up = client->is_up;

	client->conn = NULL;
	client->is_up = false;
	client->last_err = *err;
	client->n_failures++;
	jaco_timer_disarm(&client->attempt);
	if (client->remote)
		client->at_server = (client->at_server + 1) % client->remote->n_servers;
	if (conn) {
		if (conn->is_dispatching) {
			conn->is_dead = true;
			conn->client = NULL;
		} else {
			free_conn(conn);
		}
	}
	if (!client->once) {
		jaco_timer_arm(&client->retry, client->retry_ms);
		client->retry_ms = JACO_MIN(client->retry_ms * 2, (int64_t)RETRY_MAX_MS);
	}
	fail_all(client, err);
	if (was_up && client->on_state)
		client->on_state(client, false, client->ctx);
}

static void take_reply(struct jaco_pending *pending, const struct jaco_frame *frame)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	void *out = NULL;

	if (frame->error) {
		jaco_frame_unpack_error(frame->error, frame->error_bytes, &err);
		fail_pending(pending, &err);
		return;
	}
	if (pending->on_raw_reply) {
		unlink_pending(pending);
		pending->on_raw_reply(pending->ctx, frame->body, frame->body_bytes, NULL);
		free_pending(pending);
		return;
	}
	out = jaco_arena_alloc(&arena, pending->method->out->size);
	if (frame->body && !(pending->method->flags & METHOD_STREAM) &&
	    jaco_unpack(pending->method->out, frame->body, frame->body_bytes, &arena, out, &err) <
		    0) {
		jaco_err_wrap(&err, "reply of %s", pending->method_name);
		fail_pending(pending, &err);
		return;
	}
	unlink_pending(pending);
	pending->on_reply(pending->ctx, out, NULL);
	free_pending(pending);
}

static void take_event(struct jaco_pending *pending, const struct jaco_frame *frame)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	void *event;

	if (pending->on_raw_event) {
		pending->on_raw_event(pending->ctx, frame->body, frame->body_bytes, NULL);
		return;
	}
	if (!pending->on_event || !frame->body)
		return;
	event = jaco_arena_alloc(&arena, pending->method->out->size);
	if (jaco_unpack(pending->method->out, frame->body, frame->body_bytes, &arena, event, &err) <
	    0) {
		jaco_err_wrap(&err, "event of %s", pending->method_name);
		fail_pending(pending, &err);
		return;
	}
	pending->on_event(pending->ctx, event);
}

static void go_up(struct jaco_client *client)
{
	client->is_up = true;
	client->n_failures = 0;
	client->retry_ms = RETRY_FIRST_MS;
	jaco_timer_disarm(&client->attempt);
	if (client->on_state)
		client->on_state(client, true, client->ctx);
}

/* The answer to who we are. */
static void take_greeting(struct jaco_client *client, const struct jaco_frame *frame)
{
	struct jaco_err err = JACO_ERR_INIT;

	if (frame->kind != JACO_FRAME_REPLY || frame->id != GREETING_ID)
		return;
	if (!frame->error) {
		go_up(client);
		return;
	}
	jaco_frame_unpack_error(frame->error, frame->error_bytes, &err);
	go_down(client, &err);
}

static void take_frame(struct jaco_client *client, const struct jaco_frame *frame)
{
	struct jaco_pending *pending = client->pending;

	if (!client->is_up) {
		take_greeting(client, frame);
		return;
	}
	while (pending && pending->id != frame->id)
		pending = pending->next;
	if (!pending || frame->kind == JACO_FRAME_REQUEST)
		return; /* cancelled meanwhile */
	if (frame->kind == JACO_FRAME_REPLY)
		take_reply(pending, frame);
	else
		take_event(pending, frame);
}

static int on_data(struct jaco_chan *chan, void *ctx)
{
	struct jaco_client_conn *conn = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_frame frame;
	size_t used = 0;
	int rc = 0;

	conn->is_dispatching = true;
	while (!conn->is_dead) {
		rc = jaco_frame_read(chan->in.data + used, chan->in.n - used, &frame, &err);
		if (rc <= 0)
			break;
		used += frame.bytes;
		take_frame(conn->client, &frame);
	}
	conn->is_dispatching = false;
	if (conn->is_dead) {
		free_conn(conn);
		return -1;
	}
	if (rc < 0) {
		go_down(conn->client, &err);
		return -1;
	}
	jaco_buf_consume(&chan->in, used);
	return 0;
}

static void on_end(struct jaco_chan *chan, const struct jaco_err *err, void *ctx)
{
	struct jaco_client_conn *conn = ctx;
	struct jaco_err wrapped = *err;

	(void)chan;
	if (!conn->client)
		return; /* already given up while dispatching */
	jaco_err_set(&wrapped, err->code == JACO_PERMISSION_DENIED ? err->code : JACO_UNAVAILABLE,
		     "%s: %s", conn->client->path, err->text);
	go_down(conn->client, &wrapped);
}

static const struct jaco_chan_ops conn_ops = {.on_data = on_data, .on_end = on_end};

static int dial(struct jaco_client *client, bool *out_pending, struct jaco_err *err)
{
	struct jaco_addr addr;
	int rc;

	if (client->remote) {
		(void)jaco_str_copy(client->path, sizeof(client->path),
				    client->remote->servers[client->at_server]);
		rc = jaco_addr_resolve(&addr, client->path, err);
	} else {
		rc = jaco_addr_unix(&addr, client->path, err);
	}
	if (rc < 0)
		return rc;
	rc = jaco_sock_connect(&addr, out_pending, err);
	return rc < 0 && client->remote ? jaco_err_wrap(err, "%s", client->path) : rc;
}

static int greet(struct jaco_client *client, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_SECRET(0);
	const struct jaco_remote *remote = client->remote;

	if (jaco_tls_attach(&client->conn->chan, remote->context, true, err) < 0)
		return -(int)err->code;
	jaco_frame_request(&out, GREETING_ID, remote->method);
	jaco_buf_add(&out, remote->params, remote->params_bytes);
	jaco_chan_send(&client->conn->chan, out.data, out.n);
	jaco_timer_arm(&client->attempt, ATTEMPT_MS);
	return 0;
}

static void connect_now(struct jaco_client *client)
{
	struct jaco_err err = JACO_ERR_INIT;
	bool pending = false;
	int fd = dial(client, &pending, &err);

	if (fd < 0) {
		err.code = JACO_UNAVAILABLE;
		go_down(client, &err);
		return;
	}
	client->conn = jaco_alloc(sizeof(*client->conn));
	client->conn->client = client;
	jaco_chan_open(&client->conn->chan, client->loop, fd, pending, 2 * JACO_MESSAGE_MAX,
		       &conn_ops, client->conn);
	if (!client->remote)
		go_up(client);
	else if (greet(client, &err) < 0)
		go_down(client, &err);
}

static void on_attempt(struct jaco_timer *timer, void *ctx)
{
	struct jaco_client *client = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	(void)timer;
	jaco_err_set(&err, JACO_UNAVAILABLE, "%s: no answer within %d s", client->path,
		     ATTEMPT_MS / 1000);
	go_down(client, &err);
}

static void on_retry(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	connect_now(ctx);
}

static void open_client(struct jaco_client *client, struct jaco_loop *loop, const char *path,
			const struct jaco_remote *remote, jaco_client_fn *on_state, void *ctx)
{
	*client = (struct jaco_client){.loop = loop,
				       .remote = remote,
				       .retry_ms = RETRY_FIRST_MS,
				       .next_id = GREETING_ID + 1,
				       .on_state = on_state,
				       .ctx = ctx};
	(void)jaco_str_copy(client->path, sizeof(client->path), path);
	jaco_err_set(&client->last_err, JACO_UNAVAILABLE, "not connected to %s yet", path);
	jaco_timer_init(loop, &client->retry, on_retry, client);
	jaco_timer_init(loop, &client->attempt, on_attempt, client);
	connect_now(client);
}

void jaco_client_open(struct jaco_client *client, struct jaco_loop *loop, const char *path,
		      jaco_client_fn *on_state, void *ctx)
{
	open_client(client, loop, path, NULL, on_state, ctx);
}

void jaco_client_open_remote(struct jaco_client *client, struct jaco_loop *loop,
			     const struct jaco_remote *remote, jaco_client_fn *on_state, void *ctx)
{
	open_client(client, loop, remote->servers[0], remote, on_state, ctx);
}

void jaco_client_close(struct jaco_client *client)
{
	struct jaco_err err = JACO_ERR_INIT;

	jaco_err_set(&err, JACO_UNAVAILABLE, "%s: closed", client->path);
	client->once = true;
	client->on_state = NULL;
	go_down(client, &err);
	while (client->pending) /* started by the callbacks just run: nobody is left to tell */
		jaco_client_cancel(client->pending);
	jaco_timer_fini(&client->retry);
	jaco_timer_fini(&client->attempt);
}

/* --- calls --- */

static void on_failure(struct jaco_timer *timer, void *ctx)
{
	struct jaco_pending *pending = ctx;
	struct jaco_err err = pending->client->last_err;

	(void)timer;
	fail_pending(pending, &err);
}

static void on_deadline(struct jaco_timer *timer, void *ctx)
{
	struct jaco_pending *pending = ctx;
	struct jaco_err err = JACO_ERR_INIT;

	(void)timer;
	jaco_err_set(&err, JACO_TIMEOUT, "%s: no answer to %s in time", pending->client->path,
		     pending->method_name);
	fail_pending(pending, &err);
}

static struct jaco_pending *new_pending(struct jaco_client *client, const char *method,
					int64_t deadline_ms, void *ctx)
{
	struct jaco_pending *pending = jaco_alloc(sizeof(*pending));

	pending->client = client;
	pending->id = client->next_id++;
	pending->ctx = ctx;
	(void)jaco_str_copy(pending->method_name, sizeof(pending->method_name), method);
	pending->next = client->pending;
	if (client->pending)
		client->pending->prev = pending;
	client->pending = pending;
	jaco_timer_init(client->loop, &pending->deadline, on_deadline, pending);
	jaco_timer_init(client->loop, &pending->failure, on_failure, pending);
	if (deadline_ms > 0)
		jaco_timer_arm(&pending->deadline, deadline_ms);
	return pending;
}

static void send_request(struct jaco_pending *pending, const void *params, size_t n,
			 const char *caller)
{
	static const uint8_t empty_map = 0x80;
	jaco_auto(jaco_buf) struct jaco_buf out = JACO_BUF_INIT;

	if (!pending->client->is_up) {
		jaco_timer_arm(&pending->failure, 0);
		return;
	}
	params = n ? params : &empty_map;
	n = n ? n : sizeof(empty_map);
	if (caller) {
		jaco_frame_relay(&out, pending->id, pending->method_name, params, n, caller);
	} else {
		jaco_frame_request(&out, pending->id, pending->method_name);
		jaco_buf_add(&out, params, n);
	}
	jaco_chan_send(&pending->client->conn->chan, out.data, out.n);
}

static struct jaco_pending *start(struct jaco_client *client, const struct jaco_method *method,
				  const void *req, int64_t deadline_ms, jaco_event_fn *on_event,
				  jaco_reply_fn *on_reply, void *ctx)
{
	jaco_auto(jaco_buf) struct jaco_buf body = JACO_BUF_BOUND(JACO_MESSAGE_MAX - 128);
	struct jaco_pending *pending = new_pending(client, method->name, deadline_ms, ctx);
	struct jaco_err err = JACO_ERR_INIT;

	pending->method = method;
	pending->on_reply = on_reply;
	pending->on_event = on_event;
	if (req && jaco_pack(&body, method->in, req, &err) < 0) {
		client->last_err = err;
		jaco_timer_arm(&pending->failure, 0);
		return pending;
	}
	send_request(pending, body.data, body.n, NULL);
	return pending;
}

struct jaco_pending *jaco_client_call(struct jaco_client *client, const struct jaco_method *method,
				      const void *req, int64_t deadline_ms, jaco_reply_fn *on_reply,
				      void *ctx)
{
	return start(client, method, req, deadline_ms, NULL, on_reply, ctx);
}

struct jaco_pending *jaco_client_stream(struct jaco_client *client,
					const struct jaco_method *method, const void *req,
					jaco_event_fn *on_event, jaco_reply_fn *on_reply, void *ctx)
{
	return start(client, method, req, 0, on_event, on_reply, ctx);
}

struct jaco_pending *jaco_client_call_raw(struct jaco_client *client, const char *method,
					  const void *params, size_t n, const char *caller,
					  int64_t deadline_ms, jaco_raw_fn *on_event,
					  jaco_raw_fn *on_reply, void *ctx)
{
	struct jaco_pending *pending = new_pending(client, method, deadline_ms, ctx);

	pending->on_raw_event = on_event;
	pending->on_raw_reply = on_reply;
	send_request(pending, params, n, caller);
	return pending;
}

/* --- for command lines --- */

struct sync {
	struct jaco_arena *arena;
	const struct jaco_method *method;
	void *out;
	struct jaco_err *err;
	bool is_done;
	int rc;
};

static void on_sync_reply(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	struct sync *sync = ctx;

	sync->is_done = true;
	if (err) {
		*sync->err = *err;
		sync->rc = -(int)err->code;
		return;
	}
	if (packed)
		sync->rc = jaco_unpack(sync->method->out, packed, n, sync->arena, sync->out,
				       sync->err);
}

int jaco_client_sync(struct jaco_client *client, const struct jaco_method *method, const void *req,
		     int64_t deadline_ms, struct jaco_arena *arena, void *out_msg,
		     struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf body = JACO_BUF_BOUND(JACO_MESSAGE_MAX - 128);
	struct sync sync = {.arena = arena, .method = method, .out = out_msg, .err = err};

	if (req && jaco_pack(&body, method->in, req, err) < 0)
		return -(int)err->code;
	(void)jaco_client_call_raw(client, method->name, body.data, body.n, NULL, deadline_ms, NULL,
				   on_sync_reply, &sync);
	while (!sync.is_done)
		jaco_loop_once(client->loop, 1000);
	return sync.rc;
}
