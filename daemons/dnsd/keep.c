/* SPDX-License-Identifier: Apache-2.0
 *
 * keep.c - see keep.h. */
#include "daemons/dnsd/keep.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libjaco/base/str.h"
#include "libjaco/io/notify.h"

void keep_name(char out[static KEEP_NAME_BYTES], const char *transport,
	       const struct jaco_addr *addr)
{
	char text[JACO_ADDR_TEXT_BYTES];

	jaco_addr_render(text, addr);
	for (char *p = text; *p; p++)
		if (*p == ':')
			*p = '-';
	(void)jaco_str_format(out, KEEP_NAME_BYTES, "%s-%s", transport, text);
}

int keep_take(const char *name)
{
	int fd = jaco_notify_fd(name, 0);

	if (fd >= 0)
		(void)jaco_fd_set_nonblock(fd, true,
					   NULL); /* as at birth; a kept one is ours and sound */
	return fd;
}

void keep_store(int fd, const char *name)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char text[KEEP_NAME_BYTES + 32];
	struct iovec iov = {.iov_base = text};
	struct msghdr msg = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	jaco_auto(jaco_fd) int sock = -1;

	if (!path || !jaco_str_copy(to.sun_path, sizeof(to.sun_path), path))
		return;
	msg.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0'; /* abstract, unix(7) */
	(void)jaco_str_format(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	iov.iov_len = strlen(text);
	control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock >= 0)
		(void)sendmsg(sock, &msg,
			      MSG_NOSIGNAL); /* not kept: a restart loses what is queued */
}

void keep_forget(const char *name)
{
	jaco_notify("FDSTOREREMOVE=1\nFDNAME=%s", name);
}
