/* SPDX-License-Identifier: Apache-2.0
 *
 * render.c - prints registers the way nft(8) does: each register remembers the text of what was
 * loaded into it, and the expression that consumes it prints that text.  A combination nft has no
 * word for is printed all the same, in its style. */
#include "daemons/fwd-nft/render.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <string.h>

#include "libjaco/base/str.h"

#define REG_TEXT 160

/* What each register was filled with, and how many bytes from its first word. */
struct regs {
	char text[RULESET_REGS][REG_TEXT];
	uint8_t bytes[RULESET_REGS];
	uint8_t family; /* after meta nfproto: the match itself is not printed, as in nft */
};

static const char *hook_name(uint32_t hook)
{
	static const char *const names[] = {
		[NF_INET_PRE_ROUTING] = "prerouting", [NF_INET_LOCAL_IN] = "input",
		[NF_INET_FORWARD] = "forward",        [NF_INET_LOCAL_OUT] = "output",
		[NF_INET_POST_ROUTING] = "postrouting",
	};

	return hook < JACO_ARRAY_SIZE(names) ? names[hook] : "unknown";
}

static void priority_text(char out[static 32], const struct ruleset_chain *chain)
{
	if (chain->priority == -300)
		(void)jaco_str_copy(out, 32, "raw"); /* fits */
	else if (chain->priority == -150)
		(void)jaco_str_copy(out, 32, "mangle");
	else if (chain->priority == 100 && chain->hook == NF_INET_POST_ROUTING)
		(void)jaco_str_copy(out, 32, "srcnat");
	else if (chain->priority >= -10 && chain->priority < 0)
		(void)jaco_str_format(out, 32, "filter - %d", -chain->priority);
	else
		(void)jaco_str_format(out, 32, "%d", chain->priority);
}

void render_chain_head(struct jaco_buf *out, const struct ruleset_chain *chain)
{
	char priority[32];

	if (!chain->type[0])
		return;
	priority_text(priority, chain);
	jaco_buf_printf(out, "type %s hook %s priority %s; policy %s;", chain->type,
			hook_name(chain->hook), priority,
			chain->policy == NF_ACCEPT ? "accept" : "drop");
}

static void address_text(char out[static INET6_ADDRSTRLEN], int family, const uint8_t *bytes)
{
	if (!inet_ntop(family, bytes, out, INET6_ADDRSTRLEN))
		out[0] = '\0'; /* cannot: the room suffices */
}

static const char *meta_name(uint32_t key)
{
	switch (key) {
	case NFT_META_NFPROTO: return "meta nfproto";
	case NFT_META_L4PROTO: return "meta l4proto";
	case NFT_META_IIFNAME: return "iifname";
	case NFT_META_OIFNAME: return "oifname";
	case NFT_META_MARK: return "meta mark";
	default: return "meta unknown";
	}
}

static void payload_text(char *out, size_t room, const struct ruleset_expr *expr, uint8_t family)
{
	if (family == NFPROTO_IPV4 && expr->key == 12 && expr->len == 4)
		(void)jaco_str_copy(out, room, "ip saddr"); /* room for all of these */
	else if (family == NFPROTO_IPV4 && expr->key == 16 && expr->len == 4)
		(void)jaco_str_copy(out, room, "ip daddr");
	else if (family == NFPROTO_IPV6 && expr->key == 8 && expr->len == 16)
		(void)jaco_str_copy(out, room, "ip6 saddr");
	else
		(void)jaco_str_format(out, room, "@nh,%u,%u", expr->key * 8, expr->len * 8);
}

static void append_mask(struct regs *regs, const struct ruleset_expr *expr)
{
	char *text = regs->text[expr->dreg];
	size_t n = strlen(text);
	char mask[INET6_ADDRSTRLEN];

	if (strncmp(text, "ip6", 3) == 0) {
		/* printed by the comparison as a prefix length */
		return;
	}
	if (strncmp(text, "ip", 2) == 0) {
		address_text(mask, AF_INET, expr->data);
		(void)jaco_str_format(text + n, REG_TEXT - n, " & %s", mask);
	}
}

