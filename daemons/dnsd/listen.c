/* SPDX-License-Identifier: Apache-2.0
 *
 * listen.c - see listen.h: the listeners and UDP; TCP connections are in tcp.c.
 *
 * UDP is taken and answered in batches, in the buffers it came in: two system calls for up to 64
 * queries.  A batch that was not full has drained the socket, so nobody asks again to hear EAGAIN.
 * Where they come one at a time the plain calls are cheaper: recvmmsg(2) looks for a second one. */
#include "daemons/dnsd/listen.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemons/dnsd/answer.h"
#include "daemons/dnsd/keep.h"
#include "daemons/dnsd/tcp.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/random.h"
#include "libjaco/base/str.h"

#define BATCH          64
#define BATCHES        8    /* per wake-up, so that other descriptors get their turn */
#define ALONE          8    /* as many came alone: so will the next; every 8th time it is seen to */
#define QUERY_BYTES    1536 /* holds our longest UDP reply, and any query worth answering */
#define SOCKET_BYTES   (4 * 1024 * 1024)
#define ADDRESS_BYTES  sizeof(struct sockaddr_in6)

static_assert(QUERY_BYTES >= PACKET_UDP_LIMIT + PACKET_SLACK, "replies are built in place");

struct listener {
	TAILQ_ENTRY(listener) link;
	struct listen_set *set;
	struct jaco_addr addr;
	char name[JACO_ADDR_TEXT_BYTES];
	const struct zone *zone;
	int udp, tcp;
	struct jaco_io udp_io, tcp_io;
	bool is_wanted;
	unsigned n_alone; /* queries in a row that came alone */
	LIST_HEAD(, pending) pendings;
};

/* A UDP client whose question is at the upstreams. */
struct pending {
	struct forward_client client;
	LIST_ENTRY(pending) link;
	struct listener *listener;
	socklen_t peer_n;
	struct sockaddr_in6 peer;
};

struct batch {
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct sockaddr_in6 peers[BATCH]; /* large enough for both families */
	uint8_t bytes[BATCH][QUERY_BYTES + PACKET_SLACK];
};

struct listen_set {
	struct jaco_loop *loop;
	struct forward *forward;
	struct stats *stats;
	struct tcp_pool *tcp;
	TAILQ_HEAD(, listener) listeners;
	uint64_t prng;
	char (*taken)[KEEP_NAME_BYTES]; /* kept sockets that were taken: once each */
	size_t n_taken, taken_cap;
	struct batch batch;
};

static void batch_init(struct batch *batch)
{
	for (size_t i = 0; i < BATCH; i++) {
		batch->in_iov[i] = (struct iovec){batch->bytes[i], QUERY_BYTES};
		batch->in[i].msg_hdr = (struct msghdr){.msg_iov = &batch->in_iov[i],
						       .msg_iovlen = 1,
						       .msg_name = &batch->peers[i],
						       .msg_namelen = ADDRESS_BYTES};
		batch->out[i].msg_hdr = (struct msghdr){.msg_iov = &batch->out_iov[i],
							.msg_iovlen = 1};
	}
}

struct listen_set *listen_new(struct jaco_loop *loop, struct forward *forward, struct stats *stats)
{
	struct listen_set *set = jaco_alloc(sizeof(*set));

	set->loop = loop;
	set->forward = forward;
	set->stats = stats;
	TAILQ_INIT(&set->listeners);
	jaco_random_bytes(&set->prng, sizeof(set->prng));
	batch_init(&set->batch);
	set->tcp = tcp_pool_new(loop, forward, stats);
	return set;
}

void listen_configure(struct listen_set *set, size_t tcp_max, int64_t tcp_idle_ms)
{
	tcp_pool_configure(set->tcp, tcp_max, tcp_idle_ms);
}

