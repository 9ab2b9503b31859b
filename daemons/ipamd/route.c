/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/ipamd/route.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "libjaco/base/time.h"

struct listing {
	struct jaco_arena *arena;
	struct pool_route *routes;
	size_t n, cap;
};

static int take_attr(const struct nlattr *attr, void *ctx)
{
	const struct nlattr **attrs = ctx;

	if (mnl_attr_type_valid(attr, RTA_MAX) < 0)
		return MNL_CB_OK;
	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
	case RTA_OIF:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
			return MNL_CB_ERROR;
		attrs[mnl_attr_get_type(attr)] = attr;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int take_route(const struct nlmsghdr *header, void *ctx)
{
	const struct nlattr *attrs[RTA_MAX + 1] = {NULL};
	struct listing *listing = ctx;
	struct pool_route route = {.iface = ""};
	const struct rtmsg *message;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*message))
		return MNL_CB_ERROR;
	message = mnl_nlmsg_get_payload(header);
	if (header->nlmsg_type != RTM_NEWROUTE || message->rtm_family != AF_INET ||
	    message->rtm_type == RTN_LOCAL || message->rtm_type == RTN_BROADCAST ||
	    message->rtm_dst_len > 32 || listing->n >= ROUTE_MAX)
		return MNL_CB_OK;
	if (mnl_attr_parse(header, sizeof(*message), take_attr, attrs) < 0)
		return MNL_CB_ERROR;
	route.cidr.bits = message->rtm_dst_len;
	if (attrs[RTA_DST])
		route.cidr.addr = ntohl(mnl_attr_get_u32(attrs[RTA_DST]));
	if (attrs[RTA_OIF])
		(void)if_indextoname(mnl_attr_get_u32(attrs[RTA_OIF]), route.iface);
	listing->routes = jaco_arena_grow(listing->arena, listing->routes, &listing->cap,
					  listing->n + 1, sizeof(route));
	listing->routes[listing->n++] = route;
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *socket, struct listing *listing, struct jaco_err *err)
{
	static _Alignas(8) char buf[32768]; /* the size libmnl recommends for dumps */
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);
	struct rtmsg *message;
	ssize_t n;
	int rc;

	header->nlmsg_type = RTM_GETROUTE;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = 1;
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->rtm_family = AF_INET;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return jaco_err_errno(err, "rtnetlink");
	do {
		n = mnl_socket_recvfrom(socket, buf, sizeof(buf));
		if (n < 0)
			return jaco_err_errno(err, "rtnetlink");
		rc = mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(socket), take_route,
				listing);
		if (rc < 0)
			return jaco_err_errno(err, "rtnetlink");
	} while (rc > MNL_CB_STOP);
	return 0;
}

int route_list(struct jaco_arena *arena, struct pool_route **out_routes, size_t *out_n,
	       struct jaco_err *err)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct listing listing = {.arena = arena};
	int rc;

	if (!socket)
		return jaco_err_errno(err, "rtnetlink socket");
	rc = dump(socket, &listing, err);
	mnl_socket_close(socket);
	if (rc < 0)
		return rc;
	*out_routes = listing.routes;
	*out_n = listing.n;
	return 0;
}
