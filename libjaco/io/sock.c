/* SPDX-License-Identifier: Apache-2.0
 *
 * sock.c - sockets and their addresses. */
#include "libjaco/io/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libjaco/base/str.h"

#define BACKLOG 1024

void jaco_fd_cleanup(int *fd)
{
	jaco_fd_close(fd);
}

int jaco_fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

void jaco_fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* the descriptor is gone either way */
	*fd = -1;
}

int jaco_fd_set_nonblock(int fd, bool on, struct jaco_err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		return jaco_err_errno(err, "fcntl");
	return 0;
}

static int parse_port(const char *text, uint16_t default_port, uint16_t *out)
{
	uint64_t port = default_port;

	if (text && !jaco_str_to_u64(text, 65535, &port))
		return -1;
	if (!text && !default_port)
		return -1;
	*out = (uint16_t)port;
	return 0;
}

static int parse_v6(struct jaco_addr *out, char *host, const char *port_text, uint16_t default_port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->storage;
	char *zone = strchr(host, '%');
	uint16_t port;

	if (zone)
		*zone++ = '\0';
	if (parse_port(port_text, default_port, &port) < 0 ||
	    inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return -1;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	if (zone)
		in6->sin6_scope_id = if_nametoindex(zone);
	out->n = sizeof(*in6);
	return 0;
}

static int parse_v4(struct jaco_addr *out, const char *host, const char *port_text,
		    uint16_t default_port)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&out->storage;
	uint16_t port;

	if (parse_port(port_text, default_port, &port) < 0 ||
	    inet_pton(AF_INET, host, &in4->sin_addr) != 1)
		return -1;
	in4->sin_family = AF_INET;
	in4->sin_port = htons(port);
	out->n = sizeof(*in4);
	return 0;
}

int jaco_addr_parse(struct jaco_addr *out, const char *text, uint16_t default_port,
		    struct jaco_err *err)
{
	struct jaco_addr addr = {.n = 0};
	char copy[JACO_ADDR_TEXT_BYTES];
	char *colon;
	int rc;

	if (!jaco_str_copy(copy, sizeof(copy), text))
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "address too long: %.40s...",
				    text);
	if (copy[0] == '[') {
		char *close_bracket = strchr(copy, ']');

		if (!close_bracket || (close_bracket[1] && close_bracket[1] != ':'))
			return jaco_err_set(err, JACO_VALIDATION_FAILED, "not an address: %s",
					    text);
		*close_bracket = '\0';
		rc = parse_v6(&addr, copy + 1, close_bracket[1] ? close_bracket + 2 : NULL,
			      default_port);
	} else if ((colon = strchr(copy, ':')) && strchr(colon + 1, ':')) {
		rc = parse_v6(&addr, copy, NULL, default_port);
	} else {
		if (colon)
			*colon++ = '\0';
		rc = parse_v4(&addr, copy, colon, default_port);
	}
	if (rc < 0)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "not an address%s: %s",
				    default_port ? "" : " with a port", text);
	*out = addr;
	return 0;
}

