/* SPDX-License-Identifier: Apache-2.0
 *
 * spread.c - a gathering is a call that waits for its legs: one per member.  An errand is the other
 * end of a leg: a call to a daemon of this node on behalf of a gathering elsewhere. */
#include "daemons/raftd/spread.h"

#include <string.h>

#include "daemons/raftd/api/api.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/daemon/daemon.h"

#define POLL_MS          20
#define ERRANDS_PER_PEER 64
#define PARAMS_MAX       65536	      /* wire_raft_ask.params */
#define EVENT_MAX        (256 * 1024) /* one event; a log line is at most 64 KiB */

struct leg {
	char host[JACO_HOST_MAX + 1];
	bool is_over;
	bool matters;   /* a replica that is asked for belongs there */
	uint64_t taken; /* bytes passed on and not yet confirmed to the sender */
};

struct gathering {
	TAILQ_ENTRY(gathering) next;
	struct spread *spread;
	uint64_t id;
	struct jaco_call *call; /* NULL: over, waits to be freed */
	bool is_stream;
	size_t n_legs;
	struct leg legs[JACO_NODES_MAX];
	struct jaco_client client; /* to the daemon of this node, the last leg */
	struct jaco_err failure;
	struct jaco_timer poll; /* the reader lags: nothing is confirmed until it has caught up */
	struct jaco_timer reaper;
};

struct errand {
	TAILQ_ENTRY(errand) next;
	struct spread *spread;
	uint64_t raft_id; /* who asked */
	uint64_t id;
	uint64_t under_way;
	bool is_over;
	struct jaco_client client;
	struct jaco_timer reaper;
};

struct spread {
	struct raftd *raftd;
	uint64_t next_id;
	TAILQ_HEAD(, gathering) gatherings;
	TAILQ_HEAD(, errand) errands;
};

/* Which daemon answers, and for whom it is meant: nothing else crosses from node to node. */
static const struct {
	const char *method;
	const char *daemon;
	bool is_stream;
} spreads[] = {{"logs.stream", "runtimed", true}, {"volumes.remove", "runtimed", false}};

static size_t find_spread(const char *method)
{
	size_t i = 0;

	while (i < JACO_ARRAY_SIZE(spreads) && !jaco_str_eq(spreads[i].method, method))
		i++;
	return i;
}

bool spread_takes(const char *method)
{
	return find_spread(method) < JACO_ARRAY_SIZE(spreads);
}

static void on_state(struct jaco_client *client, bool is_up, void *ctx)
{
	/* calls in flight have failed by themselves */
	(void)client;
	(void)is_up;
	(void)ctx;
}

static bool open_client(struct raftd *raftd, struct jaco_client *client, const char *daemon,
			void *ctx)
{
	char path[108];

	jaco_daemon_peer_path(raftd->daemon, daemon, path);
	jaco_client_open(client, &raftd->daemon->loop, path, on_state, ctx);
	client->once = true;
	jaco_timer_disarm(&client->retry);
	return client->is_up;
}

/* --- the asking side --- */

static void gathering_free(struct gathering *g)
{
	TAILQ_REMOVE(&g->spread->gatherings, g, next);
	jaco_timer_fini(&g->poll);
	jaco_timer_fini(&g->reaper);
	jaco_client_close(&g->client);
	jaco_free(g);
}

static void on_gathering_reaper(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	gathering_free(ctx);
}

static void send_taken(struct gathering *g, struct leg *leg, bool is_gone)
{
	struct link_peer *peer = link_find(&g->spread->raftd->link, leg->host);
	struct wire_raft_taken msg = {.id = g->id, .bytes = leg->taken, .gone = is_gone};

	leg->taken = 0;
	if (peer)
		link_send(peer, "raft.taken", &wire_raft_taken_desc, &msg);
}

/* The client may be in the middle of its own call-back. */
static void gathering_end(struct gathering *g)
{
	for (size_t i = 0; i + 1 < g->n_legs; i++)
		if (!g->legs[i].is_over)
			send_taken(g, &g->legs[i], true);
	g->call = NULL;
	jaco_timer_disarm(&g->poll);
	jaco_timer_arm(&g->reaper, 0);
}

static void on_gathering_cancel(struct jaco_call *call, void *ctx)
{
	(void)call;
	gathering_end(ctx);
}

