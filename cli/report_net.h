/* SPDX-License-Identifier: Apache-2.0
 *
 * report_net.h - the network as the records tell it: paths, scopes, what is open.  Pure over a
 * view.
 * spec/network.md sections 2 and 3. */
#pragma once

#include "libjaco/base/arena.h"
#include "libjaco/daemon/view.h"
#include "libjaco/wire/wire.h"

#define REPORT_LOSSY_PERMILLE 50 /* two of twenty probes: one may be bad luck */

/* Every ordered pair of members, by sender.  What arrives is known to the receiver: the verdict of
 * n2 -> n5 is what n5 says, round trip and loss are what n2 measures. */
struct wire_mesh_row *report_mesh(const struct jaco_view *view, struct jaco_arena *arena,
				  size_t *out_n);

/* Every scope with a subnet, by deployment and network. */
struct wire_scope_row *report_scopes(const struct jaco_view *view, struct jaco_arena *arena,
				     size_t *out_n);

/* What can be reached from outside the containers, by node, then kind. */
struct wire_exposure_row *report_exposure(const struct jaco_view *view, struct jaco_arena *arena,
					  size_t *out_n);

/* One address a name stands for. */
struct report_end {
	const char *name;    /* as printed: "shop-web-0 (10.210.0.5)" */
	const char *address; /* IPv4 */
	const char *deployment, *network; /* NULL: not a container */
};

/* What @text names: an IPv4 address, a replica, or the replicas of DEPLOYMENT/SERVICE.
 * Errors: VALIDATION_FAILED - nothing of that name has an address. */
int report_ends(const struct jaco_view *view, const char *text, struct jaco_arena *arena,
		struct report_end **out, size_t *out_n, struct jaco_err *err);
