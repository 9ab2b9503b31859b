/* SPDX-License-Identifier: Apache-2.0
 *
 * net.c - sockets of the small servers in the test images. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"

const char *kit_env(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

long kit_env_long(const char *name, long fallback)
{
	const char *value = getenv(name);

	return value && *value ? strtol(value, NULL, 10) : fallback;
}

void kit_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void kit_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

int kit_listen(int type, uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		kit_die("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		kit_die("bind port %u: %s", port, strerror(errno));
	if (type == SOCK_STREAM && listen(fd, 512) < 0)
		kit_die("listen: %s", strerror(errno));
	return fd;
}

bool kit_wait(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	/* A signal that comes just before poll(2) wakes nobody: it is looked for ten times a
	 * second.
	 * Who connected or asked before the end is served: the last look comes after the signal. */
	do {
		if (poll(&pfd, 1, 100) > 0)
			return true;
	} while (!kit_is_draining);
	return false;
}

int kit_accept(int listener)
{
	/* Not SO_RCVTIMEO: accepted sockets inherit it, and would end after 100 ms without a
	 * byte. */
	while (kit_wait(listener)) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

int kit_connect(const char *host, uint16_t port, int timeout_ms, const char **out_why)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct pollfd pfd = {.events = POLLOUT};
	char text[16];
	int error = 0, one = 1;
	socklen_t n = sizeof(error);
	int fd;

	*out_why = "name not resolved";
	if (!kit_resolve(host, text) || inet_pton(AF_INET, text, &addr.sin_addr) != 1)
		return -1;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno != EINPROGRESS) {
		*out_why = strerror(errno);
		close(fd);
		return -1;
	}
	pfd.fd = fd;
	*out_why = "timeout";
	if (poll(&pfd, 1, timeout_ms) == 1) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
		if (!error) {
			struct timeval tv = {.tv_sec = timeout_ms / 1000,
					     .tv_usec = timeout_ms % 1000 * 1000};

			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
			return fd;
		}
		*out_why = strerror(error);
	}
	close(fd);
	return -1;
}

bool kit_read_line(int fd, char *line, size_t bytes)
{
	size_t n = 0;
	char c;

	while (read(fd, &c, 1) == 1) {
		if (c == '\n') {
			if (n > 0 && line[n - 1] == '\r')
				n--;
			line[n] = '\0';
			return true;
		}
		if (n + 1 < bytes)
			line[n++] = c;
	}
	return false;
}

bool kit_write(int fd, const void *data, size_t n)
{
	const char *at = data;

	while (n > 0) {
		ssize_t done = send(fd, at, n, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}
