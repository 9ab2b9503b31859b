/* SPDX-License-Identifier: Apache-2.0
 *
 * ruleset.c - from the cluster's subnets to the contents of `table inet jaco`.
 *
 * Why `pool` is the whole ipam_pool and not the subnets known here: a subnet claimed a moment ago
 * on another node is unknown here, and its packets must be dropped rather than pass as foreign. */
#include "daemons/fwd-nft/ruleset.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/fwd-nft/rules.h"
#include "libjaco/base/assert.h"
#include "libjaco/base/mem.h"
#include "libjaco/base/str.h"

/* Datatype numbers of nft(8); the kernel only stores them for `nft list`. */
#define TYPE_IPV4  RULESET_TYPE_IPV4
#define TYPE_IFACE 41
#define TYPE_PAIR(a, b) ((a) << 6 | (b))

struct ruleset_set *ruleset_find_set(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->n_sets; i++)
		if (jaco_str_eq(ruleset->sets[i].name, name))
			return &ruleset->sets[i];
	return NULL;
}

struct ruleset_chain *ruleset_find_chain(const struct ruleset *ruleset, const char *name)
{
	for (size_t i = 0; i < ruleset->n_chains; i++)
		if (jaco_str_eq(ruleset->chains[i].name, name))
			return &ruleset->chains[i];
	return NULL;
}

struct ruleset_set *ruleset_add_set(struct ruleset *ruleset, const char *name)
{
	struct ruleset_set *set;

	ruleset->sets = jaco_grow(ruleset->sets, &ruleset->sets_cap, ruleset->n_sets + 1,
				  sizeof(*set));
	set = &ruleset->sets[ruleset->n_sets++];
	*set = (struct ruleset_set){.elems = NULL};
	(void)jaco_str_copy(set->name, sizeof(set->name),
			    name); /* cut names differ from ours too */
	return set;
}

struct ruleset_chain *ruleset_add_chain(struct ruleset *ruleset, const char *name)
{
	struct ruleset_chain *chain;

	ruleset->chains = jaco_grow(ruleset->chains, &ruleset->chains_cap, ruleset->n_chains + 1,
				    sizeof(*chain));
	chain = &ruleset->chains[ruleset->n_chains++];
	*chain = (struct ruleset_chain){.rules = NULL};
	(void)jaco_str_copy(chain->name, sizeof(chain->name), name);
	return chain;
}

struct ruleset_rule *ruleset_add_rule(struct ruleset_chain *chain)
{
	chain->rules = jaco_grow(chain->rules, &chain->cap, chain->n_rules + 1,
				 sizeof(chain->rules[0]));
	chain->rules[chain->n_rules] = (struct ruleset_rule){.n_exprs = 0};
	return &chain->rules[chain->n_rules++];
}

struct ruleset_elem *ruleset_add_elem(struct ruleset_set *set)
{
	set->elems = jaco_grow(set->elems, &set->cap, set->n_elems + 1, sizeof(set->elems[0]));
	set->elems[set->n_elems] = (struct ruleset_elem){.is_end = false};
	return &set->elems[set->n_elems++];
}

int ruleset_elem_cmp(const struct ruleset_elem *a, const struct ruleset_elem *b)
{
	int order = memcmp(a->key, b->key, sizeof(a->key));

	return order ? order : (int)b->is_end - (int)a->is_end;
}

static int elem_cmp_void(const void *a, const void *b)
{
	return ruleset_elem_cmp(a, b);
}

void ruleset_sort_elems(struct ruleset_set *set)
{
	for (size_t i = 1; i < set->n_elems; i++) {
		if (ruleset_elem_cmp(&set->elems[i - 1], &set->elems[i]) <= 0)
			continue;
		qsort(set->elems, set->n_elems, sizeof(set->elems[0]), elem_cmp_void);
		return;
	}
}

const struct ruleset_elem *ruleset_find_elem(const struct ruleset_set *set, const uint8_t *key,
					     size_t key_bytes)
{
	struct ruleset_elem want = {.is_end = false};

	JACO_ASSERT(key_bytes <= sizeof(want.key));
	memcpy(want.key, key, key_bytes);
	if (set->n_elems == 0)
		return NULL;
	return bsearch(&want, set->elems, set->n_elems, sizeof(want), elem_cmp_void);
}

