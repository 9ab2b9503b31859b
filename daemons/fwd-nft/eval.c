/* SPDX-License-Identifier: Apache-2.0
 *
 * eval.c - a very small nf_tables virtual machine. */
#include "daemons/fwd-nft/eval.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "libjaco/base/str.h"

struct machine {
	const struct ruleset *ruleset;
	const struct eval_packet *packet;
	uint8_t regs[RULESET_REGS * 4];
};

enum step { STEP_NEXT, STEP_BREAK, STEP_STOP };

/* Registers @word.. of @n bytes, or NULL when that is outside. */
static uint8_t *reg_at(struct machine *machine, uint8_t word, size_t n)
{
	return word < RULESET_REGS && word * 4u + n <= sizeof(machine->regs) ?
		       machine->regs + word * 4u : NULL;
}

static void load_header(const struct eval_packet *packet, uint8_t header[static 40])
{
	uint32_t address;

	memset(header, 0, 40);
	if (packet->family == NFPROTO_IPV6) {
		memcpy(header + 8, packet->source6, sizeof(packet->source6));
		return;
	}
	address = htonl(packet->source);
	memcpy(header + 12, &address, sizeof(address));
	address = htonl(packet->destination);
	memcpy(header + 16, &address, sizeof(address));
}

static enum step step_load(struct machine *machine, const struct ruleset_expr *expr)
{
	size_t room = (expr->len + 3u) / 4 * 4;
	uint8_t *reg = reg_at(machine, expr->reg, room ? room : 4), header[40];
	uint32_t state;

	if (!reg)
		return STEP_STOP;
	memset(reg, 0, room ? room : 4); /* the kernel clears the rest of the last word too */
	if (expr->op == RULESET_CT_STATE) {
		state = machine->packet->is_known ? NF_CT_STATE_BIT(IP_CT_ESTABLISHED) :
						    NF_CT_STATE_BIT(IP_CT_NEW);
		memcpy(reg, &state, sizeof(state));
	} else if (expr->op == RULESET_PAYLOAD) {
		if (expr->key + expr->len > sizeof(header))
			return STEP_STOP;
		load_header(machine->packet, header);
		memcpy(reg, header + expr->key, expr->len);
	} else if (expr->key == NFT_META_NFPROTO) {
		reg[0] = machine->packet->family;
	} else if (expr->key == NFT_META_L4PROTO) {
		return STEP_BREAK;
	} else if (expr->key == NFT_META_IIFNAME) {
		memcpy(reg, machine->packet->in, IFNAMSIZ);
	} else if (expr->key == NFT_META_OIFNAME) {
		memcpy(reg, machine->packet->out, IFNAMSIZ);
	} else {
		return STEP_STOP;
	}
	return STEP_NEXT;
}

static bool is_in_intervals(const struct ruleset_set *set, const uint8_t *key)
{
	bool inside = false;

	for (size_t i = 0; i < set->n_elems; i++) {
		if (memcmp(set->elems[i].key, key, set->key_bytes) > 0)
			break;
		inside = !set->elems[i].is_end;
	}
	return inside;
}

static enum step step_lookup(struct machine *machine, const struct ruleset_expr *expr)
{
	const struct ruleset_set *set = ruleset_find_set(machine->ruleset, expr->set);
	const uint8_t *key = set ? reg_at(machine, expr->reg, set->key_bytes) : NULL;
	bool found;

	if (!key || set->key_bytes == 0)
		return STEP_STOP;
	found = set->is_interval ? is_in_intervals(set, key) :
				   ruleset_find_elem(set, key, set->key_bytes) != NULL;
	return found != expr->invert ? STEP_NEXT : STEP_BREAK;
}

static enum step step_map(struct machine *machine, const struct ruleset_expr *expr)
{
	const struct ruleset_set *map = ruleset_find_set(machine->ruleset, expr->set);
	const uint8_t *key = map && map->is_map ? reg_at(machine, expr->reg, map->key_bytes) : NULL;
	uint8_t *to = reg_at(machine, expr->dreg, sizeof(map->elems->data));
	const struct ruleset_elem *elem;

