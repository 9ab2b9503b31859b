/* SPDX-License-Identifier: Apache-2.0
 *
 * watch.c - see watch.h.  Only the family and the table's name of a notification are read: what
 * exactly changed is found out by reading the table back. */
#include "daemons/fwd-nft/watch.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "daemons/fwd-nft/engine.h"
#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/base/str.h"

#define ROOM (4 * 1024 * 1024) /* another program's load of some 10,000 elements */

int watch_open(struct watch *watch, uint32_t own_port, struct jaco_err *err)
{
	if (jaco_netlink_open(&watch->nl, NETLINK_NETFILTER, err) < 0)
		return -(int)err->code;
	jaco_netlink_set_room(&watch->nl, ROOM);
	if (jaco_netlink_ignore_port(&watch->nl, own_port, err) < 0 ||
	    jaco_netlink_subscribe(&watch->nl, NFNLGRP_NFTABLES, err) < 0) {
		watch_close(watch);
		return jaco_err_wrap(err, "nftables monitor");
	}
	return 0;
}

void watch_close(struct watch *watch)
{
	if (watch)
		jaco_netlink_close(&watch->nl);
}

/* The first attribute of every object is its table (nf_tables.h: NFTA_*_TABLE and NFTA_TABLE_NAME
 * are all 1). */
static const char *table_of(const struct nlmsghdr *msg)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, msg, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME)
			return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0 ?
				       NULL : mnl_attr_get_str(attr);
	}
	return NULL;
}

void watch_take(struct watch_news *news, const struct nlmsghdr *msg)
{
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(msg);
	const char *table;

	if (NFNL_SUBSYS_ID(msg->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(msg) < sizeof(*head) ||
	    NFNL_MSG_TYPE(msg->nlmsg_type) == NFT_MSG_NEWGEN)
		return;
	table = table_of(msg);
	if (!table)
		return;
	if (head->nfgen_family == NFPROTO_INET && jaco_str_eq(table, RULESET_TABLE))
		news->ours = true;
	else if (engine_is_table(head->nfgen_family, table))
		news->engine = true;
}

static int on_notification(const struct nlmsghdr *msg, void *ctx, struct jaco_err *err)
{
	(void)err;
	watch_take(ctx, msg);
	return 0;
}

int watch_drain(struct watch *watch, struct watch_news *news, struct jaco_err *err)
{
	for (;;) {
		int rc = jaco_netlink_drain(&watch->nl, on_notification, news, err);

		if (rc == 0 || err->code != JACO_LIMIT_EXCEEDED)
			return rc;
		news->lost = true; /* and read on: what came after is still there */
		jaco_err_clear(err);
	}
}
