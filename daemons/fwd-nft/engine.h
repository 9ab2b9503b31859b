/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.h - the few rules we keep in a container engine's chains.
 *
 * Our table only drops; it cannot undo another base chain's drop, because an accept ends one chain
 * only.  Docker's FORWARD chain drops new connections that enter a bridge from elsewhere, so what
 * comes from the mesh needs a rule in DOCKER-USER, the chain Docker leaves to others:
 *
 *   iifname <mesh> ip daddr <pool> accept        oifname <mesh> ip saddr <pool> accept
 *
 * and Docker 28 and later drop in raw prerouting what does not enter by the container's own bridge,
 * which needs the first of them there.  The rules name the mesh interface, not pool to pool:
 * between two bridges of one host Docker's own isolation stays in force beside ours.  They are
 * accepted by Docker's chains and still dropped by ours when the scopes differ.
 *
 * Podman's netavark lets everything pass, but it masquerades whatever leaves a network of its own,
 * also towards the mesh; what is accepted at the top of its nat chain keeps its source:
 *
 *   oifname <mesh> ip saddr <pool> accept
 *
 * They are written in the words iptables-nft itself uses, so `iptables -S` shows them, and carry a
 * comment by which they are found again.  Chains that do not exist are never made. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/io/netlink.h"

#define ENGINE_COMMENT "jaco: mesh"

struct engine_want {
	struct jaco_cidr pool;
	const char *mesh; /* interface name; NULL: our rules are to be removed everywhere */
};

/* Does one of the known engine chains live in that table? */
bool engine_is_table(uint8_t family, const char *table);

/* Put missing rules in place and take wrong ones away, one transaction per chain; *@out_changed
 * counts what was done. */
int engine_assert(struct jaco_netlink *nl, const struct engine_want *want, unsigned *out_changed,
		  struct jaco_err *err);

/* Pure: must @chain (of a raw prerouting hook) be accommodated, because a rule of somebody else
 * drops packets to an address of @pool there? */
bool engine_drops_ours(const struct ruleset_chain *chain, struct jaco_cidr pool);

/* Pure: and @chain (of a nat postrouting hook), because a rule of somebody else does more than
 * accept what comes from an address of @pool? */
bool engine_translates_ours(const struct ruleset_chain *chain, struct jaco_cidr pool);
