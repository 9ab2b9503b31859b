/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.c - see batch.h.
 *
 * Elements of one set share messages up to ELEMS_BYTES: a netlink attribute's length is 16 bits,
 * and the message's room must hold one more element. */
#include "daemons/fwd-nft/batch.h"

#include <arpa/inet.h>
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
#include <net/if.h>
#include <netinet/tcp.h>
#include <string.h>

#include "libjaco/base/assert.h"

#define MESSAGE_ROOM (64 * 1024)
#define ELEMS_BYTES  (40 * 1024)
#define UDATA_ROOM   256 /* kernel: NFT_USERDATA_MAXLEN */
#define TABLE_OWNER  2u  /* NFT_TABLE_F_OWNER, younger than the headers of some builds */

/* A failed allocation inside libnftnl is treated like one of ours. */
#define MUST(ptr)                                                                                  \
	({                                                                                         \
		__typeof__(ptr) must_ = (ptr);                                                     \
		JACO_ASSERT(must_);                                                                \
		must_;                                                                             \
	})

uint32_t batch_reg_number(uint8_t word)
{
	return word % 4 == 0 ? (uint32_t)NFT_REG_1 + word / 4u : (uint32_t)NFT_REG32_00 + word;
}

int batch_reg_word(uint32_t number)
{
	if (number >= NFT_REG_1 && number <= NFT_REG_4)
		return (int)(number - NFT_REG_1) * 4;
	if (number >= NFT_REG32_00 && number <= NFT_REG32_15)
		return (int)(number - NFT_REG32_00);
	return -1;
}

static struct nlmsghdr *put_msg(struct batch *batch, uint16_t type, uint8_t family, uint16_t flags)
{
	char *at = jaco_buf_reserve(&batch->bytes, MESSAGE_ROOM);

	JACO_ASSERT(at);
	return nftnl_nlmsg_build_hdr(at, type, family, flags, ++batch->seq);
}

static void end_msg(struct batch *batch, const struct nlmsghdr *msg)
{
	JACO_ASSERT(msg->nlmsg_len <= MESSAGE_ROOM);
	batch->last_at = batch->bytes.n;
	batch->bytes.n += NLMSG_ALIGN(msg->nlmsg_len);
	batch->n_messages++;
}

void batch_begin(struct batch *batch, uint32_t seq)
{
	char *at = jaco_buf_reserve(&batch->bytes, MESSAGE_ROOM);

	JACO_ASSERT(at && batch->bytes.n == 0);
	batch->seq = seq;
	batch->bytes.n += NLMSG_ALIGN(nftnl_batch_begin(at, batch->seq)->nlmsg_len);
}

void batch_end(struct batch *batch)
{
	char *at = jaco_buf_reserve(&batch->bytes, MESSAGE_ROOM);

	JACO_ASSERT(at && batch->n_messages > 0);
	((struct nlmsghdr *)(batch->bytes.data + batch->last_at))->nlmsg_flags |= NLM_F_ACK;
	batch->bytes.n += NLMSG_ALIGN(nftnl_batch_end(at, ++batch->seq)->nlmsg_len);
}

void batch_fini(struct batch *batch)
{
	if (!batch)
		return;
	jaco_buf_fini(&batch->bytes);
	*batch = BATCH_INIT;
}

static void put_table(struct batch *batch, uint16_t type, const char *name, uint32_t flags)
{
	struct nftnl_table *table = MUST(nftnl_table_alloc());
	struct nlmsghdr *msg =
		put_msg(batch, type, NFPROTO_INET, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);

	nftnl_table_set_str(table, NFTNL_TABLE_NAME, name);
	if (flags)
		nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, flags);
	nftnl_table_nlmsg_build_payload(msg, table);
	end_msg(batch, msg);
	nftnl_table_free(table);
}

/* ---- sets ---- */

