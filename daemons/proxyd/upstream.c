/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream.c - see upstream.h. */
#include "daemons/proxyd/upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "daemons/proxyd/stream.h"
#include "daemons/proxyd/worker.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"

static size_t slot_of(const struct worker *worker, uint64_t id)
{
	return id & (worker->n_upstream_slots - 1);
}

static void rehash(struct worker *worker)
{
	size_t n_old = worker->n_upstream_slots;
	struct upstream **old = worker->upstream_slots;

	worker->n_upstream_slots = n_old ? n_old * 2 : 64;
	worker->upstream_slots = jaco_alloc_n(worker->n_upstream_slots, sizeof(*old));
	for (size_t i = 0; i < n_old; i++) {
		size_t at;

		if (!old[i])
			continue;
		at = slot_of(worker, old[i]->peer.id);
		while (worker->upstream_slots[at])
			at = (at + 1) & (worker->n_upstream_slots - 1);
		worker->upstream_slots[at] = old[i];
	}
	jaco_free(old);
}

static struct jaco_addr address_of(const struct route_endpoint *endpoint)
{
	struct jaco_addr addr = {.n = sizeof(struct sockaddr_in6)};

	if (netmatch_ip_is_v4(&endpoint->ip)) {
		struct sockaddr_in *in = (struct sockaddr_in *)&addr.storage;

		addr.n = sizeof(*in);
		in->sin_family = AF_INET;
		in->sin_port = htons(endpoint->port);
		memcpy(&in->sin_addr, endpoint->ip.b + 12, 4);
	} else {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr.storage;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(endpoint->port);
		memcpy(&in6->sin6_addr, endpoint->ip.b, 16);
	}
	return addr;
}

struct upstream *upstream_get(struct worker *worker, const struct route_endpoint *endpoint)
{
	struct upstream *u;
	size_t at;

	if ((worker->n_upstreams + 1) * 2 > worker->n_upstream_slots)
		rehash(worker);
	at = slot_of(worker, endpoint->id);
	for (; worker->upstream_slots[at]; at = (at + 1) & (worker->n_upstream_slots - 1)) {
		u = worker->upstream_slots[at];
		if (u->peer.id == endpoint->id) {
			u->refs++;
			return u;
		}
	}
	u = jaco_alloc(sizeof(*u));
	u->worker = worker;
	u->endpoint = *endpoint;
	u->endpoint.name = NULL; /* belongs to the table */
	u->addr = address_of(endpoint);
	u->peer.id = endpoint->id;
	u->peer.since_ms = worker->now_ms;
	u->refs = 1;
	LIST_INIT(&u->idle);
	worker->upstream_slots[at] = u;
	worker->n_upstreams++;
	return u;
}

/* Linear probing without tombstones: the cluster after the hole is put in again. */
static void remove_slot(struct worker *worker, struct upstream *upstream)
{
	size_t mask = worker->n_upstream_slots - 1;
	size_t at = slot_of(worker, upstream->peer.id);

	while (worker->upstream_slots[at] != upstream)
		at = (at + 1) & mask;
	worker->upstream_slots[at] = NULL;
	for (at = (at + 1) & mask; worker->upstream_slots[at]; at = (at + 1) & mask) {
		struct upstream *u = worker->upstream_slots[at];
		size_t to = slot_of(worker, u->peer.id);

		worker->upstream_slots[at] = NULL;
		while (worker->upstream_slots[to])
			to = (to + 1) & mask;
		worker->upstream_slots[to] = u;
	}
	worker->n_upstreams--;
}

void upstream_unref(struct upstream *upstream)
{
	JACO_ASSERT(upstream->refs > 0);
	if (--upstream->refs > 0)
		return;
	remove_slot(upstream->worker, upstream);
	jaco_free(upstream);
}

static void close_idle(struct upstream *upstream)
{
	upstream->refs++; /* closing the last connection must not free it under us */
	while (!LIST_EMPTY(&upstream->idle))
		uconn_close(LIST_FIRST(&upstream->idle));
	upstream_unref(upstream);
}

static void sweep(struct worker *worker, bool all)
{
	size_t n = 0;
	struct upstream **list = jaco_alloc_n(worker->n_upstreams, sizeof(struct upstream *));

	for (size_t i = 0; i < worker->n_upstream_slots; i++)
		if (worker->upstream_slots[i] && (all || worker->upstream_slots[i]->is_gone))
			list[n++] = worker->upstream_slots[i];
	for (size_t i = 0; i < n; i++)
		close_idle(list[i]);
	jaco_free(list);
}

