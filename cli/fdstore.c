/* SPDX-License-Identifier: Apache-2.0
 *
 * fdstore.c - see fdstore.h. */
#include "cli/fdstore.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define TEXT_BYTES    1024
#define FDS_A_MESSAGE 4 /* one is meant; the kernel drops what does not fit */
#define MESSAGES_AT_ONCE (2 * FDSTORE_MAX)

/* One datagram, read. */
struct message {
	char text[TEXT_BYTES];
	pid_t pid;
	int fds[FDS_A_MESSAGE];
	size_t n_fds;
};

static void read_control(struct msghdr *msg, struct message *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			out->pid = cred.pid;
		} else if (c->cmsg_type == SCM_RIGHTS) {
			out->n_fds = JACO_MIN((c->cmsg_len - CMSG_LEN(0)) / sizeof(int),
					      (size_t)FDS_A_MESSAGE);
			memcpy(out->fds, CMSG_DATA(c), out->n_fds * sizeof(int));
		}
	}
}

static bool receive(const struct fdstore *store, struct message *out)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) +
			   CMSG_SPACE(FDS_A_MESSAGE * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = out->text, .iov_len = sizeof(out->text) - 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(store->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return false;
	out->text[n] = '\0';
	out->pid = 0;
	out->n_fds = 0;
	read_control(&msg, out);
	return true;
}

/* The value of "KEY=" at the start of a line; its length, or -1. */
static int field(const char *text, const char *key, const char **out_value)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0) {
			*out_value = line + n;
			return (int)strcspn(*out_value, "\n");
		}
	}
	return -1;
}

static bool read_name(const char *text, char out[static FDSTORE_NAME_BYTES])
{
	const char *value;
	int n = field(text, "FDNAME=", &value);

	if (n <= 0 || n >= FDSTORE_NAME_BYTES)
		return false;
	for (int i = 0; i < n; i++)
		if (!isgraph((unsigned char)value[i]) || value[i] == ':')
			return false;
	memcpy(out, value, (size_t)n);
	out[n] = '\0';
	return true;
}

static void forget(struct fdstore *store, size_t owner, const char *name)
{
	for (size_t i = 0; i < store->n; i++) {
		struct fdstore_kept *kept = &store->kept[i];

		if (kept->owner != owner || !jaco_str_eq(kept->name, name))
			continue;
		jaco_fd_close(&kept->fd);
		*kept = store->kept[--store->n];
		return;
	}
}

/* A second one of a name takes the place of the first. */
static void keep(struct fdstore *store, size_t owner, const char *name, int take_fd)
{
	struct fdstore_kept *kept;

	forget(store, owner, name);
	if (store->n == FDSTORE_MAX) {
		jaco_fd_close(&take_fd);
		return;
	}
	kept = &store->kept[store->n++];
	kept->owner = owner;
	kept->fd = take_fd;
	(void)jaco_str_copy(kept->name, sizeof(kept->name), name);
}

static void take(struct fdstore *store, struct message *message)
{
	char name[FDSTORE_NAME_BYTES];
	const char *value;
	size_t owner = 0;

	while (owner < FDSTORE_OWNERS_MAX &&
	       (message->pid == 0 || store->pids[owner] != message->pid))
		owner++;
	if (owner < FDSTORE_OWNERS_MAX && read_name(message->text, name)) {
		if (field(message->text, "FDSTOREREMOVE=1", &value) == 0)
			forget(store, owner, name);
		/* dup2(2) onto 3, 4, ... at the next start must meet no standard descriptor */
		else if (field(message->text, "FDSTORE=1", &value) == 0 && message->n_fds == 1 &&
			 message->fds[0] > STDERR_FILENO)
			keep(store, owner, name, jaco_fd_take(&message->fds[0]));
	}
	for (size_t i = 0; i < message->n_fds; i++)
		jaco_fd_close(&message->fds[i]);
}

static void drain(struct fdstore *store)
{
	struct message message;

	for (int i = 0; i < MESSAGES_AT_ONCE && receive(store, &message); i++)
		take(store, &message);
}

static void on_message(struct jaco_io *io, unsigned events, void *ctx)
{
	(void)io;
	(void)events;
	drain(ctx);
}

int fdstore_open(struct fdstore *store, struct jaco_loop *loop, struct jaco_err *err)
{
	/* Bound by the family alone it gets a free abstract name (unix(7), autobind): no file is
	 * left behind, and no path is too long for it. */
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t n = sizeof(un.sun_family);
	int yes = 1;

	*store = (struct fdstore){.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
	if (store->sock < 0 ||
	    setsockopt(store->sock, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0 ||
	    bind(store->sock, (const struct sockaddr *)&un, n) < 0)
		return jaco_err_errno(err, "the notification socket");
	n = sizeof(un);
	if (getsockname(store->sock, (struct sockaddr *)&un, &n) < 0)
		return jaco_err_errno(err, "the name of the notification socket");
	(void)jaco_str_format(store->address, sizeof(store->address), "NOTIFY_SOCKET=@%.*s",
			      (int)(n - sizeof(un.sun_family) - 1), un.sun_path + 1);
	jaco_io_start(loop, &store->io, store->sock, JACO_IO_READ, on_message, store);
	return 0;
}

void fdstore_close(struct fdstore *store)
{
	jaco_io_stop(&store->io);
	jaco_fd_close(&store->sock);
	while (store->n > 0)
		jaco_fd_close(&store->kept[--store->n].fd);
}

void fdstore_set_owner(struct fdstore *store, size_t owner, pid_t pid)
{
	JACO_ASSERT(owner < FDSTORE_OWNERS_MAX);
	store->pids[owner] = pid; /* not drained before: on a busy machine it has spoken already */
}

static int by_fd(const void *a, const void *b)
{
	return ((const struct fdstore_kept *)a)->fd - ((const struct fdstore_kept *)b)->fd;
}

size_t fdstore_list(struct fdstore *store, size_t owner, int out_fds[static FDSTORE_MAX],
		    char out_names[static FDSTORE_NAMES_BYTES])
{
	size_t n = 0;
	char *end = out_names;

	drain(store);
	qsort(store->kept, store->n, sizeof(store->kept[0]), by_fd);
	*end = '\0';
	for (size_t i = 0; i < store->n; i++) {
		const struct fdstore_kept *kept = &store->kept[i];

		if (kept->owner != owner)
			continue;
		(void)jaco_str_format(end, FDSTORE_NAME_BYTES + 1, "%s%s", n > 0 ? ":" : "",
				      kept->name);
		end += strlen(end);
		out_fds[n++] = kept->fd;
	}
	return n;
}
