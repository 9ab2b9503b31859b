/* SPDX-License-Identifier: Apache-2.0
 *
 * rules.c - see rules.h.
 *
 * Why the order in forward and input is: same scope, then pool to pool, then the rest.  A packet
 * inside the pool is judged by its addresses alone, never by conntrack, so a connection that was
 * opened while no table was loaded, or by an earlier owner of an address, does not outlive the rule
 * that forbids it; it is also cheaper (a state match costs more than the look-up, measured). */
#include "daemons/fwd-nft/rules.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "libjaco/base/assert.h"
#include "libjaco/base/str.h"

/* Offsets of addresses: RFC 791 section 3.1, RFC 8200 section 3. */
#define IP_SADDR  12
#define IP_DADDR  16
#define IP6_SADDR 8

#define STATE_KNOWN (NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED))

#define PRIORITY_FILTER (-5) /* filter - 5: before the engine's and the host's filters */
#define PRIORITY_RAW    (-300)
#define PRIORITY_SRCNAT 100
#define PRIORITY_MANGLE (-150)

#define TCP_FLAGS    13 /* offset, RFC 9293 section 3.1 */
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04

static struct ruleset_expr *add_expr(struct ruleset_rule *rule, enum ruleset_op op)
{
	JACO_ASSERT(rule->n_exprs < RULESET_EXPRS_MAX);
	rule->exprs[rule->n_exprs] = (struct ruleset_expr){.op = op};
	return &rule->exprs[rule->n_exprs++];
}

static void add_meta(struct ruleset_rule *rule, uint32_t key, uint8_t reg, uint8_t len)
{
	struct ruleset_expr *expr = add_expr(rule, RULESET_META);

	expr->key = key;
	expr->reg = reg;
	expr->len = len;
}

static void add_cmp(struct ruleset_rule *rule, uint8_t reg, bool invert, const void *data,
		    uint8_t len)
{
	struct ruleset_expr *expr = add_expr(rule, RULESET_CMP);

	expr->reg = reg;
	expr->len = len;
	expr->invert = invert;
	memcpy(expr->data, data, len);
}

static void add_family(struct ruleset_rule *rule, uint8_t family)
{
	add_meta(rule, NFT_META_NFPROTO, 0, 1);
	add_cmp(rule, 0, false, &family, 1);
}

static void add_mask(struct ruleset_rule *rule, uint8_t reg, const void *mask, uint8_t len)
{
	struct ruleset_expr *expr = add_expr(rule, RULESET_MASK);

	expr->reg = expr->dreg = reg;
	expr->len = len;
	memcpy(expr->data, mask, len);
}

static void add_address(struct ruleset_rule *rule, uint32_t offset, uint8_t reg, uint8_t bits)
{
	struct ruleset_expr *expr = add_expr(rule, RULESET_PAYLOAD);
	uint32_t mask = htonl(jaco_cidr_mask(bits));

	expr->key = offset;
	expr->reg = reg;
	expr->len = 4;
	if (bits < 32)
		add_mask(rule, reg, &mask, 4);
}

static void add_lookup(struct ruleset_rule *rule, const char *set, uint8_t reg, bool invert)
{
	struct ruleset_expr *expr = add_expr(rule, RULESET_LOOKUP);

	expr->reg = reg;
	expr->invert = invert;
	(void)jaco_str_copy(expr->set, sizeof(expr->set), set); /* our own short names */
}

static void add_verdict(struct ruleset_rule *rule, uint32_t verdict)
{
	if (verdict == NF_DROP)
		add_expr(rule, RULESET_COUNTER);
	add_expr(rule, RULESET_VERDICT)->key = verdict;
}

static void set_comment(struct ruleset_rule *rule, const char *text)
{
	(void)jaco_str_copy(rule->comment, sizeof(rule->comment), text); /* constants, all short */
}

/* "port", or "port_22" for a length other than the configured one. */
void rules_set_name(char out[static RULESET_NAME_BYTES], const char *stem,
		       const struct rules_lengths *lengths, size_t i)
{
	bool fits = i == 0 ? jaco_str_copy(out, RULESET_NAME_BYTES, stem) :
			     jaco_str_format(out, RULESET_NAME_BYTES, "%s_%u", stem,
					     lengths->bits[i]);

	JACO_ASSERT(fits);
}

/* "same_scope", or "same_scope_24_22" for source and destination of other lengths. */
void rules_pair_name(char out[static RULESET_NAME_BYTES], const struct rules_lengths *lengths,
		     size_t s, size_t d)
{
	bool fits = s == 0 && d == 0 ? jaco_str_copy(out, RULESET_NAME_BYTES, "same_scope") :
				       jaco_str_format(out, RULESET_NAME_BYTES,
						       "same_scope_%u_%u", lengths->bits[s],
						       lengths->bits[d]);

	JACO_ASSERT(fits);
}

