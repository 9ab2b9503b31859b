/* SPDX-License-Identifier: Apache-2.0
 *
 * readback.c - messages are taken apart by libnftnl, elements by libmnl; what they yield is bounded
 * and copied. */
#include "daemons/fwd-nft/readback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdalign.h>
#include <string.h>

#include "daemons/fwd-nft/batch.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

#define TRIES      8
#define ELEMS_MAX  (4 * RULESET_SUBNETS_MAX) /* somebody else may have filled our sets */
#define CHAINS_MAX 64
#define SETS_MAX   256
#define RULES_MAX  4096
#define ASK_ROOM   1024

/* ---- user data ---- */

/* The text of the comment TLV in @data, or NULL (libnftnl/udata.h: type, length, value). */
static const char *find_comment(const uint8_t *data, uint32_t n, uint8_t type, size_t *out_n)
{
	for (uint32_t at = 0; at + 2 <= n && at + 2u + data[at + 1] <= n; at += 2u + data[at + 1]) {
		const char *text = (const char *)data + at + 2;

		if (data[at] != type || data[at + 1] == 0)
			continue;
		*out_n = strnlen(text, data[at + 1]);
		return text;
	}
	return NULL;
}

/* ---- expressions ---- */

/* libnftnl's own getters follow a null pointer when the attribute is absent. */
static uint32_t expr_u32(const struct nftnl_expr *nexpr, uint16_t attr)
{
	return nftnl_expr_is_set(nexpr, attr) ? nftnl_expr_get_u32(nexpr, attr) : 0;
}

static uint8_t word_of(const struct nftnl_expr *nexpr, uint16_t attr, bool *ok)
{
	int word = batch_reg_word(expr_u32(nexpr, attr));

	*ok = *ok && nftnl_expr_is_set(nexpr, attr) && word >= 0;
	return word < 0 ? 0 : (uint8_t)word;
}

/* Into @out, of sizeof(expr->data) bytes; false when it does not fit. */
static bool copy_data(struct ruleset_expr *expr, const struct nftnl_expr *nexpr, uint16_t attr)
{
	uint32_t n = 0;
	const void *data = nftnl_expr_get(nexpr, attr, &n);

	if (!data || n > sizeof(expr->data))
		return false;
	memcpy(expr->data, data, n);
	expr->len = (uint8_t)n;
	return true;
}

static bool take_payload(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	bool ok = expr_u32(nexpr, NFTNL_EXPR_PAYLOAD_BASE) ==
			  NFT_PAYLOAD_NETWORK_HEADER &&
		  !nftnl_expr_is_set(nexpr, NFTNL_EXPR_PAYLOAD_SREG);
	uint32_t len = expr_u32(nexpr, NFTNL_EXPR_PAYLOAD_LEN);

	expr->op = RULESET_PAYLOAD;
	expr->reg = word_of(nexpr, NFTNL_EXPR_PAYLOAD_DREG, &ok);
	expr->key = expr_u32(nexpr, NFTNL_EXPR_PAYLOAD_OFFSET);
	expr->len = (uint8_t)len;
	return ok && len <= 16;
}

static uint8_t meta_len(uint32_t key)
{
	switch (key) {
	case NFT_META_NFPROTO: return 1;
	case NFT_META_IIFNAME:
	case NFT_META_OIFNAME: return 16;
	default: return 4;
	}
}

static bool take_meta(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	bool ok = !nftnl_expr_is_set(nexpr, NFTNL_EXPR_META_SREG);

	expr->op = RULESET_META;
	expr->key = expr_u32(nexpr, NFTNL_EXPR_META_KEY);
	expr->reg = word_of(nexpr, NFTNL_EXPR_META_DREG, &ok);
	expr->len = meta_len(expr->key);
	return ok;
}

static bool take_ct(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	bool ok = expr_u32(nexpr, NFTNL_EXPR_CT_KEY) == NFT_CT_STATE;

	expr->op = RULESET_CT_STATE;
	expr->reg = word_of(nexpr, NFTNL_EXPR_CT_DREG, &ok);
	return ok;
}

static bool take_mask(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	bool ok = expr_u32(nexpr, NFTNL_EXPR_BITWISE_OP) == NFT_BITWISE_BOOL;
	uint32_t n = 0;
	const uint8_t *xor = nftnl_expr_get(nexpr, NFTNL_EXPR_BITWISE_XOR, &n);

	for (uint32_t i = 0; xor && i < n; i++)
		ok = ok && xor[i] == 0;
	expr->op = RULESET_MASK;
	expr->reg = word_of(nexpr, NFTNL_EXPR_BITWISE_SREG, &ok);
	expr->dreg = word_of(nexpr, NFTNL_EXPR_BITWISE_DREG, &ok);
	return ok && copy_data(expr, nexpr, NFTNL_EXPR_BITWISE_MASK);
}