void ruleset_fini(struct ruleset *ruleset)
{
	if (!ruleset)
		return;
	for (size_t i = 0; i < ruleset->n_sets; i++)
		jaco_free(ruleset->sets[i].elems);
	for (size_t i = 0; i < ruleset->n_chains; i++)
		jaco_free(ruleset->chains[i].rules);
	jaco_free(ruleset->sets);
	jaco_free(ruleset->chains);
	jaco_arena_fini(&ruleset->arena);
	*ruleset = RULESET_INIT;
}

/* ---- sets ---- */

struct shape {
	uint32_t key_type;
	uint8_t fields[2];
};

static struct ruleset_set *add_hash(struct ruleset *ruleset, const char *name,
				    const struct shape *shape)
{
	struct ruleset_set *set = ruleset_add_set(ruleset, name);

	set->key_type = shape->key_type;
	set->key_bytes = (uint8_t)(shape->fields[0] + shape->fields[1]);
	if (shape->fields[1])
		memcpy(set->field_bytes, shape->fields, sizeof(set->field_bytes));
	return set;
}

static const struct shape shape_pair = {TYPE_PAIR(TYPE_IPV4, TYPE_IPV4), {4, 4}};
static const struct shape shape_port = {TYPE_PAIR(TYPE_IFACE, TYPE_IPV4), {16, 4}};
static const struct shape shape_internal = {TYPE_IPV4, {4, 0}};
static const struct shape shape_bridges = {TYPE_IFACE, {16, 0}};
static const struct shape shape_nodes = {TYPE_IPV4, {4, 0}};

static void put_u32(uint8_t *out, uint32_t value)
{
	memcpy(out, &value, sizeof(value));
}

static size_t length_index(const struct rules_lengths *lengths, uint8_t bits)
{
	size_t i = 0;

	while (i < lengths->n && lengths->bits[i] != bits)
		i++;
	JACO_ASSERT(i < lengths->n); /* find_lengths() saw every subnet */
	return i;
}

/* "<deployment>/<network>@<host>"; formatting it with printf was a third of a large build. */
static const char *name_of(struct jaco_arena *arena, const struct ruleset_subnet *subnet)
{
	size_t d = strlen(subnet->deployment), n = strlen(subnet->network);
	size_t h = strlen(subnet->host);
	char *text = jaco_arena_alloc(arena, d + n + h + 3), *at = text;

	memcpy(at, subnet->deployment, d);
	at += d;
	*at++ = '/';
	memcpy(at, subnet->network, n);
	at += n;
	*at++ = '@';
	memcpy(at, subnet->host, h);
	return text;
}

/* The sets of all pairs of lengths come first, in the order of add_same_scope().  Each subnet's
 * name is told once, where it is the source towards this host. */
static void add_pair(struct ruleset *ruleset, const struct rules_lengths *lengths,
		     const struct ruleset_subnet *from, const struct ruleset_subnet *to)
{
	size_t s = length_index(lengths, from->cidr.bits), d = length_index(lengths, to->cidr.bits);
	struct ruleset_elem *elem = ruleset_add_elem(&ruleset->sets[s * lengths->n + d]);

	put_u32(elem->key, htonl(from->cidr.addr));
	put_u32(elem->key + 4, htonl(to->cidr.addr));
	if (from == to || !from->bridge)
		elem->comment = name_of(&ruleset->arena, from);
}

static int scope_cmp(const struct ruleset_subnet *a, const struct ruleset_subnet *b)
{
	int order = strcmp(a->deployment, b->deployment);

	return order ? order : strcmp(a->network, b->network);
}

static int by_scope(const void *a, const void *b)
{
	const struct ruleset_subnet *const *x = a, *const *y = b;

	return scope_cmp(*x, *y);
}

/* Who belongs together. */
struct scopes {
	uint32_t *of;   /* scope of a subnet, by its place in the input */
	size_t *start;  /* of a scope in @members; one more than there are scopes */
	const struct ruleset_subnet **members; /* scope after scope, each in address order */
	size_t n;
};

static void number_scopes(struct scopes *scopes, const struct ruleset_input *input,
			  struct jaco_arena *arena)
{
	size_t n = input->n_subnets;
	const struct ruleset_subnet **ordered = jaco_arena_alloc_n(arena, n + 1, sizeof(*ordered));
	bool is_sorted = true;

