/* SPDX-License-Identifier: Apache-2.0
 *
 * relay.c - which daemon has a method comes from libjaco/wire/def; nothing is decoded on the
 * way. */
#include "daemons/raftd/relay.h"

#include <string.h>

#include "daemons/raftd/api/api.h"
#include "daemons/raftd/spread.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/daemon/daemon.h"

#define RELAY_DEADLINE_MS 30000
#define DRAIN_POLL_MS     20

static const char *const daemon_names[] = {"schedd", "ipamd", "meshd",	 "fwd-nft",
					   "dnsd",   "proxyd", "runtimed"};

struct relay {
	struct raftd *raftd;
	struct jaco_client clients[JACO_ARRAY_SIZE(daemon_names)];
	bool is_open[JACO_ARRAY_SIZE(daemon_names)];
	TAILQ_HEAD(, relay_stream) streams;
};

/* Which daemon a method belongs to. */
static const struct {
	const char *method;
	const char *name;
} owners[] = {
#define METHOD(d, m, n, in, out, r, f) {n, #d},
#include "libjaco/wire/pass_methods.h"
#include "libjaco/wire/def/schedd.def"
#include "libjaco/wire/def/ipamd.def"
#include "libjaco/wire/def/meshd.def"
#include "libjaco/wire/def/fwd.def"
#include "libjaco/wire/def/dnsd.def"
#include "libjaco/wire/def/proxyd.def"
#include "libjaco/wire/def/runtimed.def"
#include "libjaco/wire/pass_end.h"
	{NULL, NULL}};

static const char *owner_of(const char *method)
{
	for (size_t i = 0; owners[i].method; i++)
		if (strcmp(owners[i].method, method) == 0)
			return strcmp(owners[i].name, "fwd") == 0 ? "fwd-nft" : owners[i].name;
	return NULL;
}

static void on_state(struct jaco_client *client, bool is_up, void *ctx)
{
	/* calls in flight have failed by themselves; the client reconnects */
	(void)client;
	(void)is_up;
	(void)ctx;
}

/* The connection to @name, made now if there is none.  Without reconnection of its own: an absent
 * daemon costs nothing until somebody asks for it. */
static struct jaco_client *client_of(struct relay *relay, const char *name)
{
	char path[108];

	for (size_t i = 0; i < JACO_ARRAY_SIZE(daemon_names); i++) {
		struct jaco_client *client = &relay->clients[i];

		if (strcmp(daemon_names[i], name) != 0)
			continue;
		if (relay->is_open[i] && client->is_up)
			return client;
		if (relay->is_open[i])
			jaco_client_close(client);
		jaco_daemon_peer_path(relay->raftd->daemon, name, path);
		jaco_client_open(client, &relay->raftd->daemon->loop, path, on_state, relay);
		client->once = true;
		jaco_timer_disarm(&client->retry);
		relay->is_open[i] = true;
		return client->is_up ? client : NULL;
	}
	return NULL;
}

static void finish(struct jaco_call *call, const void *packed, size_t n, const struct jaco_err *err)
{
	jaco_call_on_cancel(call, NULL, NULL);
	if (err && err->code != JACO_OK)
		jaco_call_fail(call, err);
	else
		jaco_call_reply_raw(call, packed, n);
}

/* --- single answers share a connection --- */

static void on_reply(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	finish(ctx, packed, n, err);
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	jaco_client_cancel(ctx);
}

static int relay_once(struct raftd *raftd, struct jaco_call *call, const char *name,
		      const void *params, size_t n, struct jaco_err *err)
{
	struct jaco_client *client = client_of(raftd->relay, name);

	if (!client)
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s is not running on this node", name);
	jaco_call_on_cancel(call, on_cancel,
			    jaco_client_call_raw(client, call->method_name, params, n,
						 call->identity, RELAY_DEADLINE_MS, NULL, on_reply,
						 call));
	return 0;
}

/* --- a stream has its own: closing it is how the other daemon learns that nobody listens --- */

struct relay_stream {
	TAILQ_ENTRY(relay_stream) link;
	struct relay *relay;
	struct jaco_client client;
	struct jaco_call *call; /* NULL: over, waits to be freed */
	struct jaco_timer reaper;
	struct jaco_timer drain; /* armed: our reader lags, the daemon is not read */
};

static void stream_free(struct relay_stream *stream)
{
	TAILQ_REMOVE(&stream->relay->streams, stream, link);
	jaco_timer_fini(&stream->reaper);
	jaco_timer_fini(&stream->drain);
	jaco_client_close(&stream->client);
	jaco_free(stream);
}

static void on_reaper(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	stream_free(ctx);
}

/* The client may be in the middle of its own call-back. */
static void stream_end(struct relay_stream *stream)
{
	stream->call = NULL;
	jaco_timer_arm(&stream->reaper, 0);
}

static void on_stream_event(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	struct relay_stream *stream = ctx;
	struct jaco_err lag = JACO_ERR_INIT;

	(void)err;
	if (!stream->call)
		return;
	/* half of the bound is left for what has been read already: nothing is lost */
	(void)jaco_call_event_raw(stream->call, packed, n, &lag);
	if (jaco_call_queued(stream->call) > JACO_OUTPUT_HIGH_WATER / 2) {
		jaco_client_listen(&stream->client, false);
		jaco_timer_arm_if_idle(&stream->drain, DRAIN_POLL_MS);
	}
}