/* The texts of all fields that make up a key of @bytes from register @reg. */
static void key_text(struct jaco_buf *out, const struct regs *regs, uint8_t reg, uint8_t bytes)
{
	uint8_t done = 0;

	while (done < bytes && reg < RULESET_REGS) {
		uint8_t step = regs->bytes[reg] ? regs->bytes[reg] : 4;

		jaco_buf_printf(out, "%s%s", done ? " . " : "",
				regs->bytes[reg] ? regs->text[reg] : "?");
		done = (uint8_t)(done + step);
		reg = (uint8_t)(reg + (step + 3) / 4);
	}
}

static unsigned prefix_of(const uint8_t *mask, size_t n)
{
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++)
		bits += (unsigned)__builtin_popcount(mask[i]);
	return bits;
}

static void render_cmp(struct jaco_buf *out, struct regs *regs, const struct ruleset_rule *rule,
		       size_t i)
{
	const struct ruleset_expr *expr = &rule->exprs[i];
	const char *text = regs->text[expr->reg];
	char address[INET6_ADDRSTRLEN];

	if (jaco_str_eq(text, "meta nfproto")) {
		regs->family = expr->data[0];
		return;
	}
	if (jaco_str_eq(text, "ct state")) {
		jaco_buf_add_str(out, "ct state ! established,related ");
		return;
	}
	if (jaco_str_eq(text, "ip6 saddr") && i > 0 && rule->exprs[i - 1].op == RULESET_MASK) {
		address_text(address, AF_INET6, expr->data);
		jaco_buf_printf(out, "ip6 saddr %s%s/%u ", expr->invert ? "!= " : "", address,
				prefix_of(rule->exprs[i - 1].data, rule->exprs[i - 1].len));
		return;
	}
	if (expr->len == IFNAMSIZ) {
		jaco_buf_printf(out, "%s %s\"%.*s\" ", text, expr->invert ? "!= " : "", IFNAMSIZ,
				(const char *)expr->data);
		return;
	}
	if (jaco_str_eq(text, "tcp flags")) { /* one byte, masked before */
		jaco_buf_add_str(out, "tcp flags syn / syn,rst ");
		return;
	}
	if (jaco_str_eq(text, "meta l4proto"))
		return; /* nft leaves it out as well: the next match implies it */
	jaco_buf_printf(out, "%s %s0x", text, expr->invert ? "!= " : "");
	for (size_t k = 0; k < expr->len && k < sizeof(expr->data); k++)
		jaco_buf_printf(out, "%02x", expr->data[k]);
	jaco_buf_add_char(out, ' ');
}

static uint8_t key_bytes_of(const struct ruleset *ruleset, const char *name)
{
	const struct ruleset_set *set = ruleset_find_set(ruleset, name);

	return set ? set->key_bytes : 4;
}

static void load_reg(struct regs *regs, const struct ruleset_expr *expr, const char *text)
{
	(void)jaco_str_copy(regs->text[expr->reg], REG_TEXT, text); /* ours are short */
	regs->bytes[expr->reg] = expr->len ? expr->len : 4;
}

/* nft writes "==" only after a single masked field. */
static const char *lookup_sign(const struct regs *regs, const struct ruleset_expr *expr,
			       uint8_t key_bytes)
{
	if (expr->invert)
		return "!= ";
	return regs->bytes[expr->reg] == key_bytes && strstr(regs->text[expr->reg], " & ") ?
		       "== " : "";
}

