/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/meshd/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "daemons/meshd/link.h"
#include "libjaco/base/mem.h"
#include "libjaco/io/sock.h"

#define REQUEST_BYTES 1024

struct attrs {
	const struct nlattr *v[RTA_MAX > FRA_MAX ? RTA_MAX + 1 : FRA_MAX + 1];
};

static int take_attr(const struct nlattr *attr, void *ctx)
{
	struct attrs *attrs = ctx;

	if (mnl_attr_get_type(attr) < JACO_ARRAY_SIZE(attrs->v))
		attrs->v[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* 0 when absent. */
static uint32_t get_u32(const struct attrs *attrs, size_t type)
{
	const struct nlattr *attr = attrs->v[type];

	return attr && mnl_attr_get_payload_len(attr) == sizeof(uint32_t) ? mnl_attr_get_u32(attr)
									  : 0;
}

/* About routes (struct rtmsg) or rules (struct fib_rule_hdr): both begin with the family. */
static struct nlmsghdr *request(char *buf, uint16_t type, unsigned flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buf);
	struct rtmsg *message;

	_Static_assert(sizeof(struct rtmsg) == sizeof(struct fib_rule_hdr), "linux/fib_rules.h");
	header->nlmsg_type = type;
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->rtm_family = AF_INET;
	return header;
}

/* A request about the way to one address. */
static struct nlmsghdr *request_to(char *buf, uint16_t type, unsigned flags, uint32_t to)
{
	struct nlmsghdr *header = request(buf, type, flags);
	struct rtmsg *message = mnl_nlmsg_get_payload(header);

	message->rtm_dst_len = 32;
	mnl_attr_put_u32(header, RTA_DST, htonl(to));
	return header;
}

/* ip(7): only an address of this host can be bound. */
bool source_is_local(uint32_t address)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
	jaco_auto(jaco_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
}

/* --- what the main table says --- */

static int take_way(const struct nlmsghdr *header, void *ctx)
{
	struct source_way *way = ctx;
	struct attrs attrs = {{NULL}};

	if (mnl_nlmsg_get_payload_len(header) < sizeof(struct rtmsg) ||
	    mnl_attr_parse(header, sizeof(struct rtmsg), take_attr, &attrs) < 0)
		return MNL_CB_ERROR;
	way->source = ntohl(get_u32(&attrs, RTA_PREFSRC));
	way->gateway = ntohl(get_u32(&attrs, RTA_GATEWAY));
	way->iface = get_u32(&attrs, RTA_OIF);
	return MNL_CB_OK;
}

/* False when there is no route. */
static bool find_way(uint32_t to, struct source_way *out)
{
	_Alignas(8) char buf[REQUEST_BYTES];

	*out = (struct source_way){.to = to};
	return link_talk(NETLINK_ROUTE, request_to(buf, RTM_GETROUTE, NLM_F_ACK, to), take_way,
			 out) == 0 &&
	       out->iface;
}

/* --- our table --- */

struct ways {
	struct jaco_arena *arena;
	struct source_way *v;
	size_t n, cap;
};

static struct source_way *find(const struct ways *ways, uint32_t to)
{
	for (size_t i = 0; i < ways->n; i++)
		if (ways->v[i].to == to)
			return &ways->v[i];
	return NULL;
}

static void add(struct ways *ways, const struct source_way *way)
{
	ways->v = jaco_arena_grow(ways->arena, ways->v, &ways->cap, ways->n + 1, sizeof(*ways->v));
	ways->v[ways->n++] = *way;
}

static int take_route(const struct nlmsghdr *header, void *ctx)
{
	struct source_way way = {.to = 0};
	struct attrs attrs = {{NULL}};
	const struct rtmsg *message;
	struct ways *ways = ctx;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*message))
		return MNL_CB_ERROR;
	message = mnl_nlmsg_get_payload(header);
	if (message->rtm_family != AF_INET || message->rtm_dst_len != 32 ||
	    mnl_attr_parse(header, sizeof(*message), take_attr, &attrs) < 0 ||
	    get_u32(&attrs, RTA_TABLE) != SOURCE_TABLE)
		return MNL_CB_OK;
	way.to = ntohl(get_u32(&attrs, RTA_DST));
	way.source = ntohl(get_u32(&attrs, RTA_PREFSRC));
	way.gateway = ntohl(get_u32(&attrs, RTA_GATEWAY));
	way.iface = get_u32(&attrs, RTA_OIF);
	add(ways, &way);
	return MNL_CB_OK;
}

static int read_table(struct ways *out, struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = request(buf, RTM_GETROUTE, NLM_F_DUMP);

	mnl_attr_put_u32(header, RTA_TABLE, SOURCE_TABLE);
	if (link_dump(NETLINK_ROUTE, header, take_route, out, sizeof(*out)) == 0 || errno == ENOENT)
		return 0; /* the table is there while it has a route */
	return jaco_err_errno(err, "routes of the tunnel");
}