static void add_same_scope(struct ruleset_chain *chain, const struct rules_lengths *lengths)
{
	char name[RULESET_NAME_BYTES];

	for (size_t s = 0; s < lengths->n; s++) {
		for (size_t d = 0; d < lengths->n; d++) {
			struct ruleset_rule *rule = ruleset_add_rule(chain);

			add_family(rule, NFPROTO_IPV4);
			add_address(rule, IP_SADDR, 0, lengths->bits[s]);
			add_address(rule, IP_DADDR, 1, lengths->bits[d]);
			rules_pair_name(name, lengths, s, d);
			add_lookup(rule, name, 0, false);
			add_verdict(rule, NF_ACCEPT);
			set_comment(rule, "same scope");
		}
	}
}

/* Between a container's address of one network and the other nodes' subnets of another of its
 * networks; what is a question becomes right in postrouting (ruleset.h). */
static void add_reach(struct ruleset_chain *chain, const struct rules_lengths *lengths)
{
	char name[RULESET_NAME_BYTES];

	for (size_t i = 0; i < 2 * lengths->n; i++) {
		struct ruleset_rule *rule = ruleset_add_rule(chain);
		bool is_back = i % 2;
		uint8_t bits = lengths->bits[i / 2];

		add_family(rule, NFPROTO_IPV4);
		add_address(rule, IP_SADDR, 0, is_back ? bits : 32);
		add_address(rule, IP_DADDR, 1, is_back ? 32 : bits);
		rules_set_name(name, is_back ? "reach_back" : "reach", lengths, i / 2);
		add_lookup(rule, name, 0, false);
		add_verdict(rule, NF_ACCEPT);
		set_comment(rule, is_back ? "answer to a container of two networks"
					  : "container of two networks");
	}
}

static void add_other_scope(struct ruleset_chain *chain)
{
	struct ruleset_rule *rule = ruleset_add_rule(chain);

	add_family(rule, NFPROTO_IPV4);
	add_address(rule, IP_SADDR, 0, 32);
	add_lookup(rule, "pool", 0, false);
	add_lookup(rule, "nodes", 0, true);
	add_address(rule, IP_DADDR, 0, 32);
	add_lookup(rule, "pool", 0, false);
	add_lookup(rule, "nodes", 0, true);
	add_verdict(rule, NF_DROP);
	set_comment(rule, "another scope");
}

static void add_internal(struct ruleset_chain *chain, const struct rules_lengths *lengths)
{
	static const uint32_t known = STATE_KNOWN, none = 0;
	char name[RULESET_NAME_BYTES];

	for (size_t i = 0; i < lengths->n; i++) {
		struct ruleset_rule *rule = ruleset_add_rule(chain);

		add_family(rule, NFPROTO_IPV4);
		add_address(rule, IP_SADDR, 0, lengths->bits[i]);
		rules_set_name(name, "internal", lengths, i);
		add_lookup(rule, name, 0, false);
		add_expr(rule, RULESET_CT_STATE);
		add_mask(rule, 0, &known, 4);
		add_cmp(rule, 0, false, &none, 4);
		add_verdict(rule, NF_DROP);
		set_comment(rule, "internal network, outside its scope");
	}
}

static struct ruleset_chain *add_base(struct ruleset *ruleset, const char *name, const char *type,
				      uint32_t hook, int32_t priority)
{
	struct ruleset_chain *chain = ruleset_add_chain(ruleset, name);

	(void)jaco_str_copy(chain->type, sizeof(chain->type), type);
	chain->hook = hook;
	chain->priority = priority;
	chain->policy = NF_ACCEPT;
	return chain;
}

static void add_antispoof(struct ruleset_chain *chain, const struct rules_lengths *lengths)
{
	static const uint8_t link_mask[16] = {0xff, 0xc0}, link_local[16] = {0xfe, 0x80};
	struct ruleset_rule *rule = ruleset_add_rule(chain);
	struct ruleset_expr *expr;
	char name[RULESET_NAME_BYTES];

	add_family(rule, NFPROTO_IPV4);
	add_meta(rule, NFT_META_IIFNAME, 0, IFNAMSIZ);
	add_lookup(rule, "bridges", 0, false);
	for (size_t i = 0; i < lengths->n; i++) {
		add_address(rule, IP_SADDR, 4, lengths->bits[i]);
		rules_set_name(name, "port", lengths, i);
		add_lookup(rule, name, 0, true);
	}
	add_address(rule, IP_SADDR, 4, 32);
	add_lookup(rule, "homes", 0, true);
	add_verdict(rule, NF_DROP);
	set_comment(rule, "source is not of this bridge");

	/* No container has an IPv6 address yet, so only link-local sources (RFC 4291 section 2.5.6)
	 * can be honest. */
	rule = ruleset_add_rule(chain);
	add_family(rule, NFPROTO_IPV6); /* first: an IPv4 packet then costs no second look-up */
	add_meta(rule, NFT_META_IIFNAME, 0, IFNAMSIZ);
	add_lookup(rule, "bridges", 0, false);
	expr = add_expr(rule, RULESET_PAYLOAD);
	expr->key = IP6_SADDR;
	expr->len = sizeof(link_mask);
	add_mask(rule, 0, link_mask, sizeof(link_mask));
	add_cmp(rule, 0, true, link_local, sizeof(link_local));
	add_verdict(rule, NF_DROP);
	set_comment(rule, "source is not of this bridge");
}