	for (size_t i = 0; i < n; i++) {
		ordered[i] = &input->subnets[i];
		/* a view is in key order already: by deployment, network, host */
		is_sorted = is_sorted && (i == 0 || scope_cmp(ordered[i - 1], ordered[i]) <= 0);
	}
	if (!is_sorted)
		qsort(ordered, n, sizeof(*ordered), by_scope);
	scopes->of = jaco_arena_alloc_n(arena, n + 1, sizeof(*scopes->of));
	scopes->start = jaco_arena_alloc_n(arena, n + 2, sizeof(*scopes->start));
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || scope_cmp(ordered[i - 1], ordered[i]) != 0)
			scopes->start[scopes->n++] = i;
		scopes->of[ordered[i] - input->subnets] = (uint32_t)scopes->n - 1;
	}
	scopes->start[scopes->n] = n;
}

static void group_members(struct scopes *scopes, const struct ruleset_input *input,
			  const struct ruleset_subnet *const *sorted, struct jaco_arena *arena)
{
	size_t *fill = jaco_arena_alloc_n(arena, scopes->n + 1, sizeof(*fill));

	scopes->members = jaco_arena_alloc_n(arena, input->n_subnets + 1, sizeof(*scopes->members));
	for (size_t i = 0; i < input->n_subnets; i++) {
		uint32_t scope = scopes->of[sorted[i] - input->subnets];

		scopes->members[scopes->start[scope] + fill[scope]++] = sorted[i];
	}
}

/* Sources in address order, for each its destinations in address order: sorted as they come. */
static void build_scopes(struct ruleset *ruleset, const struct rules_lengths *lengths,
			 const struct ruleset_input *input,
			 const struct ruleset_subnet *const *sorted, struct scopes *scopes)
{
	char name[RULESET_NAME_BYTES];

	for (size_t s = 0; s < lengths->n; s++) {
		for (size_t d = 0; d < lengths->n; d++) {
			rules_pair_name(name, lengths, s, d);
			add_hash(ruleset, name, &shape_pair);
		}
	}
	number_scopes(scopes, input, &ruleset->arena);
	group_members(scopes, input, sorted, &ruleset->arena);
	for (size_t i = 0; i < input->n_subnets; i++) {
		uint32_t scope = scopes->of[sorted[i] - input->subnets];

		for (size_t k = scopes->start[scope]; k < scopes->start[scope + 1]; k++)
			if (sorted[i]->bridge || scopes->members[k]->bridge)
				add_pair(ruleset, lengths, sorted[i], scopes->members[k]);
	}
}

/* What concerns subnets of one length singly: this host's bridges, internal networks. */
static void build_length(struct ruleset *ruleset, const struct rules_lengths *lengths, size_t i,
			 const struct ruleset_input *input)
{
	struct ruleset_set *port, *internal;
	char name[RULESET_NAME_BYTES];

	rules_set_name(name, "port", lengths, i);
	add_hash(ruleset, name, &shape_port);
	rules_set_name(name, "internal", lengths, i);
	internal = add_hash(ruleset, name, &shape_internal);
	port = internal - 1;
	for (size_t k = 0; k < input->n_subnets; k++) {
		const struct ruleset_subnet *subnet = &input->subnets[k];
		uint32_t address = htonl(subnet->cidr.addr);
		struct ruleset_elem *elem;

		/* packets of other hosts' containers are judged where they enter */
		if (subnet->cidr.bits != lengths->bits[i] || !subnet->bridge)
			continue;
		elem = ruleset_add_elem(port);
		memcpy(elem->key, subnet->bridge, strlen(subnet->bridge));
		put_u32(elem->key + IFNAMSIZ, address);
		if (subnet->is_internal)
			put_u32(ruleset_add_elem(internal)->key, address);
	}
	ruleset_sort_elems(port);
	ruleset_sort_elems(internal);
}

static void add_interval(struct ruleset_set *set, struct jaco_cidr cidr)
{
	uint32_t first = jaco_cidr_first(cidr), after = jaco_cidr_last(cidr) + 1;
	struct ruleset_elem *elem;

	if (set->n_elems > 0 && set->elems[set->n_elems - 1].is_end &&
	    memcmp(set->elems[set->n_elems - 1].key, &(uint32_t){htonl(first)}, 4) == 0)
		set->n_elems--; /* adjacent: one longer interval */
	else
		put_u32(ruleset_add_elem(set)->key, htonl(first));
	if (after == 0)
		return; /* up to the last address there is: no end element */
	elem = ruleset_add_elem(set);
	put_u32(elem->key, htonl(after));
	elem->is_end = true;
}