void upstream_sweep(struct worker *worker)
{
	for (size_t i = 0; i < worker->n_upstream_slots; i++)
		if (worker->upstream_slots[i])
			worker->upstream_slots[i]->is_gone = true;
	for (uint32_t i = 0; i < worker->hold->table->n_endpoints; i++)
		worker->hold->upstreams[i]->is_gone = false;
	sweep(worker, false);
}

void upstream_close_all(struct worker *worker)
{
	sweep(worker, true);
}

/* --- connections --- */

void uconn_close(struct uconn *take_uconn)
{
	struct uconn *u = take_uconn;

	if (!u->stream) {
		LIST_REMOVE(u, link);
		u->upstream->n_idle--;
	}
	wheel_cancel(&u->worker->wheel, &u->timer);
	jaco_io_stop(&u->io);
	jaco_fd_close(&u->fd);
	iobuf_put(&u->worker->bufs, &u->in);
	upstream_unref(u->upstream);
	jaco_free(u);
}

static void on_idle_timeout(struct wheel_entry *entry)
{
	uconn_close(JACO_CONTAINER_OF(entry, struct uconn, timer));
}

static void on_event(struct jaco_io *io, unsigned events, void *ctx)
{
	struct uconn *u = ctx;

	(void)io;
	worker_touch(u->worker);
	if (events & (JACO_IO_READ | JACO_IO_HANGUP))
		u->readable = true;
	if (events & JACO_IO_HANGUP)
		u->hangup = true;
	if (events & JACO_IO_WRITE)
		u->writable = true;
	if (u->stream)
		stream_on_upstream(u->stream, events);
	else if (u->readable)
		uconn_close(u); /* closed by the replica, or bytes nobody asked for */
}

static bool is_alive(struct uconn *u)
{
	char byte;

	return recv(u->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static struct uconn *take_idle(struct upstream *upstream, bool probe)
{
	struct uconn *u;

	while ((u = LIST_FIRST(&upstream->idle))) {
		if (probe && !is_alive(u)) {
			uconn_close(u);
			continue;
		}
		LIST_REMOVE(u, link);
		upstream->n_idle--;
		return u;
	}
	return NULL;
}

struct uconn *uconn_take(struct upstream *upstream, struct stream *stream, bool probe,
			 bool only_new)
{
	struct worker *w = upstream->worker;
	struct uconn *u = only_new ? NULL : take_idle(upstream, probe);
	bool pending = false;
	int fd;

	if (u) {
		u->stream = stream;
		u->is_reused = true;
		return u;
	}
	fd = jaco_sock_connect(&upstream->addr, &pending, NULL);
	if (fd < 0)
		return NULL;
	jaco_sock_set_nodelay(fd);
	WORKER_COUNT(w, connects);
	u = jaco_alloc(sizeof(*u));
	u->fd = fd;
	u->worker = w;
	u->upstream = upstream;
	u->stream = stream;
	u->is_connecting = pending;
	u->writable = !pending;
	u->timer.fn = on_idle_timeout;
	upstream->refs++;
	jaco_io_start(&w->loop, &u->io, fd,
		      JACO_IO_READ | JACO_IO_WRITE | JACO_IO_HANGUP | JACO_IO_EDGE, on_event, u);
	return u;
}

void uconn_give(struct uconn *take_uconn)
{
	struct uconn *u = take_uconn;

	u->stream = NULL;
	LIST_INSERT_HEAD(&u->upstream->idle, u, link);
	u->upstream->n_idle++;
	if (u->eof || u->hangup || (u->in && u->in->n) || u->worker->is_draining ||
	    u->upstream->is_gone || u->upstream->n_idle > UPSTREAM_IDLE_MAX) {
		uconn_close(u);
		return;
	}
	iobuf_put(&u->worker->bufs, &u->in);
	wheel_set(&u->worker->wheel, &u->timer,
		  u->worker->now_ms + u->worker->limits.upstream_idle_ms);
}

int uconn_fill(struct uconn *u)
{
	size_t room;
	ssize_t n;

	if (!u->readable || u->eof)
		return 0;
	if (!u->in)
		u->in = iobuf_get(&u->worker->bufs, IOBUF_SMALL_BYTES);
	if (iobuf_room(u->in) == 0)
		iobuf_compact(u->in);
	room = iobuf_room(u->in);
	if (room == 0)
		return 0;
	n = recv(u->fd, iobuf_head(u->in) + u->in->n, room, 0);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR) {
			u->readable = errno == EINTR;
			return 0;
		}
		return -1;
	}
	if (n == 0) {
		u->eof = true;
		return 0;
	}
	if ((size_t)n < room && !u->hangup)
		u->readable = false;
	u->in->n += (uint32_t)n;
	return (int)n;
}
