/* SPDX-License-Identifier: Apache-2.0
 *
 * flush.h - forget what the kernel remembers about addresses that changed their owner.
 *
 * A conntrack entry would let the new owner's packets ride on an old connection, a neighbour entry
 * would send the old owner's packets to the new container. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libjaco/base/err.h"

struct flush_count {
	size_t connections;
	size_t neighbours;
};

/* Delete the conntrack and neighbour entries that mention one of the @n addresses (host order).
 * What vanishes by itself meanwhile is no failure. */
int flush_addresses(const uint32_t *addresses, size_t n, struct flush_count *out_count,
		    struct jaco_err *err);