/* ipam_pool and what an earlier ipam_pool left behind. */
static void build_pool(struct ruleset *ruleset, struct jaco_cidr pool,
		       const struct ruleset_subnet *const *sorted, size_t n)
{
	struct ruleset_set *set = ruleset_add_set(ruleset, "pool");
	bool is_placed = false;

	set->key_type = TYPE_IPV4;
	set->key_bytes = 4;
	set->is_interval = true;
	for (size_t i = 0; i < n; i++) {
		if (jaco_cidr_covers(pool, sorted[i]->cidr))
			continue;
		if (!is_placed && sorted[i]->cidr.addr > pool.addr) {
			add_interval(set, pool);
			is_placed = true;
		}
		add_interval(set, sorted[i]->cidr);
	}
	if (!is_placed)
		add_interval(set, pool);
}

/* Sorted and without doubles, as the kernel keeps it. */
static void tidy_elems(struct ruleset_set *set)
{
	size_t kept = 0;

	ruleset_sort_elems(set);
	for (size_t i = 0; i < set->n_elems; i++)
		if (kept == 0 || ruleset_elem_cmp(&set->elems[kept - 1], &set->elems[i]) != 0)
			set->elems[kept++] = set->elems[i];
	set->n_elems = kept;
}

static void build_hosts(struct ruleset *ruleset, const struct rules_lengths *lengths,
			const struct ruleset_input *input)
{
	struct ruleset_set *set = add_hash(ruleset, "bridges", &shape_bridges);
	char name[RULESET_NAME_BYTES];

	/* from the ports, which are in order of bridges already */
	for (size_t i = 0; i < lengths->n; i++) {
		const struct ruleset_set *port;

		rules_set_name(name, "port", lengths, i);
		port = ruleset_find_set(ruleset, name);
		for (size_t k = 0; k < port->n_elems; k++)
			memcpy(ruleset_add_elem(set)->key, port->elems[k].key, IFNAMSIZ);
	}
	tidy_elems(set);
	set = add_hash(ruleset, "nodes", &shape_nodes);
	for (size_t i = 0; i < input->n_nodes; i++)
		put_u32(ruleset_add_elem(set)->key, htonl(input->nodes[i]));
	tidy_elems(set);
}