static void answer_if_over(struct gathering *g)
{
	struct jaco_call *call = g->call;

	for (size_t i = 0; i < g->n_legs; i++)
		if (!g->legs[i].is_over)
			return;
	jaco_call_on_cancel(call, NULL, NULL);
	if (g->failure.code != JACO_OK)
		jaco_call_fail(call, &g->failure);
	else
		jaco_call_reply_raw(call, "\x80", 1);
	gathering_end(g);
}

/* Half of the output's bound is left for what is under way already: nothing is lost. */
static bool lags(const struct gathering *g)
{
	return jaco_call_queued(g->call) > JACO_OUTPUT_HIGH_WATER / 4;
}

static void confirm(struct gathering *g)
{
	for (size_t i = 0; i + 1 < g->n_legs; i++)
		if (!g->legs[i].is_over && g->legs[i].taken >= SPREAD_WINDOW / 4)
			send_taken(g, &g->legs[i], false);
	jaco_client_listen(&g->client, true);
}

static void on_poll(struct jaco_timer *timer, void *ctx)
{
	struct gathering *g = ctx;

	if (g->call && lags(g))
		jaco_timer_arm(timer, POLL_MS);
	else if (g->call)
		confirm(g);
}

static void pass_on(struct gathering *g, struct leg *leg, const void *packed, size_t n)
{
	struct jaco_err lag = JACO_ERR_INIT;

	(void)jaco_call_event_raw(g->call, packed, n, &lag);
	leg->taken += n;
	if (!lags(g)) {
		if (leg->taken >= SPREAD_WINDOW / 4 && leg != &g->legs[g->n_legs - 1])
			send_taken(g, leg, false);
		return;
	}
	jaco_client_listen(&g->client, false);
	jaco_timer_arm_if_idle(&g->poll, POLL_MS);
}

/* A leg ends badly: a stream tells its reader and goes on with the others. */
static void leg_failed(struct gathering *g, struct leg *leg, const char *text)
{
	jaco_auto(jaco_buf) struct jaco_buf packed = JACO_BUF_INIT;
	struct wire_log_line line = {
		.replica = "-", .host = leg->host, .text = text, .is_stderr = true};
	struct jaco_err err = JACO_ERR_INIT;

	if (!leg->matters)
		return;
	if (!g->is_stream)
		jaco_err_set(&g->failure, JACO_UNAVAILABLE, "%s: %s", leg->host, text);
	else if (jaco_pack(&packed, &wire_log_line_desc, &line, &err) >= 0)
		(void)jaco_call_event_raw(g->call, packed.data, packed.n, &err);
}

static void on_local_event(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	struct gathering *g = ctx;

	(void)err;
	if (g->call)
		pass_on(g, &g->legs[g->n_legs - 1], packed, n);
}

static void on_local_reply(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	struct gathering *g = ctx;
	struct leg *leg = &g->legs[g->n_legs - 1];

	(void)packed;
	(void)n;
	if (!g->call)
		return;
	leg->is_over = true;
	if (err && err->code != JACO_OK)
		g->failure = *err; /* what is wrong with the question is wrong everywhere */
	answer_if_over(g);
}

/* Silence of a node that has none of them is no loss. */
static bool has_one(struct raftd *raftd, struct jaco_arena *arena,
		    const struct wire_logs_query *query, const char *host)
{
	char key[JACO_KEY_MAX + 1] = "";
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_replica replica;

	while (api_next(raftd, "/replica/", key, &wire_replica_desc, arena, &replica, NULL, &err) >
	       0) {
		if (query->replica ? !jaco_str_eq(replica.id, query->replica)
				   : !jaco_str_eq(replica.deployment, query->deployment) ||
					     (query->service &&
					      !jaco_str_eq(replica.service, query->service)))
			continue;
		for (size_t i = 0; i < replica.generations.n; i++)
			if (strcmp(replica.generations.v[i].host, host) == 0)
				return true;
	}
	return false;
}

static bool leg_matters(struct gathering *g, const void *params, size_t n, const char *host)
{
	jaco_auto(jaco_arena) struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err err = JACO_ERR_INIT;
	struct wire_logs_query query;

	return !g->is_stream ||
	       jaco_unpack(&wire_logs_query_desc, params, n, &arena, &query, &err) < 0 ||
	       has_one(g->spread->raftd, &arena, &query, host);
}

