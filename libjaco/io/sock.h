/* SPDX-License-Identifier: Apache-2.0
 *
 * sock.h - sockets: born close-on-exec and non-blocking, addresses as text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "libjaco/base/auto.h"
#include "libjaco/base/err.h"

/* Guard for a descriptor: jaco_auto(jaco_fd) int fd = -1; */
void jaco_fd_cleanup(int *fd);
int jaco_fd_take(int *fd); /* leaves -1 behind */
void jaco_fd_close(int *fd); /* close when open, leave -1 */
int jaco_fd_set_nonblock(int fd, bool on, struct jaco_err *err);

struct jaco_addr {
	socklen_t n;
	union {
		struct sockaddr sa;
		struct sockaddr_storage storage;
	};
};

#define JACO_ADDR_TEXT_BYTES 64

/* "10.0.0.1:80", "[::]:80", "[fe80::1%eth0]:80" (numeric only).  @default_port 0: a port is
 * required.
 * Errors: VALIDATION_FAILED. */
int jaco_addr_parse(struct jaco_addr *out, const char *text, uint16_t default_port,
		    struct jaco_err *err);

/* "host:port" by whatever names this machine resolves; blocks, for command lines only.
 * Errors: VALIDATION_FAILED, UNAVAILABLE - nothing has that name. */
int jaco_addr_resolve(struct jaco_addr *out, const char *text, struct jaco_err *err);
void jaco_addr_render(char out[static JACO_ADDR_TEXT_BYTES], const struct jaco_addr *addr);

/* The host part only, without brackets or port. */
void jaco_addr_render_host(char out[static JACO_ADDR_TEXT_BYTES], const struct jaco_addr *addr);
uint16_t jaco_addr_port(const struct jaco_addr *addr);
void jaco_addr_set_port(struct jaco_addr *addr, uint16_t port);

/* From an IPv4 address in host byte order. */
struct jaco_addr jaco_addr_ipv4(uint32_t host_order, uint16_t port);
int jaco_addr_unix(struct jaco_addr *out, const char *path, struct jaco_err *err);

/* Listening stream socket on a unix path; an old socket file is replaced, @mode and @group (NULL:
 * leave) set before the first client can connect. */
int jaco_sock_listen_unix(const char *path, mode_t mode, const char *group, struct jaco_err *err);

enum {
	JACO_SOCK_REUSEPORT = 1,
	JACO_SOCK_V6ONLY = 2,
	JACO_SOCK_FREEBIND = 4, /* bind before the address exists (IP_FREEBIND) */
};
/* Listening TCP or bound UDP socket.  Errors: INTERNAL with sys_errno (EADDRINUSE...). */
int jaco_sock_listen_tcp(const struct jaco_addr *addr, unsigned flags, struct jaco_err *err);
int jaco_sock_bind_udp(const struct jaco_addr *addr, unsigned flags, struct jaco_err *err);

/* Non-blocking connect: the descriptor; *@out_pending says whether it is still under way. */
int jaco_sock_connect(const struct jaco_addr *addr, bool *out_pending, struct jaco_err *err);

/* The same from the address of @source, at any port; NULL, or one that this machine does not have:
 * as the kernel chooses. */
int jaco_sock_connect_from(const struct jaco_addr *source, const struct jaco_addr *addr,
			   bool *out_pending, struct jaco_err *err);

/* accept4(2) with both flags; -1 with errno EAGAIN when there is none. */
int jaco_sock_accept(int fd, struct jaco_addr *out_peer);

/* SO_ERROR as an error; 0 when the connection stands. */
int jaco_sock_error(int fd, struct jaco_err *err);
void jaco_sock_set_nodelay(int fd);

struct jaco_peercred {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	char user[64]; /* name, or the number when it has none */
};
/* Who is at the other end of a unix socket (SO_PEERCRED, unix(7)). */
int jaco_sock_peercred(int fd, struct jaco_peercred *out, struct jaco_err *err);
