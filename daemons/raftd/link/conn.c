/* SPDX-License-Identifier: Apache-2.0
 *
 * conn.c - frames over TLS: hello first, then notifications, questions and answers. */
#include "daemons/raftd/link/conn.h"

#include <string.h>

#include "daemons/raftd/raftd.h"
#include "libjaco/base/log.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/wire/frame.h"

#define FRAME_MAX    (6 * 1024 * 1024) /* a snapshot chunk or a batch of entries, with heads */
#define QUEUE_MAX    (32u * 1024 * 1024)
#define HELLO_MS     10000
#define STRANGER_MAX (64 * 1024)       /* a request to join is a few thousand bytes */
#define ASKED_MAX    8192 /* questions under way in each direction: twice what submit.c lets wait */

bool conn_is_stranger(const struct link_conn *conn)
{
	return conn->kind == LINK_IN && !conn->peer;
}

/* --- sending --- */

static bool may_send(struct link_conn *conn)
{
	struct jaco_err err = JACO_ERR_INIT;

	if (conn->is_dead)
		return false;
	if (jaco_chan_queued(&conn->tls.chan) <= QUEUE_MAX)
		return true;
	jaco_err_set(&err, JACO_UNAVAILABLE, "the peer does not read");
	conn_end(conn, &err);
	return false;
}

void conn_send(struct link_conn *conn, const struct jaco_buf *frame)
{
	if (may_send(conn))
		tls_send(&conn->tls, frame->data, frame->n);
}

void conn_queue(struct link_conn *conn, const struct jaco_buf *frame)
{
	if (may_send(conn))
		tls_queue(&conn->tls, frame->data, frame->n);
}

static void send_hello(struct link_conn *conn, const struct wire_raft_hello *hello)
{
	jaco_auto(jaco_buf) struct jaco_buf frame = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	jaco_frame_event(&frame, 0, "raft.hello");
	if (jaco_pack(&frame, &wire_raft_hello_desc, hello, &err) >= 0)
		conn_send(conn, &frame);
}

bool conn_may_ask(const struct link_conn *conn)
{
	return conn->n_pendings < ASKED_MAX;
}

void conn_ask(struct link_conn *conn, const char *method, const struct jaco_desc *desc,
	      const void *msg, const struct jaco_desc *out, link_reply_fn *on_reply, void *ctx)
{
	jaco_auto(jaco_buf) struct jaco_buf frame = JACO_BUF_INIT;
	struct link_pending *pending = jaco_alloc(sizeof(*pending));
	struct jaco_err err = JACO_ERR_INIT;

	*pending = (struct link_pending){
		.id = ++conn->next_id, .out = out, .on_reply = on_reply, .ctx = ctx};
	TAILQ_INSERT_TAIL(&conn->pendings, pending, next);
	conn->n_pendings++;
	jaco_frame_request(&frame, pending->id, method);
	if (jaco_pack(&frame, desc, msg, &err) >= 0)
		conn_send(conn, &frame);
	else
		JACO_LOG_FAILURE(JACO_LOG_ERR, "cannot pack a question", &err,
				 KV_STR(method, method));
}

uint64_t link_call_from(const struct link_call *call)
{
	return call->conn && call->conn->peer ? call->conn->peer->raft_id : 0;
}

void link_answer(struct link_call *call, const struct jaco_desc *desc, const void *msg)
{
	jaco_auto(jaco_buf) struct jaco_buf frame = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;

	if (call->conn) {
		jaco_frame_result(&frame, call->id);
		if (jaco_pack(&frame, desc, msg, &err) < 0) {
			link_refuse(call, &err);
			return;
		}
		conn_send(call->conn, &frame);
		TAILQ_REMOVE(&call->conn->calls, call, next);
		call->conn->n_calls--;
	}
	jaco_free(call);
}

void link_refuse(struct link_call *call, const struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf frame = JACO_BUF_INIT;

	if (call->conn) {
		jaco_frame_error(&frame, call->id, err);
		conn_send(call->conn, &frame);
		TAILQ_REMOVE(&call->conn->calls, call, next);
		call->conn->n_calls--;
	}
	jaco_free(call);
}

/* --- receiving --- */