static bool take_cmp(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	uint32_t op = expr_u32(nexpr, NFTNL_EXPR_CMP_OP);
	bool ok = op == NFT_CMP_EQ || op == NFT_CMP_NEQ;

	expr->op = RULESET_CMP;
	expr->invert = op == NFT_CMP_NEQ;
	expr->reg = word_of(nexpr, NFTNL_EXPR_CMP_SREG, &ok);
	return ok && copy_data(expr, nexpr, NFTNL_EXPR_CMP_DATA);
}

static bool take_lookup(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	const char *set = nftnl_expr_get_str(nexpr, NFTNL_EXPR_LOOKUP_SET);
	bool ok = set && !nftnl_expr_is_set(nexpr, NFTNL_EXPR_LOOKUP_DREG);

	expr->op = RULESET_LOOKUP;
	expr->reg = word_of(nexpr, NFTNL_EXPR_LOOKUP_SREG, &ok);
	expr->invert = expr_u32(nexpr, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
	return ok && jaco_str_copy(expr->set, sizeof(expr->set), set);
}

static bool take_immediate(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	expr->op = RULESET_VERDICT;
	expr->key = expr_u32(nexpr, NFTNL_EXPR_IMM_VERDICT);
	return expr_u32(nexpr, NFTNL_EXPR_IMM_DREG) == NFT_REG_VERDICT &&
	       !nftnl_expr_is_set(nexpr, NFTNL_EXPR_IMM_CHAIN);
}

static bool take_counter(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	expr->op = RULESET_COUNTER;
	expr->packets = nftnl_expr_is_set(nexpr, NFTNL_EXPR_CTR_PACKETS) ?
				nftnl_expr_get_u64(nexpr, NFTNL_EXPR_CTR_PACKETS) : 0;
	return true;
}

static bool take_masquerade(struct ruleset_expr *expr, const struct nftnl_expr *nexpr)
{
	expr->op = RULESET_MASQUERADE;
	return expr_u32(nexpr, NFTNL_EXPR_MASQ_FLAGS) == 0;
}

static const struct {
	const char *name;
	bool (*take)(struct ruleset_expr *expr, const struct nftnl_expr *nexpr);
} takers[] = {
	{"payload", take_payload}, {"meta", take_meta},           {"ct", take_ct},
	{"bitwise", take_mask},    {"cmp", take_cmp},             {"lookup", take_lookup},
	{"counter", take_counter}, {"immediate", take_immediate}, {"masq", take_masquerade},
};

static int take_expr(struct nftnl_expr *nexpr, void *ctx)
{
	struct ruleset_rule *rule = ctx;
	const char *name = nftnl_expr_get_str(nexpr, NFTNL_EXPR_NAME);
	struct ruleset_expr expr = {.op = RULESET_OTHER};

	if (rule->n_exprs == RULESET_EXPRS_MAX)
		rule->n_exprs--; /* longer than any of ours: ends with something of no meaning */
	for (size_t i = 0; i < JACO_ARRAY_SIZE(takers); i++) {
		if (!jaco_str_eq(takers[i].name, name))
			continue;
		if (!takers[i].take(&expr, nexpr))
			expr = (struct ruleset_expr){.op = RULESET_OTHER};
	}
	if (expr.op == RULESET_OTHER)
		(void)jaco_str_copy(expr.set, sizeof(expr.set), name ? name : "?"); /* for people */
	rule->exprs[rule->n_exprs++] = expr;
	return 0;
}

/* ---- objects ---- */

static void fill_rule(struct ruleset_rule *rule, struct nftnl_rule *nrule)
{
	uint32_t n = 0;
	const uint8_t *data = nftnl_rule_get_data(nrule, NFTNL_RULE_USERDATA, &n);
	size_t comment_n = 0;
	const char *comment = data ? find_comment(data, n, NFTNL_UDATA_RULE_COMMENT, &comment_n) :
				     NULL;

	rule->handle = nftnl_rule_get_u64(nrule, NFTNL_RULE_HANDLE);
	if (comment)
		memcpy(rule->comment, comment, JACO_MIN(comment_n, (size_t)RULESET_COMMENT_MAX));
	nftnl_expr_foreach(nrule, take_expr, rule);
}

static int too_many(struct jaco_err *err, const char *what)
{
	return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "the kernel has too many %s in the table", what);
}