static void ask_peer(struct gathering *g, struct link_peer *peer, const char *method,
		     const void *params, size_t n)
{
	struct wire_raft_ask msg = {.id = g->id, .method = method, .identity = g->call->identity,
				    .params = {.data = params, .n = n}};
	struct leg *leg = &g->legs[g->n_legs++];

	(void)jaco_str_copy(leg->host, sizeof(leg->host), peer->host);
	leg->matters = leg_matters(g, params, n, peer->host);
	if (peer->liveness != JACO_LIVENESS_UNREACHABLE && link_is_up(peer)) {
		link_send(peer, "raft.ask", &wire_raft_ask_desc, &msg);
		return;
	}
	leg->is_over = true;
	leg_failed(g, leg, "does not answer: what it has is missing here");
}

int spread_call(struct raftd *raftd, struct jaco_call *call, const char *daemon, const void *params,
		size_t n, struct jaco_err *err)
{
	struct gathering *g;
	struct link_peer *peer;

	if (n > PARAMS_MAX)
		return jaco_err_set(err, JACO_MESSAGE_TOO_LARGE, "a question of %zu bytes", n);
	g = jaco_alloc(sizeof(*g));
	*g = (struct gathering){.spread = raftd->spread,
				.id = ++raftd->spread->next_id,
				.call = call,
				.is_stream = spreads[find_spread(call->method_name)].is_stream};
	TAILQ_INSERT_TAIL(&raftd->spread->gatherings, g, next);
	jaco_timer_init(&raftd->daemon->loop, &g->poll, on_poll, g);
	jaco_timer_init(&raftd->daemon->loop, &g->reaper, on_gathering_reaper, g);
	if (!open_client(raftd, &g->client, daemon, g)) {
		gathering_free(g);
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s is not running on this node",
				    daemon);
	}
	jaco_call_on_cancel(call, on_gathering_cancel, g);
	TAILQ_FOREACH (peer, &raftd->link.peers, next)
		if (g->n_legs + 1 < JACO_NODES_MAX)
			ask_peer(g, peer, call->method_name, params, n);
	(void)jaco_str_copy(g->legs[g->n_legs].host, sizeof(g->legs[0].host), raftd->host);
	g->n_legs++;
	(void)jaco_client_call_raw(&g->client, call->method_name, params, n, call->identity, 0,
				   on_local_event, on_local_reply, g);
	return 0;
}

static struct leg *find_leg(struct spread *spread, uint64_t id, const char *host,
			    struct gathering **out)
{
	TAILQ_FOREACH (*out, &spread->gatherings, next) {
		if ((*out)->id != id || !(*out)->call)
			continue;
		for (size_t i = 0; i + 1 < (*out)->n_legs; i++)
			if (!(*out)->legs[i].is_over && strcmp((*out)->legs[i].host, host) == 0)
				return &(*out)->legs[i];
	}
	return NULL;
}

void spread_on_told(struct raftd *raftd, struct link_peer *peer, const struct wire_raft_told *msg)
{
	struct gathering *g;
	struct leg *leg = raftd->spread ? find_leg(raftd->spread, msg->id, peer->host, &g) : NULL;

	if (!leg)
		return;
	if (msg->event.n)
		pass_on(g, leg, msg->event.data, msg->event.n);
	if (!msg->end)
		return;
	leg->is_over = true;
	if (msg->error)
		leg_failed(g, leg, msg->error);
	answer_if_over(g);
}

/* --- the answering side --- */

static void errand_free(struct errand *errand)
{
	TAILQ_REMOVE(&errand->spread->errands, errand, next);
	jaco_timer_fini(&errand->reaper);
	jaco_client_close(&errand->client);
	jaco_free(errand);
}

static void on_errand_reaper(struct jaco_timer *timer, void *ctx)
{
	(void)timer;
	errand_free(ctx);
}

static void errand_end(struct errand *errand)
{
	errand->is_over = true;
	jaco_timer_arm(&errand->reaper, 0);
}

static void tell(struct raftd *raftd, uint64_t raft_id, const struct wire_raft_told *msg)
{
	struct link_peer *peer = link_find_id(&raftd->link, raft_id);

	if (peer)
		link_send(peer, "raft.told", &wire_raft_told_desc, msg);
}

static void on_event(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	struct errand *errand = ctx;
	struct wire_raft_told msg = {.id = errand->id, .event = {.data = packed, .n = n}};

	(void)err;
	if (errand->is_over || n > EVENT_MAX)
		return;
	tell(errand->spread->raftd, errand->raft_id, &msg);
	errand->under_way += n;
	if (errand->under_way > SPREAD_WINDOW)
		jaco_client_listen(&errand->client, false);
}

