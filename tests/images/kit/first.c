/* SPDX-License-Identifier: Apache-2.0
 *
 * first ALLOWED... - FORBIDDEN... - what a container's first packets meet: to each address one
 * datagram (port 9000) and one connection (port 8080), all sent before anything else is done.
 * Prints
 *
 *   first ADDRESS udp=answered|silence tcp=connected|silence resent=N
 *
 * for each, "done", and stays.  A datagram is never sent twice, and the kernel's own count tells
 * whether a SYN was, so that a lost first packet shows without a clock of ours.  The kernel sends a
 * SYN again after a second, also when the path is merely that slow: what the datagram before it
 * took so long as well is no loss. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kit.h"

#define TARGETS_MAX 16
#define QUIET_MS    2000 /* what is forbidden gets this long to be answered all the same */
#define LIMIT_MS    15000
#define SLOW_MS     800 /* of the kernel's 1000 until the second SYN (RFC 6298 section 2) */

struct target {
	const char *address;
	bool is_allowed;
	int udp, tcp;
	long udp_answered_ms; /* after the start; 0: not yet */
	bool tcp_connected;
	unsigned resent;
};

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int open_to(const struct target *t, int type, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, t->address, &to.sin_addr) != 1)
		kit_die("first: %s", t->address);
	(void)connect(fd, (const struct sockaddr *)&to, sizeof(to)); /* its end is polled for */
	if (type == SOCK_DGRAM)
		(void)send(fd, "first", 5, 0);
	return fd;
}

static void look(struct target *t, long start_ms)
{
	struct pollfd fds[] = {{.fd = t->udp, .events = POLLIN}, {.fd = t->tcp, .events = POLLOUT}};
	struct tcp_info info = {0};
	socklen_t n = sizeof(info);
	char answer[256];

	if (poll(fds, 2, 0) <= 0)
		return;
	if ((fds[0].revents & POLLIN) && recv(t->udp, answer, sizeof(answer), 0) > 0)
		t->udp_answered_ms = now_ms() - start_ms + 1;
	if (!t->tcp_connected && (fds[1].revents & POLLOUT) &&
	    getsockopt(t->tcp, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
	    info.tcpi_state != TCP_SYN_SENT && info.tcpi_state != TCP_CLOSE) {
		t->tcp_connected = true;
		t->resent = info.tcpi_total_retrans;
	}
}

int applet_first(int argc, char **argv)
{
	struct target targets[TARGETS_MAX] = {0};
	bool is_allowed = true, is_complete = false;
	long start = now_ms();
	int n = 0;

	for (int i = 1; i < argc && n < TARGETS_MAX; i++) {
		struct target *t = &targets[n];

		if (!strcmp(argv[i], "-")) {
			is_allowed = false;
			continue;
		}
		*t = (struct target){.address = argv[i], .is_allowed = is_allowed};
		t->udp = open_to(t, SOCK_DGRAM, 9000);
		t->tcp = open_to(t, SOCK_STREAM, 8080);
		n++;
	}
	while (now_ms() - start < (is_complete ? QUIET_MS : LIMIT_MS)) {
		is_complete = true;
		for (int i = 0; i < n; i++) {
			look(&targets[i], start);
			is_complete &= !targets[i].is_allowed ||
				       (targets[i].udp_answered_ms && targets[i].tcp_connected);
		}
		usleep(2000);
	}
	for (int i = 0; i < n; i++)
		printf("first %s udp=%s tcp=%s resent=%u\n", targets[i].address,
		       targets[i].udp_answered_ms ? "answered" : "silence",
		       targets[i].tcp_connected ? "connected" : "silence",
		       targets[i].udp_answered_ms > SLOW_MS ? 0 : targets[i].resent);
	puts("done");
	return applet_pause(1, argv);
}
