/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.c - see engine.h. */
#include "daemons/fwd-nft/engine.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/fwd-nft/batch.h"
#include "daemons/fwd-nft/readback.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

#define IP_SADDR 12 /* RFC 791 section 3.1 */
#define IP_DADDR 16

enum direction { FROM_MESH, TO_MESH, N_DIRECTIONS };

enum kind {
	KIND_FILTER, /* both directions, always */
	KIND_RAW,    /* only FROM_MESH, and only when the engine drops addresses of ours there */
	KIND_NAT,    /* only TO_MESH, and only when the engine changes addresses of ours there */
};

/* Where which engine does what to packets. */
static const struct place {
	uint8_t family;
	const char *table;
	const char *chain;
	enum kind kind;
} places[] = {
	{NFPROTO_IPV4, "filter", "DOCKER-USER", KIND_FILTER}, /* iptables-nft, all versions */
	{NFPROTO_IPV4, "raw", "PREROUTING", KIND_RAW},        /* iptables-nft, 28 and later */
	{NFPROTO_IPV4, "docker-bridges", "filter-FORWARD", KIND_FILTER}, /* nftables backend, 29 */
	{NFPROTO_IPV4, "docker-bridges", "raw-PREROUTING", KIND_RAW},
	{NFPROTO_IPV4, "nat", "POSTROUTING", KIND_NAT},      /* netavark's iptables backend */
	{NFPROTO_INET, "netavark", "POSTROUTING", KIND_NAT}, /* and its nftables backend */
};

bool engine_is_table(uint8_t family, const char *table)
{
	for (size_t i = 0; i < JACO_ARRAY_SIZE(places); i++)
		if (places[i].family == family && jaco_str_eq(places[i].table, table))
			return true;
	return false;
}

static struct ruleset_expr *add_expr(struct ruleset_rule *rule, enum ruleset_op op)
{
	struct ruleset_expr *expr = &rule->exprs[rule->n_exprs++];

	*expr = (struct ruleset_expr){.op = op};
	return expr;
}

/* As iptables-nft writes -i/-o and -s/-d. */
static void make_rule(struct ruleset_rule *rule, enum direction direction,
		      const struct engine_want *want)
{
	uint32_t mask = htonl(jaco_cidr_mask(want->pool.bits));
	uint32_t net = htonl(jaco_cidr_network(want->pool).addr);
	struct ruleset_expr *expr;

	*rule = (struct ruleset_rule){.n_exprs = 0};
	expr = add_expr(rule, RULESET_META);
	expr->key = direction == FROM_MESH ? NFT_META_IIFNAME : NFT_META_OIFNAME;
	expr->len = IFNAMSIZ;
	expr = add_expr(rule, RULESET_CMP);
	expr->len = IFNAMSIZ;
	memcpy(expr->data, want->mesh, strnlen(want->mesh, IFNAMSIZ - 1));
	expr = add_expr(rule, RULESET_PAYLOAD);
	expr->key = direction == FROM_MESH ? IP_DADDR : IP_SADDR;
	expr->len = 4;
	expr = add_expr(rule, RULESET_MASK);
	expr->len = 4;
	memcpy(expr->data, &mask, 4);
	expr = add_expr(rule, RULESET_CMP);
	expr->len = 4;
	memcpy(expr->data, &net, 4);
	add_expr(rule, RULESET_COUNTER);
	add_expr(rule, RULESET_VERDICT)->key = NF_ACCEPT;
	(void)jaco_str_copy(rule->comment, sizeof(rule->comment), ENGINE_COMMENT);
}

static bool is_ours(const struct ruleset_rule *rule)
{
	return jaco_str_eq(rule->comment, ENGINE_COMMENT);
}

static bool is_same(const struct ruleset_rule *a, const struct ruleset_rule *b)
{
	if (a->n_exprs != b->n_exprs)
		return false;
	for (size_t i = 0; i < a->n_exprs; i++)
		if (a->exprs[i].op != b->exprs[i].op || a->exprs[i].key != b->exprs[i].key ||
		    a->exprs[i].invert != b->exprs[i].invert ||
		    memcmp(a->exprs[i].data, b->exprs[i].data, sizeof(a->exprs[i].data)) != 0)
			return false;
	return true;
}

/* Is the address at @offset compared with something inside @pool?  iptables-nft loads and compares
 * only as many bytes as the prefix has. */
