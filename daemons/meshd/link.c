/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define REQUEST_BYTES 1024
#define DUMP_BYTES    32768 /* the size libmnl recommends for dumps */
#define DUMP_TRIES    8

/* --- one request, its answers --- */

static int talk(int bus, struct nlmsghdr *header, bool is_strict, mnl_cb_t fn, void *ctx)
{
	struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	_Alignas(8) char buf[DUMP_BYTES];
	int rc = -1, saved;
	ssize_t n;

	if (!socket)
		return -1;
	header->nlmsg_seq = 1;
	if (is_strict) /* before Linux 4.20 everything comes, and our own filters do it */
		(void)mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, &(int){1}, sizeof(int));
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(socket, header, header->nlmsg_len) >= 0)
		do {
			n = mnl_socket_recvfrom(socket, buf, sizeof(buf));
			rc = n < 0 ? -1
				   : mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(socket),
						fn, ctx);
		} while (rc > MNL_CB_STOP);
	saved = errno;
	jaco_wipe(buf, sizeof(buf)); /* a device's answers hold the private key */
	mnl_socket_close(socket);
	errno = saved;
	return rc < 0 ? -1 : 0;
}

int link_talk(int bus, struct nlmsghdr *header, mnl_cb_t fn, void *ctx)
{
	return talk(bus, header, false, fn, ctx);
}

int link_dump(int bus, struct nlmsghdr *header, mnl_cb_t fn, void *ctx, size_t ctx_bytes)
{
	char start[LINK_CTX_MAX];
	int rc = -1;

	JACO_ASSERT(ctx_bytes <= sizeof(start));
	memcpy(start, ctx, ctx_bytes);
	for (int i = 0; i < DUMP_TRIES; i++) {
		memcpy(ctx, start, ctx_bytes);
		rc = talk(bus, header, true, fn, ctx);
		if (rc == 0 || errno != EINTR) /* mnl_cb_run(3) for an interrupted dump */
			break;
	}
	return rc;
}

static struct nlmsghdr *request(char *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	return header;
}

int link_take_attr(const struct nlattr *attr, void *attrs)
{
	struct link_attrs *all = attrs;

	if (mnl_attr_get_type(attr) < all->n)
		all->v[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static bool is_u32(const struct nlattr *attr)
{
	return link_attr_has(attr, sizeof(uint32_t));
}

/* --- links --- */

static void take_kind(struct link_info *info, const struct nlattr *linkinfo)
{
	const struct nlattr *v[IFLA_INFO_MAX + 1] = {NULL};
	struct link_attrs attrs = {v, JACO_ARRAY_SIZE(v)};

	if (mnl_attr_parse_nested(linkinfo, link_take_attr, &attrs) >= 0 && v[IFLA_INFO_KIND] &&
	    mnl_attr_validate(v[IFLA_INFO_KIND], MNL_TYPE_NUL_STRING) >= 0)
		(void)jaco_str_copy(info->kind, sizeof(info->kind),
				    mnl_attr_get_str(v[IFLA_INFO_KIND]));
}

static int take_link(const struct nlmsghdr *header, void *ctx)
{
	const struct nlattr *v[IFLA_MAX + 1] = {NULL};
	struct link_attrs attrs = {v, JACO_ARRAY_SIZE(v)};
	const struct ifinfomsg *message;
	struct link_info *info = ctx;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*message))
		return MNL_CB_ERROR;
	message = mnl_nlmsg_get_payload(header);
	if (mnl_attr_parse(header, sizeof(*message), link_take_attr, &attrs) < 0)
		return MNL_CB_ERROR;
	info->index = (unsigned)message->ifi_index;
	info->is_up = message->ifi_flags & IFF_UP;
	if (is_u32(v[IFLA_MTU]))
		info->mtu = mnl_attr_get_u32(v[IFLA_MTU]);
	if (v[IFLA_LINKINFO])
		take_kind(info, v[IFLA_LINKINFO]);
	return MNL_CB_OK;
}

int link_find(const char *name, struct link_info *out, struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, RTM_GETLINK, NLM_F_ACK);
	struct link_info info = {.index = 0};
	struct ifinfomsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));

	message->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(header, IFLA_IFNAME, name);
	if (link_talk(NETLINK_ROUTE, header, take_link, &info) < 0) {
		if (errno != ENODEV)
			return jaco_err_errno(err, "interface %s", name);
		info.index = 0;
	}
	*out = info;
	return 0;
}