static int take_rule_into(struct ruleset_chain *chain, struct nftnl_rule *nrule,
			  struct jaco_err *err)
{
	if (chain->n_rules >= RULES_MAX)
		return too_many(err, "rules");
	fill_rule(ruleset_add_rule(chain), nrule);
	return 0;
}

static int take_rule(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	struct nftnl_rule *nrule = nftnl_rule_alloc();
	struct ruleset_chain *chain;
	const char *name;
	int rc = 0;

	JACO_ASSERT(nrule);
	if (nftnl_rule_nlmsg_parse(msg, nrule) < 0)
		rc = jaco_err_errno(err, "rule");
	name = nftnl_rule_get_str(nrule, NFTNL_RULE_CHAIN);
	chain = rc == 0 && name ? ruleset_find_chain(out, name) : NULL;
	if (chain && jaco_str_eq(nftnl_rule_get_str(nrule, NFTNL_RULE_TABLE), RULESET_TABLE))
		rc = take_rule_into(chain, nrule, err);
	nftnl_rule_free(nrule);
	return rc;
}

static int take_chain(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	struct nftnl_chain *nchain = nftnl_chain_alloc();
	const char *name, *type;
	int rc = 0;

	JACO_ASSERT(nchain);
	if (nftnl_chain_nlmsg_parse(msg, nchain) < 0)
		rc = jaco_err_errno(err, "chain");
	name = nftnl_chain_get_str(nchain, NFTNL_CHAIN_NAME);
	if (rc == 0 && name &&
	    jaco_str_eq(nftnl_chain_get_str(nchain, NFTNL_CHAIN_TABLE), RULESET_TABLE)) {
		struct ruleset_chain *chain;

		if (out->n_chains >= CHAINS_MAX) {
			nftnl_chain_free(nchain);
			return too_many(err, "chains");
		}
		chain = ruleset_add_chain(out, name);
		type = nftnl_chain_get_str(nchain, NFTNL_CHAIN_TYPE);
		(void)jaco_str_copy(chain->type, sizeof(chain->type), type ? type : "");
		chain->hook = nftnl_chain_get_u32(nchain, NFTNL_CHAIN_HOOKNUM);
		chain->priority = nftnl_chain_get_s32(nchain, NFTNL_CHAIN_PRIO);
		chain->policy = nftnl_chain_get_u32(nchain, NFTNL_CHAIN_POLICY);
	}
	nftnl_chain_free(nchain);
	return rc;
}

static void fill_set(struct ruleset_set *set, const struct nftnl_set *nset)
{
	uint32_t flags = nftnl_set_get_u32(nset, NFTNL_SET_FLAGS), n = 0;
	uint32_t key_bytes = nftnl_set_get_u32(nset, NFTNL_SET_KEY_LEN);
	const uint8_t *fields = nftnl_set_get_data(nset, NFTNL_SET_DESC_CONCAT, &n);

	set->key_type = nftnl_set_get_u32(nset, NFTNL_SET_KEY_TYPE);
	/* a map, or a key we cannot hold, is none of ours: the shape then differs */
	set->key_bytes = key_bytes > RULESET_KEY_MAX || flags & NFT_SET_MAP ? 0 :
									       (uint8_t)key_bytes;
	set->is_interval = flags & NFT_SET_INTERVAL;
	set->size = nftnl_set_get_u32(nset, NFTNL_SET_DESC_SIZE);
	if (fields && n >= sizeof(set->field_bytes) && (flags & NFT_SET_CONCAT))
		memcpy(set->field_bytes, fields, sizeof(set->field_bytes));
}

static int take_set(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	struct nftnl_set *nset = nftnl_set_alloc();
	const char *name;
	int rc = 0;

	JACO_ASSERT(nset);
	if (nftnl_set_nlmsg_parse(msg, nset) < 0)
		rc = jaco_err_errno(err, "set");
	name = nftnl_set_get_str(nset, NFTNL_SET_NAME);
	if (rc == 0 && name &&
	    jaco_str_eq(nftnl_set_get_str(nset, NFTNL_SET_TABLE), RULESET_TABLE)) {
		if (out->n_sets >= SETS_MAX)
			rc = too_many(err, "sets");
		else
			fill_set(ruleset_add_set(out, name), nset);
	}
	nftnl_set_free(nset);
	return rc;
}

static void take_elem_key(struct ruleset_elem *elem, const struct nlattr *key)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, key)
		if (mnl_attr_get_type(attr) == NFTA_DATA_VALUE)
			memcpy(elem->key, mnl_attr_get_payload(attr),
			       JACO_MIN(mnl_attr_get_payload_len(attr), RULESET_KEY_MAX));
}

