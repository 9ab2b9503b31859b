/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "libjaco/base/mem.h"
#include "libjaco/io/sock.h"

#define MAGIC        0x4a4d5031u /* "JMP1" */
#define DRAIN_AT_ONCE 256

#define IP_UDP_BYTES 28
#define BIG_MAX      9216 /* jumbo frames */

enum { ASK = 1, ANSWER = 2, ASK_SIZE = 3, ANSWER_SIZE = 4 };

struct packet { /* host order is fine: an answer is our own packet back */
	uint32_t magic;
	uint32_t kind;
	uint32_t sequence; /* with ASK_SIZE and ANSWER_SIZE: bytes of the IP packet */
};

static struct probe_path *find(const struct probe *probe, uint32_t addr)
{
	for (size_t i = 0; i < probe->n; i++)
		if (probe->paths[i].addr == addr)
			return &probe->paths[i];
	return NULL;
}

const struct probe_path *probe_find(const struct probe *probe, uint32_t addr)
{
	return find(probe, addr);
}

unsigned probe_loss(const struct probe_path *path)
{
	unsigned n = path->sent > PROBE_WINDOW ? PROBE_WINDOW : path->sent;
	/* the last one is still under way: it counts only once it came back */
	bool is_pending = !(path->answered & 1);
	unsigned n_back = (unsigned)__builtin_popcount(path->answered &
						       ((1u << (PROBE_WINDOW + 1)) - 1));

	if (is_pending && n)
		n--;
	return n ? (n - (n_back > n ? n : n_back)) * 1000 / n : 0;
}

static void take_answer(struct probe *probe, uint32_t from, const struct packet *packet)
{
	struct probe_path *path = find(probe, from);
	struct jaco_time now = jaco_loop_now(probe->loop);
	uint32_t age;

	if (!path || packet->sequence > path->sent)
		return;
	age = path->sent - packet->sequence;
	if (age > PROBE_WINDOW)
		return;
	path->answered |= 1u << age;
	path->answered_at = now;
	if (age == 0)
		path->rtt_us = (uint64_t)(now.ns - path->sent_at.ns) / 1000;
}

static void note_heard(struct probe *probe, uint32_t from)
{
	struct probe_path *path = find(probe, from);

	if (path)
		path->heard_at = jaco_loop_now(probe->loop);
}

static void reply(const struct probe *probe, struct packet *packet, uint32_t kind,
		  const struct sockaddr_in *to)
{
	if (ntohs(to->sin_port) != PROBE_PORT)
		return;
	packet->kind = kind;
	(void)sendto(probe->fd, packet, sizeof(*packet), MSG_DONTWAIT, (const struct sockaddr *)to,
		     sizeof(*to)); /* lost is lost */
}

/* @n bytes of payload came; what does not fit @packet was padding. */
static void take(struct probe *probe, struct packet *packet, size_t n,
		 const struct sockaddr_in *from)
{
	uint32_t addr = ntohl(from->sin_addr.s_addr);
	struct probe_path *path = find(probe, addr);

	note_heard(probe, addr);
	if (packet->kind == ANSWER) {
		take_answer(probe, addr, packet);
	} else if (packet->kind == ASK) {
		reply(probe, packet, ANSWER, from);
	} else if (packet->kind == ASK_SIZE) {
		packet->sequence = (uint32_t)n + IP_UDP_BYTES;
		reply(probe, packet, ANSWER_SIZE, from);
	} else if (packet->kind == ANSWER_SIZE && path) {
		mtu_answered(&path->mtu, packet->sequence);
	}
}

static void on_packet(JACO_UNUSED struct jaco_io *io, JACO_UNUSED unsigned events, void *ctx)
{
	struct probe *probe = ctx;

	for (int i = 0; i < DRAIN_AT_ONCE; i++) {
		struct sockaddr_in from;
		socklen_t n_from = sizeof(from);
		struct packet packet;
		ssize_t n = recvfrom(probe->fd, &packet, sizeof(packet), MSG_TRUNC,
				     (struct sockaddr *)&from, &n_from);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			continue; /* an ICMP error of an earlier probe: no more than silence */
		if (n < 0)
			return;
		if ((size_t)n >= sizeof(packet) && packet.magic == MAGIC && n_from == sizeof(from))
			take(probe, &packet, (size_t)n, &from);
	}
}

