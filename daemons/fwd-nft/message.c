/* SPDX-License-Identifier: Apache-2.0
 *
 * message.c - see message.h.  Attributes are those of linux/netfilter/nf_tables.h; numbers are in
 * network order. */
#include "daemons/fwd-nft/message.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libmnl/libmnl.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/tcp.h>
#include <string.h>

#include "daemons/fwd-nft/batch.h"
#include "libjaco/base/str.h"

#define ATTRS_MAX  32
#define ELEMS_MAX  (4 * RULESET_SUBNETS_MAX) /* somebody else may have filled our sets */
#define CHAINS_MAX 64
#define SETS_MAX   256
#define RULES_MAX  4096

/* ---- attributes ---- */

/* By type, the last of each; NULL when absent. */
struct attrs {
	const struct nlattr *v[ATTRS_MAX];
};

static void keep_attr(struct attrs *attrs, const struct nlattr *attr)
{
	if (mnl_attr_get_type(attr) < ATTRS_MAX)
		attrs->v[mnl_attr_get_type(attr)] = attr;
}

static void read_msg(struct attrs *attrs, const struct nlmsghdr *msg)
{
	const struct nlattr *attr;

	*attrs = (struct attrs){{NULL}};
	mnl_attr_for_each(attr, msg, sizeof(struct nfgenmsg))
		keep_attr(attrs, attr);
}

static void read_nest(struct attrs *attrs, const struct nlattr *nest)
{
	const struct nlattr *attr;

	*attrs = (struct attrs){{NULL}};
	if (!nest)
		return;
	mnl_attr_for_each_nested(attr, nest)
		keep_attr(attrs, attr);
}

static uint32_t get_u32(const struct attrs *attrs, uint16_t type)
{
	const struct nlattr *attr = attrs->v[type];
	uint32_t value = 0;

	if (attr && mnl_attr_get_payload_len(attr) == sizeof(value))
		memcpy(&value, mnl_attr_get_payload(attr), sizeof(value));
	return ntohl(value);
}

static uint64_t get_u64(const struct attrs *attrs, uint16_t type)
{
	const struct nlattr *attr = attrs->v[type];
	uint64_t value = 0;

	if (attr && mnl_attr_get_payload_len(attr) == sizeof(value))
		memcpy(&value, mnl_attr_get_payload(attr), sizeof(value));
	return be64toh(value);
}

/* "" when absent or not terminated. */
static const char *get_str(const struct attrs *attrs, uint16_t type)
{
	const struct nlattr *attr = attrs->v[type];

	return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(attr)
									 : "";
}

/* The payload of the value inside a data attribute, at most @room bytes; false when there is
 * none. */
static bool get_data(const struct attrs *attrs, uint16_t type, uint8_t *out, size_t room,
		     size_t *out_n)
{
	struct attrs data;
	const struct nlattr *value;

	read_nest(&data, attrs->v[type]);
	value = data.v[NFTA_DATA_VALUE];
	if (!value || mnl_attr_get_payload_len(value) > room)
		return false;
	*out_n = mnl_attr_get_payload_len(value);
	memcpy(out, mnl_attr_get_payload(value), *out_n);
	return true;
}

/* The text of the comment in user data, or NULL (libnftnl/udata.h: type, length, value). */
static const char *get_comment(const struct nlattr *attr, uint8_t type, size_t *out_n)
{
	const uint8_t *data = attr ? mnl_attr_get_payload(attr) : NULL;
	size_t n = attr ? mnl_attr_get_payload_len(attr) : 0;

	for (size_t at = 0; at + 2 <= n && at + 2u + data[at + 1] <= n; at += 2u + data[at + 1]) {
		const char *text = (const char *)data + at + 2;

		if (data[at] != type || data[at + 1] == 0)
			continue;
		*out_n = strnlen(text, data[at + 1]);
		return text;
	}
	return NULL;
}

static bool is_ours(const struct attrs *attrs, uint16_t table_type)
{
	return jaco_str_eq(get_str(attrs, table_type), RULESET_TABLE);
}

static int too_many(struct jaco_err *err, const char *what)
{
	return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "the kernel has too many %s in the table",
			    what);
}

/* ---- expressions ---- */

