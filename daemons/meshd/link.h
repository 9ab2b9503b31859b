/* SPDX-License-Identifier: Apache-2.0
 *
 * link.h - the mesh interface as the kernel's network sees it: existence, MTU, address, routes;
 * rtnetlink(7).
 *
 * Routes of ours carry their own protocol number, so that nobody else's are ever touched. */
#pragma once

#include <libmnl/libmnl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"
#include "libjaco/model/cidr.h"

#define LINK_ROUTE_PROTOCOL 74 /* 'J'; rtnetlink(7): above RTPROT_STATIC is the administrator's */
#define LINK_KIND_BYTES     16
#define LINK_CTX_MAX        512

struct link_info {
	unsigned index; /* 0: there is no such interface */
	bool is_up;
	uint32_t mtu;
	char kind[LINK_KIND_BYTES]; /* "wireguard", "tun", "" */
};

/* Attributes of a message or a nest by type, for mnl_attr_parse(3); those past @n are skipped. */
struct link_attrs {
	const struct nlattr **v;
	size_t n;
};

int link_take_attr(const struct nlattr *attr, void *attrs);

/* Is @attr there, and @bytes long? */
static inline bool link_attr_has(const struct nlattr *attr, size_t bytes)
{
	return attr && mnl_attr_get_payload_len(attr) == bytes;
}

/* Send @header over netlink protocol @bus and feed the answers to @fn until the end.  -1 with the
 * kernel's refusal in errno.  The buffer is wiped: answers may hold a private key. */
int link_talk(int bus, struct nlmsghdr *header, mnl_cb_t fn, void *ctx);

/* The same for a dump, filtered by the kernel where it can (rtnetlink's strict checking): a host
 * may have a hundred thousand routes of others.  A dump under which the kernel's tables changed
 * (NLM_F_DUMP_INTR) is asked for again; the first @ctx_bytes, at most LINK_CTX_MAX, of @ctx are
 * then as they were. */
int link_dump(int bus, struct nlmsghdr *header, mnl_cb_t fn, void *ctx, size_t ctx_bytes);

/* Errors: INTERNAL. */
int link_find(const char *name, struct link_info *out, struct jaco_err *err);

/* Make an interface of kind "wireguard".  Errors: UNAVAILABLE - the kernel has none. */
int link_create_wireguard(const char *name, struct jaco_err *err);

/* An interface that does not exist is success. */
int link_delete(const char *name, struct jaco_err *err);

/* Up, with @mtu. */
int link_set(unsigned index, uint32_t mtu, struct jaco_err *err);

/* @addr/32 is the interface's only IPv4 address; 0: it has none. */
int link_set_address(unsigned index, uint32_t addr, struct jaco_err *err);

/* Our routes via the interface, memory from @arena. */
int link_routes(unsigned index, struct jaco_arena *arena, struct jaco_cidr **out, size_t *out_n,
		struct jaco_err *err);

/* Add (or replace) or remove one route; @src is the preferred source, 0: none.  Removing what is
 * not there is success. */
int link_route(unsigned index, struct jaco_cidr cidr, bool is_add, uint32_t src,
	       struct jaco_err *err);

/* A non-blocking socket that becomes readable when links, addresses or routes change; drain it with
 * link_monitor_drain(). */
int link_monitor_open(struct jaco_err *err);

/* Whether anything in what was read is about @name or lost. */
bool link_monitor_drain(int fd, const char *name);