static void on_reply(void *ctx, const void *packed, size_t n, const struct jaco_err *err)
{
	struct errand *errand = ctx;
	struct wire_raft_told msg = {.id = errand->id, .end = true};

	(void)packed;
	(void)n;
	if (errand->is_over)
		return;
	if (err && err->code != JACO_OK)
		msg.error = err->text;
	tell(errand->spread->raftd, errand->raft_id, &msg);
	errand_end(errand);
}

static size_t count_errands(const struct spread *spread, uint64_t raft_id)
{
	const struct errand *errand;
	size_t n = 0;

	TAILQ_FOREACH (errand, &spread->errands, next)
		n += errand->raft_id == raft_id;
	return n;
}

void spread_on_ask(struct raftd *raftd, struct link_peer *peer, const struct wire_raft_ask *msg)
{
	struct wire_raft_told refusal = {.id = msg->id, .end = true};
	size_t which = find_spread(msg->method);
	struct errand *errand;

	if (!raftd->spread)
		return; /* closing */
	if (which == JACO_ARRAY_SIZE(spreads))
		refusal.error = "its JACO does not know that question";
	else if (count_errands(raftd->spread, peer->raft_id) >= ERRANDS_PER_PEER)
		refusal.error = "too many questions at once";
	if (refusal.error) {
		tell(raftd, peer->raft_id, &refusal);
		return;
	}
	errand = jaco_alloc(sizeof(*errand));
	*errand = (struct errand){.spread = raftd->spread, .raft_id = peer->raft_id, .id = msg->id};
	TAILQ_INSERT_TAIL(&raftd->spread->errands, errand, next);
	jaco_timer_init(&raftd->daemon->loop, &errand->reaper, on_errand_reaper, errand);
	if (!open_client(raftd, &errand->client, spreads[which].daemon, errand)) {
		refusal.error = "its runtimed is not running";
		tell(raftd, peer->raft_id, &refusal);
		errand_free(errand);
		return;
	}
	(void)jaco_client_call_raw(&errand->client, msg->method, msg->params.data, msg->params.n,
				   msg->identity, 0,
				   on_event, on_reply, errand);
}

void spread_on_taken(struct raftd *raftd, struct link_peer *peer, const struct wire_raft_taken *msg)
{
	struct errand *errand;

	if (!raftd->spread)
		return;
	TAILQ_FOREACH (errand, &raftd->spread->errands, next)
		if (errand->raft_id == peer->raft_id && errand->id == msg->id && !errand->is_over)
			break;
	if (!errand)
		return;
	if (msg->gone) {
		errand_end(errand);
		return;
	}
	errand->under_way -= JACO_MIN(errand->under_way, msg->bytes);
	if (errand->under_way <= SPREAD_WINDOW)
		jaco_client_listen(&errand->client, true);
}

/* --- both --- */

void spread_peer_down(struct raftd *raftd, struct link_peer *peer)
{
	struct gathering *g, *next;
	struct errand *errand;

	if (!raftd->spread)
		return;
	TAILQ_FOREACH (errand, &raftd->spread->errands, next)
		if (errand->raft_id == peer->raft_id && !errand->is_over)
			errand_end(errand);
	for (g = TAILQ_FIRST(&raftd->spread->gatherings); g; g = next) {
		bool was_open = false;

		next = TAILQ_NEXT(g, next);
		for (size_t i = 0; g->call && i + 1 < g->n_legs; i++) {
			struct leg *leg = &g->legs[i];

			if (leg->is_over || strcmp(leg->host, peer->host) != 0)
				continue;
			leg->is_over = was_open = true;
			leg_failed(g, leg, "went away: the rest of what it has is missing here");
		}
		if (was_open)
			answer_if_over(g);
	}
}

struct spread *spread_new(struct raftd *raftd)
{
	struct spread *spread = jaco_alloc(sizeof(*spread));

	spread->raftd = raftd;
	TAILQ_INIT(&spread->gatherings);
	TAILQ_INIT(&spread->errands);
	return spread;
}

void spread_free(struct spread *spread)
{
	struct gathering *g;
	struct errand *errand;

	if (!spread)
		return;
	while ((g = TAILQ_FIRST(&spread->gatherings))) {
		if (g->call)
			jaco_call_on_cancel(g->call, NULL, NULL);
		gathering_free(g);
	}
	while ((errand = TAILQ_FIRST(&spread->errands)))
		errand_free(errand);
	jaco_free(spread);
}