int probe_bind(struct probe *probe, struct jaco_loop *loop, uint32_t addr, struct jaco_err *err)
{
	struct jaco_addr at = jaco_addr_ipv4(addr, PROBE_PORT);
	int fd;

	if (probe->fd >= 0 && probe->addr == addr)
		return 0;
	jaco_io_stop(&probe->io);
	jaco_fd_close(&probe->fd);
	if (addr == 0)
		return 0;
	fd = jaco_sock_bind_udp(&at, JACO_SOCK_FREEBIND, err);
	if (fd < 0)
		return jaco_err_wrap(err, "mesh probe");
	/* ip(7): DF, and no belief in what ICMP said before; without it sizes are not measured */
	(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &(int){IP_PMTUDISC_PROBE}, sizeof(int));
	probe->loop = loop;
	probe->fd = fd;
	probe->addr = addr;
	jaco_io_start(loop, &probe->io, fd, JACO_IO_READ, on_packet, probe);
	return 0;
}

static struct probe_path *path_to(struct probe *probe, uint32_t addr)
{
	struct probe_path *path = find(probe, addr);

	if (path)
		return path;
	probe->paths = jaco_grow(probe->paths, &probe->cap, probe->n + 1, sizeof(*probe->paths));
	path = &probe->paths[probe->n++];
	*path = (struct probe_path){.addr = addr};
	return path;
}

static void send_one(struct probe *probe, struct probe_path *path)
{
	struct jaco_addr to = jaco_addr_ipv4(path->addr, PROBE_PORT);
	struct packet packet = {.magic = MAGIC, .kind = ASK, .sequence = ++path->sent};

	path->answered <<= 1;
	path->sent_at = jaco_loop_now(probe->loop);
	(void)sendto(probe->fd, &packet, sizeof(packet), MSG_DONTWAIT, &to.sa, to.n);
}

static void send_sizes(struct probe *probe, struct probe_path *path, uint32_t ceiling)
{
	static union {
		struct packet packet;
		char room[BIG_MAX];
	} big;
	struct jaco_addr to = jaco_addr_ipv4(path->addr, PROBE_PORT);
	uint32_t sizes[MTU_LADDER_MAX];
	/* bit 0 is the probe just sent */
	size_t n = mtu_step(&path->mtu, ceiling, path->answered & 6, sizes);

	big.packet = (struct packet){.magic = MAGIC, .kind = ASK_SIZE};
	for (size_t i = 0; i < n; i++)
		if (sizes[i] - IP_UDP_BYTES <= sizeof(big))
			(void)sendto(probe->fd, &big, sizes[i] - IP_UDP_BYTES, MSG_DONTWAIT, &to.sa,
				     to.n); /* too large for the interface: no answer, as meant */
}

void probe_moved(struct probe *probe, uint32_t addr)
{
	struct probe_path *path = find(probe, addr);

	if (path)
		mtu_restart(&path->mtu);
}

static void forget_gone(struct probe *probe)
{
	for (size_t i = 0; i < probe->n;) {
		if (probe->paths[i].is_seen)
			probe->paths[i++].is_seen = false;
		else
			probe->paths[i] = probe->paths[--probe->n];
	}
}

void probe_send(struct probe *probe, const struct mesh_device *device)
{
	if (probe->fd < 0)
		return;
	for (size_t i = 0; i < device->n_peers; i++) {
		struct probe_path *path;

		if (!device->peers[i].mesh_addr)
			continue;
		path = path_to(probe, device->peers[i].mesh_addr);
		path->is_seen = true;
		send_one(probe, path);
		if (device->peers[i].ceiling)
			send_sizes(probe, path, device->peers[i].ceiling);
	}
	forget_gone(probe);
}

void probe_close(struct probe *probe)
{
	jaco_io_stop(&probe->io);
	jaco_fd_close(&probe->fd);
	jaco_free(probe->paths);
	*probe = PROBE_INIT;
}
