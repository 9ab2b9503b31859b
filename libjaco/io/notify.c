/* SPDX-License-Identifier: Apache-2.0
 *
 * notify.c - the service manager's environment protocol. */
#include "libjaco/io/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define FDS_MAX  4096 /* systemd/jaco-dnsd.service: FileDescriptorStoreMax */

static struct {
	char name[32];
} passed[FDS_MAX];
static size_t n_passed;

void jaco_notify(const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char text[1024];
	socklen_t n;
	va_list ap;
	jaco_auto(jaco_fd) int fd = -1;

	if (!path || (*path != '/' && *path != '@') ||
	    !jaco_str_copy(un.sun_path, sizeof(un.sun_path), path))
		return;
	n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@')
		un.sun_path[0] = '\0';
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) /* the manager may be gone; nobody else to tell */
		(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&un, n);
}

int64_t jaco_notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t value;

	if (!usec || !jaco_str_to_u64(usec, INT64_MAX, &value))
		return 0;
	if (pid) {
		uint64_t wanted;

		if (!jaco_str_to_u64(pid, INT64_MAX, &wanted) || wanted != (uint64_t)getpid())
			return 0;
	}
	return (int64_t)(value / 2000);
}

static void name_fds(const char *names)
{
	for (size_t i = 0; i < n_passed; i++) {
		size_t n = names ? strcspn(names, ":") : 0;
		size_t used = JACO_MIN(n, sizeof(passed[i].name) - 1);

		if (names)
			memcpy(passed[i].name, names, used);
		passed[i].name[used] = '\0';
		if (names)
			names = names[n] ? names + n + 1 : NULL;
	}
}

void jaco_notify_take_fds(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	uint64_t wanted;
	uint64_t count;

	if (pid && fds && jaco_str_to_u64(pid, INT64_MAX, &wanted) &&
	    wanted == (uint64_t)getpid() && jaco_str_to_u64(fds, FDS_MAX, &count)) {
		n_passed = (size_t)count;
		name_fds(getenv("LISTEN_FDNAMES"));
		for (size_t i = 0; i < n_passed; i++) {
			(void)fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
			(void)jaco_fd_set_nonblock(FIRST_FD + (int)i, true, NULL);
		}
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

int jaco_notify_fd(const char *name, size_t nth)
{
	for (size_t i = 0; i < n_passed; i++)
		if (strcmp(passed[i].name, name) == 0 && nth-- == 0)
			return FIRST_FD + (int)i;
	return -1;
}

bool jaco_notify_has_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long dev;
	unsigned long ino;
	struct stat st;

	if (!text || sscanf(text, "%lu:%lu", &dev, &ino) != 2 || fstat(STDERR_FILENO, &st) < 0)
		return false;
	return (unsigned long)st.st_dev == dev && (unsigned long)st.st_ino == ino;
}
