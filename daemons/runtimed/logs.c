/* SPDX-License-Identifier: Apache-2.0
 *
 * logs.c - logs.stream and volumes.remove: what containers of this node wrote, and what they leave.
 *
 * A slow reader slows the engine down, not us: a stream whose caller has WATER_HIGH bytes queued is
 * paused and looked at again every POLL_MS. */
#include "daemons/runtimed/runtimed.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define WATER_HIGH  (1u << 20)
#define WATER_LOW   (256u << 10)
#define POLL_MS     50
#define STREAMS_MAX 64 /* callers at once on one node */

struct log_source {
	TAILQ_ENTRY(log_source) entry;
	struct log_stream *stream;
	char replica[JACO_REPLICA_ID_BYTES];
	struct engine_call *call; /* NULL: ended */
};

struct log_stream {
	TAILQ_ENTRY(log_stream) entry;
	struct runtimed *rt;
	struct jaco_call *call;
	bool timestamps;
	bool is_paused;
	struct jaco_timer timer;
	TAILQ_HEAD(, log_source) sources;
	size_t n_open;
};

static void stream_free(struct log_stream *stream)
{
	struct log_source *source;

	while ((source = TAILQ_FIRST(&stream->sources))) {
		TAILQ_REMOVE(&stream->sources, source, entry);
		engine_cancel(source->call);
		jaco_free(source);
	}
	jaco_timer_fini(&stream->timer);
	TAILQ_REMOVE(&stream->rt->streams, stream, entry);
	jaco_free(stream);
}

static void pause_all(struct log_stream *stream, bool on)
{
	struct log_source *source;

	stream->is_paused = on;
	TAILQ_FOREACH(source, &stream->sources, entry)
		if (source->call)
			engine_pause(source->call, on);
}

static void end_when_done(struct log_stream *stream)
{
	struct jaco_call *call = stream->call;

	if (stream->n_open > 0)
		return;
	stream_free(stream);
	jaco_call_reply(call, NULL);
}

static void on_poll(struct jaco_timer *timer, void *ctx)
{
	struct log_stream *stream = ctx;

	if (!stream->is_paused) {
		end_when_done(stream);
		return;
	}
	if (jaco_call_queued(stream->call) > WATER_LOW)
		jaco_timer_arm(timer, POLL_MS);
	else
		pause_all(stream, false);
}

static void on_line(void *ctx, bool is_stderr, const char *text, size_t n)
{
	struct log_source *source = ctx;
	struct log_stream *stream = source->stream;
	jaco_auto(jaco_buf) struct jaco_buf scratch = JACO_BUF_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	char time[48] = "";
	size_t prefix = demux_time_prefix(text);
	struct wire_log_line line = {.replica = source->replica,
				     .host = stream->rt->daemon->host,
				     .is_stderr = is_stderr};

	if (prefix > 0) {
		jaco_str_format(time, sizeof(time), "%.*s", (int)prefix, text);
		text += prefix + 1;
		n -= prefix + 1;
	}
	line.time = stream->timestamps ? time : NULL;
	line.text = demux_as_utf8(&scratch, text, n);
	if (jaco_call_event(stream->call, &line, &err) < 0)
		return; /* beyond the server's own bound: the line is lost, the stream goes on */
	if (!stream->is_paused && jaco_call_queued(stream->call) > WATER_HIGH) {
		pause_all(stream, true);
		jaco_timer_arm(&stream->timer, POLL_MS);
	}
}

static void on_end(void *ctx, const struct jaco_err *err)
{
	struct log_source *source = ctx;
	struct log_stream *stream = source->stream;
	struct wire_log_line line = {.replica = source->replica,
				     .host = stream->rt->daemon->host,
				     .is_stderr = true};
	struct jaco_err ignored = JACO_ERR_INIT;
	char text[JACO_ERR_TEXT_MAX + 32];

	source->call = NULL;
	stream->n_open--;
	if (err) { /* named in the output, never silence */
		jaco_str_format(text, sizeof(text), "[logs end: %.500s]", err->text);
		line.text = text;
		(void)jaco_call_event(stream->call, &line, &ignored);
	}
	/* Not from here: the engine call that tells us is still on the stack. */
	jaco_timer_arm_if_idle(&stream->timer, 0);
}

static void on_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	stream_free(ctx);
}

static bool is_asked(const struct slot *slot, const struct wire_logs_query *req)
{
	if (!slot->has_container)
		return false;
	if (req->replica)
		return jaco_str_eq(slot->id, req->replica);
	return jaco_str_eq(slot->deployment, req->deployment) &&
	       (!req->service || jaco_str_eq(slot->service_name, req->service));
}