static void render_expr(struct jaco_buf *out, struct regs *regs, const struct ruleset *ruleset,
			const struct ruleset_rule *rule, size_t i)
{
	const struct ruleset_expr *expr = &rule->exprs[i];
	char text[REG_TEXT];

	switch (expr->op) {
	case RULESET_META:
		load_reg(regs, expr, meta_name(expr->key));
		break;
	case RULESET_PAYLOAD:
		payload_text(text, sizeof(text), expr, regs->family);
		load_reg(regs, expr, text);
		break;
	case RULESET_CT_STATE:
		load_reg(regs, expr, "ct state");
		break;
	case RULESET_MASK:
		append_mask(regs, expr);
		break;
	case RULESET_CMP:
		render_cmp(out, regs, rule, i);
		break;
	case RULESET_LOOKUP:
		key_text(out, regs, expr->reg, key_bytes_of(ruleset, expr->set));
		jaco_buf_printf(out, " %s@%s ",
				lookup_sign(regs, expr, key_bytes_of(ruleset, expr->set)),
				expr->set);
		break;
	case RULESET_MAP: {
		jaco_auto(jaco_buf) struct jaco_buf key = JACO_BUF_BOUND(REG_TEXT - 32);

		key_text(&key, regs, expr->reg, key_bytes_of(ruleset, expr->set));
		(void)jaco_str_format(text, sizeof(text), "%s map @%s", jaco_buf_str(&key),
				      expr->set);
		(void)jaco_str_copy(regs->text[expr->dreg], REG_TEXT, text);
		regs->bytes[expr->dreg] = 4;
		break;
	}
	case RULESET_TRANSPORT:
		load_reg(regs, expr, expr->key == 13 && expr->len == 1 ? "tcp flags" : "@th");
		break;
	case RULESET_PATH_MSS:
		load_reg(regs, expr, "rt mtu");
		break;
	case RULESET_SWAP16:
		break; /* nft prints no byte orders */
	case RULESET_SET_MSS:
		jaco_buf_printf(out, "tcp option maxseg size set %s ", regs->text[expr->reg]);
		break;
	case RULESET_SNAT:
		jaco_buf_printf(out, "snat ip to %s ", regs->text[expr->reg]);
		break;
	case RULESET_COUNTER:
		jaco_buf_add_str(out, "counter ");
		break;
	case RULESET_VERDICT:
		jaco_buf_printf(out, "%s ", expr->key == NF_ACCEPT ? "accept" :
					    expr->key == NF_DROP   ? "drop" :
								     "other verdict");
		break;
	case RULESET_MASQUERADE:
		jaco_buf_add_str(out, "masquerade ");
		break;
	case RULESET_OTHER:
		jaco_buf_printf(out, "[%s] ", expr->set);
		break;
	}
}

void render_rule(struct jaco_buf *out, const struct ruleset *ruleset,
		 const struct ruleset_rule *rule)
{
	struct regs regs = {.family = 0};

	for (size_t i = 0; i < rule->n_exprs; i++)
		render_expr(out, &regs, ruleset, rule, i);
	if (out->n > 0 && out->data[out->n - 1] == ' ')
		out->data[--out->n] = '\0';
}

static void render_key(struct jaco_buf *out, const struct ruleset_set *set,
		       const struct ruleset_elem *elem)
{
	char address[INET6_ADDRSTRLEN];
	const uint8_t *key = elem->key;

	if (set->key_bytes >= IFNAMSIZ) {
		jaco_buf_printf(out, "\"%.*s\"", IFNAMSIZ, (const char *)key);
		if (set->key_bytes == IFNAMSIZ)
			return;
		jaco_buf_add_str(out, " . ");
		key += IFNAMSIZ;
	}
	address_text(address, AF_INET, key);
	jaco_buf_add_str(out, address);
	if (set->key_bytes == 8) {
		address_text(address, AF_INET, key + 4);
		jaco_buf_printf(out, " . %s", address);
	}
}

