/* SPDX-License-Identifier: Apache-2.0
 *
 * forward.c - see forward.h.
 *
 * One `flight` is one question being asked; its clients wait on it.  The reply is relayed byte for
 * byte but for the id and the letters' case of the question. */
#include "daemons/dnsd/forward.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "daemons/dnsd/ask.h"
#include "daemons/dnsd/cache.h"
#include "libjaco/base/arena.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"

#define BUCKETS       256
#define READS_AT_ONCE                                                                              \
	16 /* datagrams taken per wake-up: a flood of forgeries must not hold the loop */

enum flight_state {
	FLIGHT_IDLE,     /* between attempts */
	FLIGHT_UDP,      /* asked by datagram */
	FLIGHT_TCP_OPEN, /* connecting, or the query is not sent whole */
	FLIGHT_TCP_READ, /* waiting for the framed reply */
};

struct forward_flight {
	LIST_ENTRY(forward_flight) in_bucket;
	LIST_ENTRY(forward_flight) in_all;
	LIST_HEAD(, forward_client) clients;
	struct forward *forward;
	struct upstreams *upstreams;
	size_t at; /* the upstream being asked */
	enum flight_state state;
	int fd;
	struct jaco_io io;
	struct jaco_timer timer;
	bool is_tcp;       /* the clients are: a truncated reply does not help them */
	uint64_t hash;
	bool is_plain;     /* this upstream takes no EDNS: asked without */
	uint8_t *query;    /* as sent, behind two bytes of TCP length */
	size_t query_n;    /* whole */
	size_t plain_n;    /* without its OPT record; the same when it has none */
	uint8_t *folded;   /* the same in lower case, what identical means */
	size_t sent;
	struct jaco_buf in; /* TCP */
	uint8_t key[CACHE_KEY_MAX];
	size_t key_n; /* 0: not to be cached */
};

struct forward {
	struct jaco_loop *loop;
	struct stats *stats;
	struct upstreams *upstreams; /* the node's */
	struct upstreams **resolvers; /* services' own */
	size_t n_resolvers;
	uint64_t last_id;
	int64_t timeout_ms;
	struct cache *cache;
	size_t cache_max;
	size_t n_flights, n_clients;
	LIST_HEAD(, forward_flight) flights;
	LIST_HEAD(, forward_flight) buckets[BUCKETS];
	uint8_t in[PACKET_MAX];  /* what came from upstream */
	uint8_t out[PACKET_MAX]; /* what goes to one client */
	uint8_t asked[PACKET_MAX];
	uint8_t folded[PACKET_MAX + PACKET_SLACK];
};

struct forward *forward_new(struct jaco_loop *loop, struct stats *stats)
{
	struct forward *forward = jaco_alloc(sizeof(*forward));

	forward->loop = loop;
	forward->stats = stats;
	forward->cache = cache_new(0);
	forward->upstreams = upstreams_new(0, NULL, 0);
	forward->timeout_ms = 1000;
	return forward;
}

void forward_configure(struct forward *forward, const struct jaco_addr *upstreams, size_t n,
		       int64_t timeout_ms, size_t cache_bytes)
{
	upstreams_unref(forward->upstreams);
	forward->upstreams = upstreams_new(0, upstreams, n);
	forward->timeout_ms = timeout_ms;
	if (cache_bytes == forward->cache_max)
		return;
	cache_free(forward->cache);
	forward->cache = cache_new(cache_bytes);
	forward->cache_max = cache_bytes;
}

static void drop_resolvers(struct upstreams **resolvers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		upstreams_unref(resolvers[i]);
	jaco_free(resolvers);
}

static struct upstreams *take_resolver(struct forward *forward,
				       const struct forward_resolver *resolver)
{
	for (size_t i = 0; i < forward->n_resolvers; i++)
		if (upstreams_equal(forward->resolvers[i], resolver->addrs, resolver->n))
			return upstreams_ref(forward->resolvers[i]);
	return upstreams_new(++forward->last_id, resolver->addrs, resolver->n);
}

void forward_set_resolvers(struct forward *forward, const struct forward_resolver *resolvers,
			   size_t n)
{
	struct upstreams **fresh = jaco_alloc_n(n + 1, sizeof(struct upstreams *));

	for (size_t i = 0; i < n; i++)
		fresh[i] = take_resolver(forward, &resolvers[i]);
	drop_resolvers(forward->resolvers, forward->n_resolvers);
	forward->resolvers = fresh;
	forward->n_resolvers = n;
}