static void on_drain(struct jaco_timer *timer, void *ctx)
{
	struct relay_stream *stream = ctx;

	if (stream->call && jaco_call_queued(stream->call) > JACO_OUTPUT_HIGH_WATER / 4)
		jaco_timer_arm(timer, DRAIN_POLL_MS);
	else
		jaco_client_listen(&stream->client, true);
}

static void on_stream_reply(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	struct relay_stream *stream = ctx;

	if (!stream->call)
		return;
	finish(stream->call, packed, n, err);
	stream_end(stream);
}

static void on_stream_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	stream_end(ctx);
}

static int relay_stream(struct raftd *raftd, struct jaco_call *call, const char *name,
			const void *params, size_t n, struct jaco_err *err)
{
	struct relay_stream *stream = jaco_alloc(sizeof(*stream));
	char path[108];

	stream->relay = raftd->relay;
	stream->call = call;
	TAILQ_INSERT_TAIL(&raftd->relay->streams, stream, link);
	jaco_timer_init(&raftd->daemon->loop, &stream->reaper, on_reaper, stream);
	jaco_timer_init(&raftd->daemon->loop, &stream->drain, on_drain, stream);
	jaco_daemon_peer_path(raftd->daemon, name, path);
	jaco_client_open(&stream->client, &raftd->daemon->loop, path, on_state, stream);
	stream->client.once = true;
	jaco_timer_disarm(&stream->client.retry);
	if (!stream->client.is_up) {
		stream_free(stream);
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s is not running on this node", name);
	}
	jaco_call_on_cancel(call, on_stream_cancel, stream);
	(void)jaco_client_call_raw(&stream->client, call->method_name, params, n, call->identity, 0,
				   on_stream_event, on_stream_reply, stream);
	return 0;
}

int relay_call(void *ctx, struct jaco_call *call, const void *req, struct jaco_err *err)
{
	static const uint8_t empty_map = 0x80;
	struct raftd *raftd = ctx;
	const struct jaco_method *method = jaco_method_find(call->method_name);
	const char *name = owner_of(call->method_name);
	const void *params = call->raw_params_bytes ? call->raw_params : &empty_map;
	size_t n = call->raw_params_bytes ? call->raw_params_bytes : 1;

	(void)req;
	if (!method || !name)
		return jaco_err_set(err, JACO_UNKNOWN_METHOD, "no method %s here",
				    call->method_name);
	if (!(call->role & ROLE_ADMIN) || !(method->roles & (call->role | ROLE_RAFTD)))
		return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s may not call %s",
				    call->identity, call->method_name);
	if (spread_takes(call->method_name) && !TAILQ_EMPTY(&raftd->link.peers))
		return spread_call(raftd, call, name, params, n, err);
	if (method->flags & METHOD_STREAM)
		return relay_stream(raftd, call, name, params, n, err);
	return relay_once(raftd, call, name, params, n, err);
}

/* --- by name: what every daemon answers --- */

static void on_named_reply(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	struct jaco_call *call = ctx;
	struct wire_daemon_answer answer = {.result = {packed, n}};

	jaco_call_on_cancel(call, NULL, NULL);
	if (err && err->code != JACO_OK)
		jaco_call_fail(call, err);
	else
		jaco_call_reply(call, &answer);
}

int raftd_on_daemon_call(struct raftd *raftd, struct jaco_call *call,
			 const struct wire_daemon_call *req, struct jaco_err *err)
{
	static const uint8_t empty_map = 0x80;
	const struct jaco_method *method = jaco_method_find(req->method);
	struct jaco_client *client;
	bool is_known = false;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(daemon_names); i++)
		is_known |= strcmp(daemon_names[i], req->daemon) == 0;
	if (!is_known)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "daemon: there is no %s to pass "
				    "calls on to", req->daemon);
	if (!method || method->flags & METHOD_STREAM)
		return jaco_err_set(err, JACO_UNKNOWN_METHOD, "%s cannot be asked %s this way",
				    req->daemon, req->method);
	if (!(method->roles & (ROLE_ADMIN | ROLE_RAFTD)))
		return jaco_err_set(err, JACO_PERMISSION_DENIED, "%s may not call %s",
				    call->identity, req->method);
	client = client_of(raftd->relay, req->daemon);
	if (!client)
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s is not running on this node",
				    req->daemon);
	jaco_call_on_cancel(call, on_cancel,
			    jaco_client_call_raw(client, req->method,
						 req->params.n ? req->params.data : &empty_map,
						 req->params.n ? req->params.n : 1, call->identity,
						 RELAY_DEADLINE_MS, NULL, on_named_reply, call));
	return 0;
}

struct relay *relay_new(struct raftd *raftd)
{
	struct relay *relay = jaco_alloc(sizeof(*relay));

	relay->raftd = raftd;
	TAILQ_INIT(&relay->streams);
	return relay;
}

void relay_free(struct relay *relay)
{
	struct relay_stream *stream;

	if (!relay)
		return;
	while ((stream = TAILQ_FIRST(&relay->streams))) {
		if (stream->call)
			jaco_call_on_cancel(stream->call, NULL, NULL);
		stream->call = NULL;
		stream_free(stream);
	}
	for (size_t i = 0; i < JACO_ARRAY_SIZE(daemon_names); i++)
		if (relay->is_open[i])
			jaco_client_close(&relay->clients[i]);
	jaco_free(relay);
}
