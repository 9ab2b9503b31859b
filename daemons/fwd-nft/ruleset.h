/* SPDX-License-Identifier: Apache-2.0
 *
 * ruleset.h - what the table `inet jaco` must hold, as plain data.
 *
 * Pure: no descriptor, clock, log or global.  The rules are constant; everything about scopes is an
 * element of a set, so neither a packet nor a change costs more when there are more scopes
 * (spec/network.md section 3).  The same structures hold what was read back from the kernel, so
 * that comparing (drift.c), printing (render.c) and asking (eval.c) work on both.
 *
 * A scope is the set of all pairs (source subnet, destination subnet) between which packets may
 * pass on this host: one of the two is always this host's own, because the mesh is direct and
 * nobody relays, so a scope of k hosts costs 2k - 1 pairs and a scope without a subnet here costs
 * nothing.
 * Ruled out, measured on nft 1.0.6: carrying a scope number in a register from a map to a set.  The
 * kernel takes it, but `nft list ruleset` then aborts (netlink_parse_concat_expr: consumed > 0).
 *
 * A container in several networks has one default route, so what it sends to another node's subnet
 * of its second network carries its address of the first, and what it answers there enters by the
 * bridge of the first.  Where such containers live, `homes` lets the answers in, `reach` lets the
 * questions pass, `reach_as` gives them the right source and `reach_back` lets their answers
 * return; nothing of it is visible on another node.
 *
 * Look-ups use addresses masked to a prefix length.  Each length in use has its own sets, because a
 * masked address without its length is ambiguous: 10.0.1.5 masked to /23 is 10.0.0.0, the key of
 * another scope's /24. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/arena.h"
#include "libjaco/base/err.h"
#include "libjaco/base/limits.h"
#include "libjaco/model/cidr.h"

#define RULESET_TABLE        "jaco"
#define RULESET_TYPE_IPV4    7 /* datatype number of nft(8); the kernel only stores it */
#define RULESET_NAME_BYTES   32  /* ours are short; a longer foreign name is cut when read back */
#define RULESET_COMMENT_MAX  240 /* kernel: 256 bytes of user data with its headers */
#define RULESET_EXPRS_MAX    40 /* three per prefix length and a few */
#define RULESET_KEY_MAX      20  /* interface name and address */
#define RULESET_REGS         16  /* 32-bit registers, NFT_REG32_00 to NFT_REG32_15 */
#define RULESET_LENGTHS_MAX  9   /* prefix lengths in use at once: ipam_prefix is 20 to 28 */
#define RULESET_SUBNETS_MAX  65536
#define RULESET_SIZE_MIN     1024 /* declared size of a hash set: growing it replaces the table */

/* One subnet of the cluster. */
struct ruleset_subnet {
	struct jaco_cidr cidr;
	const char *deployment; /* with @network: its scope */
	const char *network;
	const char *host;
	const char *bridge; /* this host's bridge; NULL for other hosts' subnets */
	bool is_internal;   /* network with `internal: true` */
};

/* A container of this host with addresses in more than one network. */
struct ruleset_home {
	uint32_t addresses[JACO_NETWORKS_PER_SERVICE];
	size_t n;
};

struct ruleset_input {
	struct jaco_cidr pool;                /* ipam_pool */
	uint8_t prefix;                       /* ipam_prefix */
	const struct ruleset_subnet *subnets; /* any order */
	size_t n_subnets;
	const uint32_t *nodes; /* mesh addresses of members that lie inside the pool, or NULL */
	size_t n_nodes;
	const struct ruleset_home *homes;
	size_t n_homes;
	const char *mesh; /* interface to the other nodes, or NULL */
};

/* What an expression of a rule does; registers are numbered by 32-bit words, 0 to 15. */
enum ruleset_op {
	RULESET_META,      /* reg <- meta @key, @len bytes */
	RULESET_PAYLOAD,   /* reg <- @len bytes of the network header at offset @key */
	RULESET_CT_STATE,  /* reg <- conntrack state bits */
	RULESET_MASK,      /* dreg <- reg & @data, @len bytes */
	RULESET_CMP,       /* end of rule unless reg equals (@invert: differs from) @data */
	RULESET_LOOKUP,    /* end of rule unless reg's key is (@invert: is not) in @set */
	RULESET_MAP,       /* dreg <- what @set has for reg's key; end of rule when it has not */
	RULESET_TRANSPORT, /* reg <- @len bytes of the transport header at offset @key */
	RULESET_PATH_MSS,  /* reg <- largest TCP segment of the route's MTU */
	RULESET_SWAP16,    /* reg <- 16 bits in network order */
	RULESET_SET_MSS, /* the TCP option becomes reg, if that is smaller (the kernel looks) */
	RULESET_COUNTER,    /* counts; the values are not compared */
	RULESET_VERDICT,    /* @key is NF_ACCEPT or NF_DROP */
	RULESET_SNAT,       /* source becomes reg */
	RULESET_MASQUERADE, /* source becomes the outgoing interface's address */
	RULESET_OTHER,      /* read back, and nothing of ours; @set names it */
};