static struct upstreams *find_upstreams(const struct forward *forward, unsigned resolver)
{
	JACO_ASSERT(resolver <= forward->n_resolvers);
	return resolver == 0 ? forward->upstreams : forward->resolvers[resolver - 1];
}

/* --- replies to clients --- */

/* Fit a reply to one client: id, the question's case, and its UDP limit.  Returns the length. */
static size_t adapt_reply(uint8_t *msg, size_t n, const struct packet_query *query,
			  const uint8_t *name, bool is_tcp)
{
	packet_put16(msg, query->id);
	if (packet_get16(msg + 4) == 1)
		memcpy(msg + PACKET_HEADER_BYTES, name, query->name_n);
	if (is_tcp || n <= query->udp_bytes)
		return n;
	msg[2] |= PACKET_TC;
	memset(msg + 6, 0, 6);
	return query->has_edns ? packet_put_opt(msg, query->question_end, query->dnssec_ok,
						(enum packet_rcode)(msg[3] & PACKET_RCODE))
			       : query->question_end;
}

static void client_leave(struct forward_client *client)
{
	LIST_REMOVE(client, link);
	client->flight->forward->n_clients--;
	client->flight = NULL;
}

static void tell_client(struct forward *forward, struct forward_client *client,
			const uint8_t *reply, size_t n)
{
	memcpy(forward->out, reply, n);
	n = adapt_reply(forward->out, n, &client->query, client->name, client->is_tcp);
	client->on_reply(client, forward->out, n,
			 (enum packet_rcode)(forward->out[3] & PACKET_RCODE));
}

static void tell_failure(struct forward *forward, struct forward_client *client,
			 const uint8_t *asked)
{
	uint8_t *out = forward->out;

	memcpy(out, asked, PACKET_HEADER_BYTES);
	packet_put16(out, client->query.id);
	memcpy(out + PACKET_HEADER_BYTES, client->name, client->query.name_n);
	packet_put16(out + client->query.question_end - 4, client->query.type);
	packet_put16(out + client->query.question_end - 2, client->query.class);
	client->on_reply(client, out, packet_error(out, &client->query, PACKET_SERVFAIL),
			 PACKET_SERVFAIL);
}

/* --- a flight --- */

static void flight_close_socket(struct forward_flight *flight)
{
	jaco_io_stop(&flight->io);
	jaco_timer_disarm(&flight->timer);
	jaco_fd_close(&flight->fd);
	jaco_buf_reset(&flight->in);
	flight->state = FLIGHT_IDLE;
}

/* Out of the tables: nobody joins it any more. */
static void flight_retire(struct forward_flight *flight)
{
	flight_close_socket(flight);
	LIST_REMOVE(flight, in_bucket);
	LIST_REMOVE(flight, in_all);
	flight->forward->n_flights--;
}

static void flight_free(struct forward_flight *flight)
{
	jaco_timer_fini(&flight->timer);
	jaco_buf_fini(&flight->in);
	upstreams_unref(flight->upstreams);
	jaco_free(flight->query);
	jaco_free(flight->folded);
	jaco_free(flight);
}

static void flight_finish(struct forward_flight *flight, const uint8_t *reply, size_t n)
{
	struct forward *forward = flight->forward;

	flight_retire(flight);
	while (!LIST_EMPTY(&flight->clients)) {
		struct forward_client *client = LIST_FIRST(&flight->clients);

		client_leave(client);
		if (n > 0)
			tell_client(forward, client, reply, n);
		else
			tell_failure(forward, client, flight->query + 2);
	}
	flight_free(flight);
}

static void flight_fail(struct forward_flight *flight)
{
	struct forward *forward = flight->forward;
	size_t n = 0;

	if (flight->key_n > 0)
		n = cache_get(forward->cache, flight->key, flight->key_n, true, forward->in,
			      sizeof(forward->in), jaco_loop_now(forward->loop));
	if (n > 0)
		forward->stats->stale_hits++;
	flight_finish(flight, forward->in, n);
}

static void flight_ask(struct forward_flight *flight);

/* With EDNS or without: what goes to the upstream from now on. */
static void flight_set_plain(struct forward_flight *flight, bool is_plain)
{
	flight->is_plain = is_plain;
	ask_count_opt(flight->query + 2, !is_plain && flight->plain_n < flight->query_n);
	packet_put16(flight->query, (unsigned)(is_plain ? flight->plain_n : flight->query_n));
}