/* nft(8) stores the byte order of keys, so that its listing prints numbers rightly. */
static void set_byte_order(struct nftnl_set *nset, const struct ruleset_set *set)
{
	enum { HOST = 1, NETWORK = 2 };
	char room[UDATA_ROOM];
	struct nftnl_udata_buf *udata = MUST(nftnl_udata_buf_alloc(sizeof(room)));

	nftnl_udata_put_u32(udata, NFTNL_UDATA_SET_KEYBYTEORDER,
			    set->key_bytes == IFNAMSIZ ? HOST : NETWORK);
	if (set->is_map)
		nftnl_udata_put_u32(udata, NFTNL_UDATA_SET_DATABYTEORDER, NETWORK);
	nftnl_set_set_data(nset, NFTNL_SET_USERDATA, nftnl_udata_buf_data(udata),
			   nftnl_udata_buf_len(udata));
	nftnl_udata_buf_free(udata);
}

static void put_set(struct batch *batch, const struct ruleset_set *set, uint32_t id)
{
	struct nftnl_set *nset = MUST(nftnl_set_alloc());
	struct nlmsghdr *msg = put_msg(batch, NFT_MSG_NEWSET, NFPROTO_INET, NLM_F_CREATE);
	uint32_t flags = (set->is_interval ? NFT_SET_INTERVAL : 0u) |
			 (set->field_bytes[1] ? NFT_SET_CONCAT : 0u) |
			 (set->is_map ? NFT_SET_MAP : 0u);

	nftnl_set_set_str(nset, NFTNL_SET_TABLE, RULESET_TABLE);
	nftnl_set_set_str(nset, NFTNL_SET_NAME, set->name);
	nftnl_set_set_u32(nset, NFTNL_SET_ID, id);
	nftnl_set_set_u32(nset, NFTNL_SET_FLAGS, flags);
	nftnl_set_set_u32(nset, NFTNL_SET_KEY_TYPE, set->key_type);
	nftnl_set_set_u32(nset, NFTNL_SET_KEY_LEN, set->key_bytes);
	if (set->is_map) {
		nftnl_set_set_u32(nset, NFTNL_SET_DATA_TYPE, RULESET_TYPE_IPV4);
		nftnl_set_set_u32(nset, NFTNL_SET_DATA_LEN, sizeof(set->elems->data));
	}
	if (set->size)
		nftnl_set_set_u32(nset, NFTNL_SET_DESC_SIZE, set->size);
	if (set->field_bytes[1])
		nftnl_set_set_data(nset, NFTNL_SET_DESC_CONCAT, set->field_bytes,
				   sizeof(set->field_bytes));
	set_byte_order(nset, set);
	nftnl_set_nlmsg_build_payload(msg, nset);
	end_msg(batch, msg);
	nftnl_set_free(nset);
}

/* Elements gathered for one message, written straight through libmnl: an object of libnftnl per
 * element, several allocations each, doubled the time of a large load. */
struct elems {
	struct batch *batch;
	uint16_t type; /* NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM */
	const struct ruleset_set *set;
	struct nlmsghdr *msg; /* being filled, or NULL */
	struct nlattr *list;
};

static void flush_elems(struct elems *elems)
{
	if (!elems->msg)
		return;
	mnl_attr_nest_end(elems->msg, elems->list);
	end_msg(elems->batch, elems->msg);
	elems->msg = NULL;
}