int jaco_addr_resolve(struct jaco_addr *out, const char *text, struct jaco_err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	const char *colon = strrchr(text, ':');
	char host[256];
	int rc;

	if (jaco_addr_parse(out, text, 0, err) >= 0)
		return 0;
	if (!colon || colon == text || !colon[1] || (size_t)(colon - text) >= sizeof(host) ||
	    strchr(text, ':') != colon)
		return jaco_err_set(err, JACO_VALIDATION_FAILED, "not HOST:PORT: %.100s", text);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	rc = getaddrinfo(host, colon + 1, &hints, &found);
	if (rc != 0 || !found)
		return jaco_err_set(err, JACO_UNAVAILABLE, "%s: %s", host, gai_strerror(rc));
	out->n = found->ai_addrlen;
	memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

void jaco_addr_render_host(char out[static JACO_ADDR_TEXT_BYTES], const struct jaco_addr *addr)
{
	const void *host = NULL;

	out[0] = '\0';
	if (addr->sa.sa_family == AF_INET)
		host = &((const struct sockaddr_in *)&addr->storage)->sin_addr;
	else if (addr->sa.sa_family == AF_INET6)
		host = &((const struct sockaddr_in6 *)&addr->storage)->sin6_addr;
	if (host)
		(void)inet_ntop(addr->sa.sa_family, host, out, JACO_ADDR_TEXT_BYTES);
	else
		(void)jaco_str_copy(out, JACO_ADDR_TEXT_BYTES, "unix");
}

void jaco_addr_render(char out[static JACO_ADDR_TEXT_BYTES], const struct jaco_addr *addr)
{
	char host[JACO_ADDR_TEXT_BYTES];

	jaco_addr_render_host(host, addr);
	if (addr->sa.sa_family == AF_INET)
		(void)jaco_str_format(out, JACO_ADDR_TEXT_BYTES, "%s:%u", host,
				      jaco_addr_port(addr));
	else if (addr->sa.sa_family == AF_INET6)
		(void)jaco_str_format(out, JACO_ADDR_TEXT_BYTES, "[%s]:%u", host,
				      jaco_addr_port(addr));
	else
		(void)jaco_str_copy(out, JACO_ADDR_TEXT_BYTES, host);
}

uint16_t jaco_addr_port(const struct jaco_addr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&addr->storage)->sin_port);
	if (addr->sa.sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&addr->storage)->sin6_port);
	return 0;
}

void jaco_addr_set_port(struct jaco_addr *addr, uint16_t port)
{
	if (addr->sa.sa_family == AF_INET)
		((struct sockaddr_in *)&addr->storage)->sin_port = htons(port);
	else if (addr->sa.sa_family == AF_INET6)
		((struct sockaddr_in6 *)&addr->storage)->sin6_port = htons(port);
}

struct jaco_addr jaco_addr_ipv4(uint32_t host_order, uint16_t port)
{
	struct jaco_addr addr = {.n = sizeof(struct sockaddr_in)};
	struct sockaddr_in *in4 = (struct sockaddr_in *)&addr.storage;

	in4->sin_family = AF_INET;
	in4->sin_port = htons(port);
	in4->sin_addr.s_addr = htonl(host_order);
	return addr;
}

int jaco_addr_unix(struct jaco_addr *out, const char *path, struct jaco_err *err)
{
	struct jaco_addr addr = {.n = sizeof(struct sockaddr_un)};
	struct sockaddr_un *un = (struct sockaddr_un *)&addr.storage;

	un->sun_family = AF_UNIX;
	if (!jaco_str_copy(un->sun_path, sizeof(un->sun_path), path))
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "socket path longer than %zu bytes: %s",
				    sizeof(un->sun_path) - 1, path);
	*out = addr;
	return 0;
}