/* Bytes of the query as it is sent now. */
static size_t flight_query_n(const struct forward_flight *flight)
{
	return packet_get16(flight->query);
}

/* Nothing came of this upstream: the one behind it is asked. */
static void flight_move_on(struct forward_flight *flight)
{
	flight_close_socket(flight);
	flight->at++;
	flight_set_plain(flight, false);
	flight_ask(flight);
}

static void on_timeout(struct jaco_timer *timer, void *ctx)
{
	struct forward_flight *flight = ctx;

	flight->forward->stats->upstream_timeouts++;
	flight_move_on(flight);
}

static void flight_reject(struct forward_flight *flight)
{
	flight->forward->stats->upstream_failures++;
	flight_move_on(flight);
}

/* The reply to what we asked (RFC 5452 section 9.1)?  An error may come without its question. */
static bool is_our_reply(const struct forward_flight *flight, const uint8_t *msg, size_t n)
{
	const uint8_t *asked = flight->query + 2;
	unsigned labels = 0;
	size_t name_n;
	uint8_t padded[PACKET_NAME_MAX + PACKET_SLACK] = {0};

	if (n < PACKET_HEADER_BYTES || !(msg[2] & PACKET_QR) || (msg[2] & PACKET_OPCODE) ||
	    memcmp(msg, asked, 2) != 0)
		return false;
	if (packet_get16(msg + 4) == 0)
		return (msg[3] & PACKET_RCODE) != PACKET_NOERROR &&
		       (msg[3] & PACKET_RCODE) != PACKET_NXDOMAIN;
	name_n = packet_name_length(msg, n, PACKET_HEADER_BYTES, &labels);
	if (packet_get16(msg + 4) != 1 || name_n == 0 || n - PACKET_HEADER_BYTES < name_n + 4 ||
	    PACKET_HEADER_BYTES + name_n + 4 > flight->query_n)
		return false;
	memcpy(padded, msg + PACKET_HEADER_BYTES, name_n);
	return packet_name_equals(flight->folded + PACKET_HEADER_BYTES, padded, name_n) &&
	       !memcmp(msg + PACKET_HEADER_BYTES + name_n, asked + PACKET_HEADER_BYTES + name_n, 4);
}

static bool is_well_formed(const uint8_t *msg, size_t n)
{
	struct packet_walk walk;
	struct packet_record record;

	packet_walk_begin(&walk, msg, n);
	while (packet_walk_next(&walk, &record))
		;
	return !walk.bad;
}

static void flight_start_tcp(struct forward_flight *flight);

/* A reply to us has come.  Truncated ones may end within a record. */
static void flight_take(struct forward_flight *flight, const uint8_t *msg, size_t n)
{
	struct forward *forward = flight->forward;
	unsigned rcode = msg[3] & PACKET_RCODE;
	bool is_cut = msg[2] & PACKET_TC;

	if (rcode == PACKET_FORMERR && !flight->is_plain && flight->plain_n < flight->query_n) {
		/* A server from before EDNS (RFC 6891 section 7) has an answer all the same. */
		flight_close_socket(flight);
		flight_set_plain(flight, true);
		flight_ask(flight);
		return;
	}
	if ((rcode != PACKET_NOERROR && rcode != PACKET_NXDOMAIN) ||
	    (!is_cut && !is_well_formed(msg, n))) {
		flight_reject(flight);
		return;
	}
	if (is_cut && flight->is_tcp && flight->state == FLIGHT_UDP) {
		flight_start_tcp(flight);
		return;
	}
	if (flight->key_n > 0 && !is_cut)
		cache_put(forward->cache, flight->key, flight->key_n, msg, n,
			  jaco_loop_now(forward->loop));
	flight_finish(flight, msg, n);
}

static void on_udp(struct jaco_io *io, unsigned events, void *ctx)
{
	struct forward_flight *flight = ctx;
	struct forward *forward = flight->forward;

	for (int i = 0; i < READS_AT_ONCE; i++) {
		ssize_t n = recv(flight->fd, forward->in, sizeof(forward->in), 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			flight_reject(flight);
			return;
		}
		if (is_our_reply(flight, forward->in, (size_t)n)) {
			flight_take(flight, forward->in, (size_t)n);
			return;
		}
	}
}