static void start_elems(struct elems *elems)
{
	elems->msg = put_msg(elems->batch, elems->type, NFPROTO_INET,
			     elems->type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0);
	mnl_attr_put_strz(elems->msg, NFTA_SET_ELEM_LIST_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(elems->msg, NFTA_SET_ELEM_LIST_SET, elems->set->name);
	elems->list = mnl_attr_nest_start(elems->msg, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void put_elem_comment(struct nlmsghdr *msg, const char *comment)
{
	char room[UDATA_ROOM];
	size_t n = strnlen(comment, RULESET_COMMENT_MAX);

	/* one TLV: type, length, text with its NUL (libnftnl/udata.h) */
	room[0] = NFTNL_UDATA_SET_ELEM_COMMENT;
	room[1] = (char)(n + 1);
	memcpy(room + 2, comment, n);
	room[2 + n] = '\0';
	mnl_attr_put(msg, NFTA_SET_ELEM_USERDATA, n + 3, room);
}

static void add_elem(struct elems *elems, const struct ruleset_elem *elem)
{
	struct nlattr *nest, *key;

	if (elems->msg && elems->msg->nlmsg_len > ELEMS_BYTES)
		flush_elems(elems);
	if (!elems->msg)
		start_elems(elems);
	nest = mnl_attr_nest_start(elems->msg, NFTA_LIST_ELEM);
	if (elem->is_end)
		mnl_attr_put_u32(elems->msg, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	key = mnl_attr_nest_start(elems->msg, NFTA_SET_ELEM_KEY);
	mnl_attr_put(elems->msg, NFTA_DATA_VALUE, elems->set->key_bytes, elem->key);
	mnl_attr_nest_end(elems->msg, key);
	if (elems->set->is_map && elems->type == NFT_MSG_NEWSETELEM) {
		struct nlattr *data = mnl_attr_nest_start(elems->msg, NFTA_SET_ELEM_DATA);

		mnl_attr_put(elems->msg, NFTA_DATA_VALUE, sizeof(elem->data), &elem->data);
		mnl_attr_nest_end(elems->msg, data);
	}
	if (elem->comment && elems->type == NFT_MSG_NEWSETELEM)
		put_elem_comment(elems->msg, elem->comment);
	mnl_attr_nest_end(elems->msg, nest);
}

static void put_elems(struct batch *batch, const struct ruleset_set *set)
{
	struct elems elems = {.batch = batch, .type = NFT_MSG_NEWSETELEM, .set = set};

	for (size_t i = 0; i < set->n_elems; i++)
		add_elem(&elems, &set->elems[i]);
	flush_elems(&elems);
}

/* ---- chains and rules ---- */

static void put_chain(struct batch *batch, const char *table, const struct ruleset_chain *chain)
{
	struct nftnl_chain *nchain = MUST(nftnl_chain_alloc());
	struct nlmsghdr *msg = put_msg(batch, NFT_MSG_NEWCHAIN, NFPROTO_INET, NLM_F_CREATE);

	nftnl_chain_set_str(nchain, NFTNL_CHAIN_TABLE, table);
	nftnl_chain_set_str(nchain, NFTNL_CHAIN_NAME, chain->name);
	nftnl_chain_set_str(nchain, NFTNL_CHAIN_TYPE, chain->type);
	nftnl_chain_set_u32(nchain, NFTNL_CHAIN_HOOKNUM, chain->hook);
	nftnl_chain_set_s32(nchain, NFTNL_CHAIN_PRIO, chain->priority);
	nftnl_chain_set_u32(nchain, NFTNL_CHAIN_POLICY, chain->policy);
	nftnl_chain_nlmsg_build_payload(msg, nchain);
	end_msg(batch, msg);
	nftnl_chain_free(nchain);
}

static const char *expr_name(const struct ruleset_expr *expr)
{
	switch (expr->op) {
	case RULESET_META: return "meta";
	case RULESET_PAYLOAD: return "payload";
	case RULESET_CT_STATE: return "ct";
	case RULESET_MASK: return "bitwise";
	case RULESET_CMP: return "cmp";
	case RULESET_LOOKUP:
	case RULESET_MAP: return "lookup";
	case RULESET_TRANSPORT: return "payload";
	case RULESET_PATH_MSS: return "rt";
	case RULESET_SWAP16: return "byteorder";
	case RULESET_SET_MSS: return "exthdr";
	case RULESET_SNAT: return "nat";
	case RULESET_COUNTER: return "counter";
	case RULESET_VERDICT: return "immediate";
	case RULESET_MASQUERADE: return "masq";
	case RULESET_OTHER: break;
	}
	JACO_UNREACHABLE(); /* only a read-back holds others */
}

static void fill_mask(struct nftnl_expr *nexpr, const struct ruleset_expr *expr)
{
	static const uint8_t none[16];

	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BITWISE_SREG, batch_reg_number(expr->reg));
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BITWISE_DREG, batch_reg_number(expr->dreg));
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BITWISE_LEN, expr->len);
	nftnl_expr_set(nexpr, NFTNL_EXPR_BITWISE_MASK, expr->data, expr->len);
	nftnl_expr_set(nexpr, NFTNL_EXPR_BITWISE_XOR, none, expr->len);
}

static void fill_payload(struct nftnl_expr *nexpr, const struct ruleset_expr *expr)
{
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_PAYLOAD_DREG, batch_reg_number(expr->reg));
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_PAYLOAD_BASE,
			   expr->op == RULESET_TRANSPORT ? NFT_PAYLOAD_TRANSPORT_HEADER :
							   NFT_PAYLOAD_NETWORK_HEADER);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_PAYLOAD_OFFSET, expr->key);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_PAYLOAD_LEN, expr->len);
}

