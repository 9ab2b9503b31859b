/* SPDX-License-Identifier: Apache-2.0
 *
 * readback.c - which questions are asked, and what to do when the table moves meanwhile. */
#include "daemons/fwd-nft/readback.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdalign.h>
#include <string.h>

#include "daemons/fwd-nft/message.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

#define TRIES      8
#define ASK_ROOM   1024

/* ---- asking ---- */

static int on_object(const struct nlmsghdr *msg, void *ctx, struct jaco_err *err)
{
	return message_take(ctx, msg, err);
}

static int on_anything(const struct nlmsghdr *msg, void *ctx, struct jaco_err *err)
{
	(void)msg;
	(void)err;
	*(bool *)ctx = true;
	return 0;
}

static bool is_absent(const struct jaco_err *err)
{
	return err->code == JACO_INTERNAL && err->sys_errno == ENOENT;
}

static int ask_table(struct jaco_netlink *nl, struct ruleset *out, bool *out_exists,
		     struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM] = {0};
	struct nlmsghdr *msg = nftnl_nlmsg_build_hdr(room, NFT_MSG_GETTABLE, NFPROTO_INET, 0, 0);
	int rc;

	mnl_attr_put_strz(msg, NFTA_TABLE_NAME, RULESET_TABLE);
	rc = jaco_netlink_ask(nl, msg, on_object, out, err);
	*out_exists = rc == 0;
	return rc < 0 && is_absent(err) ? 0 : rc;
}

/* @table_attr 0: the kernel has no filter for this dump, message_take() keeps what is ours. */
static int dump(struct jaco_netlink *nl, struct ruleset *out, uint16_t type, uint16_t table_attr,
		uint16_t set_attr, const char *set, struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM] = {0};
	struct nlmsghdr *msg = nftnl_nlmsg_build_hdr(room, type, NFPROTO_INET, 0, 0);

	if (table_attr)
		mnl_attr_put_strz(msg, table_attr, RULESET_TABLE);
	if (set_attr)
		mnl_attr_put_strz(msg, set_attr, set);
	return jaco_netlink_dump(nl, msg, on_object, out, err);
}

int readback_rules(struct jaco_netlink *nl, struct ruleset *out, struct jaco_err *err)
{
	if (dump(nl, out, NFT_MSG_GETCHAIN, 0, 0, NULL, err) < 0 ||
	    dump(nl, out, NFT_MSG_GETRULE, NFTA_RULE_TABLE, 0, NULL, err) < 0)
		return -(int)err->code;
	return 0;
}

static int read_once(struct jaco_netlink *nl, struct ruleset *out, bool *out_exists,
		     struct jaco_err *err)
{
	if (ask_table(nl, out, out_exists, err) < 0)
		return -(int)err->code;
	if (!*out_exists)
		return 0;
	if (readback_rules(nl, out, err) < 0 ||
	    dump(nl, out, NFT_MSG_GETSET, NFTA_SET_TABLE, 0, NULL, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < out->n_sets; i++) {
		if (dump(nl, out, NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE,
			 NFTA_SET_ELEM_LIST_SET, out->sets[i].name, err) < 0)
			return jaco_err_wrap(err, "set %s", out->sets[i].name);
		ruleset_sort_elems(&out->sets[i]);
	}
	return 0;
}

int readback_table(struct jaco_netlink *nl, struct ruleset *out, bool *out_exists,
		   struct jaco_err *err)
{
	for (int i = 0;; i++) {
		int rc = read_once(nl, out, out_exists, err);

		if (rc == 0)
			return 0;
		ruleset_fini(out);
		/* gone or changed between two questions: ask again */
		if ((err->code != JACO_CONFLICT && !is_absent(err)) || i == TRIES)
			return jaco_err_wrap(err, "reading table inet %s back", RULESET_TABLE);
	}
}

struct chain_target {
	struct ruleset_chain *chain;
	const char *table;
};

static int on_chain_rule(const struct nlmsghdr *msg, void *ctx, struct jaco_err *err)
{
	struct chain_target *target = ctx;

	return message_take_rule(target->chain, target->table, msg, err);
}

int readback_chain(struct jaco_netlink *nl, uint8_t family, const char *table,
		   struct ruleset_chain *out, bool *out_exists, struct jaco_err *err)
{
	struct chain_target target = {.chain = out, .table = table};
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM] = {0};
	struct nlmsghdr *msg = nftnl_nlmsg_build_hdr(room, NFT_MSG_GETCHAIN, family, 0, 0);
	bool exists = false;
	int rc;