static void take_elem(struct ruleset *out, struct ruleset_set *set, const struct nlattr *nest)
{
	struct ruleset_elem *elem = ruleset_add_elem(set);
	const struct nlattr *attr;
	const char *comment;
	size_t n = 0;

	mnl_attr_for_each_nested(attr, nest) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == NFTA_SET_ELEM_KEY)
			take_elem_key(elem, attr);
		if (type == NFTA_SET_ELEM_FLAGS && mnl_attr_get_payload_len(attr) == 4)
			elem->is_end = ntohl(mnl_attr_get_u32(attr)) & NFT_SET_ELEM_INTERVAL_END;
		if (type != NFTA_SET_ELEM_USERDATA)
			continue;
		comment = find_comment(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr),
				       NFTNL_UDATA_SET_ELEM_COMMENT, &n);
		if (comment)
			elem->comment = jaco_arena_strndup(&out->arena, comment, n);
	}
}

/* Straight through libmnl, like the writing of them in batch.c. */
static int take_elems(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	const struct nlattr *attr, *list = NULL, *elem;
	struct ruleset_set *set = NULL;
	bool is_our_table = false;

	mnl_attr_for_each(attr, msg, sizeof(struct nfgenmsg)) {
		uint16_t type = mnl_attr_get_type(attr);
		bool is_text = mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0;

		if (type == NFTA_SET_ELEM_LIST_TABLE && is_text)
			is_our_table = jaco_str_eq(mnl_attr_get_str(attr), RULESET_TABLE);
		if (type == NFTA_SET_ELEM_LIST_SET && is_text)
			set = ruleset_find_set(out, mnl_attr_get_str(attr));
		if (type == NFTA_SET_ELEM_LIST_ELEMENTS)
			list = attr;
	}
	if (!is_our_table || !set || !list)
		return 0;
	mnl_attr_for_each_nested(elem, list) {
		if (set->n_elems >= ELEMS_MAX)
			return too_many(err, "elements");
		take_elem(out, set, elem);
	}
	return 0;
}

int readback_take(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	if (NFNL_SUBSYS_ID(msg->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(msg) < sizeof(struct nfgenmsg))
		return 0;
	switch (NFNL_MSG_TYPE(msg->nlmsg_type)) {
	case NFT_MSG_NEWCHAIN: return take_chain(out, msg, err);
	case NFT_MSG_NEWRULE: return take_rule(out, msg, err);
	case NFT_MSG_NEWSET: return take_set(out, msg, err);
	case NFT_MSG_NEWSETELEM: return take_elems(out, msg, err);
	default: return 0;
	}
}

/* ---- asking ---- */

static int on_object(const struct nlmsghdr *msg, void *ctx, struct jaco_err *err)
{
	return readback_take(ctx, msg, err);
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

static int ask_table(struct jaco_netlink *nl, bool *out_exists, struct jaco_err *err)
{
	alignas(NLMSG_ALIGNTO) char room[ASK_ROOM] = {0};
	struct nlmsghdr *msg = nftnl_nlmsg_build_hdr(room, NFT_MSG_GETTABLE, NFPROTO_INET, 0, 0);
	int rc;

	*out_exists = false;
	mnl_attr_put_strz(msg, NFTA_TABLE_NAME, RULESET_TABLE);
	rc = jaco_netlink_ask(nl, msg, on_anything, out_exists, err);
	return rc < 0 && is_absent(err) ? 0 : rc;
}

/* @table_attr 0: the kernel has no filter for this dump, readback_take() keeps what is ours. */
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
	if (ask_table(nl, out_exists, err) < 0)
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
	struct nftnl_rule *nrule;
	int rc = 0;

	if (NFNL_SUBSYS_ID(msg->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    NFNL_MSG_TYPE(msg->nlmsg_type) != NFT_MSG_NEWRULE)
		return 0;
	nrule = nftnl_rule_alloc();
	JACO_ASSERT(nrule);
	if (nftnl_rule_nlmsg_parse(msg, nrule) == 0 &&
	    jaco_str_eq(nftnl_rule_get_str(nrule, NFTNL_RULE_TABLE), target->table) &&
	    jaco_str_eq(nftnl_rule_get_str(nrule, NFTNL_RULE_CHAIN), target->chain->name))
		rc = take_rule_into(target->chain, nrule, err);
	nftnl_rule_free(nrule);
	return rc;
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
	ruleset_add_set(out, set->name);
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
		*out_ok = seen && ruleset_elem_cmp(seen, change->elem) == 0;
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