void render_elem(struct jaco_buf *out, const struct ruleset_set *set,
		 const struct ruleset_elem *elem)
{
	render_key(out, set, elem);
	if (set->is_map) {
		char data[INET6_ADDRSTRLEN];

		address_text(data, AF_INET, (const uint8_t *)&elem->data);
		jaco_buf_printf(out, " : %s", data);
	}
	if (elem->is_end)
		jaco_buf_add_str(out, " (end)");
	if (elem->comment)
		jaco_buf_printf(out, " comment \"%s\"", elem->comment);
}

static void render_interval(struct jaco_buf *out, const struct ruleset_set *set, size_t i)
{
	char first_text[INET6_ADDRSTRLEN], last_text[INET6_ADDRSTRLEN];
	uint32_t first, last = UINT32_MAX;

	memcpy(&first, set->elems[i].key, sizeof(first));
	if (i + 1 < set->n_elems) {
		memcpy(&last, set->elems[i + 1].key, sizeof(last));
		last = ntohl(last) - 1;
	}
	first = ntohl(first);
	for (uint8_t bits = 0; bits <= 32; bits++) {
		struct jaco_cidr cidr = {.addr = first, .bits = bits};
		char text[JACO_CIDR_TEXT_BYTES];

		if (jaco_cidr_first(cidr) != first || jaco_cidr_last(cidr) != last)
			continue;
		jaco_cidr_render(text, cidr);
		jaco_buf_add_str(out, text);
		return;
	}
	jaco_ipv4_render(first_text, first);
	jaco_ipv4_render(last_text, last);
	jaco_buf_printf(out, "%s-%s", first_text, last_text);
}

static const char *type_text(const struct ruleset_set *set)
{
	switch (set->key_bytes) {
	case 4: return "ipv4_addr";
	case 8: return "ipv4_addr . ipv4_addr";
	case 16: return "ifname";
	case 20: return "ifname . ipv4_addr";
	default: return "unknown";
	}
}

static void render_set(struct jaco_buf *out, const struct ruleset_set *set)
{
	const char *glue = "\t\telements = { ";

	jaco_buf_printf(out, "\t%s %s {\n\t\ttype %s%s\n", set->is_map ? "map" : "set", set->name,
			type_text(set), set->is_map ? " : ipv4_addr" : "");
	if (set->size)
		jaco_buf_printf(out, "\t\tsize %u\n", set->size);
	if (set->is_interval)
		jaco_buf_add_str(out, "\t\tflags interval\n");
	for (size_t i = 0; i < set->n_elems; i++) {
		if (set->elems[i].is_end)
			continue;
		jaco_buf_add_str(out, glue);
		if (set->is_interval)
			render_interval(out, set, i);
		else
			render_elem(out, set, &set->elems[i]);
		glue = ",\n\t\t\t     ";
	}
	if (set->n_elems > 0)
		jaco_buf_add_str(out, " }\n");
	jaco_buf_add_str(out, "\t}\n\n");
}

void render_ruleset(struct jaco_buf *out, const struct ruleset *ruleset)
{
	jaco_buf_printf(out, "table inet %s {\n", RULESET_TABLE);
	for (size_t i = 0; i < ruleset->n_sets; i++)
		render_set(out, &ruleset->sets[i]);
	for (size_t i = 0; i < ruleset->n_chains; i++) {
		const struct ruleset_chain *chain = &ruleset->chains[i];

		jaco_buf_printf(out, "%s\tchain %s {\n\t\t", i ? "\n" : "", chain->name);
		render_chain_head(out, chain);
		jaco_buf_add_char(out, '\n');
		for (size_t k = 0; k < chain->n_rules; k++) {
			jaco_buf_add_str(out, "\t\t");
			render_rule(out, ruleset, &chain->rules[k]);
			if (chain->rules[k].comment[0])
				jaco_buf_printf(out, " comment \"%s\"", chain->rules[k].comment);
			jaco_buf_add_char(out, '\n');
		}
		jaco_buf_add_str(out, "\t}\n");
	}
	jaco_buf_add_str(out, "}\n");
}