static uint8_t get_reg(const struct attrs *attrs, uint16_t type, bool *ok)
{
	int word = attrs->v[type] ? batch_reg_word(get_u32(attrs, type)) : -1;

	*ok = *ok && word >= 0;
	return word < 0 ? 0 : (uint8_t)word;
}

static bool get_expr_data(struct ruleset_expr *expr, const struct attrs *attrs, uint16_t type)
{
	size_t n = 0;

	if (!get_data(attrs, type, expr->data, sizeof(expr->data), &n))
		return false;
	expr->len = (uint8_t)n;
	return true;
}

static bool take_payload(struct ruleset_expr *expr, const struct attrs *attrs)
{
	uint32_t base = get_u32(attrs, NFTA_PAYLOAD_BASE), len = get_u32(attrs, NFTA_PAYLOAD_LEN);
	bool ok = (base == NFT_PAYLOAD_NETWORK_HEADER || base == NFT_PAYLOAD_TRANSPORT_HEADER) &&
		  !attrs->v[NFTA_PAYLOAD_SREG];

	expr->op = base == NFT_PAYLOAD_TRANSPORT_HEADER ? RULESET_TRANSPORT : RULESET_PAYLOAD;
	expr->reg = get_reg(attrs, NFTA_PAYLOAD_DREG, &ok);
	expr->key = get_u32(attrs, NFTA_PAYLOAD_OFFSET);
	expr->len = (uint8_t)len;
	return ok && len <= sizeof(expr->data) && expr->key <= UINT8_MAX;
}

static uint8_t meta_len(uint32_t key)
{
	switch (key) {
	case NFT_META_NFPROTO:
	case NFT_META_L4PROTO: return 1;
	case NFT_META_IIFNAME:
	case NFT_META_OIFNAME: return 16;
	default: return 4;
	}
}

static bool take_meta(struct ruleset_expr *expr, const struct attrs *attrs)
{
	bool ok = !attrs->v[NFTA_META_SREG];

	expr->op = RULESET_META;
	expr->key = get_u32(attrs, NFTA_META_KEY);
	expr->reg = get_reg(attrs, NFTA_META_DREG, &ok);
	expr->len = meta_len(expr->key);
	return ok;
}

static bool take_ct(struct ruleset_expr *expr, const struct attrs *attrs)
{
	bool ok = get_u32(attrs, NFTA_CT_KEY) == NFT_CT_STATE && !attrs->v[NFTA_CT_SREG];

	expr->op = RULESET_CT_STATE;
	expr->reg = get_reg(attrs, NFTA_CT_DREG, &ok);
	return ok;
}

static bool take_mask(struct ruleset_expr *expr, const struct attrs *attrs)
{
	static const uint8_t none[sizeof(expr->data)];
	uint8_t flip[sizeof(expr->data)] = {0};
	size_t n = 0;
	bool ok = get_u32(attrs, NFTA_BITWISE_OP) == NFT_BITWISE_BOOL &&
		  get_data(attrs, NFTA_BITWISE_XOR, flip, sizeof(flip), &n) &&
		  memcmp(flip, none, n) == 0;

	expr->op = RULESET_MASK;
	expr->reg = get_reg(attrs, NFTA_BITWISE_SREG, &ok);
	expr->dreg = get_reg(attrs, NFTA_BITWISE_DREG, &ok);
	return ok && get_expr_data(expr, attrs, NFTA_BITWISE_MASK);
}

static bool take_cmp(struct ruleset_expr *expr, const struct attrs *attrs)
{
	uint32_t op = get_u32(attrs, NFTA_CMP_OP);
	bool ok = op == NFT_CMP_EQ || op == NFT_CMP_NEQ;

	expr->op = RULESET_CMP;
	expr->invert = op == NFT_CMP_NEQ;
	expr->reg = get_reg(attrs, NFTA_CMP_SREG, &ok);
	return ok && get_expr_data(expr, attrs, NFTA_CMP_DATA);
}

