/* SPDX-License-Identifier: Apache-2.0
 *
 * Userspace WireGuard: a child in the foreground (`wireguard-go -f <if>`), spoken to over its UAPI
 * socket.
 *
 * The child is meant to outlive us, as the kernel's device would: a restart of meshd finds the
 * socket answering and adopts it.  A child that does not answer is killed by the pid the kernel
 * names for its socket (unix(7), SO_PEERCRED), then started anew, with back-off. */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemons/meshd/device.h"
#include "daemons/meshd/uapi.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"
#include "libjaco/io/sock.h"

#define PROGRAM        "wireguard-go"
#define SOCKET_DIR     "/var/run/wireguard"
#define TALK_MS        1000
#define ANSWER_MS      3000 /* a fresh child gets that long to open its socket */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000

bool device_user_exists(void)
{
	const char *path = getenv("PATH");
	char file[512];

	while (path && *path) {
		size_t n = strcspn(path, ":");

		if (n && jaco_str_format(file, sizeof(file), "%.*s/%s", (int)n, path, PROGRAM) &&
		    access(file, X_OK) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

static int connect_uapi(const struct device *device, struct jaco_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = TALK_MS / 1000, .tv_usec = TALK_MS % 1000 * 1000};
	jaco_auto(jaco_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return jaco_err_errno(err, "socket");
	(void)jaco_str_format(addr.sun_path, sizeof(addr.sun_path), SOCKET_DIR "/%s.sock",
			      device->name);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return jaco_err_set(err, JACO_UNAVAILABLE, "WireGuard socket %s: %s", addr.sun_path,
				    strerror(errno));
	return jaco_fd_take(&fd);
}

static int exchange(int fd, const char *request, size_t n, struct jaco_buf *answer,
		    struct jaco_err *err)
{
	while (n) {
		ssize_t sent = send(fd, request, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return jaco_err_set(err, JACO_UNAVAILABLE, "WireGuard does not listen");
		request += sent;
		n -= (size_t)sent;
	}
	while (!uapi_complete(answer->data, answer->n)) {
		char *at = jaco_buf_reserve(answer, 65536);
		ssize_t got = at ? recv(fd, at, 65536, 0) : -1;

		if (got <= 0)
			return jaco_err_set(err, JACO_UNAVAILABLE, "WireGuard does not answer");
		answer->n += (size_t)got;
	}
	return 0;
}

static int talk(const struct device *device, const char *request, size_t n,
		struct jaco_buf *answer, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = connect_uapi(device, err);

	return fd < 0 ? fd : exchange(fd, request, n, answer, err);
}

static int user_get(struct device *device, struct jaco_arena *arena, struct mesh_device *out,
		    struct jaco_err *err)
{
	static const char request[] = "get=1\n\n";
	jaco_auto(jaco_buf) struct jaco_buf answer = JACO_BUF_SECRET(UAPI_ANSWER_MAX);
	int rc = talk(device, request, sizeof(request) - 1, &answer, err);

	return rc < 0 ? rc : uapi_parse(answer.data, answer.n, arena, out, err);
}

static int user_apply(struct device *device, const struct mesh_plan *plan,
		      const struct mesh_device *desired, struct jaco_err *err)
{
	jaco_auto(jaco_buf) struct jaco_buf request = JACO_BUF_SECRET(0),
					    answer = JACO_BUF_BOUND(65536 * 2);
	int rc;

	uapi_render(&request, plan, desired);
	rc = talk(device, request.data, request.n, &answer, err);
	return rc < 0 ? rc : uapi_parse_result(answer.data, answer.n, err);
}

/* The pid behind the socket, 0 when nobody listens. */
static pid_t owner(const struct device *device)
{
	struct jaco_err ignored = JACO_ERR_INIT;
	jaco_auto(jaco_fd) int fd = connect_uapi(device, &ignored);
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return 0;
	return cred.pid;
}

/* The child runs as our user and must keep CAP_NET_ADMIN across execve: capabilities(7), ambient
 * set.  As root there is nothing to do, and nothing here can fail that matters there. */
static void hand_down_net_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) != 0)
		return;
	data[0].inheritable |= data[0].permitted & (1u << CAP_NET_ADMIN);
	if (syscall(SYS_capset, &header, data) == 0)
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0);
}

static void on_child_exit(JACO_UNUSED struct jaco_proc *proc, JACO_UNUSED int status, void *ctx)
{
	struct device *device = ctx;

	device->on_lost(device->ctx);
}

static int start_child(struct device *device, struct jaco_err *err)
{
	const char *const argv[] = {PROGRAM, "-f", device->name, NULL};
	const char *const env[] = {"LOG_LEVEL=error", "WG_PROCESS_FOREGROUND=1", NULL};
	struct jaco_proc_options options = {.argv = argv, .env = env, .out_fd = -1,
					    .own_group = true};
	struct jaco_time now = jaco_loop_now(device->loop);
	int rc;

	if (!device_user_exists())
		return jaco_err_set(err, JACO_UNAVAILABLE, "no " PROGRAM " in PATH");
	if (jaco_time_before(now, device->start_after))
		return 1;
	device->backoff_ms = JACO_MIN(JACO_MAX(device->backoff_ms * 2, BACKOFF_MIN_MS),
				      BACKOFF_MAX_MS);
	device->start_after = jaco_time_add_ms(now, device->backoff_ms);
	device->answer_by = jaco_time_add_ms(now, ANSWER_MS);
	device->n_starts++;
	hand_down_net_admin();
	rc = jaco_proc_start(device->loop, &device->child, &options, on_child_exit, device, err);
	return rc < 0 ? rc : 1;
}

static int user_open(struct device *device, struct jaco_err *err)
{
	struct jaco_arena arena = JACO_ARENA_INIT;
	struct jaco_err ignored = JACO_ERR_INIT;
	struct mesh_device seen;
	bool answers = if_nametoindex(device->name) != 0 &&
		       user_get(device, &arena, &seen, &ignored) == 0;
	pid_t pid;

	jaco_arena_fini(&arena);
	if (answers) {
		device->backoff_ms = 0;
		return 0;
	}
	if (device->child.pid > 0 &&
	    jaco_time_before(jaco_loop_now(device->loop), device->answer_by))
		return 1; /* it has only just been started */
	if (device->child.pid > 0) {
		jaco_proc_signal(&device->child, SIGKILL); /* on_child_exit starts over */
		return 1;
	}
	pid = owner(device);
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		return 1;
	}
	return start_child(device, err);
}

static void user_leave(struct device *device)
{
	jaco_io_stop(&device->child.io);
	jaco_fd_close(&device->child.pidfd);
	device->child = JACO_PROC_INIT;
}

static void user_remove(struct device *device)
{
	pid_t pid = owner(device);

	if (device->child.pid > 0)
		jaco_proc_fini(&device->child);
	else if (pid > 0)
		(void)kill(pid, SIGTERM);
}

const struct device_ops device_user_ops = {
	.name = "userspace",
	.open = user_open,
	.get = user_get,
	.apply = user_apply,
	.leave = user_leave,
	.remove = user_remove,
};
