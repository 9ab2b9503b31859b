/* SPDX-License-Identifier: Apache-2.0
 *
 * udp.c - see udp.h. */
#include "daemons/proxyd/udp.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "daemons/proxyd/balance.h"
#include "daemons/proxyd/listen.h"
#include "daemons/proxyd/route.h"
#include "daemons/proxyd/upstream.h"
#include "daemons/proxyd/worker.h"
#include "libjaco/base/mem.h"

#define FLOW_IDLE_MS   60000
#define FLOW_SLOTS     1024
#define FLOWS_MAX      8192  /* per port and worker: each holds a descriptor */
#define DATAGRAM_BYTES 65536
#define BATCH          64

struct udp_flow {
	LIST_ENTRY(udp_flow) link;
	struct udp_socket *socket;
	struct jaco_addr client;
	struct upstream *upstream;
	struct jaco_io io;
	int fd; /* connected to the replica */
	struct wheel_entry timer;
};

LIST_HEAD(flow_list, udp_flow);

struct udp_socket {
	struct listener *listener;
	size_t n_flows;
	struct flow_list slots[FLOW_SLOTS];
	char datagram[DATAGRAM_BYTES];
};

static struct flow_list *slot_of(struct udp_socket *socket, const struct jaco_addr *client)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	const uint8_t *p = (const uint8_t *)&client->storage;

	for (socklen_t i = 0; i < client->n; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ULL;
	return &socket->slots[hash % FLOW_SLOTS];
}

static void close_flow(struct udp_flow *flow)
{
	LIST_REMOVE(flow, link);
	flow->socket->n_flows--;
	wheel_cancel(&flow->socket->listener->worker->wheel, &flow->timer);
	jaco_io_stop(&flow->io);
	jaco_fd_close(&flow->fd);
	flow->upstream->peer.in_flight--;
	upstream_unref(flow->upstream);
	jaco_free(flow);
}

static void touch(struct udp_flow *flow)
{
	struct worker *w = flow->socket->listener->worker;

	wheel_set(&w->wheel, &flow->timer, w->now_ms + FLOW_IDLE_MS);
}

static void on_timeout(struct wheel_entry *entry)
{
	close_flow(JACO_CONTAINER_OF(entry, struct udp_flow, timer));
}

static void on_reply(struct jaco_io *io, unsigned events, void *ctx)
{
	struct udp_flow *flow = ctx;
	struct udp_socket *socket = flow->socket;

	(void)events;
	worker_touch(socket->listener->worker);
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(io->fd, socket->datagram, sizeof(socket->datagram), 0);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR) /* port unreachable: choose anew */
				close_flow(flow);
			return;
		}
		touch(flow);
		/* Lost like any datagram when the client's side is full. */
		(void)sendto(socket->listener->fd, socket->datagram, (size_t)n, 0, &flow->client.sa,
			     flow->client.n);
	}
}

static struct upstream *choose(struct worker *w, const struct route_l4 *l4)
{
	struct balance_ask ask = {.kind = BALANCE_TWO, .now_ms = w->now_ms, .prng = &w->prng};
	struct balance_peer **peers = jaco_alloc_n(l4->n_targets, sizeof(struct balance_peer *));
	int i;

	for (uint32_t k = 0; k < l4->n_targets; k++)
		peers[k] = &w->hold->upstreams[l4->targets[k]]->peer;
	i = balance_pick(&ask, peers, l4->n_targets);
	jaco_free(peers);
	return i < 0 ? NULL : w->hold->upstreams[l4->targets[i]];
}

static struct udp_flow *new_flow(struct udp_socket *socket_, const struct jaco_addr *client)
{
	struct worker *w = socket_->listener->worker;
	const struct route_l4 *l4 = route_table_l4(w->hold->table, socket_->listener->id);
	struct upstream *up = l4 && socket_->n_flows < FLOWS_MAX ? choose(w, l4) : NULL;
	struct udp_flow *flow;
	int fd;

	if (!up)
		return NULL;
	fd = socket(up->addr.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	if (connect(fd, &up->addr.sa, up->addr.n) < 0) {
		jaco_fd_close(&fd);
		return NULL;
	}
	flow = jaco_alloc(sizeof(*flow));
	flow->socket = socket_;
	flow->client = *client;
	flow->fd = fd;
	flow->upstream = up;
	flow->timer.fn = on_timeout;
	up->refs++;
	up->peer.in_flight++;
	LIST_INSERT_HEAD(slot_of(socket_, client), flow, link);
	socket_->n_flows++;
	WORKER_COUNT(w, udp_flows);
	jaco_io_start(&w->loop, &flow->io, fd, JACO_IO_READ, on_reply, flow);
	return flow;
}

static bool is_stale(const struct udp_flow *flow)
{
	return flow->upstream->is_gone;
}

static struct udp_flow *find_flow(struct udp_socket *socket, const struct jaco_addr *client)
{
	struct udp_flow *flow;

	LIST_FOREACH(flow, slot_of(socket, client), link)
		if (flow->client.n == client->n &&
		    memcmp(&flow->client.storage, &client->storage, client->n) == 0) {
			if (!is_stale(flow))
				return flow;
			close_flow(flow);
			break;
		}
	return new_flow(socket, client);
}

static void on_datagram(struct jaco_io *io, unsigned events, void *ctx)
{
	struct udp_socket *socket = ctx;

	(void)events;
	worker_touch(socket->listener->worker);
	for (int i = 0; i < BATCH; i++) {
		struct jaco_addr client = {.n = sizeof(client.storage)};
		struct udp_flow *flow;
		ssize_t n = recvfrom(io->fd, socket->datagram, sizeof(socket->datagram), 0,
				     &client.sa, &client.n);

		if (n < 0)
			return;
		flow = find_flow(socket, &client);
		if (!flow)
			continue;
		touch(flow);
		if (send(flow->fd, socket->datagram, (size_t)n, 0) < 0 && errno == ECONNREFUSED)
			close_flow(flow);
	}
}

void udp_start(struct listener *listener)
{
	struct udp_socket *socket = jaco_alloc(sizeof(*socket));

	socket->listener = listener;
	for (size_t i = 0; i < FLOW_SLOTS; i++)
		LIST_INIT(&socket->slots[i]);
	listener->udp = socket;
	jaco_io_start(&listener->worker->loop, &listener->io, listener->fd, JACO_IO_READ,
		      on_datagram, socket);
}

void udp_stop(struct listener *listener)
{
	for (size_t i = 0; i < FLOW_SLOTS; i++)
		while (!LIST_EMPTY(&listener->udp->slots[i]))
			close_flow(LIST_FIRST(&listener->udp->slots[i]));
	jaco_free(listener->udp);
	listener->udp = NULL;
}