static bool is_about(const struct ruleset_rule *rule, uint32_t offset, struct jaco_cidr pool)
{
	bool is_loaded = false, is_inside = false;
	uint32_t address;

	for (size_t i = 0; i < rule->n_exprs; i++) {
		const struct ruleset_expr *expr = &rule->exprs[i];

		if (expr->op == RULESET_CMP && is_loaded && expr->len <= 4 && !expr->invert) {
			memcpy(&address, expr->data, 4); /* the rest is zero */
			is_inside = jaco_cidr_contains(pool, ntohl(address));
		}
		if (expr->op != RULESET_MASK)
			is_loaded = expr->op == RULESET_PAYLOAD && expr->key == offset &&
				    expr->len <= 4;
	}
	return is_inside;
}

/* The verdict the rule ends with; -1: another end, a jump for instance. */
static int64_t verdict_of(const struct ruleset_rule *rule)
{
	const struct ruleset_expr *last = rule->n_exprs ? &rule->exprs[rule->n_exprs - 1] : NULL;

	return last && last->op == RULESET_VERDICT ? (int64_t)last->key : -1;
}

bool engine_drops_ours(const struct ruleset_chain *chain, struct jaco_cidr pool)
{
	for (size_t i = 0; i < chain->n_rules; i++)
		if (!is_ours(&chain->rules[i]) && verdict_of(&chain->rules[i]) == NF_DROP &&
		    is_about(&chain->rules[i], IP_DADDR, pool))
			return true;
	return false;
}

bool engine_translates_ours(const struct ruleset_chain *chain, struct jaco_cidr pool)
{
	for (size_t i = 0; i < chain->n_rules; i++)
		if (!is_ours(&chain->rules[i]) && verdict_of(&chain->rules[i]) < 0 &&
		    is_about(&chain->rules[i], IP_SADDR, pool))
			return true;
	return false;
}

static bool wants(const struct place *place, enum direction direction,
		  const struct ruleset_chain *chain, struct jaco_cidr pool)
{
	switch (place->kind) {
	case KIND_FILTER:
		return true;
	case KIND_RAW:
		return direction == FROM_MESH && engine_drops_ours(chain, pool);
	case KIND_NAT:
		return direction == TO_MESH && engine_translates_ours(chain, pool);
	}
	JACO_UNREACHABLE();
}

/* What must change in one chain, into @batch. */
static void plan_chain(struct batch *batch, const struct place *place,
		       const struct ruleset_chain *chain, const struct engine_want *want)
{
	bool is_wanted[N_DIRECTIONS], is_there[N_DIRECTIONS] = {false};
	struct ruleset_rule rules[N_DIRECTIONS] = {0};

	for (int i = 0; i < N_DIRECTIONS; i++) {
		is_wanted[i] = want->mesh && wants(place, i, chain, want->pool);
		if (is_wanted[i])
			make_rule(&rules[i], i, want);
	}
	for (size_t i = 0; i < chain->n_rules; i++) {
		bool keep = false;

		if (!is_ours(&chain->rules[i]))
			continue;
		for (int k = 0; k < N_DIRECTIONS && !keep; k++)
			if (is_wanted[k] && !is_there[k] && is_same(&chain->rules[i], &rules[k]))
				keep = is_there[k] = true;
		if (!keep)
			batch_add_rule_removal(batch, place->family, place->table, place->chain,
					       chain->rules[i].handle);
	}
	for (int i = 0; i < N_DIRECTIONS; i++)
		if (is_wanted[i] && !is_there[i])
			batch_add_rule(batch, place->family, place->table, place->chain, &rules[i]);
}

static int assert_place(struct jaco_netlink *nl, const struct place *place,
			const struct engine_want *want, unsigned *changed, struct jaco_err *err)
{
	struct ruleset_chain chain = {.rules = NULL};
	jaco_auto(batch) struct batch batch = BATCH_INIT;
	bool exists = false;
	int rc;

	(void)jaco_str_copy(chain.name, sizeof(chain.name), place->chain); /* constants */
	rc = readback_chain(nl, place->family, place->table, &chain, &exists, err);
	if (rc == 0 && exists) {
		batch_begin(&batch, nl->seq + 1);
		plan_chain(&batch, place, &chain, want);
	}
	jaco_free(chain.rules);
	if (rc < 0 || batch.n_messages == 0)
		return rc;
	*changed += (unsigned)batch.n_messages;
	batch_end(&batch);
	nl->seq = batch.seq;
	return jaco_netlink_transact(nl, batch.bytes.data, batch.bytes.n, NULL, err);
}

int engine_assert(struct jaco_netlink *nl, const struct engine_want *want, unsigned *out_changed,
		  struct jaco_err *err)
{
	unsigned changed = 0;

	for (size_t i = 0; i < JACO_ARRAY_SIZE(places); i++)
		if (assert_place(nl, &places[i], want, &changed, err) < 0)
			return jaco_err_wrap(err, "engine chain %s %s", places[i].table,
					     places[i].chain);
	*out_changed = changed;
	return 0;
}