static void fill_lookup(struct nftnl_expr *nexpr, const struct ruleset_expr *expr, uint32_t set_id)
{
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_LOOKUP_SREG, batch_reg_number(expr->reg));
	if (expr->op == RULESET_MAP)
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_LOOKUP_DREG, batch_reg_number(expr->dreg));
	if (expr->invert)
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	nftnl_expr_set_str(nexpr, NFTNL_EXPR_LOOKUP_SET, expr->set);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_LOOKUP_SET_ID, set_id);
}

static void fill_swap(struct nftnl_expr *nexpr, const struct ruleset_expr *expr)
{
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BYTEORDER_SREG, batch_reg_number(expr->reg));
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BYTEORDER_DREG, batch_reg_number(expr->reg));
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BYTEORDER_LEN, 2);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_BYTEORDER_SIZE, 2);
}

static void fill_mss(struct nftnl_expr *nexpr, const struct ruleset_expr *expr)
{
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_EXTHDR_SREG, batch_reg_number(expr->reg));
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
	nftnl_expr_set_u8(nexpr, NFTNL_EXPR_EXTHDR_TYPE, TCPOPT_MAXSEG);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_EXTHDR_OFFSET, 2); /* after kind and length */
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_EXTHDR_LEN, 2);
}

static void fill_snat(struct nftnl_expr *nexpr, const struct ruleset_expr *expr)
{
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_NAT_FAMILY, NFPROTO_IPV4);
	nftnl_expr_set_u32(nexpr, NFTNL_EXPR_NAT_REG_ADDR_MIN, batch_reg_number(expr->reg));
}

static void fill_expr(struct nftnl_expr *nexpr, const struct ruleset_expr *expr, uint32_t set_id)
{
	switch (expr->op) {
	case RULESET_META:
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_META_KEY, expr->key);
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_META_DREG, batch_reg_number(expr->reg));
		break;
	case RULESET_PAYLOAD:
	case RULESET_TRANSPORT:
		fill_payload(nexpr, expr);
		break;
	case RULESET_CT_STATE:
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_CT_DREG, batch_reg_number(expr->reg));
		break;
	case RULESET_MASK:
		fill_mask(nexpr, expr);
		break;
	case RULESET_CMP:
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_CMP_SREG, batch_reg_number(expr->reg));
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_CMP_OP,
				   expr->invert ? NFT_CMP_NEQ : NFT_CMP_EQ);
		nftnl_expr_set(nexpr, NFTNL_EXPR_CMP_DATA, expr->data, expr->len);
		break;
	case RULESET_LOOKUP:
	case RULESET_MAP:
		fill_lookup(nexpr, expr, set_id);
		break;
	case RULESET_PATH_MSS:
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_RT_KEY, NFT_RT_TCPMSS);
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_RT_DREG, batch_reg_number(expr->reg));
		break;
	case RULESET_SWAP16:
		fill_swap(nexpr, expr);
		break;
	case RULESET_SET_MSS:
		fill_mss(nexpr, expr);
		break;
	case RULESET_SNAT:
		fill_snat(nexpr, expr);
		break;
	case RULESET_VERDICT:
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
		nftnl_expr_set_u32(nexpr, NFTNL_EXPR_IMM_VERDICT, expr->key);
		break;
	case RULESET_COUNTER:
	case RULESET_MASQUERADE:
	case RULESET_OTHER:
		break; /* no attributes */
	}
}

/* Sets are made in the same transaction, so rules name them by their number in it. */
static uint32_t set_id_of(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; ruleset && i < ruleset->n_sets; i++)
		if (strcmp(ruleset->sets[i].name, name) == 0)
			return (uint32_t)i + 1;
	return 0;
}

static void fill_rule(struct nftnl_rule *nrule, const struct ruleset_rule *rule,
		      const struct ruleset *ruleset)
{
	struct nftnl_udata_buf *udata;

	for (size_t i = 0; i < rule->n_exprs; i++) {
		const struct ruleset_expr *expr = &rule->exprs[i];
		struct nftnl_expr *nexpr = MUST(nftnl_expr_alloc(expr_name(expr)));

		fill_expr(nexpr, expr, set_id_of(ruleset, expr->set));
		nftnl_rule_add_expr(nrule, nexpr);
	}
	if (!rule->comment[0])
		return;
	udata = MUST(nftnl_udata_buf_alloc(UDATA_ROOM));
	nftnl_udata_put_strz(udata, NFTNL_UDATA_RULE_COMMENT, rule->comment);
	nftnl_rule_set_data(nrule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(udata),
			    nftnl_udata_buf_len(udata));
	nftnl_udata_buf_free(udata);
}

