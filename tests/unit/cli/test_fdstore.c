/* SPDX-License-Identifier: Apache-2.0
 *
 * What children give us to keep: by name, apart by process, bounded. */
#include "cli/fdstore.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libjaco/base/str.h"
#include "tests/lib/test.h"

struct rig {
	struct jaco_loop loop;
	struct fdstore store;
	int fds[FDSTORE_MAX];
	char names[FDSTORE_NAMES_BYTES];
};

static struct rig rig;

static void rig_open(void)
{
	struct jaco_err err = JACO_ERR_INIT;

	JT_OK(jaco_loop_open(&rig.loop, NULL, &err), &err);
	JT_OK(fdstore_open(&rig.store, &rig.loop, &err), &err);
	fdstore_set_owner(&rig.store, 3, getpid());
}

static void rig_close(void)
{
	fdstore_close(&rig.store);
	jaco_loop_close(&rig.loop);
}

/* As a daemon does it (daemons/dnsd/keep.c). */
static void tell(const char *text, int fd)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *name = strchr(rig.store.address, '@') + 1;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (char *)text, .iov_len = strlen(text)};
	struct msghdr msg = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1};
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(to.sun_path + 1, name, strlen(name));
	msg.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
						  .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	JT_EQ(sendmsg(sock, &msg, 0), (ssize_t)strlen(text));
	close(sock);
}

static size_t list(size_t owner)
{
	return fdstore_list(&rig.store, owner, rig.fds, rig.names);
}

JT_CASE(what_a_child_gives_comes_back_by_name_to_it_alone)
{
	int pipes[2];
	char c = 0;

	rig_open();
	JT_EQ(pipe(pipes), 0);
	tell("FDSTORE=1\nFDNAME=udp-10.0.0.1-53", pipes[1]);
	tell("READY=1\nSTATUS=serving", -1);
	tell("FDSTORE=1\nFDNAME=tcp", pipes[0]);
	JT_EQ(list(3), 2);
	JT_STR(rig.names, "udp-10.0.0.1-53:tcp");
	JT_TRUE(rig.fds[0] < rig.fds[1] && rig.fds[0] > 2);
	JT_EQ(write(rig.fds[0], "x", 1), 1);
	JT_EQ(read(pipes[0], &c, 1), 1);
	JT_EQ(list(0), 0);
	fdstore_set_owner(&rig.store, 3,
			  getpid() + 1); /* the next start: what was kept stays its own */
	JT_EQ(list(3), 2);
	rig_close();
	JT_EQ(fcntl(rig.fds[0], F_GETFD), -1);
	close(pipes[0]);
	close(pipes[1]);
}

JT_CASE(a_name_is_there_once_and_goes_when_told)
{
	rig_open();
	tell("FDSTORE=1\nFDNAME=a", STDERR_FILENO);
	tell("FDSTORE=1\nFDNAME=a", STDERR_FILENO);
	JT_EQ(list(3), 1);
	tell("FDSTOREREMOVE=1\nFDNAME=b", -1);
	JT_EQ(list(3), 1);
	tell("FDNAME=a\nFDSTOREREMOVE=1", -1);
	JT_EQ(list(3), 0);
	rig_close();
}

JT_CASE(strangers_and_bad_names_are_not_kept)
{
	int before = dup(STDERR_FILENO), after;

	close(before);
	rig_open();
	tell("FDSTORE=1", STDERR_FILENO);
	tell("FDSTORE=1\nFDNAME=", STDERR_FILENO);
	tell("FDSTORE=1\nFDNAME=a:b", STDERR_FILENO);
	tell("FDSTORE=1\nFDNAME=a b", STDERR_FILENO);
	tell("FDSTORE=1\nFDNAME=a-name-that-is-longer-than-thirty-one", STDERR_FILENO);
	tell("FDSTORE=1\nFDNAME=none", -1);
	JT_EQ(list(3), 0);
	fdstore_set_owner(&rig.store, 3, 1);
	tell("FDSTORE=1\nFDNAME=a", STDERR_FILENO);
	JT_EQ(list(3), 0);
	rig_close();
	after = dup(STDERR_FILENO);
	close(after);
	JT_EQ(after, before); /* all were closed */
}

JT_CASE(a_child_that_speaks_before_its_parent_knows_it_is_heard)
{
	rig_open();
	fdstore_set_owner(&rig.store, 3, 1);
	tell("FDSTORE=1\nFDNAME=early", STDERR_FILENO);
	fdstore_set_owner(&rig.store, 3, getpid());
	JT_EQ(list(3), 1);
	JT_STR(rig.names, "early");
	rig_close();
}

JT_CASE(what_is_kept_is_bounded)
{
	char text[64];

	rig_open();
	for (int i = 0; i < FDSTORE_MAX + 8; i++) {
		(void)jaco_str_format(text, sizeof(text), "FDSTORE=1\nFDNAME=n%d", i);
		tell(text, STDERR_FILENO);
		JT_EQ(list(3), (size_t)JACO_MIN(i + 1, FDSTORE_MAX));
	}
	rig_close();
}

JT_MAIN(JT_RUN(what_a_child_gives_comes_back_by_name_to_it_alone),
	JT_RUN(a_name_is_there_once_and_goes_when_told),
	JT_RUN(strangers_and_bad_names_are_not_kept),
	JT_RUN(a_child_that_speaks_before_its_parent_knows_it_is_heard),
	JT_RUN(what_is_kept_is_bounded))