int link_create_wireguard(const char *name, struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header =
		request(buf, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	struct ifinfomsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	struct nlattr *nest;

	message->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(header, IFLA_IFNAME, name);
	nest = mnl_attr_nest_start(header, IFLA_LINKINFO);
	mnl_attr_put_strz(header, IFLA_INFO_KIND, "wireguard");
	mnl_attr_nest_end(header, nest);
	if (link_talk(NETLINK_ROUTE, header, NULL, NULL) == 0 || errno == EEXIST)
		return 0;
	if (errno == EOPNOTSUPP)
		return jaco_err_set(err, JACO_UNAVAILABLE, "this kernel has no WireGuard");
	return jaco_err_errno(err, "making interface %s", name);
}

int link_delete(const char *name, struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, RTM_DELLINK, NLM_F_ACK);
	struct ifinfomsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));

	message->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(header, IFLA_IFNAME, name);
	if (link_talk(NETLINK_ROUTE, header, NULL, NULL) < 0 && errno != ENODEV)
		return jaco_err_errno(err, "removing interface %s", name);
	return 0;
}

int link_set(unsigned index, uint32_t mtu, struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));

	message->ifi_family = AF_UNSPEC;
	message->ifi_index = (int)index;
	message->ifi_flags = message->ifi_change = IFF_UP;
	mnl_attr_put_u32(header, IFLA_MTU, mtu);
	return link_talk(NETLINK_ROUTE, header, NULL, NULL) < 0
		       ? jaco_err_errno(err, "mesh interface up")
		       : 0;
}

/* --- addresses --- */

static int change_address(unsigned index, uint32_t addr, uint8_t bits, bool is_add,
			  struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header =
		request(buf, is_add ? RTM_NEWADDR : RTM_DELADDR,
			(uint16_t)(NLM_F_ACK | (is_add ? NLM_F_CREATE | NLM_F_REPLACE : 0)));
	struct ifaddrmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));

	message->ifa_family = AF_INET;
	message->ifa_prefixlen = bits;
	message->ifa_index = index;
	mnl_attr_put_u32(header, IFA_LOCAL, htonl(addr));
	mnl_attr_put_u32(header, IFA_ADDRESS, htonl(addr));
	if (link_talk(NETLINK_ROUTE, header, NULL, NULL) < 0 && errno != EADDRNOTAVAIL)
		return jaco_err_errno(err, "mesh address");
	return 0;
}

struct addresses {
	unsigned index;
	size_t n;
	struct jaco_cidr v[32];
};

static int take_address(const struct nlmsghdr *header, void *ctx)
{
	const struct nlattr *v[IFA_MAX + 1] = {NULL};
	struct link_attrs attrs = {v, JACO_ARRAY_SIZE(v)};
	struct addresses *addresses = ctx;
	const struct ifaddrmsg *message;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*message))
		return MNL_CB_ERROR;
	message = mnl_nlmsg_get_payload(header);
	if (message->ifa_index != addresses->index || message->ifa_family != AF_INET ||
	    mnl_attr_parse(header, sizeof(*message), link_take_attr, &attrs) < 0)
		return MNL_CB_OK;
	if (is_u32(v[IFA_LOCAL]) && message->ifa_prefixlen <= 32 &&
	    addresses->n < JACO_ARRAY_SIZE(addresses->v))
		addresses->v[addresses->n++] =
			(struct jaco_cidr){.addr = ntohl(mnl_attr_get_u32(v[IFA_LOCAL])),
					   .bits = message->ifa_prefixlen};
	return MNL_CB_OK;
}

int link_set_address(unsigned index, uint32_t addr, struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	struct addresses have = {.index = index};
	bool is_there = false;
	int rc = 0;

	message->ifa_family = AF_INET;
	message->ifa_index = index;
	if (link_dump(NETLINK_ROUTE, header, take_address, &have, sizeof(have)) < 0)
		return jaco_err_errno(err, "addresses of the mesh interface");
	for (size_t i = 0; i < have.n && rc >= 0; i++) {
		if (addr && have.v[i].addr == addr && have.v[i].bits == 32)
			is_there = true;
		else
			rc = change_address(index, have.v[i].addr, have.v[i].bits, false, err);
	}
	if (rc < 0 || is_there || addr == 0)
		return rc;
	return change_address(index, addr, 32, true, err);
}

/* --- routes --- */

struct routes {
	struct jaco_arena *arena;
	unsigned index;
	struct jaco_cidr *v;
	size_t n, cap;
};