static void put_rule(struct batch *batch, uint8_t family, const char *table, const char *chain,
		     const struct ruleset_rule *rule, const struct ruleset *ruleset)
{
	struct nftnl_rule *nrule = MUST(nftnl_rule_alloc());
	/* without NLM_F_APPEND the rule becomes the first of its chain */
	struct nlmsghdr *msg = put_msg(batch, NFT_MSG_NEWRULE, family,
				       ruleset ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE);

	nftnl_rule_set_str(nrule, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(nrule, NFTNL_RULE_CHAIN, chain);
	fill_rule(nrule, rule, ruleset);
	nftnl_rule_nlmsg_build_payload(msg, nrule);
	end_msg(batch, msg);
	nftnl_rule_free(nrule);
}

void batch_add_rule(struct batch *batch, uint8_t family, const char *table, const char *chain,
		    const struct ruleset_rule *rule)
{
	put_rule(batch, family, table, chain, rule, NULL);
}

void batch_add_rule_removal(struct batch *batch, uint8_t family, const char *table,
			    const char *chain, uint64_t handle)
{
	struct nftnl_rule *nrule = MUST(nftnl_rule_alloc());
	struct nlmsghdr *msg = put_msg(batch, NFT_MSG_DELRULE, family, 0);

	nftnl_rule_set_str(nrule, NFTNL_RULE_TABLE, table);
	nftnl_rule_set_str(nrule, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_set_u64(nrule, NFTNL_RULE_HANDLE, handle);
	nftnl_rule_nlmsg_build_payload(msg, nrule);
	end_msg(batch, msg);
	nftnl_rule_free(nrule);
}

void batch_add_removal(struct batch *batch)
{
	put_table(batch, NFT_MSG_DELTABLE, RULESET_TABLE, 0);
}

static void put_chains(struct batch *batch, const char *table, const struct ruleset *desired)
{
	for (size_t i = 0; i < desired->n_chains; i++)
		put_chain(batch, table, &desired->chains[i]);
	for (size_t i = 0; i < desired->n_chains; i++)
		for (size_t k = 0; k < desired->chains[i].n_rules; k++)
			put_rule(batch, NFPROTO_INET, table, desired->chains[i].name,
				 &desired->chains[i].rules[k], desired);
}

void batch_add_owned(struct batch *batch, const char *name, const struct ruleset *desired)
{
	JACO_ASSERT(desired->n_sets == 0);
	put_table(batch, NFT_MSG_NEWTABLE, name, TABLE_OWNER);
	put_chains(batch, name, desired);
}

void batch_add_replacement(struct batch *batch, const struct ruleset *desired)
{
	put_table(batch, NFT_MSG_NEWTABLE, RULESET_TABLE,
		  0); /* so that the deletion always finds one */
	put_table(batch, NFT_MSG_DELTABLE, RULESET_TABLE, 0);
	put_table(batch, NFT_MSG_NEWTABLE, RULESET_TABLE, 0);
	for (size_t i = 0; i < desired->n_sets; i++)
		put_set(batch, &desired->sets[i], (uint32_t)i + 1);
	for (size_t i = 0; i < desired->n_sets; i++)
		put_elems(batch, &desired->sets[i]);
	put_chains(batch, RULESET_TABLE, desired);
}

void batch_add_changes(struct batch *batch, const struct plan *plan)
{
	struct elems elems = {.batch = batch};

	JACO_ASSERT(!plan->is_replacement);
	for (size_t i = 0; i < plan->n_changes; i++) {
		const struct plan_change *change = &plan->changes[i];
		uint16_t type = change->is_removal ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM;

		if (elems.set != change->set || elems.type != type)
			flush_elems(&elems);
		elems.set = change->set;
		elems.type = type;
		add_elem(&elems, change->elem);
	}
	flush_elems(&elems);
}