static int change_route(const struct source_way *way, bool is_add, struct jaco_err *err)
{
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = is_add ?
		request_to(buf, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, way->to) :
		request_to(buf, RTM_DELROUTE, NLM_F_ACK, way->to);
	struct rtmsg *message = mnl_nlmsg_get_payload(header);

	message->rtm_protocol = LINK_ROUTE_PROTOCOL;
	message->rtm_scope = way->gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	message->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(header, RTA_TABLE, SOURCE_TABLE);
	mnl_attr_put_u32(header, RTA_OIF, way->iface);
	if (way->gateway)
		mnl_attr_put_u32(header, RTA_GATEWAY, htonl(way->gateway));
	if (is_add)
		mnl_attr_put_u32(header, RTA_PREFSRC, htonl(way->source));
	if (link_talk(NETLINK_ROUTE, header, NULL, NULL) == 0 || (!is_add && errno == ESRCH))
		return 0;
	return jaco_err_errno(err, "route of the tunnel");
}

static int sync_table(const struct ways *wanted, const struct ways *have, struct jaco_err *err)
{
	for (size_t i = 0; i < have->n; i++)
		if (!find(wanted, have->v[i].to) && change_route(&have->v[i], false, err) < 0)
			return -(int)err->code;
	for (size_t i = 0; i < wanted->n; i++) {
		const struct source_way *old = find(have, wanted->v[i].to);

		if ((!old || memcmp(old, &wanted->v[i], sizeof(*old)) != 0) &&
		    change_route(&wanted->v[i], true, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

/* --- the rule --- */

struct rules {
	uint16_t port;
	unsigned n_right, n_wrong;
	uint16_t wrong_port;
};

static int take_rule(const struct nlmsghdr *header, void *ctx)
{
	const struct fib_rule_port_range *range;
	struct attrs attrs = {{NULL}};
	struct rules *rules = ctx;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(struct fib_rule_hdr) ||
	    mnl_attr_parse(header, sizeof(struct fib_rule_hdr), take_attr, &attrs) < 0)
		return MNL_CB_ERROR;
	if (get_u32(&attrs, FRA_TABLE) != SOURCE_TABLE)
		return MNL_CB_OK;
	range = attrs.v[FRA_SPORT_RANGE] &&
				mnl_attr_get_payload_len(attrs.v[FRA_SPORT_RANGE]) == sizeof(*range)
			? mnl_attr_get_payload(attrs.v[FRA_SPORT_RANGE])
			: NULL;
	if (range && range->start == rules->port && range->end == rules->port) {
		rules->n_right++;
	} else {
		rules->n_wrong++;
		rules->wrong_port = range ? range->start : 0;
	}
	return MNL_CB_OK;
}

static int change_rule(uint16_t port, bool is_add, struct jaco_err *err)
{
	struct fib_rule_port_range range = {.start = port, .end = port};
	_Alignas(8) char buf[REQUEST_BYTES];
	struct nlmsghdr *header = is_add ?
		request(buf, RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL) :
		request(buf, RTM_DELRULE, NLM_F_ACK);
	struct fib_rule_hdr *message = mnl_nlmsg_get_payload(header);

	message->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(header, FRA_TABLE, SOURCE_TABLE);
	mnl_attr_put_u32(header, FRA_PRIORITY, SOURCE_PRIORITY);
	mnl_attr_put_u8(header, FRA_PROTOCOL, LINK_ROUTE_PROTOCOL);
	mnl_attr_put_u8(header, FRA_IP_PROTO, IPPROTO_UDP);
	if (port)
		mnl_attr_put(header, FRA_SPORT_RANGE, sizeof(range), &range);
	if (link_talk(NETLINK_ROUTE, header, NULL, NULL) == 0 ||
	    errno == (is_add ? EEXIST : ENOENT))
		return 0;
	return jaco_err_errno(err, "rule of the tunnel");
}

static int sync_rule(uint16_t port, bool is_wanted, struct jaco_err *err)
{
	struct rules rules = {.port = port};
	_Alignas(8) char buf[REQUEST_BYTES];

	if (link_dump(NETLINK_ROUTE, request(buf, RTM_GETRULE, NLM_F_DUMP), take_rule, &rules,
		      sizeof(rules)) < 0) {
		if (errno == EOPNOTSUPP && !is_wanted)
			return 0; /* without policy routing there is no rule of ours either */
		return jaco_err_errno(err, "rules of the tunnel");
	}
	if (rules.n_wrong && change_rule(rules.wrong_port, false, err) < 0)
		return -(int)err->code; /* wg_port was another one; the next pass takes the next */
	if (is_wanted == (rules.n_right > 0))
		return 0;
	return change_rule(port, is_wanted, err);
}

int source_sync(uint32_t address, uint16_t port, const uint32_t *peers, size_t n,
		struct jaco_arena *arena, struct jaco_err *err)
{
	struct ways wanted = {.arena = arena}, have = {.arena = arena};
	struct source_way way;

	for (size_t i = 0; address && i < n; i++) {
		if (find(&wanted, peers[i]) || !find_way(peers[i], &way) || way.source == address)
			continue;
		way.source = address;
		add(&wanted, &way);
	}
	if (read_table(&have, err) < 0 || sync_table(&wanted, &have, err) < 0)
		return -(int)err->code;
	return sync_rule(port, wanted.n > 0, err);
}