/* Send what is left of the query; false when the connection is lost. */
static bool tcp_send(struct forward_flight *flight)
{
	ssize_t n = send(flight->fd, flight->query + flight->sent,
			 flight_query_n(flight) + 2 - flight->sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	flight->sent += (size_t)n;
	if (flight->sent == flight_query_n(flight) + 2) {
		flight->state = FLIGHT_TCP_READ;
		jaco_io_set(&flight->io, JACO_IO_READ);
	}
	return true;
}

/* True when the flight has ended or moved on: it must not be touched again. */
static bool tcp_receive(struct forward_flight *flight)
{
	char *room = jaco_buf_reserve(&flight->in, 4096);
	ssize_t n = room ? recv(flight->fd, room, 4096, 0) : 0;
	size_t want;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		flight_reject(flight);
		return true;
	}
	flight->in.n += (size_t)n;
	if (flight->in.n < 2)
		return false;
	want = packet_get16((const uint8_t *)flight->in.data);
	if (flight->in.n - 2 < want)
		return false;
	memcpy(flight->forward->in, flight->in.data + 2, want);
	if (is_our_reply(flight, flight->forward->in, want))
		flight_take(flight, flight->forward->in, want);
	else
		flight_reject(flight);
	return true;
}

static void on_tcp(struct jaco_io *io, unsigned events, void *ctx)
{
	struct forward_flight *flight = ctx;

	if (flight->state == FLIGHT_TCP_OPEN) {
		if (jaco_sock_error(flight->fd, NULL) < 0 || !tcp_send(flight))
			flight_reject(flight);
		return;
	}
	(void)tcp_receive(flight);
}

/* A fresh id per attempt: an answer to an earlier one is not taken for this. */
static void flight_new_id(struct forward_flight *flight)
{
	jaco_random_bytes(flight->query + 2, 2);
	memcpy(flight->folded, flight->query + 2, 2);
}

static void flight_start_tcp(struct forward_flight *flight)
{
	struct forward *forward = flight->forward;
	bool pending;

	flight_close_socket(flight);
	flight_new_id(flight);
	flight->fd = jaco_sock_connect(&flight->upstreams->addrs[flight->at], &pending, NULL);
	if (flight->fd < 0) {
		flight->fd = -1;
		flight_reject(flight);
		return;
	}
	flight->state = FLIGHT_TCP_OPEN;
	flight->sent = 0;
	flight->in.max = PACKET_MAX + 2 + 4096;
	jaco_io_start(forward->loop, &flight->io, flight->fd, JACO_IO_WRITE, on_tcp, flight);
	jaco_timer_arm(&flight->timer, forward->timeout_ms);
}

static bool flight_start_udp(struct forward_flight *flight)
{
	struct forward *forward = flight->forward;
	const struct jaco_addr *addr = &flight->upstreams->addrs[flight->at];

	flight->fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	flight_new_id(flight);
	if (flight->fd < 0 || connect(flight->fd, &addr->sa, addr->n) < 0 ||
	    send(flight->fd, flight->query + 2, flight_query_n(flight), MSG_NOSIGNAL) < 0) {
		jaco_fd_close(&flight->fd);
		return false;
	}
	flight->state = FLIGHT_UDP;
	jaco_io_start(forward->loop, &flight->io, flight->fd, JACO_IO_READ, on_udp, flight);
	jaco_timer_arm(&flight->timer, forward->timeout_ms);
	return true;
}

/* Ask the upstream at flight->at, or one behind it. */
static void flight_ask(struct forward_flight *flight)
{
	for (; flight->at < flight->upstreams->n; flight->at++) {
		if (flight_start_udp(flight))
			return;
		flight->forward->stats->upstream_failures++;
		flight_set_plain(flight, false);
	}
	flight_fail(flight);
}

/* --- clients --- */

static struct forward_flight *flight_find(struct forward *forward,
					  const struct upstreams *upstreams, uint64_t hash,
					  const uint8_t *folded, size_t n, bool is_tcp)
{
	struct forward_flight *flight;

	LIST_FOREACH(flight, &forward->buckets[hash % BUCKETS], in_bucket)
		if (flight->hash == hash && flight->upstreams->id == upstreams->id &&
		    flight->query_n == n && flight->is_tcp == is_tcp &&
		    !memcmp(flight->folded + 2, folded + 2, n - 2))
			return flight;
	return NULL;
}

