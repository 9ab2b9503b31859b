/* SPDX-License-Identifier: Apache-2.0
 *
 * netlink.h - one netlink socket: requests, batches, dumps, notifications (netlink(7)).
 *
 * libmnl underneath; messages are built and parsed by the caller.  The kernel handles a request
 * inside sendmsg(2), so its answer is waiting when that returns: these calls do not block on
 * anybody else and may be made from the loop.  A failure the kernel reported has code INTERNAL and
 * its errno in err->sys_errno; the text carries the kernel's own sentence when it gave one. */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"

struct mnl_socket;

struct jaco_netlink {
	struct mnl_socket *sock;
	int fd;        /* for jaco_io_start(); -1 when closed */
	uint32_t port; /* ours: the nlmsg_pid of what we cause */
	uint32_t seq;  /* of the last request */
};

#define JACO_NETLINK_INIT ((struct jaco_netlink){.fd = -1})

/* One received message.  A negative return ends the reading and is passed on. */
typedef int jaco_netlink_fn(const struct nlmsghdr *msg, void *ctx, struct jaco_err *err);

/* @bus is NETLINK_ROUTE, NETLINK_NETFILTER or NETLINK_GENERIC.  Close-on-exec, non-blocking. */
int jaco_netlink_open(struct jaco_netlink *nl, int bus, struct jaco_err *err);
void jaco_netlink_close(struct jaco_netlink *nl);
#define jaco_netlink_cleanup jaco_netlink_close

/* Join a multicast group (NFNLGRP_*, RTNLGRP_*). */
int jaco_netlink_subscribe(struct jaco_netlink *nl, unsigned group, struct jaco_err *err);

/* Do not deliver notifications caused by the socket with port @port: filtered in the kernel. */
int jaco_netlink_ignore_port(struct jaco_netlink *nl, uint32_t port, struct jaco_err *err);

/* Room for @bytes of unread notifications, as far as we may ask for it. */
void jaco_netlink_set_room(struct jaco_netlink *nl, size_t bytes);

/* Send @request (flags, seq and port are filled in) and hand every answer to @fn (NULL: none is
 * expected), until the kernel's acknowledgement. */
int jaco_netlink_ask(struct jaco_netlink *nl, struct nlmsghdr *request, jaco_netlink_fn *fn,
		     void *ctx, struct jaco_err *err);

/* The same for a dump.
 * Errors: CONFLICT - the table changed while it was read; ask again. */
int jaco_netlink_dump(struct jaco_netlink *nl, struct nlmsghdr *request, jaco_netlink_fn *fn,
		      void *ctx, struct jaco_err *err);

/* Send a run of messages whose last one asks for an acknowledgement (NLM_F_ACK), for protocols
 * where a run is one transaction.  On failure *@out_seq (may be NULL) is the sequence number of the
 * first message that was refused. */
int jaco_netlink_transact(struct jaco_netlink *nl, const void *data, size_t n, uint32_t *out_seq,
			  struct jaco_err *err);

/* Hand all waiting notifications to @fn.
 * Errors: LIMIT_EXCEEDED - some were lost (ENOBUFS): look at everything again. */
int jaco_netlink_drain(struct jaco_netlink *nl, jaco_netlink_fn *fn, void *ctx,
		       struct jaco_err *err);

/* Does a whole message lie in the @left bytes at @msg?  libmnl's own check compares lengths as
 * signed numbers. */
static inline bool jaco_netlink_fits(const struct nlmsghdr *msg, int left)
{
	return left >= (int)sizeof(*msg) && msg->nlmsg_len >= sizeof(*msg) &&
	       msg->nlmsg_len <= (uint32_t)left;
}