static void add_source(struct log_stream *stream, const struct slot *slot,
		       const struct wire_logs_query *req)
{
	struct log_source *source = jaco_alloc(sizeof(*source));
	struct engine_logs_options options = {
		.follow = req->follow,
		.since_s = (int64_t)(req->since / 1000),
		.tail = JACO_HAS(req, logs_query, tail) ? (int64_t)req->tail : -1,
		.is_raw = slot->service && slot->service->tty};

	source->stream = stream;
	jaco_str_copy(source->replica, sizeof(source->replica), slot->id);
	TAILQ_INSERT_TAIL(&stream->sources, source, entry);
	stream->n_open++;
	source->call =
		engine_logs(stream->rt->engine, slot->c.id, &options, on_line, on_end, source);
}

static size_t count_streams(const struct runtimed *rt)
{
	const struct log_stream *stream;
	size_t n = 0;

	TAILQ_FOREACH(stream, &rt->streams, entry)
		n++;
	return n;
}

int runtimed_on_logs_stream(struct runtimed *rt, struct jaco_call *call,
			    const struct wire_logs_query *req, struct jaco_err *err);
int runtimed_on_logs_stream(struct runtimed *rt, struct jaco_call *call,
			    const struct wire_logs_query *req, struct jaco_err *err)
{
	struct log_stream *stream;
	struct slot *slot;

	if (!req->replica && !req->deployment)
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "logs of what? name a deployment or a replica");
	if (count_streams(rt) >= STREAMS_MAX)
		return jaco_err_set(err, JACO_TOO_MANY_REQUESTS,
				    "%d log streams are open on this node", STREAMS_MAX);
	stream = jaco_alloc(sizeof(*stream));
	stream->rt = rt;
	stream->call = call;
	stream->timestamps = req->timestamps;
	TAILQ_INIT(&stream->sources);
	jaco_timer_init(rt->loop, &stream->timer, on_poll, stream);
	TAILQ_INSERT_TAIL(&rt->streams, stream, entry);
	jaco_call_on_cancel(call, on_cancel, stream);
	TAILQ_FOREACH(slot, &rt->slots, entry)
		if (is_asked(slot, req))
			add_source(stream, slot, req);
	/* A node without such a replica answers with nothing at once: the asker merges nodes. */
	jaco_timer_arm_if_idle(&stream->timer, 0);
	return 0;
}

void logs_stop_all(struct runtimed *rt)
{
	struct log_stream *stream;

	while ((stream = TAILQ_FIRST(&rt->streams)))
		stream_free(stream);
}

struct removal {
	struct jaco_call *call; /* NULL: the caller went away */
};

static void on_removal_cancel(struct jaco_call *call, void *ctx)
{
	struct removal *removal = ctx;

	(void)call;
	removal->call = NULL;
}

static void on_volumes_removed(void *ctx, const struct jaco_err *err)
{
	static const struct wire_nothing nothing;
	struct removal *removal = ctx;

	if (removal->call && err)
		jaco_call_fail(removal->call, err);
	else if (removal->call)
		jaco_call_reply(removal->call, &nothing);
	jaco_free(removal);
}

int runtimed_on_volumes_remove(struct runtimed *rt, struct jaco_call *call,
			       const struct wire_volume_query *req, struct jaco_err *err);
int runtimed_on_volumes_remove(struct runtimed *rt, struct jaco_call *call,
			       const struct wire_volume_query *req, struct jaco_err *err)
{
	struct removal *removal;
	const struct slot *slot;

	if (!rt->is_engine_up)
		return jaco_err_set(err, JACO_UNAVAILABLE, "engine unavailable: %.400s",
				    rt->engine_error);
	TAILQ_FOREACH(slot, &rt->slots, entry)
		if (jaco_str_eq(slot->deployment, req->deployment))
			return jaco_err_set(err, JACO_CONFLICT,
					    "replica %s of that deployment is still here",
					    slot->id);
	removal = jaco_alloc(sizeof(*removal));
	removal->call = call;
	jaco_call_on_cancel(call, on_removal_cancel, removal);
	jaco_log_notice("removing volumes", KV_STR(deployment, req->deployment),
			KV_STR(identity, call->identity));
	engine_volumes_remove(rt->engine, rt->cluster_id, req->deployment, on_volumes_removed,
			      removal);
	return 0;
}