static struct forward_flight *flight_new(struct forward *forward, struct upstreams *upstreams,
					 uint64_t hash, const uint8_t *query,
					 const uint8_t *folded, size_t n, size_t plain_n,
					 bool is_tcp)
{
	struct forward_flight *flight = jaco_alloc(sizeof(*flight));

	flight->forward = forward;
	flight->upstreams = upstreams_ref(upstreams);
	flight->fd = -1;
	flight->hash = hash;
	flight->is_tcp = is_tcp;
	flight->query = jaco_alloc(n + 2);
	packet_put16(flight->query, (unsigned)n);
	memcpy(flight->query + 2, query, n);
	flight->query_n = n;
	flight->plain_n = plain_n;
	flight->folded = jaco_alloc(n + PACKET_SLACK);
	memcpy(flight->folded, folded, n);
	jaco_timer_init(forward->loop, &flight->timer, on_timeout, flight);
	LIST_INIT(&flight->clients);
	LIST_INSERT_HEAD(&forward->buckets[hash % BUCKETS], flight, in_bucket);
	LIST_INSERT_HEAD(&forward->flights, flight, in_all);
	forward->n_flights++;
	return flight;
}

static void client_join(struct forward_flight *flight, struct forward_client *client)
{
	client->flight = flight;
	flight->forward->n_clients++;
	LIST_INSERT_HEAD(&flight->clients, client, link);
}

size_t forward_cached(struct forward *forward, unsigned resolver, const struct packet_query *query,
		      bool is_tcp, uint8_t *msg, size_t cap, enum packet_rcode *out_rcode)
{
	uint8_t key[CACHE_KEY_MAX], name[PACKET_NAME_MAX];
	size_t n;

	if (cache_count(forward->cache) == 0 || ask_has_options(msg, query))
		return 0;
	n = ask_key(key, msg, query, find_upstreams(forward, resolver)->id);
	n = cache_get(forward->cache, key, n, false, forward->out,
		      sizeof(forward->out), jaco_loop_now(forward->loop));
	if (n == 0)
		return 0;
	memcpy(name, msg + PACKET_HEADER_BYTES, query->name_n);
	n = adapt_reply(forward->out, n, query, name, is_tcp);
	if (n > cap)
		return 0;
	memcpy(msg, forward->out, n);
	*out_rcode = (enum packet_rcode)(msg[3] & PACKET_RCODE);
	forward->stats->cache_hits++;
	return n;
}

void forward_submit(struct forward *forward, struct forward_client *client, const uint8_t *msg)
{
	const struct packet_query *query = &client->query;
	struct upstreams *upstreams = find_upstreams(forward, client->resolver);
	uint8_t *folded = forward->folded, *asked = forward->asked;
	struct forward_flight *flight;
	size_t n, n_options;
	uint64_t hash;

	client->flight = NULL;
	client->since = jaco_loop_now(forward->loop);
	memcpy(client->name, msg + PACKET_HEADER_BYTES, query->name_n);
	n = ask_make(asked, msg, query, &n_options);
	memcpy(folded, asked, n);
	packet_name_lower(folded + PACKET_HEADER_BYTES, asked + PACKET_HEADER_BYTES, query->name_n);
	hash = packet_name_hash(folded, n);
	flight = flight_find(forward, upstreams, hash, folded, n, client->is_tcp);
	if ((!flight && forward->n_flights >= FORWARD_FLIGHTS_MAX) ||
	    forward->n_clients >= FORWARD_CLIENTS_MAX) {
		tell_failure(forward, client, asked);
		return;
	}
	if (flight) {
		forward->stats->coalesced++;
		client_join(flight, client);
		return;
	}
	forward->stats->forwarded++;
	flight = flight_new(forward, upstreams, hash, asked, folded, n, query->question_end,
			    client->is_tcp);
	if (n_options == 0)
		flight->key_n = ask_key(flight->key, msg, query, upstreams->id);
	client_join(flight, client);
	flight_ask(flight);
}

void forward_cancel(struct forward_client *client)
{
	if (client->flight)
		client_leave(client);
}

size_t forward_waiting(const struct forward *forward)
{
	return forward->n_clients;
}

void forward_free(struct forward *forward)
{
	if (!forward)
		return;
	while (!LIST_EMPTY(&forward->flights)) {
		struct forward_flight *flight = LIST_FIRST(&forward->flights);

		while (!LIST_EMPTY(&flight->clients))
			client_leave(LIST_FIRST(&flight->clients));
		flight_retire(flight);
		flight_free(flight);
	}
	upstreams_unref(forward->upstreams);
	drop_resolvers(forward->resolvers, forward->n_resolvers);
	cache_free(forward->cache);
	jaco_free(forward);
}