static void take_reply(struct link_conn *conn, const struct jaco_frame *frame)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct link_pending *pending;
	void *out;

	TAILQ_FOREACH (pending, &conn->pendings, next)
		if (pending->id == frame->id)
			break;
	if (!pending)
		return;
	TAILQ_REMOVE(&conn->pendings, pending, next);
	conn->n_pendings--;
	out = jaco_arena_alloc(&arena, pending->out->size);
	if (frame->error)
		jaco_frame_unpack_error(frame->error, frame->error_bytes, &err);
	else
		(void)jaco_unpack(pending->out, frame->body, frame->body_bytes, &arena, out, &err);
	pending->on_reply(pending->ctx, err.code == JACO_OK ? out : NULL, &err);
	jaco_free(pending);
}

static struct link_call *new_call(struct link_conn *conn, uint32_t id)
{
	struct link_call *call = jaco_alloc(sizeof(*call));

	*call = (struct link_call){.conn = conn, .id = id};
	TAILQ_INSERT_TAIL(&conn->calls, call, next);
	conn->n_calls++;
	return call;
}

/* Unpack what came; a member that breaks the schema is cut off. */
static void *unpack(struct link_conn *conn, const struct jaco_desc *desc,
		    const struct jaco_frame *frame, struct jaco_arena *arena)
{
	void *msg = jaco_arena_alloc(arena, desc->size);
	struct jaco_err err = JACO_ERR_INIT;

	if (jaco_unpack(desc, frame->body, frame->body_bytes, arena, msg, &err) >= 0)
		return msg;
	jaco_err_wrap(&err, "%s", frame->method);
	conn_end(conn, &err);
	return NULL;
}

static void take_request(struct link_conn *conn, const struct jaco_frame *frame,
			 struct jaco_arena *arena)
{
	const struct link_events *events = conn->link->events;
	struct raftd *raftd = conn->link->raftd;
	struct jaco_err err = JACO_ERR_INIT;
	struct link_call *call;
	const void *msg;

	/* guessing costs a handshake each time */
	if (conn_is_stranger(conn) && conn->has_asked) {
		jaco_err_set(&err, JACO_PERMISSION_DENIED, "strangers ask once");
		conn_end(conn, &err);
		return;
	}
	if (conn->n_calls >= ASKED_MAX) { /* not one of ours: ours ask fewer */
		jaco_err_set(&err, JACO_TOO_MANY_REQUESTS, "%d questions are under way", ASKED_MAX);
		conn_end(conn, &err);
		return;
	}
	conn->has_asked = true;
	call = new_call(conn, frame->id);
	if (strcmp(frame->method, "raft.join") == 0) {
		msg = unpack(conn, &wire_raft_join_desc, frame, arena);
		if (msg)
			events->on_join(raftd, call, msg);
		else
			link_refuse(call, &err); /* the connection is over: releases it */
	} else if (!conn->peer) {
		jaco_err_set(&err, JACO_PERMISSION_DENIED, "strangers may only join");
		link_refuse(call, &err);
	} else if (strcmp(frame->method, "raft.submit") == 0) {
		msg = unpack(conn, &wire_raft_submit_desc, frame, arena);
		if (msg)
			events->on_submit(raftd, call, msg);
		else
			link_refuse(call, &err);
	} else if (strcmp(frame->method, "raft.transfer") == 0) {
		msg = unpack(conn, &wire_leader_transfer_desc, frame, arena);
		if (msg)
			events->on_transfer(raftd, call, msg);
		else
			link_refuse(call, &err);
	} else if (strcmp(frame->method, "raft.probe") == 0) {
		msg = unpack(conn, &wire_raft_probe_desc, frame, arena);
		if (msg)
			events->on_probe(raftd, call, msg);
		else
			link_refuse(call, &err);
	} else if (strcmp(frame->method, "raft.read") == 0) {
		events->on_read(raftd, call);
	} else if (strcmp(frame->method, "raft.survey") == 0) {
		events->on_survey(raftd, call);
	} else {
		jaco_err_set(&err, JACO_UNKNOWN_METHOD, "no method %s between members",
			     frame->method);
		link_refuse(call, &err);
	}
}