static bool take_lookup(struct ruleset_expr *expr, const struct attrs *attrs)
{
	bool ok = attrs->v[NFTA_LOOKUP_SET] != NULL;

	expr->op = RULESET_LOOKUP;
	if (attrs->v[NFTA_LOOKUP_DREG]) {
		expr->op = RULESET_MAP;
		expr->dreg = get_reg(attrs, NFTA_LOOKUP_DREG, &ok);
	}
	expr->reg = get_reg(attrs, NFTA_LOOKUP_SREG, &ok);
	expr->invert = get_u32(attrs, NFTA_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
	return ok && jaco_str_copy(expr->set, sizeof(expr->set), get_str(attrs, NFTA_LOOKUP_SET));
}

static bool take_immediate(struct ruleset_expr *expr, const struct attrs *attrs)
{
	struct attrs data, verdict;

	read_nest(&data, attrs->v[NFTA_IMMEDIATE_DATA]);
	read_nest(&verdict, data.v[NFTA_DATA_VERDICT]);
	expr->op = RULESET_VERDICT;
	expr->key = get_u32(&verdict, NFTA_VERDICT_CODE);
	return get_u32(attrs, NFTA_IMMEDIATE_DREG) == NFT_REG_VERDICT &&
	       verdict.v[NFTA_VERDICT_CODE] && !verdict.v[NFTA_VERDICT_CHAIN];
}

static bool take_counter(struct ruleset_expr *expr, const struct attrs *attrs)
{
	expr->op = RULESET_COUNTER;
	expr->packets = get_u64(attrs, NFTA_COUNTER_PACKETS);
	return true;
}

static bool take_masquerade(struct ruleset_expr *expr, const struct attrs *attrs)
{
	expr->op = RULESET_MASQUERADE;
	return get_u32(attrs, NFTA_MASQ_FLAGS) == 0 && !attrs->v[NFTA_MASQ_REG_PROTO_MIN];
}

static bool take_rt(struct ruleset_expr *expr, const struct attrs *attrs)
{
	bool ok = get_u32(attrs, NFTA_RT_KEY) == NFT_RT_TCPMSS;

	expr->op = RULESET_PATH_MSS;
	expr->reg = get_reg(attrs, NFTA_RT_DREG, &ok);
	return ok;
}

static bool take_swap(struct ruleset_expr *expr, const struct attrs *attrs)
{
	bool ok = get_u32(attrs, NFTA_BYTEORDER_OP) == NFT_BYTEORDER_HTON &&
		  get_u32(attrs, NFTA_BYTEORDER_LEN) == 2 &&
		  get_u32(attrs, NFTA_BYTEORDER_SIZE) == 2;

	expr->op = RULESET_SWAP16;
	expr->reg = get_reg(attrs, NFTA_BYTEORDER_SREG, &ok);
	return ok && get_reg(attrs, NFTA_BYTEORDER_DREG, &ok) == expr->reg && ok;
}

static bool take_mss(struct ruleset_expr *expr, const struct attrs *attrs)
{
	const struct nlattr *type = attrs->v[NFTA_EXTHDR_TYPE];
	bool ok = get_u32(attrs, NFTA_EXTHDR_OP) == NFT_EXTHDR_OP_TCPOPT && type &&
		  mnl_attr_get_payload_len(type) == 1 && mnl_attr_get_u8(type) == TCPOPT_MAXSEG &&
		  get_u32(attrs, NFTA_EXTHDR_OFFSET) == 2 && get_u32(attrs, NFTA_EXTHDR_LEN) == 2;

	expr->op = RULESET_SET_MSS;
	expr->reg = get_reg(attrs, NFTA_EXTHDR_SREG, &ok);
	return ok;
}

static bool take_nat(struct ruleset_expr *expr, const struct attrs *attrs)
{
	bool ok = get_u32(attrs, NFTA_NAT_TYPE) == NFT_NAT_SNAT &&
		  get_u32(attrs, NFTA_NAT_FAMILY) == NFPROTO_IPV4 &&
		  !attrs->v[NFTA_NAT_REG_PROTO_MIN];

	expr->op = RULESET_SNAT;
	expr->reg = get_reg(attrs, NFTA_NAT_REG_ADDR_MIN, &ok);
	return ok;
}

static const struct {
	const char *name;
	bool (*take)(struct ruleset_expr *expr, const struct attrs *attrs);
} takers[] = {
	{"payload", take_payload}, {"meta", take_meta},           {"ct", take_ct},
	{"bitwise", take_mask},    {"cmp", take_cmp},             {"lookup", take_lookup},
	{"counter", take_counter}, {"immediate", take_immediate}, {"masq", take_masquerade},
	{"rt", take_rt},           {"byteorder", take_swap},      {"exthdr", take_mss},
	{"nat", take_nat},
};

static void take_expr(struct ruleset_rule *rule, const struct nlattr *nest)
{
	struct ruleset_expr expr = {.op = RULESET_OTHER};
	struct attrs outer, inner;
	const char *name;

	read_nest(&outer, nest);
	read_nest(&inner, outer.v[NFTA_EXPR_DATA]);
	name = get_str(&outer, NFTA_EXPR_NAME);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(takers); i++)
		if (jaco_str_eq(takers[i].name, name) && !takers[i].take(&expr, &inner))
			expr = (struct ruleset_expr){.op = RULESET_OTHER};
	if (expr.op == RULESET_OTHER)
		(void)jaco_str_copy(expr.set, sizeof(expr.set), name); /* for people */
	if (rule->n_exprs == RULESET_EXPRS_MAX) /* longer than any of ours: */
		rule->exprs[--rule->n_exprs] = (struct ruleset_expr){.op = RULESET_OTHER};
	rule->exprs[rule->n_exprs++] = expr;
}

