/* SPDX-License-Identifier: Apache-2.0
 *
 * A DNS question and its A records, by hand (RFC 1035 section 4): static programs cannot load the
 * system's resolver, and a prober wants to see what the server said. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kit.h"

#define MESSAGE_MAX 4096

static size_t build_query(uint8_t *q, const char *name, uint16_t type, uint16_t id)
{
	size_t n = 12;

	memset(q, 0, 12);
	q[0] = (uint8_t)(id >> 8);
	q[1] = (uint8_t)id;
	q[2] = 1; /* recursion desired */
	q[5] = 1; /* one question */
	while (*name) {
		size_t label = strcspn(name, ".");

		if (label == 0 || label > 63 || n + label + 6 > 300)
			return 0;
		q[n++] = (uint8_t)label;
		memcpy(q + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	q[n++] = 0;
	q[n++] = (uint8_t)(type >> 8);
	q[n++] = (uint8_t)type;
	q[n++] = 0;
	q[n++] = 1;
	return n;
}

static bool skip_name(const uint8_t *m, size_t n, size_t *at)
{
	while (*at < n) {
		uint8_t c = m[*at];

		if ((c & 0xc0) == 0xc0) {
			*at += 2;
			return *at <= n;
		}
		*at += 1 + (size_t)c;
		if (c == 0)
			return *at <= n;
	}
	return false;
}

static int read_answer(const uint8_t *m, size_t n, char addresses[][16], int max, int *out_n)
{
	size_t at = 12;
	int questions, answers;

	*out_n = 0;
	if (n < 12)
		return -1;
	questions = m[4] << 8 | m[5];
	answers = m[6] << 8 | m[7];
	for (int i = 0; i < questions; i++) {
		if (!skip_name(m, n, &at))
			return -1;
		at += 4;
	}
	for (int i = 0; i < answers; i++) {
		size_t length;

		if (!skip_name(m, n, &at) || at + 10 > n)
			return -1;
		length = (size_t)(m[at + 8] << 8 | m[at + 9]);
		if (at + 10 + length > n)
			return -1;
		if (m[at + 1] == 1 && length == 4 && *out_n < max)
			inet_ntop(AF_INET, m + at + 10, addresses[(*out_n)++], 16);
		at += 10 + length;
	}
	return m[3] & 15;
}

static bool first_server(char *out, size_t bytes)
{
	char line[256];
	FILE *file = fopen("/etc/resolv.conf", "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "nameserver %15s", out) == 1 && bytes >= 16;
	if (file)
		fclose(file);
	return found;
}

static ssize_t ask_udp(const struct sockaddr_in *to, const uint8_t *q, size_t nq, uint8_t *m,
		       int timeout_ms)
{
	struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t n = -1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 &&
	    send(fd, q, nq, 0) == (ssize_t)nq)
		n = recv(fd, m, MESSAGE_MAX, 0);
	close(fd);
	return n >= 2 && m[0] == q[0] && m[1] == q[1] ? n : -1;
}

static ssize_t ask_tcp(const char *server, const uint8_t *q, size_t nq, uint8_t *m, int timeout_ms)
{
	const char *why;
	uint8_t head[2] = {(uint8_t)(nq >> 8), (uint8_t)nq};
	int fd = kit_connect(server, 53, timeout_ms, &why);
	size_t want, got = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	if (!kit_write(fd, head, 2) || !kit_write(fd, q, nq) ||
	    recv(fd, head, 2, MSG_WAITALL) != 2) {
		close(fd);
		return -1;
	}
	want = (size_t)(head[0] << 8 | head[1]);
	while (got < want && want <= MESSAGE_MAX && (n = recv(fd, m + got, want - got, 0)) > 0)
		got += (size_t)n;
	close(fd);
	return got == want ? (ssize_t)got : -1;
}

int kit_dns(const char *name, uint16_t type, const char *server, bool use_tcp, int timeout_ms,
	    char addresses[][16], int max, int *out_n)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
	uint8_t q[512], m[MESSAGE_MAX];
	char own[16];
	struct timespec now;
	size_t nq;
	ssize_t n;

	*out_n = 0;
	if (!server) {
		if (!first_server(own, sizeof(own)))
			return -1;
		server = own;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	nq = build_query(q, name, type, (uint16_t)(now.tv_nsec ^ getpid()));
	if (nq == 0 || inet_pton(AF_INET, server, &to.sin_addr) != 1)
		return -1;
	n = use_tcp ? ask_tcp(server, q, nq, m, timeout_ms) : ask_udp(&to, q, nq, m, timeout_ms);
	return n < 0 ? -1 : read_answer(m, (size_t)n, addresses, max, out_n);
}

bool kit_resolve(const char *host, char out[16])
{
	struct in_addr addr;
	char found[8][16];
	int n = 0;

	if (inet_pton(AF_INET, host, &addr) == 1 || !strcmp(host, "localhost")) {
		snprintf(out, 16, "%s", strcmp(host, "localhost") ? host : "127.0.0.1");
		return true;
	}
	if (kit_dns(host, 1, NULL, false, 2000, found, 8, &n) != 0 || n == 0)
		return false;
	memcpy(out, found[0], 16);
	return true;
}