/* The subnet of @address on this host, or NULL. */
static const struct ruleset_subnet *find_local(const struct ruleset_subnet *const *sorted, size_t n,
					       uint32_t address)
{
	size_t low = 0, high = n;

	while (low < high) { /* the last one that starts at or before it */
		size_t middle = low + (high - low) / 2;

		if (sorted[middle]->cidr.addr <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || !sorted[low - 1]->bridge ||
	    !jaco_cidr_contains(sorted[low - 1]->cidr, address))
		return NULL;
	return sorted[low - 1];
}

static struct ruleset_set *find_nth(struct ruleset *ruleset, const char *stem,
				    const struct rules_lengths *lengths, size_t i)
{
	char name[RULESET_NAME_BYTES];

	rules_set_name(name, stem, lengths, i);
	return ruleset_find_set(ruleset, name);
}

/* @first is the container's address on another network, which it may send from; @own its address in
 * the scope of @remote. */
static void add_reach(struct ruleset *ruleset, const struct rules_lengths *lengths, uint32_t first,
		      uint32_t own, const struct ruleset_subnet *remote)
{
	size_t i = length_index(lengths, remote->cidr.bits);
	struct ruleset_elem *elem = ruleset_add_elem(find_nth(ruleset, "reach", lengths, i));

	put_u32(elem->key, htonl(first));
	put_u32(elem->key + 4, htonl(remote->cidr.addr));
	elem = ruleset_add_elem(find_nth(ruleset, "reach_back", lengths, i));
	put_u32(elem->key, htonl(remote->cidr.addr));
	put_u32(elem->key + 4, htonl(first));
	/* nft(8) reads a mask back only in the first half of a key that it maps */
	elem = ruleset_add_elem(find_nth(ruleset, "reach_as", lengths, i));
	put_u32(elem->key, htonl(remote->cidr.addr));
	put_u32(elem->key + 4, htonl(first));
	elem->data = htonl(own);
}

static void add_home(struct ruleset *ruleset, const struct rules_lengths *lengths,
		     const struct ruleset_input *input, const struct ruleset_home *home,
		     const struct ruleset_subnet *const *sorted, const struct scopes *scopes)
{
	const struct ruleset_subnet *subnets[JACO_NETWORKS_PER_SERVICE];

	for (size_t i = 0; i < home->n; i++)
		subnets[i] = find_local(sorted, input->n_subnets, home->addresses[i]);
	for (size_t from = 0; from < home->n; from++) {
		for (size_t own = 0; own < home->n; own++) {
			struct ruleset_elem *elem;
			uint32_t scope;

			if (!subnets[from] || !subnets[own] || subnets[from] == subnets[own])
				continue;
			elem = ruleset_add_elem(ruleset_find_set(ruleset, "homes"));
			memcpy(elem->key, subnets[from]->bridge, strlen(subnets[from]->bridge));
			put_u32(elem->key + IFNAMSIZ, htonl(home->addresses[own]));
			scope = scopes->of[subnets[own] - input->subnets];
			for (size_t k = scopes->start[scope]; k < scopes->start[scope + 1]; k++)
				if (!scopes->members[k]->bridge)
					add_reach(ruleset, lengths, home->addresses[from],
						  home->addresses[own], scopes->members[k]);
		}
	}
}

static void build_homes(struct ruleset *ruleset, const struct rules_lengths *lengths,
			const struct ruleset_input *input,
			const struct ruleset_subnet *const *sorted, const struct scopes *scopes)
{
	static const char *const stems[] = {"reach", "reach_back", "reach_as"};
	size_t first = ruleset->n_sets;
	char name[RULESET_NAME_BYTES];

	add_hash(ruleset, "homes", &shape_port);
	for (size_t i = 0; i < lengths->n; i++) {
		for (size_t k = 0; k < JACO_ARRAY_SIZE(stems); k++) {
			rules_set_name(name, stems[k], lengths, i);
			add_hash(ruleset, name, &shape_pair)->is_map = k == 2;
		}
	}
	for (size_t i = 0; i < input->n_homes; i++)
		add_home(ruleset, lengths, input, &input->homes[i], sorted, scopes);
	for (size_t i = first; i < ruleset->n_sets; i++)
		tidy_elems(&ruleset->sets[i]);
}

/* Room to double before the table has to be replaced to grow a set; a declared size lets the kernel
 * choose its fixed hash, which is also the cheaper one per packet. */
static void declare_sizes(struct ruleset *ruleset, const struct ruleset *at_least)
{
	for (size_t i = 0; i < ruleset->n_sets; i++) {
		struct ruleset_set *set = &ruleset->sets[i];
		const struct ruleset_set *old = at_least ? ruleset_find_set(at_least, set->name) :
							   NULL;
		uint32_t size = RULESET_SIZE_MIN;

		if (set->is_interval)
			continue;
		while (size < 2 * set->n_elems)
			size *= 2;
		set->size = old && old->size >= set->n_elems && old->size >= RULESET_SIZE_MIN ?
			    old->size : size;
	}
}

/* ---- input ---- */

/* Least significant byte first over the 32 bits of an address: a comparing sort of 12,000 subnets
 * took as long as all the rest of a build. */
static void sort_by_address(const struct ruleset_subnet **subnets, size_t n,
			    struct jaco_arena *arena)
{
	const struct ruleset_subnet **from = subnets;
	const struct ruleset_subnet **to = jaco_arena_alloc_n(arena, n + 1, sizeof(*to));

	for (unsigned shift = 0; shift < 32; shift += 8) {
		size_t at[257] = {0};
		const struct ruleset_subnet **swap = from;

		for (size_t i = 0; i < n; i++)
			at[(from[i]->cidr.addr >> shift & 0xff) + 1]++;
		for (size_t i = 1; i < JACO_ARRAY_SIZE(at); i++)
			at[i] += at[i - 1];
		for (size_t i = 0; i < n; i++)
			to[at[from[i]->cidr.addr >> shift & 0xff]++] = from[i];
		from = to;
		to = swap;
	}
	/* four passes: the result is back in @subnets */
}

static int refuse_subnet(const struct ruleset_subnet *subnet, const char *why, struct jaco_err *err)
{
	char text[JACO_CIDR_TEXT_BYTES];

	jaco_cidr_render(text, subnet->cidr);
	return jaco_err_set(err, JACO_VALIDATION_FAILED, "subnet %s: %s", text, why);
}

static int check_subnet(const struct ruleset_subnet *subnet, struct jaco_err *err)
{
	if (subnet->cidr.bits > 32 || jaco_cidr_network(subnet->cidr).addr != subnet->cidr.addr)
		return refuse_subnet(subnet, "has host bits set", err);
	if (subnet->bridge && (subnet->bridge[0] == '\0' || strlen(subnet->bridge) >= IFNAMSIZ))
		return refuse_subnet(subnet, "its bridge cannot name an interface", err);
	return 0;
}

static int add_length(struct rules_lengths *lengths, uint8_t bits, struct jaco_err *err)
{
	for (size_t i = 0; i < lengths->n; i++)
		if (lengths->bits[i] == bits)
			return 0;
	if (lengths->n == RULESET_LENGTHS_MAX)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED,
				    "more than %d prefix lengths are in use", RULESET_LENGTHS_MAX);
	lengths->bits[lengths->n++] = bits;
	return 0;
}