/* ---- objects ---- */

static int add_rule(struct ruleset_chain *chain, const struct attrs *attrs, struct jaco_err *err)
{
	const struct nlattr *nest = attrs->v[NFTA_RULE_EXPRESSIONS], *expr;
	struct ruleset_rule *rule;
	const char *comment;
	size_t n = 0;

	if (chain->n_rules >= RULES_MAX)
		return too_many(err, "rules");
	rule = ruleset_add_rule(chain);
	rule->handle = get_u64(attrs, NFTA_RULE_HANDLE);
	comment = get_comment(attrs->v[NFTA_RULE_USERDATA], NFTNL_UDATA_RULE_COMMENT, &n);
	if (comment)
		memcpy(rule->comment, comment, JACO_MIN(n, (size_t)RULESET_COMMENT_MAX));
	if (nest)
		mnl_attr_for_each_nested(expr, nest)
			take_expr(rule, expr);
	return 0;
}

static int take_rule(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	struct ruleset_chain *chain;
	struct attrs attrs;

	read_msg(&attrs, msg);
	chain = ruleset_find_chain(out, get_str(&attrs, NFTA_RULE_CHAIN));
	return chain && is_ours(&attrs, NFTA_RULE_TABLE) ? add_rule(chain, &attrs, err) : 0;
}

static int take_chain(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	struct ruleset_chain *chain;
	struct attrs attrs, hook;

	read_msg(&attrs, msg);
	if (!is_ours(&attrs, NFTA_CHAIN_TABLE))
		return 0;
	if (out->n_chains >= CHAINS_MAX)
		return too_many(err, "chains");
	read_nest(&hook, attrs.v[NFTA_CHAIN_HOOK]);
	chain = ruleset_add_chain(out, get_str(&attrs, NFTA_CHAIN_NAME));
	(void)jaco_str_copy(chain->type, sizeof(chain->type), get_str(&attrs, NFTA_CHAIN_TYPE));
	chain->hook = get_u32(&hook, NFTA_HOOK_HOOKNUM);
	chain->priority = (int32_t)get_u32(&hook, NFTA_HOOK_PRIORITY);
	chain->policy = get_u32(&attrs, NFTA_CHAIN_POLICY);
	return 0;
}

static void take_fields(struct ruleset_set *set, const struct nlattr *list)
{
	const struct nlattr *field;
	size_t i = 0;

	if (!list)
		return;
	mnl_attr_for_each_nested(field, list) {
		struct attrs attrs;

		read_nest(&attrs, field);
		if (i < JACO_ARRAY_SIZE(set->field_bytes))
			set->field_bytes[i++] = (uint8_t)get_u32(&attrs, NFTA_SET_FIELD_LEN);
	}
}