uint32_t listen_source(const struct sockaddr *peer)
{
	const struct sockaddr_in6 *in6 = (const void *)peer;

	if (peer->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr);
	/* Any address of both families is one socket. */
	if (peer->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return packet_get32(in6->sin6_addr.s6_addr + 12);
	return 0;
}

/* --- UDP --- */

static void pending_on_reply(struct forward_client *client, uint8_t *reply, size_t n,
			     enum packet_rcode rcode)
{
	struct pending *pending = JACO_CONTAINER_OF(client, struct pending, client);
	struct listener *listener = pending->listener;
	struct stats *stats = listener->set->stats;

	if (sendto(listener->udp, reply, n, MSG_DONTWAIT, (const struct sockaddr *)&pending->peer,
		   pending->peer_n) < 0)
		stats->send_failures++;
	stats->rcodes[rcode]++;
	stats_latency(stats, jaco_loop_now(listener->set->loop).ns - client->since.ns, 1);
	LIST_REMOVE(pending, link);
	jaco_free(pending);
}

static void submit_pending(struct listener *listener, const struct answer *answer,
			   const struct mmsghdr *in, const uint8_t *msg)
{
	struct pending *pending = jaco_alloc(sizeof(*pending));

	pending->listener = listener;
	pending->peer_n = in->msg_hdr.msg_namelen;
	memcpy(&pending->peer, in->msg_hdr.msg_name, sizeof(pending->peer));
	pending->client.query = answer->query;
	pending->client.resolver = answer->resolver;
	pending->client.on_reply = pending_on_reply;
	LIST_INSERT_HEAD(&listener->pendings, pending, link);
	forward_submit(listener->set->forward, &pending->client, msg);
}

static void queue_reply(struct batch *batch, size_t *n_out, size_t i, size_t bytes)
{
	batch->out_iov[*n_out] = (struct iovec){batch->bytes[i], bytes};
	batch->out[*n_out].msg_hdr.msg_name = batch->in[i].msg_hdr.msg_name;
	batch->out[*n_out].msg_hdr.msg_namelen = batch->in[i].msg_hdr.msg_namelen;
	(*n_out)++;
}

/* One query of a batch; replies at once are queued. */
static void take_query(struct listener *listener, size_t i, size_t *n_out)
{
	struct listen_set *set = listener->set;
	struct batch *batch = &set->batch;
	struct mmsghdr *in = &batch->in[i];
	uint8_t *msg = batch->bytes[i];
	struct answer_from from = {listener->zone, listen_source(in->msg_hdr.msg_name)};
	struct answer answer;
	enum packet_rcode rcode;
	size_t n;

	/* A query longer than the buffer was cut by the kernel and fails as any truncated one. */
	switch (answer_query(&from, false, &set->prng, msg, in->msg_len, QUERY_BYTES, &answer)) {
	case ANSWER_REPLY:
		set->stats->local++;
		set->stats->rcodes[answer.rcode]++;
		queue_reply(batch, n_out, i, answer.n);
		return;
	case ANSWER_DROP:
		set->stats->dropped++;
		return;
	case ANSWER_FORWARD:
		break;
	}
	n = forward_cached(set->forward, answer.resolver, &answer.query, false, msg, QUERY_BYTES,
			   &rcode);
	if (n > 0) {
		set->stats->rcodes[rcode]++;
		queue_reply(batch, n_out, i, n);
		return;
	}
	submit_pending(listener, &answer, in, msg);
}

/* A message the kernel will not take (no room, a firewall) is lost alone, as on any wire. */
static void send_batch(struct listener *listener, size_t n)
{
	struct batch *batch = &listener->set->batch;
	const struct msghdr *one = &batch->out[0].msg_hdr;

	if (n == 1) {
		if (sendto(listener->udp, one->msg_iov->iov_base, one->msg_iov->iov_len,
			   MSG_DONTWAIT, one->msg_name, one->msg_namelen) < 0)
			listener->set->stats->send_failures++;
		return;
	}
	for (size_t sent = 0; sent < n;) {
		int k = sendmmsg(listener->udp, batch->out + sent, (unsigned)(n - sent),
				 MSG_DONTWAIT);

		if (k <= 0) {
			listener->set->stats->send_failures++;
			k = 1;
		}
		sent += (size_t)k;
	}
}

/* How many queries were taken; below BATCH the socket is empty, or will be reported again. */
static int receive(struct listener *listener)
{
	struct mmsghdr *in = listener->set->batch.in;
	struct msghdr *first = &in[0].msg_hdr;
	ssize_t bytes;
	int n;

	if (listener->n_alone < ALONE || listener->n_alone % ALONE == 0) {
		n = recvmmsg(listener->udp, in, BATCH, MSG_DONTWAIT, NULL);
	} else {
		bytes = recvfrom(listener->udp, first->msg_iov->iov_base, first->msg_iov->iov_len,
				 MSG_DONTWAIT, first->msg_name, &first->msg_namelen);
		in[0].msg_len = bytes < 0 ? 0 : (unsigned)bytes;
		n = bytes < 0 ? 0 : 1;
	}
	listener->n_alone = n > 1 ? 0 : listener->n_alone + 1;
	return n;
}

static int take_batch(struct listener *listener)
{
	struct listen_set *set = listener->set;
	struct batch *batch = &set->batch;
	struct jaco_time began;
	size_t n_out = 0;
	int n = receive(listener);

	if (n <= 0)
		return 0;
	began = jaco_loop_now(set->loop);
	for (int i = 0; i < n; i++) {
		take_query(listener, (size_t)i, &n_out);
		batch->in[i].msg_hdr.msg_namelen = ADDRESS_BYTES;
	}
	send_batch(listener, n_out);
	set->stats->udp += (uint64_t)n;
	if (n_out > 0)
		stats_latency(set->stats, jaco_loop_now(set->loop).ns - began.ns, n_out);
	return n;
}

static void on_udp(struct jaco_io *io, unsigned events, void *ctx)
{
	for (int i = 0; i < BATCHES; i++)
		if (take_batch(ctx) < BATCH)
			return;
}

/* --- listeners --- */

static void on_tcp(struct jaco_io *io, unsigned events, void *ctx)
{
	struct listener *listener = ctx;

	tcp_accept(listener->set->tcp, listener->tcp, &listener->zone);
}

static bool is_open(const struct listener *listener)
{
	return listener->udp >= 0 && listener->tcp >= 0;
}

static int take_kept(struct listen_set *set, const char *name)
{
	for (size_t i = 0; i < set->n_taken; i++)
		if (jaco_str_eq(set->taken[i], name))
			return -1;
	set->taken = jaco_grow(set->taken, &set->taken_cap, set->n_taken + 1, sizeof(*set->taken));
	(void)jaco_str_copy(set->taken[set->n_taken++], KEEP_NAME_BYTES, name);
	return keep_take(name);
}

/* A socket the service manager kept for us, or a new one that it is asked to keep. */
static int open_socket(const struct listener *listener, bool is_udp, struct jaco_err *err)
{
	char name[KEEP_NAME_BYTES];
	int fd;

	keep_name(name, is_udp ? "udp" : "tcp", &listener->addr);
	fd = take_kept(listener->set, name);
	if (fd >= 0)
		return fd;
	fd = is_udp ? jaco_sock_bind_udp(&listener->addr, JACO_SOCK_FREEBIND, err)
		    : jaco_sock_listen_tcp(&listener->addr, JACO_SOCK_FREEBIND, err);
	if (fd >= 0)
		keep_store(fd, name);
	return fd;
}

static int listener_open(struct listener *listener, struct jaco_err *err)
{
	struct listen_set *set = listener->set;
	int bytes = SOCKET_BYTES;

	if (listener->udp < 0) {
		listener->udp = open_socket(listener, true, err);
		if (listener->udp < 0) {
			listener->udp = -1;
			return jaco_err_wrap(err, "%s udp", listener->name);
		}
		/* Bursts must fit; less is what the kernel allows without CAP_NET_ADMIN. */
		(void)setsockopt(listener->udp, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
		(void)setsockopt(listener->udp, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		jaco_io_start(set->loop, &listener->udp_io, listener->udp, JACO_IO_READ, on_udp,
			      listener);
	}
	if (listener->tcp < 0) {
		listener->tcp = open_socket(listener, false, err);
		if (listener->tcp < 0) {
			listener->tcp = -1;
			return jaco_err_wrap(err, "%s tcp", listener->name);
		}
		jaco_io_start(set->loop, &listener->tcp_io, listener->tcp, JACO_IO_READ, on_tcp,
			      listener);
	}
	return 0;
}

/* @is_unwanted: for good, so the service manager shall not keep its sockets either. */
static void listener_close(struct listener *listener, bool is_unwanted)
{
	char name[KEEP_NAME_BYTES];

	for (int i = 0; is_unwanted && i < 2; i++) {
		keep_name(name, i == 0 ? "udp" : "tcp", &listener->addr);
		keep_forget(name);
	}
	while (!LIST_EMPTY(&listener->pendings)) {
		struct pending *pending = LIST_FIRST(&listener->pendings);

		forward_cancel(&pending->client);
		LIST_REMOVE(pending, link);
		jaco_free(pending);
	}
	tcp_close_of(listener->set->tcp, &listener->zone);
	jaco_io_stop(&listener->udp_io);
	jaco_io_stop(&listener->tcp_io);
	jaco_fd_close(&listener->udp);
	jaco_fd_close(&listener->tcp);
	TAILQ_REMOVE(&listener->set->listeners, listener, link);
	jaco_free(listener);
}

static struct listener *listener_find(struct listen_set *set, const char *name)
{
	struct listener *listener;

	TAILQ_FOREACH(listener, &set->listeners, link)
		if (jaco_str_eq(listener->name, name))
			return listener;
	return NULL;
}

static void want_listener(struct listen_set *set, const struct listen_want *want)
{
	char name[JACO_ADDR_TEXT_BYTES];
	struct listener *listener;

	jaco_addr_render(name, &want->addr);
	listener = listener_find(set, name);
	if (!listener) {
		listener = jaco_alloc(sizeof(*listener));
		listener->set = set;
		listener->addr = want->addr;
		listener->udp = listener->tcp = -1;
		LIST_INIT(&listener->pendings);
		(void)jaco_str_copy(listener->name, sizeof(listener->name), name);
		TAILQ_INSERT_TAIL(&set->listeners, listener, link);
	}
	listener->zone = want->zone;
	listener->is_wanted = true;
}

size_t listen_retry(struct listen_set *set, struct jaco_err *err)
{
	struct listener *listener;
	struct jaco_err reason = JACO_ERR_INIT;
	size_t n_closed = 0;

	TAILQ_FOREACH(listener, &set->listeners, link)
	{
		if (is_open(listener) || listener_open(listener, &reason) == 0)
			continue;
		if (n_closed++ == 0 && err)
			*err = reason;
	}
	return n_closed;
}

size_t listen_apply(struct listen_set *set, const struct listen_want *wants, size_t n,
		    struct jaco_err *err)
{
	struct listener *listener, *next;

	TAILQ_FOREACH(listener, &set->listeners, link)
		listener->is_wanted = false;
	for (size_t i = 0; i < n && i < LISTEN_MAX; i++)
		want_listener(set, &wants[i]);
	for (listener = TAILQ_FIRST(&set->listeners); listener; listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (!listener->is_wanted)
			listener_close(listener, true);
	}
	return listen_retry(set, err);
}

size_t listen_open_count(const struct listen_set *set)
{
	const struct listener *listener;
	size_t n = 0;

	TAILQ_FOREACH(listener, &set->listeners, link)
		n += is_open(listener);
	return n;
}

void listen_pause(struct listen_set *set)
{
	struct listener *listener;

	TAILQ_FOREACH(listener, &set->listeners, link)
	{
		jaco_io_stop(&listener->udp_io);
		jaco_io_stop(&listener->tcp_io);
	}
}

void listen_free(struct listen_set *set)
{
	if (!set)
		return;
	while (!TAILQ_EMPTY(&set->listeners))
		listener_close(TAILQ_FIRST(&set->listeners), false);
	tcp_pool_free(set->tcp);
	jaco_free(set->taken);
	jaco_free(set);
}