static void add_masquerade(struct ruleset_chain *chain, const struct rules_lengths *lengths)
{
	struct ruleset_rule *rule = ruleset_add_rule(chain);
	char name[RULESET_NAME_BYTES];

	add_family(rule, NFPROTO_IPV4);
	add_address(rule, IP_SADDR, 0, 32);
	add_lookup(rule, "pool", 0, false);
	add_address(rule, IP_DADDR, 0, 32);
	add_lookup(rule, "pool", 0, true);
	/* what is switched inside a bridge (multicast, with br_netfilter) keeps its source */
	add_meta(rule, NFT_META_OIFNAME, 0, IFNAMSIZ);
	add_lookup(rule, "bridges", 0, true);
	for (size_t i = 0; i < lengths->n; i++) {
		add_address(rule, IP_SADDR, 0, lengths->bits[i]);
		rules_set_name(name, "internal", lengths, i);
		add_lookup(rule, name, 0, true);
	}
	add_expr(rule, RULESET_MASQUERADE);
	set_comment(rule, "from containers to the world");
}

static void add_reach_as(struct ruleset_chain *chain, const struct rules_lengths *lengths)
{
	char name[RULESET_NAME_BYTES];

	for (size_t i = 0; i < lengths->n; i++) {
		struct ruleset_rule *rule = ruleset_add_rule(chain);
		struct ruleset_expr *expr;

		add_family(rule, NFPROTO_IPV4);
		add_address(rule, IP_DADDR, 0, lengths->bits[i]);
		add_address(rule, IP_SADDR, 1, 32);
		rules_set_name(name, "reach_as", lengths, i);
		add_lookup(rule, name, 0, false);
		expr = &rule->exprs[rule->n_exprs - 1];
		expr->op = RULESET_MAP;
		expr->dreg = 0;
		add_expr(rule, RULESET_SNAT)->reg = 0;
		set_comment(rule, "container of two networks");
	}
}

/* RFC 9293 section 3.7.1: the path through a tunnel is narrower than the container's interface. */
static void add_clamp(struct ruleset_chain *chain, const char *mesh)
{
	static const uint8_t flags = TCP_FLAG_SYN | TCP_FLAG_RST, syn = TCP_FLAG_SYN,
			     tcp = IPPROTO_TCP;
	struct ruleset_rule *rule = ruleset_add_rule(chain);
	char name[IFNAMSIZ] = "";
	struct ruleset_expr *expr;

	(void)jaco_str_copy(name, sizeof(name), mesh); /* bounded when the configuration was read */
	add_meta(rule, NFT_META_OIFNAME, 0, IFNAMSIZ);
	add_cmp(rule, 0, false, name, IFNAMSIZ);
	add_meta(rule, NFT_META_L4PROTO, 0, 1);
	add_cmp(rule, 0, false, &tcp, 1);
	expr = add_expr(rule, RULESET_TRANSPORT);
	expr->key = TCP_FLAGS;
	expr->len = 1;
	add_mask(rule, 0, &flags, 1);
	add_cmp(rule, 0, false, &syn, 1);
	add_expr(rule, RULESET_PATH_MSS);
	add_expr(rule, RULESET_SWAP16);
	add_expr(rule, RULESET_SET_MSS);
	set_comment(rule, "segments fit the mesh");
}

void rules_add_chains(struct ruleset *ruleset, const struct rules_lengths *lengths,
		      const char *mesh)
{
	static const struct {
		const char *name;
		uint32_t hook;
	} filters[] = {{"forward", NF_INET_FORWARD}, {"input", NF_INET_LOCAL_IN}};
	struct ruleset_chain *chain;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(filters); i++) {
		chain = add_base(ruleset, filters[i].name, "filter",
						       filters[i].hook, PRIORITY_FILTER);

		add_same_scope(chain, lengths);
		if (filters[i].hook == NF_INET_FORWARD)
			add_reach(chain, lengths);
		add_other_scope(chain);
		add_internal(chain, lengths);
	}
	add_antispoof(add_base(ruleset, "prerouting", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW),
		      lengths);
	chain = add_base(ruleset, "postrouting", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
	add_reach_as(chain, lengths);
	add_masquerade(chain, lengths);
	if (mesh)
		add_clamp(add_base(ruleset, "clamp", "filter", NF_INET_FORWARD, PRIORITY_MANGLE),
			  mesh);
}