static int take_set(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	struct ruleset_set *set;
	struct attrs attrs, desc;
	uint32_t flags, key_bytes;

	read_msg(&attrs, msg);
	if (!is_ours(&attrs, NFTA_SET_TABLE))
		return 0;
	if (out->n_sets >= SETS_MAX)
		return too_many(err, "sets");
	flags = get_u32(&attrs, NFTA_SET_FLAGS);
	key_bytes = get_u32(&attrs, NFTA_SET_KEY_LEN);
	read_nest(&desc, attrs.v[NFTA_SET_DESC]);
	set = ruleset_add_set(out, get_str(&attrs, NFTA_SET_NAME));
	set->key_type = get_u32(&attrs, NFTA_SET_KEY_TYPE);
	/* another map, or a key we cannot hold, is none of ours: the shape then differs */
	set->is_map = flags & NFT_SET_MAP;
	if (key_bytes <= RULESET_KEY_MAX &&
	    (!set->is_map || (get_u32(&attrs, NFTA_SET_DATA_TYPE) == RULESET_TYPE_IPV4 &&
			      get_u32(&attrs, NFTA_SET_DATA_LEN) == sizeof(set->elems->data))))
		set->key_bytes = (uint8_t)key_bytes;
	set->is_interval = flags & NFT_SET_INTERVAL;
	set->size = get_u32(&desc, NFTA_SET_DESC_SIZE);
	if (flags & NFT_SET_CONCAT)
		take_fields(set, desc.v[NFTA_SET_DESC_CONCAT]);
	return 0;
}

static void take_elem(struct ruleset *out, struct ruleset_set *set, const struct nlattr *nest)
{
	struct ruleset_elem *elem = ruleset_add_elem(set);
	struct attrs attrs;
	const char *comment;
	size_t n = 0;

	read_nest(&attrs, nest);
	(void)get_data(&attrs, NFTA_SET_ELEM_KEY, elem->key, sizeof(elem->key), &n); /* else zero */
	if (set->is_map)
		(void)get_data(&attrs, NFTA_SET_ELEM_DATA, (uint8_t *)&elem->data,
			       sizeof(elem->data), &n);
	elem->is_end = get_u32(&attrs, NFTA_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END;
	comment = get_comment(attrs.v[NFTA_SET_ELEM_USERDATA], NFTNL_UDATA_SET_ELEM_COMMENT, &n);
	if (comment)
		elem->comment = jaco_arena_strndup(&out->arena, comment, n);
}

static int take_elems(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	const struct nlattr *list, *elem;
	struct ruleset_set *set;
	struct attrs attrs;

	read_msg(&attrs, msg);
	list = attrs.v[NFTA_SET_ELEM_LIST_ELEMENTS];
	set = ruleset_find_set(out, get_str(&attrs, NFTA_SET_ELEM_LIST_SET));
	if (!list || !set || !is_ours(&attrs, NFTA_SET_ELEM_LIST_TABLE))
		return 0;
	mnl_attr_for_each_nested(elem, list) {
		if (set->n_elems >= ELEMS_MAX)
			return too_many(err, "elements");
		take_elem(out, set, elem);
	}
	return 0;
}

/* -1 when it is no nftables message. */
static int type_of(const struct nlmsghdr *msg)
{
	if (NFNL_SUBSYS_ID(msg->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(msg) < sizeof(struct nfgenmsg))
		return -1;
	return NFNL_MSG_TYPE(msg->nlmsg_type);
}

static int take_table(struct ruleset *out, const struct nlmsghdr *msg)
{
	struct attrs attrs;

	read_msg(&attrs, msg);
	if (jaco_str_eq(get_str(&attrs, NFTA_TABLE_NAME), RULESET_TABLE))
		out->table_flags = get_u32(&attrs, NFTA_TABLE_FLAGS);
	return 0;
}

int message_take(struct ruleset *out, const struct nlmsghdr *msg, struct jaco_err *err)
{
	switch (type_of(msg)) {
	case NFT_MSG_NEWTABLE: return take_table(out, msg);
	case NFT_MSG_NEWCHAIN: return take_chain(out, msg, err);
	case NFT_MSG_NEWRULE: return take_rule(out, msg, err);
	case NFT_MSG_NEWSET: return take_set(out, msg, err);
	case NFT_MSG_NEWSETELEM: return take_elems(out, msg, err);
	default: return 0;
	}
}

int message_take_rule(struct ruleset_chain *chain, const char *table, const struct nlmsghdr *msg,
		      struct jaco_err *err)
{
	struct attrs attrs;

	if (type_of(msg) != NFT_MSG_NEWRULE)
		return 0;
	read_msg(&attrs, msg);
	if (!jaco_str_eq(get_str(&attrs, NFTA_RULE_TABLE), table) ||
	    !jaco_str_eq(get_str(&attrs, NFTA_RULE_CHAIN), chain->name))
		return 0;
	return add_rule(chain, &attrs, err);
}