	if (!key || !to || map->key_bytes == 0)
		return STEP_STOP;
	elem = ruleset_find_elem(map, key, map->key_bytes);
	if (!elem)
		return STEP_BREAK;
	memcpy(to, &elem->data, sizeof(elem->data));
	return STEP_NEXT;
}

static enum step step_mask(struct machine *machine, const struct ruleset_expr *expr)
{
	uint8_t *from = reg_at(machine, expr->reg, expr->len);
	uint8_t *to = reg_at(machine, expr->dreg, expr->len);

	if (!from || !to || expr->len > sizeof(expr->data))
		return STEP_STOP;
	for (size_t i = 0; i < expr->len; i++)
		to[i] = from[i] & expr->data[i];
	return STEP_NEXT;
}

static enum step step_cmp(struct machine *machine, const struct ruleset_expr *expr)
{
	const uint8_t *reg = reg_at(machine, expr->reg, expr->len);

	if (!reg || expr->len > sizeof(expr->data))
		return STEP_STOP;
	return (memcmp(reg, expr->data, expr->len) == 0) != expr->invert ? STEP_NEXT : STEP_BREAK;
}

/* STEP_STOP: the rule decides; *@out_result says what. */
static enum step step(struct machine *machine, const struct ruleset_expr *expr,
		      enum eval_result *out_result)
{
	*out_result = EVAL_UNKNOWN;
	switch (expr->op) {
	case RULESET_META:
	case RULESET_PAYLOAD:
	case RULESET_CT_STATE:
		return step_load(machine, expr);
	case RULESET_MASK:
		return step_mask(machine, expr);
	case RULESET_CMP:
		return step_cmp(machine, expr);
	case RULESET_LOOKUP:
		return step_lookup(machine, expr);
	case RULESET_MAP:
		return step_map(machine, expr);
	case RULESET_TRANSPORT:
		return STEP_BREAK; /* a packet here is its addresses */
	case RULESET_PATH_MSS:
	case RULESET_SWAP16:
	case RULESET_SET_MSS:
	case RULESET_COUNTER:
		return STEP_NEXT;
	case RULESET_VERDICT:
		*out_result = expr->key == NF_ACCEPT ? EVAL_ACCEPTED :
			      expr->key == NF_DROP   ? EVAL_DROPPED :
						       EVAL_UNKNOWN;
		return STEP_STOP;
	case RULESET_SNAT:
	case RULESET_MASQUERADE:
		*out_result = EVAL_MASQUERADED;
		return STEP_STOP;
	case RULESET_OTHER:
		return STEP_STOP;
	}
	return STEP_STOP;
}

struct eval_verdict eval_chain(const struct ruleset *ruleset, const struct ruleset_chain *chain,
			       const struct eval_packet *packet)
{
	struct eval_verdict verdict = {.chain = chain};

	for (size_t i = 0; i < chain->n_rules; i++) {
		struct machine machine = {.ruleset = ruleset, .packet = packet};
		enum step next = STEP_NEXT;

		for (size_t k = 0; k < chain->rules[i].n_exprs && next == STEP_NEXT; k++)
			next = step(&machine, &chain->rules[i].exprs[k], &verdict.result);
		if (next != STEP_STOP)
			continue;
		verdict.rule = &chain->rules[i];
		return verdict;
	}
	verdict.result = chain->policy == NF_DROP ? EVAL_DROPPED : EVAL_ACCEPTED;
	return verdict;
}

struct eval_verdict eval_path(const struct ruleset *ruleset, const struct eval_packet *packet,
			      bool is_local)
{
	const char *const path[] = {"prerouting", is_local ? "input" : "forward"};
	struct eval_verdict verdict = {.result = EVAL_UNKNOWN};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(path); i++) {
		const struct ruleset_chain *chain = ruleset_find_chain(ruleset, path[i]);

		if (!chain)
			return (struct eval_verdict){.result = EVAL_UNKNOWN};
		verdict = eval_chain(ruleset, chain, packet);
		if (verdict.result != EVAL_ACCEPTED)
			break;
	}
	return verdict;
}