static bool is_member(gid_t group)
{
	gid_t groups[256];
	int n = getgroups(JACO_ARRAY_SIZE(groups), groups);

	for (int i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static int set_group(const char *path, const char *group, struct jaco_err *err)
{
	struct group *gr = getgrnam(group);

	/* A machine without the group still serves root, and who is not in it cannot give to it: no
	 * errors.  A member that is refused stands behind a filter of system calls that is wrong:
	 * those the socket is for would never get in. */
	if (gr && chown(path, (uid_t)-1, gr->gr_gid) < 0 &&
	    (errno != EPERM || is_member(gr->gr_gid)))
		return jaco_err_errno(err, "chown %s to group %s", path, group);
	return 0;
}

int jaco_sock_listen_unix(const char *path, mode_t mode, const char *group, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct jaco_addr addr;
	mode_t old;
	int rc;

	if (fd < 0)
		return jaco_err_errno(err, "socket");
	if (jaco_addr_unix(&addr, path, err) < 0)
		return -(int)err->code;
	if (unlink(path) < 0 && errno != ENOENT)
		return jaco_err_errno(err, "unlink %s", path);
	old = umask(0177);
	rc = bind(fd, &addr.sa, addr.n);
	umask(old);
	if (rc < 0)
		return jaco_err_errno(err, "bind %s", path);
	if (group && set_group(path, group, err) < 0)
		return -(int)err->code;
	if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
		return jaco_err_errno(err, "listen %s", path);
	return jaco_fd_take(&fd);
}

static int bound(const struct jaco_addr *addr, int type, unsigned flags, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd =
		socket(addr->sa.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[JACO_ADDR_TEXT_BYTES];
	int on = 1;

	jaco_addr_render(text, addr);
	if (fd < 0)
		return jaco_err_errno(err, "socket for %s", text);
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (flags & JACO_SOCK_REUSEPORT)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (flags & JACO_SOCK_FREEBIND)
		(void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	if (addr->sa.sa_family == AF_INET6 && flags & JACO_SOCK_V6ONLY)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &addr->sa, addr->n) < 0)
		return jaco_err_errno(err, "bind %s", text);
	return jaco_fd_take(&fd);
}

int jaco_sock_listen_tcp(const struct jaco_addr *addr, unsigned flags, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd = bound(addr, SOCK_STREAM, flags, err);

	if (fd < 0)
		return fd;
	if (listen(fd, BACKLOG) < 0) {
		char text[JACO_ADDR_TEXT_BYTES];

		jaco_addr_render(text, addr);
		return jaco_err_errno(err, "listen %s", text);
	}
	return jaco_fd_take(&fd);
}

int jaco_sock_bind_udp(const struct jaco_addr *addr, unsigned flags, struct jaco_err *err)
{
	return bound(addr, SOCK_DGRAM, flags, err);
}

int jaco_sock_connect(const struct jaco_addr *addr, bool *out_pending, struct jaco_err *err)
{
	return jaco_sock_connect_from(NULL, addr, out_pending, err);
}

int jaco_sock_connect_from(const struct jaco_addr *source, const struct jaco_addr *addr,
			   bool *out_pending, struct jaco_err *err)
{
	jaco_auto(jaco_fd) int fd =
		socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct jaco_addr from;
	int one = 1;

	if (fd < 0)
		return jaco_err_errno(err, "socket");
	*out_pending = false;
	if (source && source->sa.sa_family == addr->sa.sa_family) {
		from = *source;
		jaco_addr_set_port(&from, 0);
		/* ip(7): the port is chosen when the other end is known, so they do not run out */
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		(void)bind(fd, &from.sa, from.n); /* an address that is gone is not waited for */
	}
	if (connect(fd, &addr->sa, addr->n) < 0) {
		char text[JACO_ADDR_TEXT_BYTES];

		if (errno != EINPROGRESS) {
			int saved = errno;

			jaco_addr_render(text, addr);
			errno = saved;
			return jaco_err_errno(err, "connect %s", text);
		}
		*out_pending = true;
	}
	return jaco_fd_take(&fd);
}

int jaco_sock_accept(int fd, struct jaco_addr *out_peer)
{
	out_peer->n = sizeof(out_peer->storage);
	return accept4(fd, &out_peer->sa, &out_peer->n, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int jaco_sock_error(int fd, struct jaco_err *err)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		return jaco_err_errno(err, "getsockopt");
	if (!error)
		return 0;
	errno = error;
	return jaco_err_errno(err, "connect");
}

void jaco_sock_set_nodelay(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* latency only */
}

int jaco_sock_peercred(int fd, struct jaco_peercred *out, struct jaco_err *err)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);
	struct passwd *pw;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return jaco_err_errno(err, "SO_PEERCRED");
	*out = (struct jaco_peercred){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
	pw = getpwuid(cred.uid);
	if (pw)
		(void)jaco_str_copy(out->user, sizeof(out->user), pw->pw_name);
	else
		(void)jaco_str_format(out->user, sizeof(out->user), "%u", cred.uid);
	return 0;
}