	mnl_attr_put_strz(msg, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(msg, NFTA_CHAIN_NAME, out->name);
	rc = jaco_netlink_ask(nl, msg, on_anything, &exists, err);
	if (out_exists)
		*out_exists = rc == 0 && exists;
	if (rc < 0)
		return is_absent(err) ? 0 : rc;
	msg = nftnl_nlmsg_build_hdr(room, NFT_MSG_GETRULE, family, 0, 0);
	mnl_attr_put_strz(msg, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(msg, NFTA_RULE_CHAIN, out->name);
	return jaco_netlink_dump(nl, msg, on_chain_rule, &target, err);
}

/* ---- single elements ---- */


static int ask_elem(struct jaco_netlink *nl, const struct ruleset_set *set,
		    const struct ruleset_elem *elem, struct ruleset *out, struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM] = {0};
	struct nlmsghdr *msg = nftnl_nlmsg_build_hdr(room, NFT_MSG_GETSETELEM, NFPROTO_INET, 0, 0);
	struct nftnl_set *nset = nftnl_set_alloc();
	struct nftnl_set_elem *nelem = nftnl_set_elem_alloc();
	int rc;

	JACO_ASSERT(nset && nelem);
	nftnl_set_set_str(nset, NFTNL_SET_TABLE, RULESET_TABLE);
	nftnl_set_set_str(nset, NFTNL_SET_NAME, set->name);
	nftnl_set_elem_set(nelem, NFTNL_SET_ELEM_KEY, elem->key, set->key_bytes);
	nftnl_set_elem_add(nset, nelem);
	nftnl_set_elems_nlmsg_build_payload(msg, nset);
	nftnl_set_free(nset);
	ruleset_add_set(out, set->name)->is_map = set->is_map;
	rc = jaco_netlink_ask(nl, msg, on_object, out, err);
	return rc < 0 && is_absent(err) ? 0 : rc;
}

static bool is_replaced_later(const struct plan *plan, size_t i)
{
	for (size_t k = i + 1; k < plan->n_changes; k++)
		if (plan->changes[k].set == plan->changes[i].set && !plan->changes[k].is_removal &&
		    ruleset_elem_cmp(plan->changes[k].elem, plan->changes[i].elem) == 0)
			return true;
	return false;
}

static int check_change(struct jaco_netlink *nl, const struct plan *plan, size_t i, bool *out_ok,
			struct jaco_err *err)
{
	const struct plan_change *change = &plan->changes[i];
	jaco_auto(ruleset) struct ruleset answer = RULESET_INIT;
	const struct ruleset_elem *seen;

	if (change->is_removal && is_replaced_later(plan, i)) {
		*out_ok = true; /* judged by its addition */
		return 0;
	}
	if (ask_elem(nl, change->set, change->elem, &answer, err) < 0)
		return -(int)err->code;
	seen = answer.sets[0].n_elems > 0 ? &answer.sets[0].elems[0] : NULL;
	if (change->is_removal)
		*out_ok = !seen;
	else
		*out_ok = seen && ruleset_elem_cmp(seen, change->elem) == 0 &&
			  seen->data == change->elem->data;
	return 0;
}

int readback_changes(struct jaco_netlink *nl, const struct plan *plan, bool *out_ok,
		     struct jaco_err *err)
{
	*out_ok = true;
	for (size_t i = 0; i < plan->n_changes && *out_ok; i++)
		if (check_change(nl, plan, i, out_ok, err) < 0)
			return -(int)err->code;
	return 0;
}