/* The configured length first, then longest to shortest, so that equal input gives equal rules. */
static int find_lengths(const struct ruleset_input *input, struct rules_lengths *out_lengths,
			struct jaco_err *err)
{
	struct rules_lengths lengths = {.bits = {input->prefix}, .n = 1};

	for (size_t i = 0; i < input->n_subnets; i++)
		if (add_length(&lengths, input->subnets[i].cidr.bits, err) < 0)
			return -(int)err->code;
	for (size_t i = 2; i < lengths.n; i++) {
		for (size_t k = i; k > 1 && lengths.bits[k] > lengths.bits[k - 1]; k--) {
			uint8_t swap = lengths.bits[k];

			lengths.bits[k] = lengths.bits[k - 1];
			lengths.bits[k - 1] = swap;
		}
	}
	*out_lengths = lengths;
	return 0;
}

/* Address order; refuses what would make a masked address ambiguous. */
static int sort_subnets(const struct ruleset_input *input, struct jaco_arena *arena,
			const struct ruleset_subnet ***out_sorted, struct jaco_err *err)
{
	const struct ruleset_subnet **sorted;

	if (input->n_subnets > RULESET_SUBNETS_MAX)
		return jaco_err_set(err, JACO_LIMIT_EXCEEDED, "more than %d subnets",
				    RULESET_SUBNETS_MAX);
	sorted = jaco_arena_alloc_n(arena, input->n_subnets + 1, sizeof(*sorted));
	for (size_t i = 0; i < input->n_subnets; i++) {
		if (check_subnet(&input->subnets[i], err) < 0)
			return -(int)err->code;
		sorted[i] = &input->subnets[i];
	}
	sort_by_address(sorted, input->n_subnets, arena);
	for (size_t i = 1; i < input->n_subnets; i++) {
		if (!jaco_cidr_overlaps(sorted[i - 1]->cidr, sorted[i]->cidr))
			continue;
		return jaco_err_set(err, JACO_VALIDATION_FAILED,
				    "subnets of %s/%s@%s and %s/%s@%s overlap",
				    sorted[i - 1]->deployment, sorted[i - 1]->network,
				    sorted[i - 1]->host, sorted[i]->deployment,
				    sorted[i]->network, sorted[i]->host);
	}
	*out_sorted = sorted;
	return 0;
}

int ruleset_build(struct ruleset *ruleset, const struct ruleset_input *input,
		  const struct ruleset *at_least, struct jaco_err *err)
{
	const struct ruleset_subnet **sorted = NULL;
	struct rules_lengths lengths = {.n = 0};
	struct scopes scopes = {.n = 0};

	JACO_ASSERT(ruleset->n_sets == 0 && ruleset->n_chains == 0);
	if (find_lengths(input, &lengths, err) < 0 ||
	    sort_subnets(input, &ruleset->arena, &sorted, err) < 0)
		return -(int)err->code;
	build_scopes(ruleset, &lengths, input, sorted, &scopes);
	for (size_t i = 0; i < lengths.n; i++)
		build_length(ruleset, &lengths, i, input);
	build_pool(ruleset, jaco_cidr_network(input->pool), sorted, input->n_subnets);
	build_hosts(ruleset, &lengths, input);
	build_homes(ruleset, &lengths, input, sorted, &scopes);
	declare_sizes(ruleset, at_least);
	rules_add_chains(ruleset, &lengths, input->mesh);
	return 0;
}