static void take_beat(struct link_conn *conn, const struct wire_raft_beat *beat)
{
	conn->peer->applied = beat->applied;
	conn->peer->commit = beat->commit;
	conn->peer->alive = JACO_MAX(conn->peer->alive, beat->alive);
	conn->peer->skew_ms = jaco_time_skew_ms(beat->clock);
}

static void take_notice(struct link_conn *conn, const struct jaco_frame *frame,
			struct jaco_arena *arena)
{
	const struct link_events *events = conn->link->events;
	struct raftd *raftd = conn->link->raftd;
	const void *msg;

	if (!conn->peer)
		return;
	if (strcmp(frame->method, "raft.message") == 0) {
		msg = unpack(conn, &wire_raft_message_desc, frame, arena);
		if (msg)
			events->on_message(raftd, conn->peer, msg);
	} else if (strcmp(frame->method, "raft.beat") == 0) {
		msg = unpack(conn, &wire_raft_beat_desc, frame, arena);
		if (msg)
			take_beat(conn, msg);
	} else if (strcmp(frame->method, "raft.gossip") == 0) {
		msg = unpack(conn, &wire_raft_gossip_desc, frame, arena);
		if (msg)
			events->on_gossip(raftd, conn->peer, msg);
	} else if (strcmp(frame->method, "raft.digest") == 0) {
		msg = unpack(conn, &wire_raft_digest_desc, frame, arena);
		if (msg)
			events->on_digest(raftd, conn->peer, msg);
	} else if (strcmp(frame->method, "raft.ask") == 0) {
		msg = unpack(conn, &wire_raft_ask_desc, frame, arena);
		if (msg)
			events->on_ask(raftd, conn->peer, msg);
	} else if (strcmp(frame->method, "raft.told") == 0) {
		msg = unpack(conn, &wire_raft_told_desc, frame, arena);
		if (msg)
			events->on_told(raftd, conn->peer, msg);
	} else if (strcmp(frame->method, "raft.taken") == 0) {
		msg = unpack(conn, &wire_raft_taken_desc, frame, arena);
		if (msg)
			events->on_taken(raftd, conn->peer, msg);
	}
}

/* The connection stays until the other end has read it and closes, or the deadline: closing first
 * could take the answer back from it (RFC 1122 section 4.2.2.13). */
static void refuse(struct link_conn *conn, const struct wire_raft_hello *theirs)
{
	struct wire_raft_hello hello;
	struct jaco_err err = JACO_ERR_INIT;
	char text[JACO_TEXT_MAX];

	if (conn->has_asked) {
		jaco_err_set(&err, JACO_PERMISSION_DENIED, "it was told once why it is refused");
		conn_end(conn, &err);
		return;
	}
	conn->has_asked = true;
	link_fill_refusal(conn, theirs, text, &hello);
	send_hello(conn, &hello);
}

static void take_hello(struct link_conn *conn, const struct jaco_frame *frame,
		       struct jaco_arena *arena)
{
	struct jaco_err err = JACO_ERR_INIT;
	const struct wire_raft_hello *hello;

	if (frame->kind != JACO_FRAME_NOTIFY || strcmp(frame->method, "raft.hello") != 0) {
		jaco_err_set(&err, JACO_VALIDATION_FAILED, "hello has to come first");
		conn_end(conn, &err);
		return;
	}
	hello = unpack(conn, &wire_raft_hello_desc, frame, arena);
	if (!hello)
		return;
	if (conn->is_nobody) {
		refuse(conn, hello);
		return;
	}
	if (link_check_hello(conn, hello, &err) < 0) {
		conn_end(conn, &err);
		return;
	}
	conn->is_ready = true;
	/* a stranger has that long for its one question and its answer */
	if (conn->peer || conn->kind == LINK_JOINING)
		jaco_timer_disarm(&conn->deadline);
	link_conn_ready(conn, hello);
}

static void take_frame(struct link_conn *conn, const struct jaco_frame *frame)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;

	link_note_heard(conn);
	if (!conn->is_ready)
		take_hello(conn, frame, &arena);
	else if (frame->kind == JACO_FRAME_REPLY)
		take_reply(conn, frame);
	else if (frame->kind == JACO_FRAME_REQUEST)
		take_request(conn, frame, &arena);
	else
		take_notice(conn, frame, &arena);
}

