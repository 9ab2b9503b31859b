/* SPDX-License-Identifier: Apache-2.0
 *
 * input.h - from the view to the pure half: which subnets, members and local addresses there are.
 *
 * Pure: reads the view, allocates in an arena. */
#pragma once

#include "daemons/fwd-nft/ruleset.h"
#include "libjaco/daemon/config.h"
#include "libjaco/daemon/view.h"

/* Everything the firewall follows. */
extern const char *const input_topics[];

struct input {
	struct ruleset_input ruleset;
	uint32_t *addresses; /* of this host's containers, sorted, each once */
	size_t n_addresses;
	size_t n_local;      /* subnets of this host */
};

/* Everything in *@out lives in @arena or is borrowed from @view.
 * Errors: VALIDATION_FAILED - a record cannot be understood, or ipam_pool cannot. */
int input_collect(struct input *out, const struct jaco_view *view, const char *host,
		  const struct jaco_config *config, struct jaco_arena *arena, struct jaco_err *err);

/* The subnet @address lies in, or NULL. */
const struct ruleset_subnet *input_find(const struct ruleset_input *input, uint32_t address);

/* Addresses of @before that are not in @after, both sorted; at most @cap are written to @out.
 * Returns how many. */
size_t input_lost(const uint32_t *before, size_t n_before, const uint32_t *after, size_t n_after,
		  uint32_t *out, size_t cap);