struct ruleset_expr {
	enum ruleset_op op;
	uint8_t reg;
	uint8_t dreg;
	uint8_t len;
	bool invert;
	uint32_t key;
	uint8_t data[16]; /* network order, as in the packet */
	char set[RULESET_NAME_BYTES];
	uint64_t packets; /* RULESET_COUNTER, read back */
};

struct ruleset_rule {
	struct ruleset_expr exprs[RULESET_EXPRS_MAX];
	size_t n_exprs;
	char comment[RULESET_COMMENT_MAX + 1];
	uint64_t handle; /* read back */
};

struct ruleset_chain {
	char name[RULESET_NAME_BYTES];
	char type[RULESET_NAME_BYTES]; /* "filter" or "nat"; "" when not a base chain */
	uint32_t hook;                 /* NF_INET_* */
	int32_t priority;
	uint32_t policy; /* NF_ACCEPT or NF_DROP */
	struct ruleset_rule *rules;
	size_t n_rules;
	size_t cap;
};

struct ruleset_elem {
	uint8_t key[RULESET_KEY_MAX]; /* network order; unused bytes zero */
	uint32_t data;                /* maps: an address in network order */
	bool is_end;                  /* interval sets: first address after the interval */
	const char *comment;          /* NULL or text of the ruleset's arena */
};

struct ruleset_set {
	char name[RULESET_NAME_BYTES];
	uint32_t key_type; /* nft datatype numbers, for `nft list` only */
	uint8_t key_bytes;
	uint8_t field_bytes[2]; /* of a concatenated key; 0, 0 otherwise */
	bool is_interval;
	bool is_map; /* of IPv4 addresses */
	uint32_t size; /* declared; 0 = none */
	struct ruleset_elem *elems; /* sorted by key, ends before starts */
	size_t n_elems;
	size_t cap;
};

/* Owns everything it points at.  Sets and chains stand in the order they are created. */
struct ruleset {
	struct ruleset_set *sets;
	size_t n_sets;
	size_t sets_cap;
	struct ruleset_chain *chains;
	size_t n_chains;
	size_t chains_cap;
	uint32_t table_flags; /* NFT_TABLE_F_*, read back; ours has none */
	struct jaco_arena arena;
};

#define RULESET_INIT ((struct ruleset){.sets = NULL})

/* Fill empty @ruleset with what @input asks for.  @at_least gives declared sizes to keep when they
 * still suffice (the ruleset in force), so that adding a subnet does not replace the table; NULL
 * for none.
 * Errors: LIMIT_EXCEEDED - more subnets or prefix lengths than the bounds above;
 * VALIDATION_FAILED - two subnets overlap, a host bit is set, or a bridge name is unusable. */
int ruleset_build(struct ruleset *ruleset, const struct ruleset_input *input,
		  const struct ruleset *at_least, struct jaco_err *err);

void ruleset_fini(struct ruleset *ruleset);
#define ruleset_cleanup ruleset_fini

/* NULL when there is none.  Borrowed. */
struct ruleset_set *ruleset_find_set(const struct ruleset *ruleset, const char *name);
struct ruleset_chain *ruleset_find_chain(const struct ruleset *ruleset, const char *name);

/* Append; the result is borrowed and valid until the next append of its kind. */
struct ruleset_set *ruleset_add_set(struct ruleset *ruleset, const char *name);
struct ruleset_chain *ruleset_add_chain(struct ruleset *ruleset, const char *name);
struct ruleset_rule *ruleset_add_rule(struct ruleset_chain *chain);
struct ruleset_elem *ruleset_add_elem(struct ruleset_set *set);

/* Sort the elements as the comparison expects; needed after a read-back only. */
void ruleset_sort_elems(struct ruleset_set *set);
int ruleset_elem_cmp(const struct ruleset_elem *a, const struct ruleset_elem *b);

/* NULL when absent.  The set must be sorted. */
const struct ruleset_elem *ruleset_find_elem(const struct ruleset_set *set, const uint8_t *key,
					     size_t key_bytes);
