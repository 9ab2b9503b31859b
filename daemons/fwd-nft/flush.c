/* SPDX-License-Identifier: Apache-2.0
 *
 * flush.c - ctnetlink (linux/netfilter/nfnetlink_conntrack.h) and rtnetlink(7) through libmnl.
 *
 * Entries are gathered in one dump and deleted after it: deleting while a dump runs makes the
 * kernel skip entries. */
#include "daemons/fwd-nft/flush.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <linux/neighbour.h>
#include <stdalign.h>
#include <string.h>

#include "libjaco/base/buf.h"
#include "libjaco/io/netlink.h"

#define ASK_ROOM   512
#define FOUND_MAX  (8 * 1024 * 1024) /* some 50,000 entries at once; a caller may ask again */

struct search {
	const uint32_t *addresses; /* host order */
	size_t n;
	struct jaco_buf found; /* deletion requests, one after the other */
	size_t n_found;
};

static bool is_wanted(const struct search *search, uint32_t net_order)
{
	for (size_t i = 0; i < search->n; i++)
		if (htonl(search->addresses[i]) == net_order)
			return true;
	return false;
}

/* The nested attribute of @type in @outer with at least @bytes of payload, or NULL. */
static const struct nlattr *find_nested(const struct nlattr *outer, uint16_t type, size_t bytes)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, outer)
		if (mnl_attr_get_type(attr) == type)
			return mnl_attr_get_payload_len(attr) >= bytes ? attr : NULL;
	return NULL;
}

static bool tuple_mentions(const struct search *search, const struct nlattr *tuple)
{
	const struct nlattr *ip = find_nested(tuple, CTA_TUPLE_IP, 0);
	const struct nlattr *source = ip ? find_nested(ip, CTA_IP_V4_SRC, 4) : NULL;
	const struct nlattr *destination = ip ? find_nested(ip, CTA_IP_V4_DST, 4) : NULL;

	return (source && is_wanted(search, mnl_attr_get_u32(source))) ||
	       (destination && is_wanted(search, mnl_attr_get_u32(destination)));
}

static void keep_request(struct search *search, const struct nlmsghdr *request)
{
	jaco_buf_add(&search->found, request, NLMSG_ALIGN(request->nlmsg_len));
	search->n_found += !search->found.overflow;
}

static void copy_attr(struct nlmsghdr *request, const struct nlattr *attr)
{
	mnl_attr_put(request, attr->nla_type, mnl_attr_get_payload_len(attr),
		     mnl_attr_get_payload(attr));
}

static int on_connection(const struct nlmsghdr *msg, void *ctx, struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM] = {0};
	struct nlmsghdr *request = mnl_nlmsg_put_header(room);
	struct nfgenmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
	const struct nlattr *attr;
	struct search *search = ctx;
	bool hit = false;

	(void)err;
	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	head->nfgen_family = AF_INET;
	head->version = NFNETLINK_V0;
	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*head))
		return 0;
	mnl_attr_for_each(attr, msg, sizeof(*head)) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == CTA_TUPLE_ORIG || type == CTA_TUPLE_REPLY)
			hit = tuple_mentions(search, attr) || hit;
		/* the original tuple, the zone and the id name the entry exactly */
		if ((type == CTA_TUPLE_ORIG || type == CTA_ID || type == CTA_ZONE) &&
		    request->nlmsg_len + attr->nla_len + MNL_ALIGNTO <= ASK_ROOM)
			copy_attr(request, attr);
	}
	if (hit)
		keep_request(search, request);
	return 0;
}

static int on_neighbour(const struct nlmsghdr *msg, void *ctx, struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM] = {0};
	struct nlmsghdr *request = mnl_nlmsg_put_header(room);
	struct ndmsg *head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
	const struct nlattr *attr;
	struct search *search = ctx;

	(void)err;
	if (msg->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(msg) < sizeof(*head))
		return 0;
	request->nlmsg_type = RTM_DELNEIGH;
	*head = *(const struct ndmsg *)mnl_nlmsg_get_payload(msg);
	/* what an administrator pinned stays */
	if (head->ndm_family != AF_INET || head->ndm_state & (NUD_PERMANENT | NUD_NOARP))
		return 0;
	mnl_attr_for_each(attr, msg, sizeof(*head)) {
		if (mnl_attr_get_type(attr) != NDA_DST || mnl_attr_get_payload_len(attr) != 4 ||
		    !is_wanted(search, mnl_attr_get_u32(attr)))
			continue;
		copy_attr(request, attr);
		keep_request(search, request);
	}
	return 0;
}

static int delete_found(struct jaco_netlink *nl, struct search *search, size_t *out_deleted,
			struct jaco_err *err)
{
	char *at = search->found.data;

	for (size_t i = 0; i < search->n_found; i++) {
		struct nlmsghdr *request = (struct nlmsghdr *)at;

		at += NLMSG_ALIGN(request->nlmsg_len);
		if (jaco_netlink_ask(nl, request, NULL, NULL, err) == 0)
			(*out_deleted)++;
		else if (err->sys_errno != ENOENT)
			return -(int)err->code;
	}
	return 0;
}

static int run(int bus, struct nlmsghdr *dump, jaco_netlink_fn *fn, struct search *search,
	       size_t *out_deleted, struct jaco_err *err)
{
	jaco_auto(jaco_netlink) struct jaco_netlink nl = JACO_NETLINK_INIT;
	int rc;

	search->found = JACO_BUF_BOUND(FOUND_MAX);
	search->n_found = 0;
	rc = jaco_netlink_open(&nl, bus, err);
	if (rc == 0)
		rc = jaco_netlink_dump(&nl, dump, fn, search, err);
	if (rc == 0 || err->code == JACO_CONFLICT) /* a table in motion: delete what was seen */
		rc = delete_found(&nl, search, out_deleted, err);
	jaco_buf_fini(&search->found);
	return rc;
}

int flush_addresses(const uint32_t *addresses, size_t n, struct flush_count *out_count,
		    struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM] = {0};
	struct search search = {.addresses = addresses, .n = n};
	struct flush_count count = {0};
	struct nlmsghdr *dump = mnl_nlmsg_put_header(room);
	struct nfgenmsg *head = mnl_nlmsg_put_extra_header(dump, sizeof(*head));
	struct ndmsg *neighbour;

	dump->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	head->nfgen_family = AF_INET;
	head->version = NFNETLINK_V0;
	if (run(NETLINK_NETFILTER, dump, on_connection, &search, &count.connections, err) < 0)
		return jaco_err_wrap(err, "flushing conntrack");
	memset(room, 0, sizeof(room));
	dump = mnl_nlmsg_put_header(room);
	neighbour = mnl_nlmsg_put_extra_header(dump, sizeof(*neighbour));
	dump->nlmsg_type = RTM_GETNEIGH;
	neighbour->ndm_family = AF_INET;
	if (run(NETLINK_ROUTE, dump, on_neighbour, &search, &count.neighbours, err) < 0)
		return jaco_err_wrap(err, "flushing neighbours");
	*out_count = count;
	return 0;
}
