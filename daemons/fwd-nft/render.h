/* SPDX-License-Identifier: Apache-2.0
 *
 * render.h - a ruleset as text, in the words of `nft --stateless list table inet jaco`.
 *
 * Pure.  For golden tests, drift reports and the deciding rule of `jaco net can`. */
#pragma once

#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/base/buf.h"

/* The whole table; elements one a line in key order. */
void render_ruleset(struct jaco_buf *out, const struct ruleset *ruleset);

/* One rule without its comment: "ip saddr @pool ip daddr @pool counter drop". */
void render_rule(struct jaco_buf *out, const struct ruleset *ruleset,
		 const struct ruleset_rule *rule);

/* One element: "10.210.0.0 . 10.210.1.0 comment \"shop/web@n1\"". */
void render_elem(struct jaco_buf *out, const struct ruleset_set *set,
		 const struct ruleset_elem *elem);

/* "type filter hook forward priority filter - 5; policy accept;" */
void render_chain_head(struct jaco_buf *out, const struct ruleset_chain *chain);