static void on_data(struct tls *tls, void *ctx)
{
	struct link_conn *conn = ctx;
	size_t used = 0, max = conn_is_stranger(conn) ? STRANGER_MAX : FRAME_MAX;
	struct jaco_err err = JACO_ERR_INIT;
	struct jaco_frame frame;
	int rc = 1;

	while (!conn->is_dead) {
		rc = jaco_frame_read(tls->in.data + used, tls->in.n - used, &frame, &err);
		if (rc > 0 && frame.bytes > max)
			rc = jaco_err_set(&err, JACO_MESSAGE_TOO_LARGE, "a message of %zu bytes",
					  frame.bytes);
		if (rc <= 0)
			break;
		take_frame(conn, &frame);
		used += frame.bytes;
	}
	if (conn->is_dead)
		return;
	jaco_buf_consume(&tls->in, used);
	if (rc == 0 && tls->in.n > max)
		rc = jaco_err_set(&err, JACO_MESSAGE_TOO_LARGE, "a message exceeds %zu bytes", max);
	if (rc < 0)
		conn_end(conn, &err);
}

static void on_up(struct tls *tls, void *ctx)
{
	struct link_conn *conn = ctx;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_raft_hello hello;

	(void)tls;
	if (!link_conn_admit(conn, &err)) {
		conn_end(conn, &err);
		return;
	}
	if (conn->is_nobody)
		return; /* its hello is answered with the reason */
	link_fill_hello(conn->link, &hello);
	send_hello(conn, &hello);
}

static void on_end(struct tls *tls, const struct jaco_err *err, void *ctx)
{
	(void)tls;
	conn_end(ctx, err);
}

static const struct tls_ops tls_ops = {.on_up = on_up, .on_data = on_data, .on_end = on_end};

/* --- life --- */

static void on_deadline(struct jaco_timer *timer, void *ctx)
{
	struct jaco_err err = JACO_ERR_INIT;

	(void)timer;
	jaco_err_set(&err, JACO_UNAVAILABLE, "nothing came of it within %d s", HELLO_MS / 1000);
	conn_end(ctx, &err);
}

struct link_conn *conn_new(struct link *link, enum link_kind kind, struct ssl_ctx_st *context,
			   int take_fd, bool pending, struct link_peer *peer)
{
	struct link_conn *conn = jaco_alloc(sizeof(*conn));
	struct jaco_err err = JACO_ERR_INIT;

	*conn = (struct link_conn){.link = link, .kind = kind, .peer = peer};
	TAILQ_INIT(&conn->pendings);
	TAILQ_INIT(&conn->calls);
	TAILQ_INSERT_TAIL(&link->conns, conn, next);
	link->n_conns++;
	jaco_timer_init(link->loop, &conn->deadline, on_deadline, conn);
	jaco_timer_arm(&conn->deadline, HELLO_MS);
	if (tls_open(&conn->tls, link->loop, context, take_fd, kind != LINK_IN, pending, &tls_ops,
		     conn, &err) < 0) {
		conn_free(conn);
		return NULL;
	}
	return conn;
}

void conn_end(struct link_conn *conn, const struct jaco_err *err)
{
	struct link_pending *pending;
	struct link_call *call;
	struct jaco_err lost = JACO_ERR_INIT;

	if (conn->is_dead)
		return;
	conn->is_dead = true;
	tls_shut(&conn->tls);
	jaco_timer_disarm(&conn->deadline);
	TAILQ_FOREACH (call, &conn->calls, next)
		call->conn = NULL;
	TAILQ_INIT(&conn->calls);
	jaco_err_set(&lost, JACO_UNAVAILABLE, "%s", err->text);
	while ((pending = TAILQ_FIRST(&conn->pendings))) {
		TAILQ_REMOVE(&conn->pendings, pending, next);
		pending->on_reply(pending->ctx, NULL, &lost);
		jaco_free(pending);
	}
	link_conn_over(conn, err);
	jaco_timer_arm_if_idle(&conn->link->reaper, 0);
}

void conn_free(struct link_conn *conn)
{
	TAILQ_REMOVE(&conn->link->conns, conn, next);
	conn->link->n_conns--;
	jaco_timer_fini(&conn->deadline);
	tls_close(&conn->tls);
	jaco_free(conn);
}