static int take_route(const struct nlmsghdr *header, void *ctx)
{
	const struct nlattr *v[RTA_MAX + 1] = {NULL};
	struct link_attrs attrs = {v, JACO_ARRAY_SIZE(v)};
	struct routes *routes = ctx;
	const struct rtmsg *message;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*message))
		return MNL_CB_ERROR;
	message = mnl_nlmsg_get_payload(header);
	if (message->rtm_family != AF_INET || message->rtm_protocol != LINK_ROUTE_PROTOCOL ||
	    message->rtm_table != RT_TABLE_MAIN || message->rtm_dst_len > 32 ||
	    mnl_attr_parse(header, sizeof(*message), link_take_attr, &attrs) < 0)
		return MNL_CB_OK;
	if (!is_u32(v[RTA_OIF]) || mnl_attr_get_u32(v[RTA_OIF]) != routes->index ||
	    !is_u32(v[RTA_DST]))
		return MNL_CB_OK;
	routes->v = jaco_arena_grow(routes->arena, routes->v, &routes->cap, routes->n + 1,
				    sizeof(*routes->v));
	routes->v[routes->n++] = (struct jaco_cidr){.addr = ntohl(mnl_attr_get_u32(v[RTA_DST])),
						    .bits = message->rtm_dst_len};
	return MNL_CB_OK;
}

int link_routes(unsigned index, struct jaco_arena *arena, struct jaco_cidr **out, size_t *out_n,
		struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	struct routes routes = {.arena = arena, .index = index};

	message->rtm_family = AF_INET;
	message->rtm_table = RT_TABLE_MAIN;
	message->rtm_protocol = LINK_ROUTE_PROTOCOL;
	mnl_attr_put_u32(header, RTA_OIF, index);
	if (link_dump(NETLINK_ROUTE, header, take_route, &routes, sizeof(routes)) < 0)
		return jaco_err_errno(err, "routes of the mesh interface");
	*out = routes.v;
	*out_n = routes.n;
	return 0;
}

int link_route(unsigned index, struct jaco_cidr cidr, bool is_add, uint32_t src,
	       struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	char text[JACO_CIDR_TEXT_BYTES];
	struct nlmsghdr *header =
		request(buf, is_add ? RTM_NEWROUTE : RTM_DELROUTE,
			(uint16_t)(NLM_F_ACK | (is_add ? NLM_F_CREATE | NLM_F_REPLACE : 0)));
	struct rtmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));

	message->rtm_family = AF_INET;
	message->rtm_dst_len = cidr.bits;
	message->rtm_table = RT_TABLE_MAIN;
	message->rtm_protocol = LINK_ROUTE_PROTOCOL;
	message->rtm_scope = RT_SCOPE_LINK;
	message->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(header, RTA_DST, htonl(cidr.addr));
	mnl_attr_put_u32(header, RTA_OIF, index);
	if (is_add && src)
		mnl_attr_put_u32(header, RTA_PREFSRC, htonl(src));
	if (link_talk(NETLINK_ROUTE, header, NULL, NULL) == 0 || (!is_add && errno == ESRCH))
		return 0;
	jaco_cidr_render(text, cidr);
	return jaco_err_errno(err, "route %s", text);
}

/* --- changes by others --- */

int link_monitor_open(struct jaco_err *err)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK,
				   .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
						RTMGRP_IPV4_ROUTE};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return jaco_err_errno(err, "rtnetlink monitor");
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int rc = jaco_err_errno(err, "rtnetlink monitor");

		close(fd);
		return rc;
	}
	return fd;
}

/* Removals and interface changes matter; what we add ourselves does not. */
static bool concerns(const struct nlmsghdr *header, unsigned index)
{
	const struct ifinfomsg *message;

	switch (header->nlmsg_type) {
	case RTM_DELROUTE:
	case RTM_DELADDR:
		return true;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (mnl_nlmsg_get_payload_len(header) < sizeof(*message))
			return false;
		message = mnl_nlmsg_get_payload(header);
		return header->nlmsg_type == RTM_DELLINK ||
		       (unsigned)message->ifi_index == index;
	default:
		return false;
	}
}

bool link_monitor_drain(int fd, const char *name)
{
	unsigned index = if_nametoindex(name);
	bool is_concerned = index == 0;
	_Alignas(8) char buf[DUMP_BYTES];

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		int left = (int)n;

		if (n < 0 && errno == ENOBUFS) {
			is_concerned = true; /* events were lost: look */
			continue;
		}
		if (n <= 0)
			return is_concerned;
		for (const struct nlmsghdr *h = (const struct nlmsghdr *)buf; mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left))
			is_concerned |= concerns(h, index);
	}
}
