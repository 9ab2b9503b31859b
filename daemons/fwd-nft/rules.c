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
void rules_pair_name(char out[static RULESET_NAME_BYTES], const struct rules_lengths *lengths, size_t s,
		      size_t d)
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

void rules_add_chains(struct ruleset *ruleset, const struct rules_lengths *lengths)
{
	static const struct {
		const char *name;
		uint32_t hook;
	} filters[] = {{"forward", NF_INET_FORWARD}, {"input", NF_INET_LOCAL_IN}};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(filters); i++) {
		struct ruleset_chain *chain = add_base(ruleset, filters[i].name, "filter",
						       filters[i].hook, PRIORITY_FILTER);

		add_same_scope(chain, lengths);
		add_other_scope(chain);
		add_internal(chain, lengths);
	}
	add_antispoof(add_base(ruleset, "prerouting", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW),
		      lengths);
	add_masquerade(add_base(ruleset, "postrouting", "nat", NF_INET_POST_ROUTING,
				PRIORITY_SRCNAT), lengths);
}
