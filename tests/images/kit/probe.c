/* SPDX-License-Identifier: Apache-2.0
 *
 * Run inside a container to see what it can reach.  One line out, status 0 when it was reached:
 *
 *   probe dns NAME [TYPE] [SERVER] [tcp]   "rcode 0 10.0.0.2 10.0.0.3"   (1 = NXDOMAIN ... is
 *   rcode) probe tcp HOST PORT [TEXT]             "connected [answer]" | "failed: reason"
 *   probe udp HOST PORT [TEXT]             "answer ..." | "silence"
 *   probe ping HOST                        "answer" | "silence"
 *   probe http HOST PORT PATH              "200 body"
 *   probe spoof SOURCE HOST PORT           sends one UDP datagram with a forged source (needs root)
 *
 * Besides: `udp` echoes datagrams with the host name in front, `tcp` echoes lines, `pause` waits
 * for SIGTERM, `exit N [MS]` ends with N after MS. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"

#define TIMEOUT_MS 1500

static int probe_dns(int argc, char **argv)
{
	uint16_t type = argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 1;
	bool use_tcp = argc > 3 && !strcmp(argv[3], "tcp");
	char found[64][16];
	int n = 0;
	int rcode = kit_dns(argv[0], type ? type : 1, argc > 2 && *argv[2] ? argv[2] : NULL,
			    use_tcp, 3000, found, 64, &n);

	if (rcode < 0) {
		puts("silence");
		return 1;
	}
	printf("rcode %d", rcode);
	for (int i = 0; i < n; i++)
		printf(" %s", found[i]);
	putchar('\n');
	return rcode != 0 || n == 0;
}

static int probe_tcp(int argc, char **argv)
{
	const char *why;
	char answer[1024] = "";
	int fd = kit_connect(argv[0], (uint16_t)strtoul(argv[1], NULL, 10), TIMEOUT_MS, &why);

	if (fd < 0) {
		printf("failed: %s\n", why);
		return 1;
	}
	if (argc > 2) {
		kit_write(fd, argv[2], strlen(argv[2]));
		kit_write(fd, "\n", 1);
		kit_read_line(fd, answer, sizeof(answer));
	}
	printf("connected %s\n", answer);
	return 0;
}

static int probe_udp(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10))};
	struct timeval tv = {.tv_sec = TIMEOUT_MS / 1000, .tv_usec = TIMEOUT_MS % 1000 * 1000};
	const char *text = argc > 2 ? argv[2] : "ping";
	char host[16], answer[2048];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (!kit_resolve(argv[0], host) || inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    send(fd, text, strlen(text), 0) < 0 ||
	    (n = recv(fd, answer, sizeof(answer) - 1, 0)) < 0) {
		puts("silence");
		return 1;
	}
	printf("answer %.*s\n", (int)n, answer);
	return 0;
}

static uint16_t checksum(const void *data, size_t n)
{
	const uint16_t *w = data;
	uint32_t sum = 0;

	for (; n > 1; n -= 2)
		sum += *w++;
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~(sum + (sum >> 16));
}

static int probe_ping(int argc, char **argv)
{
	struct {
		struct icmphdr head;
		char data[16];
	} packet = {
		.head = {.type = ICMP_ECHO, .un.echo = {.id = htons(77), .sequence = htons(1)}}};
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct timeval tv = {.tv_sec = TIMEOUT_MS / 1000, .tv_usec = TIMEOUT_MS % 1000 * 1000};
	char host[16], answer[256];
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	ssize_t n;

	(void)argc;
	if (fd < 0) {
		printf("no raw socket: %s\n", strerror(errno));
		return 2;
	}
	packet.head.checksum = checksum(&packet, sizeof(packet));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (kit_resolve(argv[0], host) && inet_pton(AF_INET, host, &to.sin_addr) == 1 &&
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    send(fd, &packet, sizeof(packet), 0) > 0)
		while ((n = recv(fd, answer, sizeof(answer), 0)) > 0)
			if (n >= 28 && answer[(answer[0] & 15) * 4] == ICMP_ECHOREPLY) {
				puts("answer");
				return 0;
			}
	puts("silence");
	return 1;
}

static int probe_http(int argc, char **argv)
{
	char body[4096];
	int status = kit_http_get(argv[0], (uint16_t)strtoul(argv[1], NULL, 10),
				  argc > 2 ? argv[2] : "/", body, sizeof(body));

	printf("%d %s\n", status, body);
	return status < 200 || status >= 400;
}

static int probe_spoof(int argc, char **argv)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char data[8];
	} packet = {.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
		    .data = "spoofed"};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	if (argc < 3 || fd < 0 || inet_pton(AF_INET, argv[0], &packet.ip.saddr) != 1 ||
	    inet_pton(AF_INET, argv[1], &packet.ip.daddr) != 1) {
		puts("cannot");
		return 2;
	}
	to.sin_addr.s_addr = packet.ip.daddr;
	packet.udp.source = htons(4242);
	packet.udp.dest = htons((uint16_t)strtoul(argv[2], NULL, 10));
	packet.udp.len = htons(sizeof(packet.udp) + sizeof(packet.data));
	if (sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
		printf("failed: %s\n", strerror(errno));
		return 1;
	}
	puts("sent");
	return 0;
}

int applet_probe(int argc, char **argv)
{
	static const struct {
		const char *name;
		int n_args;
		int (*run)(int argc, char **argv);
	} probes[] = {
		{"dns", 1, probe_dns},   {"tcp", 2, probe_tcp},   {"udp", 2, probe_udp},
		{"ping", 1, probe_ping}, {"http", 2, probe_http}, {"spoof", 3, probe_spoof},
	};

	for (size_t i = 0; argc > 1 && i < sizeof(probes) / sizeof(probes[0]); i++)
		if (!strcmp(argv[1], probes[i].name) && argc - 2 >= probes[i].n_args)
			return probes[i].run(argc - 2, argv + 2);
	kit_die("usage: probe dns NAME [TYPE] [SERVER] [tcp] | tcp HOST PORT [TEXT] | udp HOST "
		"PORT "
		"[TEXT] | ping HOST | http HOST PORT PATH | spoof SOURCE HOST PORT");
}

int applet_udp(int argc, char **argv)
{
	int fd = kit_listen(SOCK_DGRAM,
			    (uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10)
						: (unsigned long)kit_env_long("PORT", 9000)));
	struct timeval tv = {.tv_usec = 100 * 1000};
	char host[128] = "", data[65536], answer[65536 + 256];

	kit_signals();
	gethostname(host, sizeof(host) - 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	kit_log("udp echo");
	while (!kit_is_draining) {
		struct sockaddr_in from;
		socklen_t n_from = sizeof(from);
		ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &n_from);
		char peer[16];
		int m;

		if (n < 0)
			continue;
		inet_ntop(AF_INET, &from.sin_addr, peer, sizeof(peer));
		kit_log("datagram from %s %.*s", peer, (int)(n > 200 ? 200 : n), data);
		m = snprintf(answer, sizeof(answer), "%s ", host);
		memcpy(answer + m, data, (size_t)n);
		sendto(fd, answer, (size_t)(m + n) > 65507 ? 65507 : (size_t)(m + n), 0,
		       (struct sockaddr *)&from, n_from);
	}
	return 0;
}

static void *echo_lines(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char host[128] = "", line[4096];

	gethostname(host, sizeof(host) - 1);
	while (kit_read_line(fd, line, sizeof(line)))
		if (!kit_write(fd, host, strlen(host)) || !kit_write(fd, " ", 1) ||
		    !kit_write(fd, line, strlen(line)) || !kit_write(fd, "\n", 1))
			break;
	close(fd);
	return NULL;
}

int applet_tcp(int argc, char **argv)
{
	int listener = kit_listen(SOCK_STREAM,
				  (uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10)
						      : (unsigned long)kit_env_long("PORT", 7000)));
	pthread_t thread;
	int fd;

	kit_signals();
	kit_log("tcp echo");
	while ((fd = kit_accept(listener)) >= 0)
		if (pthread_create(&thread, NULL, echo_lines, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	return 0;
}

int applet_pause(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kit_signals();
	while (!kit_is_draining)
		usleep(100 * 1000);
	return 0;
}

int applet_exit(int argc, char **argv)
{
	int code = argc > 1 ? (int)strtol(argv[1], NULL, 10) : (int)kit_env_long("EXIT_CODE", 0);

	if (argc > 2)
		usleep((useconds_t)strtoul(argv[2], NULL, 10) * 1000);
	kit_log("exiting with %d", code);
	return code;
}
